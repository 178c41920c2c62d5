"""Errors as the clients of other services' APIs understand them: OpenAI's, Anthropic's and
DashScope's. Our own shape is GatewayError's."""

from __future__ import annotations

import re

from gateway.errors import Code, GatewayError, quoted
from gateway.providers.chunks import Json

OPENAI_STATUSES = {
    Code.PAY_BILL: 402,
    Code.BAD_KEY: 403,  # 401 would say that the caller's own token is wrong
    Code.NO_SUCH_MODEL: 404,
    Code.BAD_UPSTREAM_REQUEST: 400,
    Code.BAD_ANSWER: 422,  # it was asked twice already
}
"""What nobody can mend by trying again, and its HTTP status on /v1: clients repeat whatever is a
5xx."""

# The AI SDK takes "insufficient_quota" in an event for a 429. LiteLLM, and so aider, repeats a 402
# or a 403, unless it holds "invalid_request_error", which DeepSeek's 402 and OpenAI's refusal of a
# key do, too.
_OPENAI_TYPES = {
    Code.INVALID_REQUEST: "invalid_request_error",
    Code.TOO_LARGE: "invalid_request_error",
    Code.CONTENT_BLOCKED: "invalid_request_error",
    Code.PAY_BILL: "invalid_request_error",
    Code.OVER_BUDGET: "invalid_request_error",
    Code.BAD_KEY: "invalid_request_error",
    Code.BAD_UPSTREAM_REQUEST: "invalid_request_error",
    Code.UNAUTHORIZED: "authentication_error",
    Code.FORBIDDEN: "permission_error",
    Code.NOT_DEPLOYED: "not_found_error",
    Code.NO_SUCH_MODEL: "not_found_error",
    Code.SLOW_DOWN: "rate_limit_error",
    Code.OVER_LIMIT: "rate_limit_error",
}

_ANTHROPIC_TYPES = {"server_error": "api_error"}
"""What Anthropic's protocol calls otherwise; the rest have the same names there."""

# opencode searches a whole error for these digits, promptfoo for "429", also within an id, and both
# then try again.
_STATUS_LIKE = re.compile(r"[\w-]*(?:429|50[0234]|524)[\w-]*", re.ASCII)

_OF_AN_EVENT = ("code", "message", "param")


def openai_status(error: GatewayError) -> int:
    """Return the HTTP status on /v1."""
    return OPENAI_STATUSES.get(error.code, error.status)


def openai_shape(error: GatewayError, request_id: str) -> Json:
    """Return the body on /v1: what OpenAI's clients understand, and ours beside it, but for the
    provider's HTTP status.

    Most SDKs show `message` only, so the provider's words are in it. Where trying again mends
    nothing, they are without numbers that clients take for an HTTP status.
    """
    fields: Json = error.shape(request_id)["error"]
    del fields["provider_status"]
    if error.code in OPENAI_STATUSES:
        for name in ("provider_code", "provider_message"):
            fields[name] = _STATUS_LIKE.sub("[number]", fields[name] or "") or None
    fields["message"], fields["message_zh"] = quoted(fields)
    kind = _OPENAI_TYPES.get(error.code, "server_error")
    return {"error": {**fields, "type": kind, "param": error.param or None}}


def responses_shape(error: GatewayError, request_id: str) -> Json:
    """Return the event that ends a stream of OpenAI's Responses."""
    fields = openai_shape(error, request_id)["error"]
    return {"type": "error", "sequence_number": 0, **{k: fields[k] for k in _OF_AN_EVENT}}


def anthropic_shape(error: GatewayError, request_id: str) -> Json:
    """Return the body for clients of Anthropic's Messages API."""
    fields = openai_shape(error, request_id)["error"]
    kind = _ANTHROPIC_TYPES.get(fields["type"], fields["type"])
    return {
        "type": "error",
        "error": {"type": kind, "message": fields["message"]},
        "request_id": request_id,
    }


def dashscope_shape(error: GatewayError, request_id: str) -> Json:
    """Return the body for clients of DashScope's own API."""
    words = openai_shape(error, "")["error"]["message"]
    return {"code": error.code, "message": words, "request_id": request_id}
