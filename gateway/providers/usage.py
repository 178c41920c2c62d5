"""What an answer took, as far as a provider's count can be believed. Pure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

MAX_TOKENS = 100_000_000
"""A count beyond this is not believed."""

BYTES_PER_TOKEN = 4
"""For an estimate where a provider counts nothing: about right for English, and for Chinese (3
bytes a character)."""

SHORT_BYTES = 4096
"""A text up to here is not searched for files."""

_FILES = re.compile(rb"(?<![A-Za-z0-9+/=\\-])[A-Za-z0-9+/=\\-]{1024,}")
"""Pictures, sounds and documents in base64: no words are so long."""

FILE_BYTES_PER_TOKEN = 256
"""Of these: a picture of 200 kB takes some 800 tokens."""


class Usage(NamedTuple):
    """Tokens as a provider counts them; None: it did not say, or nothing that can be believed.
    `cached` are those of `tokens_in` that its cache had."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    cached: int | None = None

    def most(self, other: Usage) -> Usage:
        """Return the larger counts: some providers send running totals, and some end them with
        zeros."""
        return Usage(*map(_most, self, other))


def usage_in(body: dict[str, Any]) -> Usage:
    """Return the tokens that a reply or a chunk tells, wherever it tells them.

    Moonshot has put them into the last choice, Groq into `x_groq`.
    """
    counts = body.get("usage")
    if not counts or not isinstance(counts, dict):
        counts = _elsewhere(body)
    tokens_in = _sane(_first(counts, "prompt_tokens", "input_tokens"))
    tokens_out = _sane(_first(counts, "completion_tokens", "output_tokens"))
    return Usage(tokens_in, tokens_out, _cached(counts))


def guess(text: bytes) -> int:
    """Return about how many tokens a text, or a question's body, has."""
    files = sum(map(len, _FILES.findall(text))) if len(text) > SHORT_BYTES else 0
    return -(-(len(text) - files) // BYTES_PER_TOKEN) + files // FILE_BYTES_PER_TOKEN


def is_count(count: Any) -> bool:
    """Return whether it is a number of tokens as OpenAI writes it, and one to be believed."""
    return type(count) is int and 0 <= count <= MAX_TOKENS


CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
"""OpenAI's, in one of DETAILS (Moonshot's, outside of them), DeepSeek's and Anthropic's."""

DETAILS = ("prompt_tokens_details", "input_tokens_details")


def _cached(counts: dict[str, Any]) -> int | None:
    places = [counts, *(counts.get(name) for name in DETAILS)]
    numbers = (
        _sane(place.get(name)) for place in places if isinstance(place, dict) for name in CACHED
    )
    return next((number for number in numbers if number is not None), None)


def _elsewhere(body: dict[str, Any]) -> dict[str, Any]:
    rows, beside = body.get("choices"), body.get("x_groq")
    for place in (*(rows if isinstance(rows, list) else ()), beside):
        if isinstance(place, dict) and isinstance(counts := place.get("usage"), dict) and counts:
            return counts
    return {}


def _first(counts: dict[str, Any], *names: str) -> Any:
    return next((counts[name] for name in names if counts.get(name) is not None), None)


def _sane(count: Any) -> int | None:
    if (
        isinstance(count, bool)
        or not isinstance(count, int | float)
        or not 0 <= count <= MAX_TOKENS
    ):
        return None
    return int(count) if int(count) == count else None


def _most(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
