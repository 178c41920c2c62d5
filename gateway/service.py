"""What every view uses: the shared client, the doorman, and what the request under way asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, after_this_request, current_app, g, request
from pydantic import BaseModel
from werkzeug.exceptions import RequestEntityTooLarge

from gateway import cluster, contract, wire
from gateway.auth import Doorman
from gateway.byte_budget import SMALL_BYTES
from gateway.cluster import GatewayLLM
from gateway.contract import DeployRequest, Question, ReplyOptions
from gateway.encodings import Inflater, TooLarge
from gateway.errors import Code, GatewayError
from gateway.failover import Answered, first_to_answer
from gateway.large_body import LargeBody
from gateway.settings import SCOPES, Settings
from gateway.upstream import HOP

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

NO_FIELDS = frozenset({*wire.Form._fields, "_"})
"""What may stand in a query beside a body: how the reply is written, and what is added against
caches."""

COMPRESSED = (b"\x1f\x8b", b"\x78")
"""How gzip and nearly all of zlib begin, and neither JSON nor a form's usual fields do."""


def llm() -> GatewayLLM:
    """The shared ByzerLLM client."""
    shared: GatewayLLM = current_app.extensions["llm"]
    return shared


def settings() -> Settings:
    """What the operator set."""
    kept: Settings = current_app.extensions["settings"]
    return kept


def admit() -> None:
    """Raise GatewayError where no route may answer: for a page that was led here, and for our own
    question."""
    doorman: Doorman = current_app.extensions["doorman"]
    doorman.admit()
    if (sender := request.headers.get(HOP)) and sender == llm().hop:
        raise GatewayError(
            Code.INVALID_REQUEST,
            "This question came from this gateway itself: its chat's base_url leads back here, to"
            " no provider.",
            "该请求由本网关自己发出：此对话的 base_url 指回了本网关，而不是服务商。",
        )


def require(scope: str | None = None) -> None:
    """Raise GatewayError unless the caller's token has `scope` (None: any token will do)."""
    doorman: Doorman = current_app.extensions["doorman"]
    doorman.require(scope)


def only_looks() -> bool:
    """Whether the client wants a reply's head only, as LibreOffice does before each GET: nobody is
    asked for it."""
    return request.method == "HEAD"


def owner() -> str:
    """Whose jobs and sessions the caller may see: those of the same token."""
    mine: str = g.get("owner", "")
    return mine


def caller() -> str:
    """Whose repeated question is the same one still; "": nobody's, by the operator's setting."""
    return f"{owner()} {request.remote_addr}" if settings().join_repeats else ""


def scopes() -> frozenset[str]:
    """What the caller may do. Raises GatewayError: there is no such caller."""
    doorman: Doorman = current_app.extensions["doorman"]
    token = doorman.known()
    return token.scopes if token else SCOPES


def ask(name: str, how: Callable[[str], T]) -> Answered[T]:
    """Ask a chat, or whoever answers in its place. Raises GatewayError."""
    g.watched.chat = name
    return first_to_answer(name, llm().chain, how)


def asked(kind: type[M]) -> M:
    """What the request asks for. Raises GatewayError, naming the field that is wrong."""
    if kind is DeployRequest:
        no_key_in_query()
    said = fields()
    if issubclass(kind, ReplyOptions):
        # Not all of it: a question may be large, and goes on in another form.
        g.options, g.chat = (
            {name: said[name] for name in wire.Form._fields if name in said},
            said.get("chat_name"),
        )
        if in_query := _options_in_query():
            contract.parse(ReplyOptions, in_query)
    found = contract.parse(kind, said)
    g.watched.chat = getattr(found, "chat_name", "")
    if not issubclass(kind, Question):
        unpacked()
    return found


def packed(fields: dict[str, Any]) -> bytes:
    """A question as its provider reads it, and as it is held from here on. Raises GatewayError."""
    body = cluster.packed(fields)
    unpacked()
    if len(body) > SMALL_BYTES:
        _large().hold(len(body))  # a small question, too, where its session is large
    return body


def unpacked() -> None:
    """Let the next large body be unpacked: of this one there is little more than its texts."""
    if large := g.get("large"):
        large.unpacked()


def let_go() -> None:
    """Hold nothing of a large question any more: its answer has begun, which may take an hour."""
    if large := g.get("large"):
        large.release()


def hold(size: int) -> None:
    """Hold so many bytes for a large question from now on. Raises GatewayError (GATEWAY_BUSY)."""
    if large := g.get("large"):
        large.hold(size)


def form() -> wire.Form:
    """How the reply is to be written: as the request says, or else as its chat's deploy did, or
    else its headers."""
    chat = g.get("chat")
    deployed = llm().reply_options(chat) if isinstance(chat, str) else {}
    return contract.form(
        _form_by_headers(),
        g.get("options", {}),
        _options_in_query(),
        g.get("kept_form", {}),
        deployed,
    )


def _options_in_query() -> dict[str, Any]:
    # Others, such as what is added against caches, are nobody's options.
    return (
        {name: value for name, value in request.args.items() if name in wire.Form._fields}
        if request.args
        else {}
    )


def _form_by_headers() -> wire.Form:
    accept, languages = request.headers.get("Accept", ""), request.headers.get("Accept-Language")
    wants_text = "text/plain" in accept and (
        request.accept_mimetypes["text/plain"] > request.accept_mimetypes["application/json"]
    )
    lang = request.accept_languages.best_match(["en", "zh"], "en") if languages else "en"
    return wire.Form(format="text" if wants_text else "json", lang=lang)


def fields() -> dict[str, Any]:
    """What the request says: in its body, or else in its query. Raises GatewayError."""
    if request.method == "GET":
        return _in_query()
    try:
        body = _body()
    except (RequestEntityTooLarge, GatewayError):
        raise
    # the server's own: broken chunks, a client that went away or fell silent
    except Exception as error:
        detail = f"The body could not be read to its end ({type(error).__name__})."
        raise GatewayError(Code.INVALID_REQUEST, detail, "请求体未能完整读取。") from error
    if (
        request.query_string
        and not body.strip(wire.PADDING.encode())
        and not request.args.keys() <= NO_FIELDS
    ):
        return _in_query()
    if (
        not body
        and request.content_length is None
        and "chunked" not in request.headers.get("Transfer-Encoding", "")
    ):
        words = (
            "There is neither a Content-Length nor chunks, so no body was read; send"
            " Content-Length."
        )
        words_zh = (
            "请求没有 Content-Length，也没有分块，因此无法读取请求体；请发送 Content-Length。"
        )
        raise GatewayError(Code.INVALID_REQUEST, words, words_zh)
    return _in_body(body, request.headers.get("Content-Encoding", ""))


def _body() -> bytes:
    length = request.content_length
    if length is not None and length <= SMALL_BYTES:
        return request.get_data(cache=False)
    large = _large()
    body = large.read(request.stream, length)
    if len(body) > SMALL_BYTES:
        large.unpack()
    return body


def _large() -> LargeBody:
    """What the request under way holds for its large body, until its reply has gone."""
    if large := g.get("large"):
        return large  # type: ignore[no-any-return]
    large = g.large = LargeBody(current_app.extensions["questions"])

    @after_this_request
    def release_later(reply: Response) -> Response:
        reply.call_on_close(large.release)
        return reply

    return large


def _in_query() -> dict[str, Any]:
    no_key_in_query()
    return wire.query(request.query_string, settings().fallback_charset)


def no_key_in_query() -> None:
    """Raise GatewayError where a provider's key stands in the URL."""
    if request.query_string and "api_key" in request.args:
        words = (
            "must not stand in a URL, since URLs end up in logs; send it in the body, and replace"
            " this key"
        )
        words_zh = "不可写在 URL 中，因为 URL 会被记入日志；请放在请求体中，并更换此密钥"
        raise contract.invalid("api_key", words, words_zh)


def _in_body(body: bytes, encoding: str) -> dict[str, Any]:
    """The fields of a body that may be compressed. Raises GatewayError."""
    content_type, charset = request.content_type or "", settings().fallback_charset
    if not encoding and not body.startswith(COMPRESSED):
        return wire.fields(body, content_type, charset)
    inflater = Inflater(settings().max_body_bytes, encoding)
    large = _large()
    large.unpack()
    try:
        body = inflater.feed(body, last=True)
    except TooLarge:
        raise RequestEntityTooLarge from None
    large.hold(len(body))
    shown = f"Content-Encoding: {encoding[:64]}" if encoding else "No Content-Encoding"
    if not inflater.ended:
        words = f"{shown}: the compressed body is cut short or damaged."
        raise GatewayError(Code.INVALID_REQUEST, words, f"{shown}：压缩的请求体不完整或已损坏。")
    try:
        return wire.fields(body, content_type, charset)
    except GatewayError as error:
        if inflater.plain and encoding.lower() != "identity":
            error.detail += f" ({shown}: gzip and deflate are unpacked, and the body is neither.)"
            error.detail_zh += f"（{shown}：只能解压 gzip 与 deflate，而请求体两者都不是。）"
        raise
