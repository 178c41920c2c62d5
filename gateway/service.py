"""What every view uses: the shared client, the doorman, and the fields of the request under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, g, request
from pydantic import BaseModel
from werkzeug.exceptions import RequestEntityTooLarge

from gateway import contract, wire
from gateway.auth import Doorman
from gateway.cluster import GatewayLLM
from gateway.errors import Code, GatewayError
from gateway.failover import Answered, first_to_answer
from gateway.settings import Settings

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


def ask(name: str, how: Callable[[str], T]) -> Answered[T]:
    """Ask a chat, or whoever answers in its place. Raises GatewayError."""
    g.watched.chat = name
    return first_to_answer(name, llm().chain, how)


def asked(kind: type[M]) -> M:
    """What the request asks for. Raises GatewayError, naming the field that is wrong."""
    found = contract.parse(kind, fields())
    g.watched.chat = getattr(found, "chat_name", "")
    return found


def fields() -> dict[str, Any]:
    """What the request says. Raises GatewayError."""
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        raise
    except Exception as error:  # the server's own: broken chunks, a client that went away or fell silent
        detail = f"The body could not be read to its end ({type(error).__name__})."
        raise GatewayError(Code.INVALID_REQUEST, detail, "请求体未能完整读取。") from error
    return wire.fields(body)
