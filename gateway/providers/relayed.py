"""Whole replies of the endpoints that are passed on as they come: what is an answer there, and what
only looks like one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.errors import Code
from gateway.protocol import COUNT_TOKENS, EMBEDDINGS, MESSAGES, RESPONSES
from gateway.providers import embeddings
from gateway.providers.chunks import ENVELOPES, Json
from gateway.providers.complaints import complains, document
from gateway.providers.dialects import Dialect
from gateway.providers.documents import parsed
from gateway.providers.refusals import Refusal
from gateway.providers.usage import Usage, usage_in
from gateway.providers.verdicts import is_answer, no_answer, without_words
from gateway.providers.whole_replies import Reply

PICTURES = "/images/generations"
RERANK = "/rerank"

LISTS: Mapping[str, tuple[str, ...]] = {
    EMBEDDINGS: ("data", "embeddings"),  # the second: Ollama's and DashScope's own
    PICTURES: ("data", "images"),  # the second: SiliconFlow's
    "/moderations": ("results", "result_list"),  # Zhipu's
    RERANK: ("results", "data"),  # Jina's and Cohere's; Voyage's
}
"""Where the answer is a list: the names that it goes by."""

BARE: Mapping[str, type] = {EMBEDDINGS: list, RERANK: dict}
"""Of what a list is that is the whole reply, as TEI's are."""

PARTS: Mapping[str, str] = {RESPONSES: "output", MESSAGES: "content"}
"""Where the answer is a list of parts, some of which may be thoughts: its name."""

THOUGHTS = frozenset({"reasoning", "thinking", "redacted_thinking"})

UNDER_WAY = frozenset({"queued", "in_progress"})
"""The states of a response that was asked for in the background: its id is the answer."""


def relayed_reply(
    path: str, dialect: Dialect, raw: bytes, label: str = "", question: bytes = b""
) -> Reply | Refusal:
    """Read the body `raw` of a reply of `path`, which came with success. `label` is the charset
    that it was labelled with, `question` the request's body."""
    try:
        body = parsed(raw, label)
    except ValueError:
        return no_answer(dialect, document(raw, label), question)
    body = framed(path, body)
    if not isinstance(body, dict) or complains(body):
        return no_answer(dialect, body, question)
    if path in PARTS:
        refusal = emptiness(path, body) if has_parts(path, body) else None
        if refusal or not has_parts(path, body):
            return refusal or no_answer(dialect, body, question)
    elif not _answers(path, body):
        return no_answer(dialect, body, question)
    elif path == PICTURES and (refusal := _no_picture(dialect, body, question)):
        return refusal
    if path == EMBEDDINGS:
        if refusal := embeddings.shape(body, question):
            return refusal
        if "estimated" in body["usage"]:
            return Reply(body, "", Usage())
    usage = relayed_usage(path, body)
    if path == MESSAGES and not isinstance(body.get("usage"), dict):
        body["usage"] = {"input_tokens": 0, "output_tokens": 0}  # clients insist on it
    return Reply(body, "", usage)


def framed(path: str, body: Any) -> Any:
    """Return a reply as its protocol has it, where a provider frames it otherwise."""
    if path in LISTS:
        body = _with_its_list(path, body)
    if path == RERANK:
        for row in rows_in(body, "results"):
            if "score" in row:
                row.setdefault("relevance_score", row["score"])
    elif isinstance(body, dict) and path == EMBEDDINGS:
        embeddings.unwrap(body)
    elif isinstance(body, dict) and path == MESSAGES and body.get("type") == "message":
        content = body.get("content")
        if content is None or isinstance(content, str):
            body["content"] = [{"type": "text", "text": content}] if content else []
    return body


def _with_its_list(path: str, body: Any) -> Any:
    """Return a reply with its list at the top: it may be all of it, or stand in an envelope, as in
    DashScope's own."""
    names = LISTS[path]
    if isinstance(body, list) and all(isinstance(row, BARE.get(path, ())) for row in body):
        return {names[0]: body}
    if not isinstance(body, dict) or any(isinstance(body.get(name), list) for name in names):
        return body
    for envelope in ENVELOPES:
        inner = body.get(envelope)
        if isinstance(inner, dict) and any(isinstance(inner.get(name), list) for name in names):
            return {**{name: body[name] for name in body if name != envelope}, **inner}
    return body


def _no_picture(dialect: Dialect, body: Json, question: bytes) -> Refusal | None:
    """Return why pictures are none: each was withheld, or failed; None: there is one.

    Facts: xAI's have no address and `respect_moderation` false, Volcengine's an error in each.
    """
    rows = [row for name in LISTS[PICTURES] for row in rows_in(body, name)]
    marks = {"url", "b64_json", "error", "respect_moderation"}
    if not rows or any(
        row.get("url") or row.get("b64_json") or not marks & row.keys() for row in rows
    ):
        return None
    if any(row.get("respect_moderation") is False for row in rows):
        return Refusal(Code.CONTENT_BLOCKED)
    return no_answer(dialect, {"error": rows[0].get("error")}, question)


def rows_in(body: Any, name: str) -> list[Json]:
    """Return the objects in a list of a reply; [] where there is none."""
    rows = body.get(name) if isinstance(body, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def has_parts(path: str, body: Json) -> bool:
    """Return whether a body has the shape of an answer, be it an empty one."""
    return isinstance(body.get(PARTS[path]), list) and body.get("status") != "failed"


def emptiness(path: str, body: Json) -> Refusal | None:
    """Return why an answer in parts says nothing; None: it says something."""
    parts = [part for part in body[PARTS[path]] if isinstance(part, dict)]
    if any(map(speaks, parts)) or str(body.get("status")) in UNDER_WAY:
        return None
    return without_words(reason(body), any(map(thinks, parts)))


def speaks(part: Json) -> bool:
    """Return whether a part of an answer says or does something; thoughts alone are none."""
    kind = part.get("type")
    if thinks(part):
        return False
    if kind == "message":
        inside = part.get("content")
        return isinstance(inside, list) and any(
            speaks(one) for one in inside if isinstance(one, dict)
        )
    if kind in ("text", "output_text"):
        return is_answer(str(part.get("text") or ""))
    return kind != "refusal" or bool(part.get("refusal"))


def thinks(part: Json) -> bool:
    """Return whether a part of an answer is a thought."""
    return str(part.get("type")) in THOUGHTS


def reason(body: Json) -> str:
    """Return what a body gives as the reason of its end, as far as it gives one."""
    details = body.get("incomplete_details")
    incomplete = details.get("reason") if isinstance(details, dict) else None
    return str(incomplete or body.get("stop_reason") or "")


def relayed_usage(path: str, body: Json) -> Usage:
    """Return the tokens of a reply. Anthropic counts those apart that it read from its cache, or
    wrote into it."""
    usage, counts = usage_in(body), body.get("usage")
    if path != MESSAGES or usage.tokens_in is None or not isinstance(counts, dict):
        return usage
    cached = (
        usage_in({"usage": {"input_tokens": counts.get(name)}}).tokens_in or 0
        for name in ("cache_read_input_tokens", "cache_creation_input_tokens")
    )
    return usage._replace(tokens_in=usage.tokens_in + sum(cached))


def _answers(path: str, body: Json) -> bool:
    if path == COUNT_TOKENS:
        return usage_in({"usage": body}).tokens_in is not None
    answer: Any = next(filter(None, map(body.get, LISTS.get(path, ("data",)))), None)
    return isinstance(answer, list)
