"""The shape of a chat's reply that typed clients of OpenAI's insist on, given to replies and chunks
of providers that leave some of it out or write something else. Pure, but for the id and the time of
a reply that has none.

Facts: OpenAI's API reference, and the types of its SDKs; clients in Rust, Go, Java and C# refuse a
whole answer for a field of it.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import orjson

from gateway.errors import Code
from gateway.protocol import CHAT, COMPLETIONS
from gateway.providers.chunks import Json, choices, words
from gateway.providers.dialects import CUT_OFF, finish_code
from gateway.providers.usage import MAX_TOKENS, usage_in

FINISHES = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
"""The finish reasons that OpenAI has."""

CALLS = frozenset({"tool_use", "tool_call", "tool-calls"})
"""What others say for the call of a tool."""

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")

ROLES = frozenset({"developer", "system", "user", "assistant", "tool"})


KINDS = {CHAT: "chat.completion", COMPLETIONS: "text_completion"}
"""What a whole reply of an endpoint calls itself; a chat's chunk has `.chunk` behind it."""


class OpenAIShape:
    """Of one reply of the endpoint `path`, or of the chunks of one `stream`, which share an id and
    a time; `shown` is the name of its model."""

    def __init__(self, path: str, shown: str, stream: bool) -> None:
        self._legacy = path == COMPLETIONS
        self._kind = KINDS[path] + (".chunk" if stream and not self._legacy else "")
        self._shown = shown
        self._stream = stream
        self._id = ""
        self._created = 0

    def give(self, body: Json) -> None:
        """Give a reply, or a chunk, this shape, in place."""
        body["model"] = self._shown
        body["object"] = self._kind
        self._envelop(body)
        for number, choice in enumerate(choices(body)):
            if type(choice.get("index")) is not int:
                choice["index"] = number
            turn = choice.get("delta" if self._stream else "message")
            called = _shaped(turn, self._stream) if isinstance(turn, dict) else False
            if self._legacy and not isinstance(choice.get("text"), str):
                choice["text"] = words(turn) if isinstance(turn, dict) else ""
            finish = choice.get("finish_reason")
            if finish not in FINISHES:
                finish = _finish(finish)
                if finish is None and not self._stream:
                    finish = "tool_calls" if called else "stop"
                choice["finish_reason"] = finish
        if "usage" in body:
            _count(body)

    def _envelop(self, body: Json) -> None:
        number, created = body.get("id"), body.get("created")
        if isinstance(number, str) and number:
            self._id = number
        else:
            prefix = "cmpl" if self._legacy else "chatcmpl"
            body["id"] = self._id = self._id or f"{prefix}-{secrets.token_hex(12)}"
        if type(created) is int:
            self._created = created
        else:
            self._created = self._created or int(time.time())
            body["created"] = int(created) if isinstance(created, float) else self._created


def _shaped(turn: Json, delta: bool) -> bool:
    """Give a message, or a delta, its role and its calls; return whether it has any of these."""
    if not delta:
        turn["role"] = "assistant"
    elif "role" in turn and turn["role"] not in ROLES:
        del turn["role"]
    calls = turn.get("tool_calls")
    if not isinstance(calls, list):
        return False
    for call in calls:
        if isinstance(call, dict) and isinstance(call.get("function"), dict):
            _shape_call(call, call["function"], delta)
    return bool(calls)


def _shape_call(call: Json, function: Json, delta: bool) -> None:
    """Give a tool's call an id and a type where it begins, and a text of JSON for arguments."""
    if function.get("name") or not delta:
        if not (isinstance(call.get("id"), str) and call["id"]):
            call["id"] = f"call_{secrets.token_hex(12)}"
        call["type"] = call.get("type") or "function"
    arguments = function.get("arguments")
    if isinstance(arguments, dict | list):
        function["arguments"] = orjson.dumps(arguments).decode()
    elif arguments is None and not delta:
        function["arguments"] = "{}"


def _finish(finish: Any) -> str | None:
    """Return OpenAI's word for another's finish reason."""
    word = str(finish or "null").lower()
    if word == "null":  # DashScope's "not yet"
        return None
    code = finish_code(word)
    if word in CUT_OFF or code == Code.TOO_LARGE:
        return "length"
    if code == Code.CONTENT_BLOCKED:
        return "content_filter"
    return word if word in FINISHES else "tool_calls" if word in CALLS else "stop"


def _is_count(count: Any) -> bool:
    return type(count) is int and 0 <= count <= MAX_TOKENS


def _count(body: Json) -> None:
    """Leave counts of tokens only where they are what OpenAI's are: whole numbers, all three."""
    counts = body["usage"]
    if counts is None or (
        isinstance(counts, dict) and all(map(_is_count, map(counts.get, COUNTS)))
    ):
        return
    tokens_in, tokens_out, _ = usage_in({"usage": counts})
    if tokens_in is None or tokens_out is None:
        del body["usage"]
        return
    counts["prompt_tokens"], counts["completion_tokens"] = tokens_in, tokens_out
    if type(counts.get("total_tokens")) is not int:
        counts["total_tokens"] = tokens_in + tokens_out
