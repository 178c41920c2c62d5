"""Replies and streams in OpenAI's shape, and what the reader makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from gateway.providers.dialects import OPENAI
from gateway.providers.reader import StreamReader
from gateway.providers.refusals import Refusal
from gateway.providers.whole_replies import Reply, chat_reply

Json = dict[str, Any]


def completion(
    content: Any = "The sky is blue.", finish: str | None = "stop", **message: Any
) -> Json:
    answer = {"role": "assistant", "content": content, **message}
    return {
        "id": "r1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice_of("message", answer, finish)],
    }


def chunk(content: Any = None, finish: str | None = None, **delta: Any) -> Json:
    answer = {**({} if content is None else {"content": content}), **delta}
    return {
        "id": "r1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice_of("delta", answer, finish)],
    }


def choice_of(name: str, said: Json, finish: str | None) -> Json:
    return {"index": 0, name: said, "finish_reason": finish}


def packed(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()


def event(value: Any, end: bytes = b"\n\n") -> bytes:
    return b"data: " + packed(value) + end


DONE = event(b"[DONE]")
WORDS = [chunk("The sky "), chunk("is blue."), chunk(finish="stop")]
STREAM = b"".join(map(event, WORDS))


def whole(body: Any, label: str = "") -> Reply | Refusal:
    return chat_reply(OPENAI, packed(body), label)


class Heard:
    """What a stream made of its bytes, cut into `pieces`."""

    def __init__(self, pieces: Iterable[bytes], words_only: bool = False, label: str = "") -> None:
        self.reader = StreamReader(OPENAI, label, words_only=words_only)
        self.chunks: list[Json] = []
        self.text = ""
        for piece in pieces:
            self._take(self.reader.feed(piece))
        self._take(self.reader.end())
        self.refusal = self.reader.refusal

    def _take(self, pieces: Iterable[Any]) -> None:
        for piece in pieces:
            self.chunks.append(piece.chunk)
            self.text += piece.text

    @property
    def code(self) -> str:
        return self.refusal.code if self.refusal else ""


def heard(stream: bytes, words_only: bool = False) -> Heard:
    return Heard([stream], words_only)
