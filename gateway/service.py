"""What every view uses: the shared client, the doorman, and what the request under way asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, g, request
from pydantic import BaseModel
from werkzeug.exceptions import RequestEntityTooLarge

from gateway import contract, wire
from gateway.auth import Doorman
from gateway.cluster import GatewayLLM
from gateway.contract import ReplyOptions
from gateway.errors import Code, GatewayError
from gateway.failover import Answered, first_to_answer
from gateway.settings import SCOPES, Settings

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


def llm() -> GatewayLLM:
    """The shared ByzerLLM client."""
    shared: GatewayLLM = current_app.extensions["llm"]
    return shared


def settings() -> Settings:
    """What the operator set."""
    kept: Settings = current_app.extensions["settings"]
    return kept


def require(scope: str | None = None) -> None:
    """Raise GatewayError unless the caller's token has `scope` (None: any token will do)."""
    doorman: Doorman = current_app.extensions["doorman"]
    doorman.require(scope)


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
    said = fields()
    if issubclass(kind, ReplyOptions):
        g.options, g.chat = said, said.get("chat_name")
        if in_query := _options_in_query():
            contract.parse(ReplyOptions, in_query)
    found = contract.parse(kind, said)
    g.watched.chat = getattr(found, "chat_name", "")
    return found


def form() -> wire.Form:
    """How the reply is to be written: as the request says, or else as its chat's deploy did, or else its headers."""
    chat = g.get("chat")
    deployed = llm().reply_options(chat) if isinstance(chat, str) else {}
    return contract.form(
        _form_by_headers(), g.get("options", {}), _options_in_query(), g.get("kept_form", {}), deployed
    )


def _options_in_query() -> dict[str, Any]:
    # Others, such as what is added against caches, are nobody's options.
    return {name: value for name, value in request.args.items() if name in wire.Form._fields} if request.args else {}


def _form_by_headers() -> wire.Form:
    accept, languages = request.headers.get("Accept", ""), request.headers.get("Accept-Language")
    wants_text = "text/plain" in accept and (
        request.accept_mimetypes["text/plain"] > request.accept_mimetypes["application/json"]
    )
    lang = request.accept_languages.best_match(["en", "zh"], "en") if languages else "en"
    return wire.Form(format="text" if wants_text else "json", lang=lang)


def fields() -> dict[str, Any]:
    """What the request says. Raises GatewayError."""
    charset = settings().fallback_charset
    if request.method == "GET":
        return wire.query(request.query_string, charset)
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        raise
    except Exception as error:  # the server's own: broken chunks, a client that went away or fell silent
        detail = f"The body could not be read to its end ({type(error).__name__})."
        raise GatewayError(Code.INVALID_REQUEST, detail, "请求体未能完整读取。") from error
    if not body and request.content_length is None and "chunked" not in request.headers.get("Transfer-Encoding", ""):
        words = "There is neither a Content-Length nor chunks, so no body was read; send Content-Length."
        words_zh = "请求没有 Content-Length，也没有分块，因此无法读取请求体；请发送 Content-Length。"
        raise GatewayError(Code.INVALID_REQUEST, words, words_zh)
    return wire.fields(body, request.content_type or "", charset)
