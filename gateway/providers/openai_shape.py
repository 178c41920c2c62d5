"""The shape of a chat's reply that typed clients of OpenAI's insist on, given to replies and chunks
of providers that leave some of it out or write something else. Pure, but for the id and the time of
a reply that has none.

Facts: OpenAI's API reference, and the types of its SDKs; clients in Rust, Go, Java and C# refuse a
whole answer for a field of it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from gateway.errors import Code
from gateway.protocol import CHAT, COMPLETIONS
from gateway.providers.chunks import Json, choices, words
from gateway.providers.dialects import CUT_OFF, finish_code
from gateway.providers.tool_calls import is_call, shape_call, shape_function
from gateway.providers.usage import is_count, usage_in

FINISHES = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
"""The finish reasons that OpenAI has."""

LEGACY_FINISHES = frozenset({"stop", "length", "content_filter"})
"""Those of a legacy completion."""

CALLS = frozenset({"tool_use", "tool_call", "tool-calls"})
"""What others say for the call of a tool."""

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")

DETAILS = ("prompt_tokens_details", "completion_tokens_details")

ROLES = frozenset({"developer", "system", "user", "assistant", "tool"})

TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
"""The service tiers that OpenAI has; Groq's `on_demand` is none."""

KINDS = {CHAT: "chat.completion", COMPLETIONS: "text_completion"}
"""What a whole reply of an endpoint calls itself; a chat's chunk has `.chunk` behind it."""

TURN_TYPES: Mapping[str, type] = {
    "refusal": str,
    "audio": dict,
    "annotations": list,
    "function_call": dict,
    "tool_calls": list,
}
"""What a message, or a delta, may have beside its words. It is left out where it is of another
type, as are a reply's fingerprint and a choice's logprobs."""

LATEST = 2**53
"""A time beyond it, in seconds since 1970, is none."""


class OpenAIShape:
    """Of one reply of the endpoint `path`, or of the chunks of one `stream`, which share an id and
    a time; `shown` is the name of its model."""

    def __init__(self, path: str, shown: str, stream: bool) -> None:
        self._legacy = path == COMPLETIONS
        self._kind = KINDS[path] + (".chunk" if stream and not self._legacy else "")
        self._finishes = LEGACY_FINISHES if self._legacy else FINISHES
        self._shown = shown
        self._stream = stream
        self._id = ""
        self._created = 0
        self._called: set[int] = set()  # the indexes of choices that call a tool

    def give(self, body: Json) -> None:
        """Give a reply, or a chunk, this shape, in place."""
        body["model"] = self._shown
        body["object"] = self._kind
        self._envelop(body)
        for number, choice in enumerate(choices(body)):
            if not is_count(choice.get("index")):
                choice["index"] = number
            turn = choice.get("delta" if self._stream else "message")
            if isinstance(turn, dict) and self._turn(turn):
                self._called.add(choice["index"])
            if self._legacy and not isinstance(choice.get("text"), str):
                choice["text"] = words(turn) if isinstance(turn, dict) else ""
            _leave_out(choice, "logprobs", dict)
            finish = choice.get("finish_reason")
            if finish == "stop" and choice["index"] in self._called and not self._legacy:
                choice["finish_reason"] = "tool_calls"  # Gemini's: clients wait for the word
            elif not _is_word(finish, self._finishes):
                choice["finish_reason"] = self._finish(finish, choice["index"])
        if "usage" in body:
            _count(body)

    def _envelop(self, body: Json) -> None:
        number, created = body.get("id"), body.get("created")
        if isinstance(number, str) and number:
            self._id = number
        else:
            prefix = "cmpl" if self._legacy else "chatcmpl"
            body["id"] = self._id = self._id or f"{prefix}-{secrets.token_hex(12)}"
        if type(created) is int and 0 <= created < LATEST:
            self._created = created
        elif isinstance(created, float) and 0 <= created < LATEST:
            self._created = body["created"] = int(created)
        else:
            body["created"] = self._created = self._created or int(time.time())
        _leave_out(body, "system_fingerprint", str)
        if "service_tier" in body and not _is_word(body["service_tier"], TIERS):
            del body["service_tier"]

    def _turn(self, turn: Json) -> bool:
        """Give a message, or a delta, its role and its calls; return whether it has calls."""
        if not self._stream:
            turn["role"] = "assistant"
        elif "role" in turn and not _is_word(turn["role"], ROLES):
            del turn["role"]
        if TURN_TYPES.keys().isdisjoint(turn):  # words alone
            return False
        for name, kind in TURN_TYPES.items():
            _leave_out(turn, name, kind)
        if (function := turn.get("function_call")) is not None:
            shape_function(function, self._stream)
        if not (calls := turn.get("tool_calls")):
            return False
        turn["tool_calls"] = calls = [call for call in calls if is_call(call)]
        for call in calls:
            shape_call(call, self._stream)
        return bool(calls)

    def _finish(self, finish: Any, index: int) -> str | None:
        """Return OpenAI's word for another's finish reason of a choice; None: not yet."""
        word = str(finish or "null").lower()
        if word == "null":  # DashScope's "not yet"
            if self._stream:
                return None
            word = "stop"
        code = finish_code(word)
        if word in CUT_OFF or code == Code.TOO_LARGE:
            return "length"
        if code == Code.CONTENT_BLOCKED:
            return "content_filter"
        if word in CALLS or index in self._called:
            word = "tool_calls"
        return word if word in self._finishes else "stop"


def _leave_out(holder: Json, name: str, kind: type) -> None:
    """Leave out a field that is not of its type."""
    if not isinstance(holder.get(name), kind | None):
        del holder[name]


def _is_word(value: Any, words: frozenset[str]) -> bool:
    return isinstance(value, str) and value in words


def _count(body: Json) -> None:
    """Leave counts of tokens only where they are what OpenAI's are: whole numbers, all three."""
    counts = body["usage"]
    if counts is None:
        return
    if not (isinstance(counts, dict) and all(map(is_count, map(counts.get, COUNTS)))):
        tokens_in, tokens_out, _ = usage_in({"usage": counts})
        if tokens_in is None or tokens_out is None:
            del body["usage"]
            return
        counts["prompt_tokens"], counts["completion_tokens"] = tokens_in, tokens_out
        if not is_count(counts.get("total_tokens")):
            counts["total_tokens"] = tokens_in + tokens_out
    for name in DETAILS:
        _leave_out(counts, name, dict)
