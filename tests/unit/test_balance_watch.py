"""When a chat's accounts are asked what is left, by a clock that the test sets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from gateway.actors.balance_watch import LOOK_SECONDS, Ask, BalanceWatch
from gateway.errors import Code, GatewayError
from gateway.providers.balances import NOWHERE, BalanceForm, BalanceSource, Look

SOURCE = BalanceSource(BalanceForm.MOONSHOT, ("users/me/balance",))
RELAY = BalanceSource(BalanceForm.ONE_API, ("subscription", "usage"))
HOST = "api.moonshot.cn"
LATER = LOOK_SECONDS + 1
DOWN = GatewayError(Code.PROVIDER_DOWN)


class Provider:
    """Answers one account's looks in turn, the last again and again."""

    def __init__(self, *replies: Look | GatewayError) -> None:
        self.replies = list(replies)
        self.places: list[str] = []

    async def look(self, place: str) -> Look:
        await asyncio.sleep(0)
        self.places.append(place)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, GatewayError):
            raise reply
        return reply


def left(amount: object) -> Look:
    return Look(200, json.dumps({"data": {"available_balance": amount}}).encode())


class Day:
    """A watch, and its clock."""

    def __init__(self, *asks: Ask, source: BalanceSource = SOURCE) -> None:
        self.now = 5.0
        self.watch = BalanceWatch(source, HOST, asks, lambda: self.now)

    async def use(self, times: int = 1, after: float = 0) -> None:
        """Let chats be answered, and looks end."""
        self.now += after
        for _ in range(times):
            self.watch.used()
            for _ in range(9):
                await asyncio.sleep(0)

    def amount(self) -> float | None:
        lowest = self.watch.lowest()
        return lowest["amount"] if lowest else None


def day_of(
    *steps: Callable[[Day], object], provider: Provider, source: BalanceSource = SOURCE
) -> Day:
    """Return a day on which each step was done in turn."""

    async def run() -> Day:
        day = Day(provider.look, source=source)
        for step in steps:
            if asyncio.iscoroutine(done := step(day)):
                await done
        return day

    return asyncio.run(run())


def test_it_is_asked_after_the_first_chat_and_not_again_for_a_quarter_of_an_hour() -> None:
    provider = Provider(left(7))
    day = day_of(
        lambda day: day.use(), lambda day: day.use(50, LOOK_SECONDS / 99), provider=provider
    )

    assert (day.amount(), provider.places) == (7, ["users/me/balance"])


def test_it_is_asked_again_when_that_is_over_and_the_chat_is_used() -> None:
    provider = Provider(left(7), left(6))
    day = day_of(lambda day: day.use(), lambda day: day.use(3, LATER), provider=provider)

    assert (day.amount(), len(provider.places)) == (6, 2)


def test_what_was_said_stays_while_it_cannot_be_asked() -> None:
    for trouble in (DOWN, Look(503, b""), Look(401, b"{}"), Look(200, b"<html>"), Look(404, b"")):
        provider = Provider(left(7), trouble, left(5))
        day = day_of(lambda day: day.use(), lambda day: day.use(3, LATER), provider=provider)
        assert (day.amount(), len(provider.places)) == (7, 2)

        asyncio.run(day.use(3, LATER))
        assert (day.amount(), len(provider.places)) == (5, 3), trouble


def test_who_is_down_at_first_is_asked_again_later() -> None:
    for trouble in (DOWN, Look(500, b""), Look(403, b""), Look(429, b"")):
        provider = Provider(trouble, left(5))
        day = day_of(lambda day: day.use(9), lambda day: day.use(9, LATER), provider=provider)

        assert (day.amount(), len(provider.places)) == (5, 2), trouble


def test_who_knows_no_balances_is_left_alone_even_when_a_bill_was_paid() -> None:
    for reply in (Look(404, b""), Look(405, b""), Look(410, b""), Look(200, b"<html>")):
        provider = Provider(reply)
        day = day_of(
            lambda day: day.use(),
            lambda day: day.watch.paid(),
            lambda day: day.use(9, LATER),
            provider=provider,
        )
        assert (day.amount(), len(provider.places)) == (None, 1), reply


def test_a_relay_is_asked_in_two_places_and_in_one_where_it_is_none() -> None:
    limit = Look(200, b'{"hard_limit_usd": 9}')
    provider = Provider(limit, Look(200, b'{"total_usage": 250}'))
    day = day_of(lambda day: day.use(), provider=provider, source=RELAY)
    assert (day.amount(), provider.places) == (6.5, list(RELAY.places))

    provider = Provider(Look(404, b""))
    day = day_of(lambda day: day.use(9, LATER), provider=provider, source=RELAY)
    assert (day.amount(), provider.places) == (None, ["subscription"])


def test_a_paid_bill_is_seen_with_the_next_answer() -> None:
    provider = Provider(left(-1), left(100))
    day = day_of(
        lambda day: day.use(9),
        lambda day: day.watch.paid(),
        lambda day: day.use(9, 1),
        provider=provider,
    )
    assert (day.amount(), len(provider.places)) == (100, 2)


def test_one_look_is_under_way_at_a_time() -> None:
    open_looks: list[str] = []

    async def hang(place: str) -> Look:
        open_looks.append(place)
        await asyncio.sleep(3600)
        return left(1)

    async def run() -> None:
        day = Day(hang)
        await day.use(3, LATER)
        await day.use(3, LATER)
        day.watch.close()
        await day.use(3, LATER)  # a chat that outlasted its model
        assert day.amount() is None

    asyncio.run(run())
    assert len(open_looks) == 1


def test_of_several_accounts_the_lowest_is_told() -> None:
    accounts = [Provider(left(20)), Provider(left(3), DOWN), Provider(left(8))]

    async def run() -> None:
        day = Day(*(one.look for one in accounts))
        await day.use()
        assert day.amount() == 3
        await day.use(1, LATER)  # it cannot be asked, and is still the lowest
        assert day.amount() == 3

    asyncio.run(run())
    assert [len(one.places) for one in accounts] == [2, 2, 2]


def test_what_nothing_limits_is_no_balance_and_is_looked_at_again() -> None:
    def remaining(amount: float | None) -> Look:
        return Look(200, json.dumps({"data": {"limit_remaining": amount}}).encode())

    source = BalanceSource(BalanceForm.OPENROUTER, ("key",))
    provider = Provider(remaining(None), remaining(4))
    day = day_of(lambda day: day.use(3), provider=provider, source=source)
    assert (day.amount(), len(provider.places)) == (None, 1)

    asyncio.run(day.use(1, LATER))
    assert day.amount() == 4


def test_nobody_is_asked_where_there_is_no_place() -> None:
    provider = Provider(left(7))
    day_of(lambda day: day.use(9, LATER), provider=provider, source=NOWHERE)

    assert provider.places == []


def test_it_says_when_it_was_said() -> None:
    day = day_of(lambda day: day.use(), provider=Provider(left("7.25")))
    lowest = day.watch.lowest()

    assert lowest is not None
    assert lowest | {"at": 0} == {"amount": 7.25, "currency": "CNY", "at": 0}
    assert lowest["at"] > 1_700_000_000
