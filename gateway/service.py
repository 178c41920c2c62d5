"""What every view uses: the shared client, the doorman, and the fields of the request under way."""

from __future__ import annotations

from typing import Any

from flask import current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from gateway import wire
from gateway.auth import Doorman
from gateway.cluster import GatewayLLM
from gateway.errors import Code, GatewayError


def llm() -> GatewayLLM:
    """The shared ByzerLLM client."""
    shared: GatewayLLM = current_app.extensions["llm"]
    return shared


def require(scope: str | None = None) -> None:
    """Raise GatewayError unless the caller's token has `scope` (None: any token will do)."""
    doorman: Doorman = current_app.extensions["doorman"]
    doorman.require(scope)


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
