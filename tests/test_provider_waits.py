"""When to come back to a provider that said so: as a date, in milliseconds, or as what nobody can
mean."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from tests.fronts import Front, RawChat, chat, of, v1, v1_stream
from tests.standin.raw import Reply, whole

SLOW = {"error": {"message": "Too fast", "code": "rate_limit_exceeded"}}


def after(*headers: str) -> Reply:
    return whole(SLOW, "429 Too Many Requests", headers=headers)


@pytest.mark.parametrize("front", [chat, v1, v1_stream], ids=of)
@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        (["Retry-After: 40"], 40, 40),
        (["Retry-After: 2.5"], 2, 3),
        (["retry-after-ms: 40000"], 40, 40),
        (["retry-after-ms: 1"], 1, 2),
        (["Retry-After: 99999999"], 3000, 3600),
        (["retry-after-ms: 1e15"], 1, 3600),
        (["Retry-After: -5"], 1, 10),
        (["Retry-After: soon"], 1, 10),
        (["Retry-After: nan"], 1, 10),
        (["Retry-After: inf"], 1, 3600),
        (["Retry-After: "], 1, 10),
        (["Retry-After: Sun, 06 Nov 1994 08:49:37 GMT"], 1, 10),
        (["Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"], 1, 3600),
        (["Retry-After: Fri, 99 Foo 2026 99:99:99 GMT"], 1, 10),
    ],
    ids=str,
)
def test_when_to_come_back_is_told_within_bounds(
    raw_chat: RawChat, front: Front, headers: list[str], least: int, most: int
) -> None:
    raw_chat.deploy(after(*headers))

    outcome = raw_chat.ask(front)

    assert outcome.code == "SLOW_DOWN"
    assert least <= outcome.retry_after <= most


def test_a_date_to_come_back_at_is_read(raw_chat: RawChat) -> None:
    raw_chat.deploy(after(f"Retry-After: {formatdate(time.time() + 50, usegmt=True)}"))

    assert 40 <= raw_chat.ask(chat).retry_after <= 50
    assert 40 <= raw_chat.ask(chat).retry_after <= 50, "it rests, and says so"
    assert len(raw_chat.raw.requests) == 1


def test_a_time_that_nobody_can_mean_makes_no_chat_rest_for_ever(raw_chat: RawChat) -> None:
    raw_chat.deploy(after("Retry-After: 1e300"))
    assert raw_chat.ask(chat).code == "SLOW_DOWN"

    rows = raw_chat.http.get("/models").json()["models"]
    resting = next(row["resting"] for row in rows if row["chat_name"] == raw_chat.name)

    assert resting is None or resting["until"] - time.time() <= 3600
