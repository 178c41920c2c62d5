"""What the openai package's calls are given, and what its chunks say."""

from __future__ import annotations

from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam


def says(content: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": content}]


def words(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
