"""GET /: the page to look at. It is static, holds no secret, and calls the gateway's own routes
with the user's token.

A model's words never become HTML: Markdown crosses as a flat list of elements and texts, from which
the page makes nodes of a few harmless kinds. The page's policy forbids inline scripts, eval, HTML
from strings, and other origins.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import StringConstraints

from gateway import row_errors
from gateway.errors import RETRY_AFTER_SECONDS, WAIT, Code, GatewayError
from gateway.protocol import Engine
from gateway.providers.provider import Provider
from gateway.tokens import SCOPES
from gateway.web import call, metrics, request_fields, services
from gateway.web.description import Description, described
from gateway.web.field_types import MAX_MARKDOWN
from gateway.web.schemas import LOOKED_AT, PARTS
from gateway.web.strict_request import Request

console_app = Blueprint("console", __name__)

FOLDER = Path(__file__).parent / "console"
EXAMPLES = Path(__file__).parents[2] / "examples"
KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src"
        " 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

MAX_DEPTH = 60
"""Elements within elements. markdown-it leaves out what is deeper: such a text is shown as it
is."""

MARKDOWN = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_DEPTH}).enable(
    ["table", "strikethrough"]
)


def _files() -> dict[str, tuple[str, bytes]]:
    """Return each file's kind and contents. Their folder is named after all of them, so that no
    cache mixes two versions."""
    files = {
        path.name: (KINDS[path.suffix], path.read_bytes()) for path in sorted(FOLDER.iterdir())
    }
    files["examples.json"] = "application/json", json.dumps(_examples()).encode()
    files["row_errors.json"] = "application/json", json.dumps(_row_errors()).encode()
    return files


def _row_errors() -> dict[str, Any]:
    """Return what Bulk goes by when a row has an error."""
    return {
        "waiting": sorted(WAIT),
        "stopping": sorted(row_errors.STOPPING),
        "suspect": sorted(row_errors.SUSPECT),
        "most_suspect": row_errors.MOST_SUSPECT,
        "tries": row_errors.TRIES,
        "wait_seconds": row_errors.WAIT_SECONDS,
        "unreachable_seconds": row_errors.UNREACHABLE_SECONDS,
        "patience_seconds": row_errors.PATIENCE_SECONDS,
        "retry_after_seconds": RETRY_AFTER_SECONDS,
    }


def _examples() -> list[dict[str, str]]:
    """Return the files of examples/<language>/, where they are installed."""
    paths = sorted(path for path in EXAMPLES.glob("*/*") if path.is_file())
    return [
        {"language": path.parent.name, "file": path.name, "text": path.read_text("utf-8")}
        for path in paths
    ]


FILES = _files()
VERSION = hashlib.sha256(repr(FILES).encode()).hexdigest()[:16]
PAGE = FILES["index.html"][1].replace(b"VERSION", VERSION.encode())
PACKED = {
    contents: gzip.compress(contents, mtime=0)
    for contents in (PAGE, *(row[1] for row in FILES.values()))
}
"""Once, at the start: a third of the bytes."""


@console_app.get("/")
def page() -> Response:
    """Return the page. A browser asks each time whether it is still this one."""
    reply = _static("text/html", PAGE)
    reply.headers["Cache-Control"] = "no-cache"
    reply.set_etag(VERSION)
    reply.make_conditional(request)
    return reply


@console_app.get("/console/<version>/<name>")
def file(version: str, name: str) -> Response:
    """Return what the page loads, kept by browsers for good: another version has another
    address."""
    if name not in FILES:
        raise GatewayError(
            Code.INVALID_REQUEST, f"The console has no file {name[:64]!r}.", status=404
        )
    reply = _static(*FILES[name])
    if version == VERSION:
        reply.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return reply


def _static(kind: str, contents: bytes) -> Response:
    packed = request.accept_encodings.quality("gzip") > 0
    reply = Response(
        PACKED[contents] if packed else contents,
        content_type=f"{kind}; charset=utf-8",
        headers=HEADERS,
    )
    reply.headers["Vary"] = "Accept-Encoding"
    if packed:
        reply.headers["Content-Encoding"] = "gzip"
    return reply


@console_app.get("/console/state")
@described(Description("What the page at / shows.", LOOKED_AT))
def state() -> Response:
    """Return all that the page shows: it asks every few seconds."""
    token = call.current().token
    scopes = sorted(token.scopes if token else SCOPES)
    models = services.models()
    counts = metrics.counts_by_chat()
    if token and token.chats:
        counts = {chat: codes for chat, codes in counts.items() if token.sees(chat)}
    providers = [_shown(provider) for provider in services.providers().values()]
    return jsonify(scopes=scopes, providers=providers, models=models, requests=counts)


def _shown(provider: Provider) -> dict[str, str | bool]:
    """Return what the page's form for a deploy must know."""
    return {
        "name": provider.name,
        "needs_key": provider.needs_key,
        "model_name": provider.model_name,
        "base_url": provider.base_url,
        "base_url_example": provider.base_url_example,
        "inside": provider.engine == Engine.LLAMA_CPP,
    }


class MarkdownRequest(Request):
    """POST /console/markdown. Longer texts could keep a process busy for seconds; the page shows
    them as they are."""

    text: Annotated[str, StringConstraints(max_length=MAX_MARKDOWN)]


@console_app.post("/console/markdown")
@described(Description("Markdown, taken apart.", PARTS, "chat", MarkdownRequest))
def markdown() -> Response:
    """Take Markdown apart: a text, [element, attributes], or null for the end of an element."""
    text = request_fields.parsed(MarkdownRequest).text
    tokens = MARKDOWN.parse(text)
    inside = [part for token in tokens for part in token.children or []]
    deepest = max((token.level for token in (*tokens, *inside)), default=0)
    return jsonify(parts=list(_parts(tokens)) if deepest < MAX_DEPTH - 1 else [text])


def _parts(tokens: list[Token]) -> Iterator[Any]:
    """Return what is shown of markdown-it's tokens. A picture would be loaded from elsewhere: its
    address is text."""
    for token in tokens:
        if token.type == "inline":
            yield from _parts(token.children or [])
        elif token.type == "image":
            yield f"{token.content} ({token.attrs['src']})"
        elif token.type in ("fence", "code_block"):
            yield from (["pre", {"language": token.info.split(" ")[0][:30]}], token.content, None)
        elif token.type == "code_inline":
            yield from (["code", {}], token.content, None)
        elif token.type == "softbreak":
            yield "\n"
        elif token.tag and not token.hidden:
            yield from [None] if token.nesting < 0 else [[token.tag, _attributes(token)]]
            yield from [None] if token.nesting == 0 else []
        elif token.content:
            yield token.content


def _attributes(token: Token) -> dict[str, str]:
    attributes = {
        name: str(value) for name, value in token.attrs.items() if name in ("href", "start")
    }
    return (
        {**attributes, "align": str(token.attrs["style"])[11:]}
        if "style" in token.attrs
        else attributes
    )
