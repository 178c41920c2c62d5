"""A refusal as a row of data, and the shapes that most providers share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class Row(NamedTuple):
    """What a provider sends, and the gateway's code of who must act.

    `dialect` is the table that judges it. `words` must be in the message that operators see. A
    `body` of bytes goes over the wire as it is, any other as JSON.
    """

    provider: str
    dialect: str
    status: int
    body: Any
    code: str
    words: str = ""
    headers: Mapping[str, str] = {}

    @property
    def wire(self) -> bytes:
        """The body as bytes."""
        return (
            self.body
            if isinstance(self.body, bytes)
            else json.dumps(self.body, ensure_ascii=False).encode()
        )


def std(
    message: str, kind: str | None = "invalid_request_error", code: str | int | None = None
) -> dict[str, Any]:
    """OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def bare(message: str, kind: str) -> dict[str, Any]:
    """Moonshot's and StepFun's shape: a type and no code."""
    return {"error": {"message": message, "type": kind}}


def native(kind: str, message: str) -> dict[str, Any]:
    """Anthropic's own shape."""
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_011CbrFTcXhtiMzr3s6EocF7",
    }


def google(status: int, message: str, name: str, *reasons: str) -> dict[str, Any]:
    """Gemini's shape."""
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    error: dict[str, Any] = {"code": status, "message": message, "status": name}
    if reasons:
        error["details"] = [{"@type": kind, "reason": reason} for reason in reasons]
    return {"error": error}


def flat(code: str | int, message: str, **beside: Any) -> dict[str, Any]:
    """No error object at all: DashScope's native shape, SiliconFlow's and many others'."""
    return {"code": code, "message": message, **beside}
