"""How long a provider asks to wait: in a header, in a field of its error, or in its words. Pure.

Facts: Gemini's OpenAI endpoint sends no Retry-After, only `retryDelay` and "Please retry in
26.66s"; MiniMax, Zhipu, Volcengine and Moonshot say it in words, OpenRouter in the headers that its
error quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from gateway.providers.question_texts import NO_QUESTION, QuestionTexts

LONGEST_WAIT_SECONDS = 3600.0

FIELDS = (
    "retrydelay",
    "retryafter",
    "retryafterseconds",
    "retryafterms",
    "resetsinseconds",
    "xratelimitreset",
)
"""Fields of an error that name a wait, in small letters and without what parts their words:
seconds, unless they say otherwise, or Unix time."""

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "秒": 1.0, "分": 60.0}

LONGEST_CHARACTERS = 40
"""Of a field that names a wait."""

_PART = (
    r"([0-9]{1,9}(?:\.[0-9]{1,12})?) ?"
    r"(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|秒钟?|分钟?)(?![a-z])"
)

_SPAN = re.compile(
    rf"(?:retry|try again|resets?|available) (?:again )?(?:in|after) ((?:{_PART},? ?(?:and )?)+)"
    r"|([0-9]+ ?(?:秒钟?|分钟))(?:之)?后(?:重|再)试",
    re.I,
)
_BARE_SPAN = re.compile(rf"(?:{_PART},? ?(?:and )?)+", re.I)
_DATE = re.compile(
    r"(?:resets? (?:at|on)|again at|将在|于) ?"
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)"
    r" ?(Z\b|UTC|[+-][0-9]{2}:?[0-9]{2})?",
    re.I,
)

BEIJING = timezone(timedelta(hours=8))
"""Of a time without a zone: Zhipu's."""


def retry_after(headers: Mapping[str, str], now: float, named: str = "") -> float | None:
    """Return the seconds to wait that a refusal's `headers` name, or else what it has `named`
    itself; an hour at most. None: nothing does.

    OpenAI and Azure send milliseconds beside Retry-After, which is a number or a date (RFC 9110),
    though some write `30s`. A date is one of the provider's clock, which its Date shows; `now` is
    ours, in Unix time, which may be wrong. Where neither is said, a limit that is used up says when
    it is reset (`x-ratelimit-reset-tokens` and its like).
    """
    fields = {name.lower(): value.strip() for name, value in headers.items()}
    now += _until(fields.get("date", ""), now) or 0.0
    finer = fields.get("retry-after-ms", "")
    if _NUMBER.fullmatch(finer):
        return _bounded(float(finer) / 1000)
    coarse = fields.get("retry-after", "")
    whole = _NUMBER.fullmatch(coarse) or _BARE_SPAN.fullmatch(coarse)
    seconds = _seconds(coarse, now) if whole else _until(coarse, now)
    if seconds is not None:
        return _bounded(seconds)
    seconds = _seconds(named, now) or max(_resets(fields, now), default=None)
    # a time that is over was written long ago, or in a zone that is not known
    return _bounded(seconds) if seconds and seconds > 0 else None


def _resets(fields: Mapping[str, str], now: float) -> Iterator[float]:
    """Yield the seconds until each limit that is used up is reset. Facts: OpenAI's and Groq's are
    spans (6m0s), Azure's seconds, Anthropic's times, OpenRouter's milliseconds of Unix time."""
    for name, value in fields.items():
        if "ratelimit" in name and "reset" in name:
            used_up = fields.get(name.replace("reset", "remaining")) == "0"
            if used_up and (seconds := _seconds(value, now)) is not None:
                yield seconds


def wait_in(fields: Mapping[str, Any]) -> str:
    """Return the wait that the fields of an error name, as it is written there; "": none."""
    plain = {re.sub("[-_ ]", "", name).lower(): value for name, value in fields.items()}
    for name in FIELDS:
        value = plain.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            bare = name.endswith("ms") and _NUMBER.fullmatch(str(value))
            named = f"{value}ms" if bare else str(value)
            return named if len(named) <= LONGEST_CHARACTERS else ""
    return ""


def wait_said(words: str, question: QuestionTexts = NO_QUESTION) -> str:
    """Return the wait that an error's words name; "": none. What stands in the caller's
    `question` may be quoted, and is none."""
    for match in (*_SPAN.finditer(words), *_DATE.finditer(words)):
        if not question.holds(match[0]):
            zone = (match[2] or "") if match.re is _DATE else ""
            return str(match[1] or match[match.lastindex or 0]) + zone
    return ""


def _seconds(named: str, now: float) -> float | None:
    """Return the seconds of a wait as it is written: a number, such as 26 or 1764000000000, a time,
    or units, such as 6m12s."""
    if _NUMBER.fullmatch(named):
        number = float(named)
        if number > 1e11:
            return number / 1000 - now
        return number - now if number > 1e9 else number
    if spans := list(_spans(named)):
        return sum(spans)
    return _until(named, now)


def _spans(named: str) -> Iterator[float]:
    for number, unit in re.findall(_PART, named, re.I):
        short = "ms" if unit.lower().startswith("mil") else unit.lower()
        yield float(number) * _UNITS["ms" if short == "ms" else short[0]]


def _until(date: str, now: float) -> float | None:
    for read in (parsedate_to_datetime, _iso):
        try:
            return read(date).timestamp() - now
        except (ValueError, OverflowError):
            continue
    return None


def _iso(date: str) -> datetime:
    """Read `2026-11-28 18:05:12 +0800` and the like. Raises ValueError."""
    plain = re.sub(r" ?UTC$", "+00:00", re.sub(r" (?=[+-])", "", date.strip()))
    moment = datetime.fromisoformat(plain)
    return moment if moment.tzinfo else moment.replace(tzinfo=BEIJING)


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)
