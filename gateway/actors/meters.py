"""What callers and chats have used, today and this month, for their limits and budgets. Pure, and
in memory: what was used before it began is told by whoever knows it from the ledger (`begin`).
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence

from gateway.store_protocol import Amounts, LimitRefusal, MeterLimit, Used

MINUTE = 60
REQUESTS = "requests"


def _now() -> time.struct_time:
    return time.localtime()


class Meters:
    """Each meter counts amounts by unit. A minute goes by a `clock` that nobody sets; days and
    months by the `calendar` of this machine, as the ledger's do."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], time.struct_time] = _now,
    ) -> None:
        self._clock = clock
        self._calendar = calendar
        self._used: dict[str, dict[str, Amounts]] = {}
        self._changed: dict[str, int] = {}
        self._minutes: dict[str, deque[float]] = defaultdict(deque)
        self._over: dict[str, tuple[str, str]] = {}

    def admit(self, meter: str, limits: Sequence[MeterLimit]) -> LimitRefusal | None:
        """Count a request, unless a limit is reached; None: it is counted. A refusal of limit -1
        says that nothing is known of the meter: `begin` it."""
        used = self._periods(meter)
        if used is None:
            return {"limit": -1, "seconds": 0.0}
        for place, limit in enumerate(limits):
            if (seconds := self._left(meter, used, limit)) is not None:
                self._over[meter] = self._today(), limit["words"]
                return {"limit": place, "seconds": seconds}
        if any(limit["per"] == "min" for limit in limits):
            self._minutes[meter].append(self._clock())
        _count(used, {REQUESTS: 1})
        return None

    def add(self, amounts: Mapping[str, Amounts]) -> None:
        """Count what was used. Of a meter that has not begun, whoever begins it knows."""
        for meter, more in amounts.items():
            if (used := self._periods(meter)) is not None:
                _count(used, more)
                self._changed[meter] = int(time.time())

    def begin(self, meter: str, day: Amounts, month: Amounts) -> None:
        """Say what was used before, unless somebody did."""
        if self._periods(meter) is None:
            self._used[meter] = {self._today(): dict(day), self._month(): dict(month)}

    def used(self, meters: Sequence[str]) -> dict[str, Used | None]:
        """Return what was used of each in this minute, day and month; None: it has not begun."""
        report: dict[str, Used | None] = {}
        for meter in meters:
            report[meter] = None
            if (used := self._periods(meter)) is not None:
                day, month = dict(used[self._today()]), dict(used[self._month()])
                changed = self._changed.get(meter, 0)
                minute = self._in_this_minute(meter)
                report[meter] = {"minute": minute, "day": day, "month": month, "changed": changed}
        return report

    def over(self) -> dict[str, str]:
        """Return the meters that were refused today, and by which limit."""
        today = self._today()
        self._over = {meter: entry for meter, entry in self._over.items() if entry[0] == today}
        return {meter: words for meter, (_, words) in self._over.items()}

    def _periods(self, meter: str) -> dict[str, Amounts] | None:
        """Return what was used by day and month; a later day, or month, begins with nothing."""
        used, today, month = self._used.get(meter), self._today(), self._month()
        if used is None or (today in used and month in used):
            return used
        if max(used) > today:  # the clock was set back: the ledger knows
            del self._used[meter]
            return None
        self._used[meter] = {today: {}, month: used.get(month, {})}
        return self._used[meter]

    def _left(self, meter: str, used: Mapping[str, Amounts], limit: MeterLimit) -> float | None:
        """Return in how many seconds a limit that is reached is over; None: it is not."""
        if limit["per"] == "min":
            return self._minute_left(meter, limit["amount"])
        period = self._today() if limit["per"] == "day" else self._month()
        if used[period].get(limit["unit"], 0) < limit["amount"]:
            return None
        return self._rest_of(limit["per"])

    def _minute_left(self, meter: str, most: float) -> float | None:
        if self._in_this_minute(meter) < most:
            return None
        return self._minutes[meter][0] + MINUTE - self._clock()

    def _in_this_minute(self, meter: str) -> int:
        """Return how many requests were admitted within a minute."""
        if meter not in self._minutes:
            return 0
        times, end = self._minutes[meter], self._clock() - MINUTE
        while times and times[0] <= end:
            times.popleft()
        return len(times)

    def _rest_of(self, per: str) -> float:
        now = self._calendar()
        return max(1.0, end_of(per, now) - time.mktime(now))

    def _today(self) -> str:
        return time.strftime("%Y-%m-%d", self._calendar())

    def _month(self) -> str:
        return time.strftime("%Y-%m", self._calendar())


def end_of(per: str, now: time.struct_time) -> float:
    """Return the Unix time at which the day or month `per` of `now` ends."""
    day, month = (now.tm_mday + 1, now.tm_mon) if per == "day" else (1, now.tm_mon + 1)
    return time.mktime((now.tm_year, month, day, 0, 0, 0, 0, 0, -1))


def add(used: Amounts, more: Amounts) -> None:
    """Add amounts to others, by unit."""
    for unit, amount in more.items():
        used[unit] = used.get(unit, 0) + amount


def _count(periods: Mapping[str, Amounts], more: Amounts) -> None:
    for used in periods.values():
        add(used, more)
