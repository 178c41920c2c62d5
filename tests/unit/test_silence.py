"""How much of a stream is held back before it says something: enough for any provider, and never
more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.byte_budget import ByteBudget, Charge, Full
from gateway.providers.dialects import OPENAI
from gateway.providers.reader import StreamReader
from gateway.providers.silence import CHUNK_BYTES, SILENT_BYTES, SILENT_CHUNKS, Silence

MEGABYTE = 1 << 20
PART_BYTES = 10_000


def event(delta: dict[str, Any], **more: Any) -> bytes:
    """A chunk of a stream."""
    return (
        b"data: "
        + json.dumps({"choices": [{"index": 0, "delta": delta}], **more}).encode()
        + b"\n\n"
    )


class Stream:
    """A reader that is fed part by part, as an upstream does it, with a budget of its own."""

    def __init__(self, room: int = 1 << 40, words_only: bool = True) -> None:
        self.reader = StreamReader(OPENAI, words_only=words_only)
        self.budget = ByteBudget(room)
        self.fed = 0
        self._charge = Charge(self.budget)
        self._silence = Silence(self.reader, self._charge)
        self._held = 0

    def feed(self, raw: bytes) -> None:
        """Raises Full, and ValueError for a silence without end."""
        for at in range(0, len(raw), PART_BYTES):
            part = raw[at : at + PART_BYTES]
            self.fed += len(part)
            self._held += len(self.reader.feed(part))
            self._silence.fed(len(part), self._held)
            if self.reader.spoke or self.reader.thinking:
                self._held = 0


@pytest.mark.parametrize("words_only", [True, False])
@pytest.mark.parametrize(
    "silence",
    [
        b": still here\n\n",
        b": still here\n",
        b": " + b"x" * 5000,
        b"\n" * 1000,
        b"id: 7\n\n",
        b"event: ping\n\n",
        b"nonsense\n",
        event({"role": "assistant"}),
        event({}),
        event({"content": ""}, padding="x" * 5000),
        event({"content": None}),
    ],
)
def test_a_megabyte_that_says_nothing_is_enough(silence: bytes, words_only: bool) -> None:
    stream = Stream(words_only=words_only)

    with pytest.raises(ValueError, match="silence"):
        stream.feed(silence * (4 * MEGABYTE // len(silence)))

    assert stream.fed <= SILENT_BYTES + 2 * PART_BYTES
    assert stream.budget.used <= SILENT_BYTES + PART_BYTES + SILENT_CHUNKS * CHUNK_BYTES


@pytest.mark.parametrize("words_only", [True, False])
def test_thoughts_say_something_and_are_not_held(words_only: bool) -> None:
    stream = Stream(words_only=words_only)

    for _ in range(2000):
        stream.feed(event({"reasoning_content": "hm " * 1000}))

    assert stream.fed > 5 * MEGABYTE
    assert stream.budget.used < 2 * PART_BYTES


def test_what_is_still_coming_may_say_something() -> None:
    stream = Stream(words_only=False)
    stream.feed(event({"images": ["x" * (5 * MEGABYTE)]})[:-2])
    assert stream.budget.used > 5 * MEGABYTE

    stream.feed(b"\n\n")

    assert stream.reader.spoke
    assert stream.budget.used == 0


def test_after_the_first_word_comments_may_go_on_for_ever() -> None:
    stream = Stream()
    stream.feed(event({"content": "hi"}))

    stream.feed(b": still here\n\n" * 500_000)

    assert stream.budget.used == 0


def test_what_waits_counts_in_the_budget() -> None:
    stream = Stream(room=MEGABYTE)
    other = Charge(stream.budget)
    other.hold(MEGABYTE // 2)

    with pytest.raises(Full):
        stream.feed(b'data: {"choices": "' + b"x" * MEGABYTE)
