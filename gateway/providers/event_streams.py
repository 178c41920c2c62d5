"""Streams of OpenAI's Responses and of Anthropic's Messages, which are passed on as they come,
event by event. Pure.

Only the model's name in an event becomes the chat's. Nothing is passed on before the first event
that says something, so that an error until then can fall back; an error after it ends the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.errors import Code
from gateway.protocol import MESSAGES, RESPONSES
from gateway.providers.chunks import Json
from gateway.providers.complaints import complains, complains_flatly, document, statement
from gateway.providers.dialects import Dialect
from gateway.providers.event_folding import folded, unfolded
from gateway.providers.reader import ERRORS, FRAMED, MARGIN, Piece, StreamReader
from gateway.providers.refusals import Refusal, judged
from gateway.providers.relayed import (
    emptiness,
    framed,
    has_parts,
    reason,
    relayed_reply,
    relayed_usage,
    speaks,
    thinks,
)
from gateway.providers.sse import DONE, Event
from gateway.providers.verdicts import is_answer, no_answer, without_words
from gateway.providers.whole_replies import PART_BYTES, Reply

EVENTFUL = frozenset({RESPONSES, MESSAGES})
"""The endpoints whose streams these are."""

LAST = frozenset({"response.completed", "response.incomplete", "response.done", "message_stop"})
"""Events after which an answer is whole; the third is some relays' for the first."""

USING: Mapping[str, Mapping[str, int]] = {
    "message_start": {"input_tokens": 0, "output_tokens": 0},
    "message_delta": {"output_tokens": 0},
}
"""Events of Anthropic's that must say what was used, and what they say where nobody counts."""

FAILED = frozenset({"error", "response.failed", "response.cancelled"})

OWN = ("response.", "message_", "content_block_", "ping")
"""How the two protocols' own events begin."""

STOP = b'{"type":"message_stop"}'

_BROKEN_OFF = (
    "The stream ended before its last event: the answer broke off.",
    "流在最后一个事件之前结束：回答中断。",
)


class EventStreamReader(StreamReader):
    """Collects bytes until they make events, and tells which of them are an answer.

    `question` is the request's body, and `shown` takes the place of the model's name, which is
    `model`.
    """

    def __init__(self, path: str, dialect: Dialect, question: bytes = b"", shown: str = "") -> None:
        super().__init__(dialect, question=question)
        self._path, self._shown = path, shown
        self._reason = self.model = ""

    @property
    def whole(self) -> bool:
        """Whether the answer is whole, should the stream end now."""
        return self.done or bool(self._reason and self.answered)

    def end(self) -> list[Piece]:
        """Return what the end of the input completes; then `refusal` says whether there is an
        answer."""
        pieces = super().end()
        if self.whole and not self.done and not self.refusal and self._path == MESSAGES:
            pieces.append(self._piece_of("message_stop", STOP))
        return pieces

    def end_with(self, chunks: list[Any]) -> list[Piece]:
        """Take what came in place of events: a whole reply is made a stream."""
        body = framed(self._path, chunks[0])
        if not isinstance(body, dict) or complains(body) or not has_parts(self._path, body):
            self.refusal = no_answer(self._dialect, body, self._question)
            return []
        events = (
            Event(str(event["type"]), orjson.dumps(event)) for event in unfolded(self._path, body)
        )
        pieces = self._pieces(events)
        self.refusal = self.refusal or self._verdict()
        return pieces

    def _last(self) -> list[Piece]:
        self.done = self.answered
        if self.done and self._path == MESSAGES:
            return [self._piece_of("message_stop", STOP)]
        return [self._piece_of("", DONE)] if self.answered else []

    def _of(self, event: Event) -> list[Piece]:
        [chunk, *_] = self._chunks(event)
        if isinstance(chunk, str):
            chunk = document(chunk.encode())  # JSON in a string
        if isinstance(chunk, dict):
            return self._passed_on(event, chunk)
        if event.name.lower() in ERRORS:
            self.refusal = no_answer(self._dialect, chunk, self._question)
        elif isinstance(chunk, str) and chunk.startswith("{"):
            self.refusal = self._broken(chunk)
        else:
            self._set_aside(chunk)
        return []

    def _passed_on(self, event: Event, chunk: Json) -> list[Piece]:
        """Return what an event adds; nothing where it ends the stream, or is none of these
        protocols' events."""
        kind = str(chunk.get("type") or event.name)
        failed = chunk.get("response")
        ended = str(failed.get("status")) if isinstance(failed, dict) else ""
        if (
            kind in FAILED
            or event.name.lower() in ERRORS
            or complains(chunk)
            or f"response.{ended}" in FAILED
            or (not kind.startswith(OWN) and complains_flatly(chunk))
        ):
            error = failed.get("error") if isinstance(failed, dict) else None
            self.refusal = no_answer(self._dialect, error or chunk, self._question)
            return []
        if not kind:
            self._set_aside(chunk)
            return []
        changed = self._completed(kind, chunk)
        data = self._renamed(kind, chunk) or (orjson.dumps(chunk) if changed else event.data)
        if kind in LAST:
            if not self.answered:
                self.refusal = without_words(self._reason, self._thought)
                return []
            self.done = self.spoke = True
        self.spoke = self.spoke or self.answered or self._thought
        # some leave out the lines `event:`, without which Anthropic's own SDKs see nothing
        name = str(chunk["type"]) if kind == "response.done" else event.name or kind
        return [self._piece_of(name, data)]

    def _completed(self, kind: str, chunk: Json) -> bool:
        """Give an event what clients insist on; return whether anything was missing."""
        if kind == "response.done":
            chunk["type"] = "response.completed"
            return True
        holder = chunk.get("message") if kind == "message_start" else chunk
        if kind not in USING or not isinstance(holder, dict) or holder.get("usage"):
            return False
        holder["usage"] = dict(USING[kind])
        return True

    def _renamed(self, kind: str, chunk: Json) -> bytes:
        """Note what an event tells. Returns its data anew where the model's name was in it."""
        self.usage = self.usage.most(relayed_usage(self._path, chunk))
        holder = chunk.get("response", chunk.get("message"))
        delta = chunk.get("delta")
        part = chunk.get("item", chunk.get("content_block", chunk.get("part")))
        words = chunk.get("text") if kind == "response.output_text.done" else delta
        self._note(kind, part, words)
        if isinstance(delta, dict):
            self._reason = reason(delta) or self._reason
        if not isinstance(holder, dict):
            return b""
        self.usage = self.usage.most(relayed_usage(self._path, holder))
        self._reason = reason(holder) or self._reason
        if kind in LAST and has_parts(self._path, holder):
            self.answered = self.answered or not emptiness(self._path, holder)
        if "model" not in holder:
            return b""
        self.model, holder["model"] = str(holder["model"]), self._shown
        return orjson.dumps(chunk)

    def _note(self, kind: str, part: Any, delta: Any) -> None:
        """Note whether an event says something, or thinks."""
        if isinstance(part, dict):
            self._thought = self._thought or thinks(part)
            self.answered = self.answered or speaks(part)
        if "reasoning" in kind or (isinstance(delta, dict) and "thinking" in delta):
            self._thought = True
        elif isinstance(delta, str):
            self.answered = self.answered or is_answer(delta)
        elif isinstance(delta, dict) and kind == "content_block_delta":
            words = delta.get("text", delta.get("partial_json", delta.get("citation")))
            self.answered = self.answered or is_answer(str(words or ""))

    def _piece_of(self, name: str, data: bytes) -> Piece:
        head = f"event: {name}\n".encode() if name else b""
        lines = b"".join(b"data: %b\n" % line for line in data.split(b"\n"))
        return Piece({"model": self.model}, "", head + lines + b"\n")

    def _verdict(self) -> Refusal | None:
        """Return why what came is no answer; None: it is one."""
        if self.whole and (self._reason or not statement(self._odd).words):
            return None
        odd = self._odd or (document(self._events.stray, self.label) if self._events else "")
        if self.spoke:
            return self._broken(odd)
        if self._reason:
            return without_words(self._reason, self._thought)
        return no_answer(self._dialect, odd, self._question)

    def _broken(self, odd: Any) -> Refusal:
        refusal = judged(self._dialect, 200, odd, self._question)
        return Refusal(Code.PROVIDER_DOWN, refusal.provider_code, refusal.message, *_BROKEN_OFF)


def _data(event: bytes) -> bytes:
    lines = event.splitlines()
    return b"\n".join(line[len(b"data: ") :] for line in lines if line.startswith(b"data: "))


def reply_of(
    path: str, dialect: Dialect, raw: bytes, label: str = "", question: bytes = b""
) -> Reply | Refusal:
    """Read the body `raw` of a whole reply of `path`, as `relayed_reply` does; a stream that came
    in its place is made one."""
    if path not in EVENTFUL or not raw.lstrip(MARGIN).startswith(FRAMED):
        return relayed_reply(path, dialect, raw, label, question)
    reader = EventStreamReader(path, dialect, question)
    try:
        parts = (reader.feed(raw[at : at + PART_BYTES]) for at in range(0, len(raw), PART_BYTES))
        pieces = [piece for part in parts for piece in part] + reader.end()
    except ValueError:
        return Refusal(Code.PROVIDER_DOWN, "", "", *_BROKEN_OFF)
    if reader.refusal:
        return reader.refusal
    events = [document(_data(piece.event)) for piece in pieces]
    body = folded(path, [event for event in events if isinstance(event, dict)])
    named = {**body, "model": reader.model} if "model" in body else body
    return relayed_reply(path, dialect, orjson.dumps(named), "", question)
