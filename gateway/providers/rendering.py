"""A stream's pieces, written as its client reads them: OpenAI's events, or bare text. Pure.

Facts: OpenAI sends usage in a last chunk without choices, and only when asked; Zhipu sends it with
the last choice, always; some send it never.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from gateway.providers.chunks import Json
from gateway.providers.openai_shape import OpenAIShape
from gateway.providers.reader import Piece
from gateway.providers.usage import BYTES_PER_TOKEN

DONE = b"data: [DONE]\n\n"


class ForOpenAI:
    """Renders chunks as OpenAI would have sent them: the model is the chat's name; usage comes if
    asked, and last."""

    def __init__(self, path: str, chat_name: str, include_usage: bool) -> None:
        self._shape = OpenAIShape(path, chat_name, stream=True)
        self._include_usage = include_usage
        self._usage: Json | None = None
        self._last: Json = {}
        self._spoken = 0

    def render(self, pieces: Iterable[Piece]) -> bytes:
        """Return the events for pieces that came."""
        events = []
        for chunk, text, _ in pieces:
            self._shape.give(chunk)
            self._last = chunk
            usage = chunk.pop("usage", None)
            if self._include_usage:
                self._usage = usage or self._usage
                self._spoken += len(text.encode())
                chunk["usage"] = None
            if chunk.get("choices"):
                events.append(_event(chunk))
        return b"".join(events)

    def end(self) -> bytes:
        """Return what follows the last chunk."""
        if not self._include_usage:
            return DONE
        return (
            _event({**self._last, "choices": [], "usage": self._usage or self._estimate()}) + DONE
        )

    def _estimate(self) -> Json:
        tokens = -(-self._spoken // BYTES_PER_TOKEN)
        return {
            "prompt_tokens": 0,
            "completion_tokens": tokens,
            "total_tokens": tokens,
            "estimated": True,
        }


class ForReading:
    """Renders pieces as bare text in UTF-8, for a client that just prints what comes."""

    def render(self, pieces: Iterable[Piece]) -> bytes:
        """Return the words of pieces that came."""
        return "".join([piece.text for piece in pieces]).encode()

    def end(self) -> bytes:
        """Return nothing: a text's end is marked by nothing but its end."""
        return b""


class AsTheyCame:
    """Renders the events of a stream that is passed on as it comes."""

    def render(self, pieces: Iterable[Piece]) -> bytes:
        """Return the events of pieces that came."""
        return b"".join([piece.event for piece in pieces])

    def end(self) -> bytes:
        """Return nothing: the last event tells that it is the last."""
        return b""


def error_event(error: Json) -> bytes:
    """Return an error in mid-stream. Of a chat it is `{"error": ...}`, which the openai SDKs raise,
    and no [DONE] follows."""
    return b"event: error\ndata: %b\n\n" % orjson.dumps(error)


def _event(chunk: Json) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(chunk)
