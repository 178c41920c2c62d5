"""How long providers ask to wait, in headers; the date forms are those of RFC 9110, section
5.6.7."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple


class Wait(NamedTuple):
    """The headers of a refusal at `NOW`, and the seconds that they ask for: none, where they say
    nothing of use."""

    headers: Mapping[str, str]
    seconds: float | None


NOW = datetime(2026, 11, 26, 8, 0, 0, tzinfo=UTC).timestamp()
MOST = 3600


def _after(value: str, seconds: float | None) -> Wait:
    return Wait({"Retry-After": value}, seconds)


def _ms(value: str, seconds: float | None, **beside: str) -> Wait:
    return Wait(
        {
            "retry-after-ms": value,
            **{name.replace("_", "-"): text for name, text in beside.items()},
        },
        seconds,
    )


WAITS: tuple[Wait, ...] = (
    Wait({}, None),
    # Whose clock is an hour ahead of ours, or behind.
    Wait(
        {"Date": "Thu, 26 Nov 2026 09:00:00 GMT", "Retry-After": "Thu, 26 Nov 2026 09:00:30 GMT"},
        30,
    ),
    Wait(
        {"Date": "Thu, 26 Nov 2026 07:00:00 GMT", "Retry-After": "Thu, 26 Nov 2026 07:00:30 GMT"},
        30,
    ),
    Wait({"Date": "yesterday", "Retry-After": "Thu, 26 Nov 2026 08:00:30 GMT"}, 30),
    Wait({"Date": "Thu, 26 Nov 2026 09:00:00 GMT", "Retry-After": "7"}, 7),
    _after("7", 7),
    _after("0", 0),
    _after("007", 7),
    _after(" 7 ", 7),
    _after("1.5", 1.5),
    _after("0.25", 0.25),
    _after("3600", MOST),
    _after("3601", MOST),
    _after("86400", MOST),  # Azure's S0 tier asks for a day
    _after("99999999999999999999", MOST),
    Wait({"retry-after": "7"}, 7),
    Wait({"RETRY-AFTER": "7"}, 7),
    # The three forms of a date.
    _after("Thu, 26 Nov 2026 08:00:30 GMT", 30),
    _after("Thursday, 26-Nov-26 08:00:30 GMT", 30),
    _after("Thu Nov 26 08:00:30 2026", 30),
    _after("Thu, 26 Nov 2026 08:59:59 GMT", 3599),
    _after("Thu, 26 Nov 2026 09:00:01 GMT", MOST),
    _after("Friday, 27-Nov-26 08:00:00 GMT", MOST),
    _after("Sat Nov 28 08:00:00 2026", MOST),
    _after("Sun Dec  6 08:00:00 2026", MOST),  # asctime's day is padded
    _after("Fri, 31 Dec 9999 23:59:59 GMT", MOST),
    # A date that is past: now.
    _after("Thu, 26 Nov 2026 08:00:00 GMT", 0),
    _after("Thu, 26 Nov 2026 07:59:00 GMT", 0),
    _after("Sunday, 06-Nov-94 08:49:37 GMT", 0),
    _after("Sun Nov  6 08:49:37 1994", 0),
    _after("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    # Nonsense. A number that is none must not be read as a year: mastra-ai/mastra#23778.
    _after("", None),
    _after("-1", None),
    _after("-5.5", None),
    _after("nan", None),
    _after("inf", None),
    _after("-inf", None),
    _after("Infinity", None),
    _after("soon", None),
    _after("1_0", None),
    _after("0x10", None),
    _after("2026", 2026),
    _after("7, 9", None),
    _after("Thu, 32 Nov 2026 08:00:30 GMT", None),
    _after("Thu, 26 Nov 2026 25:00:30 GMT", None),
    _after("Thu, 26 Foo 2026 08:00:30 GMT", None),
    _after("26.11.2026", None),
    # With its unit, as some write it, and in Unix time.
    _after("5 seconds", 5),
    _after("30s", 30),
    _after("1m30s", 90),
    _after("500ms", 0.5),
    _after("1 minute and 5 seconds", 65),
    _after("30s or so", None),
    _after(f"{int(NOW) + 60}", 60),
    # A limit that is used up says when it is reset; the others are no reason to wait.
    Wait(
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1m30s",
            "x-ratelimit-remaining-tokens": "5",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        90,
    ),
    Wait({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
    Wait(
        {
            "anthropic-ratelimit-tokens-remaining": "0",
            "anthropic-ratelimit-tokens-reset": "2026-11-26T08:01:00Z",
        },
        60,
    ),
    Wait({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{int(NOW * 1000) + 30_000}"}, 30),
    Wait({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"}, None),
    Wait({"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "30"}, None),
    Wait({"X-RateLimit-Remaining": "0", "X-RateLimit-Limit": "0"}, None),
    Wait({"Retry-After": "7", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, 7),
    # Milliseconds, as Azure and OpenAI send them.
    _ms("23650", 23.65),
    _ms("250", 0.25),
    _ms("0", 0),
    _ms("1500.5", 1.5005),
    _ms("99999999", MOST),
    Wait({"Retry-After-Ms": "250"}, 0.25),
    # Both: the finer one wins, where it says anything.
    _ms("23650", 23.65, Retry_After="24"),
    _ms("500", 0.5, Retry_After="Thu, 26 Nov 2026 08:00:30 GMT"),
    _ms("250", 0.25, Retry_After="soon"),
    _ms("soon", 7, Retry_After="7"),
    _ms("-1", 7, Retry_After="7"),
    _ms("nan", 7, Retry_After="7"),
    _ms("inf", 30, Retry_After="Thu, 26 Nov 2026 08:00:30 GMT"),
    _ms("", 7, Retry_After="7"),
    _ms("-1", None),
    _ms("nan", None),
    _ms("soon", None, Retry_After="later"),
)


class Named(NamedTuple):
    """A refusal that names a wait itself, at `NOW`, and the seconds; its status is 429."""

    body: Any
    seconds: float | None


def _said(words: str, seconds: float | None) -> Named:
    return Named({"error": {"message": words, "type": "rate_limit_error"}}, seconds)


NAMED: tuple[Named, ...] = (
    # Gemini's OpenAI endpoint sends no Retry-After: vercel/ai#18627
    Named(
        {
            "error": {
                "code": 429,
                "message": "You exceeded your current quota. Please retry in 26.660853464s.",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26s"}
                ],
            }
        },
        26,
    ),
    _said("Resource exhausted. Please retry in 26.5s.", 26.5),
    _said("Rate limit reached for gpt-4.1. Please try again in 6m12s. Visit us.", 372),
    _said("Rate limit reached. Please try again in 120ms.", 0.12),
    _said("Rate limit reached. Try again in 1 hour and 30 minutes", MOST),
    _said("Rate limit reached. Try again in 20 minutes", 1200),
    # harry0703/MoneyPrinterTurbo#339
    _said("request reached max request: 3, please try again after 1 seconds", 1),
    # Zhipu's 1308, in Beijing's time: ten minutes on, and one that is over
    _said("Usage limit reached for 5 hour. Your limit will reset at 2026-11-26 16:10:00", 600),
    _said("已达到 5 小时的使用上限。您的限额将在 2026-11-26 16:10:00 重置。", 600),
    _said("Your limit will reset at 2026-11-26 15:00:00", None),
    # MiniMax-AI/MiniMax-M2.7#36
    _said("5-hour usage limit reached for Token Plan, resets at 2026-11-26T08:10:00Z (2056)", 600),
    _said("limit. It will reset at 2026-11-26 16:10:00 +0800 CST", 600),
    _said("too many requests, resets at 2026-11-26 08:10 UTC", 600),
    _said("请求过于频繁，请 30 秒后重试", 30),
    _said("请求过于频繁，请在2分钟后再试", 120),
    # Gitlawb/openclaude#936
    Named(
        {
            "error": {
                "message": "Rate limit exceeded: free-models-per-min.",
                "code": 429,
                "metadata": {"headers": {"X-RateLimit-Reset": f"{int(NOW * 1000) + 30_000}"}},
            }
        },
        30,
    ),
    Named({"error": {"type": "usage_limit_reached", "resets_in_seconds": 602639}}, MOST),
    Named({"error": {"message": "slow", "retry_after_ms": 1500}}, 1.5),
    Named({"error": {"message": "slow", "retry_after": 7}}, 7),
    Named({"error": {"message": "slow", "retry_after": True}}, None),
    Named({"error": {"message": "slow", "retryAfter": 7}}, 7),
    Named({"error": {"message": "slow", "retry_after": "PT30S"}}, 30),
    Named({"error": {"message": "slow", "retry_after": "in 30 seconds."}}, 30),
    Named({"error": {"message": "slow", "retryDelay": "30秒后"}}, 30),
    Named({"error": {"message": "slow", "retryAfterMs": 1500}}, 1.5),
    Named({"error": {"message": "slow", "metadata": {"headers": {"Retry-After": "30s"}}}}, 30),
    _said("Rate limit reached. Try again later", None),
    _said("Rate limit reached. You may ask 3 times in 10s", None),
    _said("resets at 2026-99-99 00:00:00", None),
)
