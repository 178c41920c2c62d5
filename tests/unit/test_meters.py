"""What callers and chats have used: limits by minute, day and month, by clocks that jump."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from gateway.actors.meters import Meters, end_of
from gateway.store_protocol import MeterLimit

SHOP = "caller:shop"


@dataclass
class Times:
    """A clock that nobody sets, and a calendar that anybody may."""

    monotonic: float = 1000.0
    day: str = "2026-11-27 12:00"

    def clock(self) -> float:
        return self.monotonic

    def calendar(self) -> time.struct_time:
        return time.strptime(self.day, "%Y-%m-%d %H:%M")


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def meters(times: Times) -> Meters:
    meters = Meters(times.clock, times.calendar)
    meters.begin(SHOP, {}, {})
    return meters


def limit(amount: float, per: str, unit: str = "requests") -> MeterLimit:
    return {"amount": amount, "unit": unit, "per": per, "words": f"{amount}{unit}/{per}"}


def test_what_was_used_before_is_asked_for_first_and_said_once() -> None:
    meters, limits = Meters(), [limit(5, "month")]
    assert meters.admit(SHOP, limits) == {"limit": -1, "seconds": 0.0}
    assert meters.used([SHOP]) == {SHOP: None}
    meters.begin(SHOP, {"requests": 1}, {"requests": 4})
    meters.begin(SHOP, {}, {})
    assert meters.admit(SHOP, limits) is None
    refusal = meters.admit(SHOP, limits)
    assert refusal
    assert refusal["limit"] == 0


def test_no_minute_holds_more_requests_than_its_limit(meters: Meters, times: Times) -> None:
    limits = [limit(3, "min")]
    admitted: list[float] = []
    for _ in range(400):
        times.monotonic += 0.7
        if meters.admit(SHOP, limits) is None:
            admitted.append(times.monotonic)
    assert all(later - first >= 60 for first, later in zip(admitted, admitted[3:], strict=False))
    assert len(admitted) == 15  # 280 s, and each minute is used up


def test_a_refusal_says_when_to_ask_again(meters: Meters, times: Times) -> None:
    limits = [limit(1, "min")]
    assert meters.admit(SHOP, limits) is None
    times.monotonic += 20
    assert meters.admit(SHOP, limits) == {"limit": 0, "seconds": 40.0}
    times.monotonic += 40
    assert meters.admit(SHOP, limits) is None


@pytest.mark.parametrize(
    ("per", "seconds", "then"),
    [("day", 12 * 3600, "2026-11-28 00:00"), ("month", 3.5 * 86400, "2026-12-01 00:00")],
)
@pytest.mark.parametrize("unit", ["tokens", "CNY"])
def test_days_and_months_end_by_the_calendar(
    meters: Meters, times: Times, per: str, seconds: float, then: str, unit: str
) -> None:
    limits = [limit(100, per, unit)]
    meters.add({SHOP: {unit: 99}})
    assert meters.admit(SHOP, limits) is None
    meters.add({SHOP: {unit: 1}})
    assert meters.admit(SHOP, limits) == {"limit": 0, "seconds": seconds}
    times.day = then
    assert meters.admit(SHOP, limits) is None


def test_a_month_goes_on_over_its_days(meters: Meters, times: Times) -> None:
    meters.add({SHOP: {"tokens": 60}})
    times.day = "2026-11-28 00:01"
    meters.add({SHOP: {"tokens": 40}})
    used = meters.used([SHOP])[SHOP]
    assert used
    assert (used["day"], used["month"]) == ({"tokens": 40}, {"tokens": 100})


def test_a_calendar_that_is_set_back_has_the_ledger_asked_again(
    meters: Meters, times: Times
) -> None:
    times.day = "2027-05-01 00:00"
    meters.add({SHOP: {"tokens": 7}})
    times.day = "2026-11-27 12:00"
    refusal = meters.admit(SHOP, [limit(5, "day")])
    assert refusal
    assert refusal["limit"] == -1


def test_a_clock_that_jumps_changes_no_minute(meters: Meters, times: Times) -> None:
    limits = [limit(1, "min")]
    assert meters.admit(SHOP, limits) is None
    times.day = "2026-11-27 13:00"
    assert meters.admit(SHOP, limits) is not None


def test_the_first_limit_that_is_reached_is_told_and_nothing_is_counted(meters: Meters) -> None:
    limits = [limit(10, "min"), limit(2, "day"), limit(100, "month")]
    assert [meters.admit(SHOP, limits) is None for _ in range(4)] == [True, True, False, False]
    used = meters.used([SHOP])[SHOP]
    assert used
    assert used["month"] == {"requests": 2}


def test_who_was_over_a_limit_today_is_told(meters: Meters, times: Times) -> None:
    meters.admit(SHOP, [limit(1, "day")])
    assert meters.over() == {}
    meters.admit(SHOP, [limit(1, "day")])
    assert meters.over() == {SHOP: "1requests/day"}
    times.day = "2026-11-28 00:00"
    assert meters.over() == {}


def test_what_is_used_of_an_unknown_meter_is_told_by_the_ledger() -> None:
    meters = Meters()
    meters.add({SHOP: {"tokens": 7}})
    assert meters.used([SHOP]) == {SHOP: None}


@pytest.mark.parametrize(
    ("day", "per", "end"),
    [
        ("2026-12-31", "day", "2027-01-01"),
        ("2026-12-01", "month", "2027-01-01"),
        ("2028-02-28", "day", "2028-02-29"),
    ],
)
def test_a_period_ends_at_midnight(day: str, per: str, end: str) -> None:
    first, last = (time.strptime(text, "%Y-%m-%d") for text in (day, end))
    assert end_of(per, first) == time.mktime((*last[:8], -1))
