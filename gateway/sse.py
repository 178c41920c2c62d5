"""Server-sent events, as OpenAI-shaped streams use them: bytes to chunks, and chunks to what a client asked for.

Pure. Facts: OpenAI sends usage in a last chunk without choices, and only when asked; Zhipu sends it with the last
choice, always; some send it never. All end with `data: [DONE]`; an error in mid-stream is a `data` with an `error`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"
BYTES_PER_TOKEN = 4
"""For an estimate where a provider counts nothing: about right for English, and for Chinese (3 bytes a character)."""

_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r")
EVENT_BYTES = 8 * 1024 * 1024
"""An event longer than this is not one of a chat's."""

Chunk = dict[str, Any]


class Reader:
    """Collects bytes until they make events. `done` is true once [DONE] came; what follows is ignored."""

    def __init__(self) -> None:
        self.done = False
        self._rest = b""

    def feed(self, piece: bytes) -> list[Chunk]:
        """The chunks that `piece` completes. Raises ValueError: what came is no such stream."""
        *events, self._rest = _BLANK_LINE.split(self._rest + piece)
        if len(self._rest) > EVENT_BYTES:
            raise ValueError("an event without end")
        chunks: list[Chunk] = []
        for event in events:
            data = b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
            if not data or self.done:
                continue  # a comment such as ": ping"
            if data == b"[DONE]":
                self.done = True
                continue
            chunk = orjson.loads(data)
            if not isinstance(chunk, dict):
                raise TypeError("a chunk that is no object")
            chunks.append(chunk)
        return chunks


def choices(chunk: Chunk) -> list[dict[str, Any]]:
    """The choices of a chunk; [] for whatever is not shaped so."""
    rows = chunk.get("choices")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def deltas(chunk: Chunk) -> list[dict[str, Any]]:
    """What a chunk adds: the deltas of its choices; of a legacy completion, their texts."""
    rows = [choice.get("delta") or {"content": choice.get("text")} for choice in choices(chunk)]
    return [row for row in rows if isinstance(row, dict)]


def speaks(chunk: Chunk) -> bool:
    """Whether a chunk says anything: until one does, an error is a proper HTTP status still."""
    finished = any(choice.get("finish_reason") for choice in choices(chunk))
    return finished or any(value for delta in deltas(chunk) for name, value in delta.items() if name != "role")


def text(chunks: Iterable[Chunk]) -> str:
    """What the chunks say in words."""
    said = (delta.get("content") for chunk in chunks for delta in deltas(chunk))
    return "".join(words for words in said if isinstance(words, str))


class ForOpenAI:
    """Renders chunks as OpenAI would have sent them: the model is the chat's name; usage comes if asked, and last."""

    def __init__(self, chat_name: str, include_usage: bool) -> None:
        self._chat_name = chat_name
        self._include_usage = include_usage
        self._usage: dict[str, Any] | None = None
        self._last: Chunk = {}
        self._said = 0

    def render(self, chunks: Iterable[Chunk]) -> bytes:
        """Events for chunks that came."""
        out = []
        for chunk in chunks:
            self._last = chunk = {**chunk, "model": self._chat_name}
            self._usage = chunk.pop("usage", None) or self._usage
            self._said += len(text([chunk]).encode()) if self._include_usage else 0
            if chunk.get("choices"):
                out.append(_event({**chunk, "usage": None} if self._include_usage else chunk))
        return b"".join(out)

    def end(self) -> bytes:
        """What follows the last chunk."""
        if not self._include_usage:
            return DONE
        return _event({**self._last, "choices": [], "usage": self._usage or self._estimate()}) + DONE

    def _estimate(self) -> dict[str, Any]:
        tokens = -(-self._said // BYTES_PER_TOKEN)
        return {"prompt_tokens": 0, "completion_tokens": tokens, "total_tokens": tokens, "estimated": True}


class ForReading:
    """Renders chunks as bare text in UTF-8, for a client that just prints what comes."""

    def render(self, chunks: Iterable[Chunk]) -> bytes:
        """The words of chunks that came."""
        return text(chunks).encode()

    def end(self) -> bytes:
        """Nothing marks the end of a text but its end."""
        return b""


def error_event(error: dict[str, Any]) -> bytes:
    """An error in mid-stream; the openai SDKs raise it, and no [DONE] follows."""
    return b"event: error\ndata: %b\n\n" % orjson.dumps({"error": error})


def _event(chunk: Chunk) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(chunk)
