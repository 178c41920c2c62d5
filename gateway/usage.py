"""What an answer took, as far as a provider's count can be believed. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

MAX_TOKENS = 100_000_000
"""A count beyond this is not believed."""


class Usage(NamedTuple):
    """Tokens as a provider counts them; None: it did not say, or nothing that can be believed."""

    tokens_in: int | None = None
    tokens_out: int | None = None

    def most(self, other: Usage) -> Usage:
        """Return the larger counts: some providers send running totals, and some end them with zeros."""
        return Usage(_most(self.tokens_in, other.tokens_in), _most(self.tokens_out, other.tokens_out))


def usage_in(body: dict[str, Any]) -> Usage:
    """Return the tokens that a reply or a chunk tells, wherever it tells them.

    Moonshot has put them into the last choice, Groq into `x_groq`.
    """
    rows, beside = body.get("choices"), body.get("x_groq")
    places = (
        body.get("usage"),
        *(row.get("usage") for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict)),
        beside.get("usage") if isinstance(beside, dict) else None,
    )
    counts: dict[str, Any] = next((place for place in places if isinstance(place, dict) and place), {})
    return Usage(_count(counts, "prompt_tokens", "input_tokens"), _count(counts, "completion_tokens", "output_tokens"))


def _count(counts: dict[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := _sane(counts.get(name))) is not None), None)


def _sane(count: Any) -> int | None:
    if isinstance(count, bool) or not isinstance(count, int | float) or not 0 <= count <= MAX_TOKENS:
        return None
    return int(count) if int(count) == count else None


def _most(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
