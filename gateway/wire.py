"""Bytes to fields, and answers to bytes. Pure: no Flask, no Ray."""

from __future__ import annotations

import json
from typing import Any

import orjson

from gateway.errors import Code, GatewayError

JSON = "application/json; charset=utf-8"
"""The charset is declared since old clients otherwise guess Latin-1."""

TEXT = "text/plain; charset=utf-8"
LINES = "application/x-ndjson; charset=utf-8"
EVENTS = "text/event-stream; charset=utf-8"


def fields(body: bytes) -> dict[str, Any]:
    """The fields of a request: a JSON object, whatever Content-Type an old client declared. Raises GatewayError."""
    if not body.strip():
        raise _malformed("The body is empty; send a JSON object.", "请求体为空；请发送 JSON 对象。")
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _malformed(
            f"The body is not JSON in UTF-8: {error.msg}.", f"请求体不是 UTF-8 的 JSON：{where}。"
        ) from error
    if not isinstance(said, dict):
        raise _malformed("The body must be a JSON object.", "请求体必须是 JSON 对象。")
    return said


def json_string(text: str) -> bytes:
    """The contract's answer: a JSON string in ASCII, which any charset can carry."""
    return json.dumps(text).encode("ascii")


def json_object(said: dict[str, Any]) -> bytes:
    """A reply of /v1, in UTF-8 as its clients expect."""
    return orjson.dumps(said)


def _malformed(detail: str, detail_zh: str = "") -> GatewayError:
    return GatewayError(Code.INVALID_REQUEST, detail, detail_zh)
