"""A streamed question of /v1, and what its server-sent events say."""

from __future__ import annotations

import json
from typing import Any


def events(text: str) -> list[dict[str, Any] | str]:
    """What the `data:` lines of a stream say; `[DONE]` as it is."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def words(text: str) -> str:
    """The words of a stream's chunks."""
    chunks = [event for event in events(text) if isinstance(event, dict)]
    return "".join(
        c["delta"].get("content") or "" for chunk in chunks for c in chunk.get("choices", ())
    )


def ask(name: str, **more: Any) -> dict[str, Any]:
    """The body of a question that is to be streamed."""
    return {"model": name, "stream": True, "messages": [{"role": "user", "content": "hi"}], **more}
