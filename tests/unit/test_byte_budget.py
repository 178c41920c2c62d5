"""How many bytes a process may hold: what is let in, what is refused, and that all of it comes
back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from gateway.byte_budget import SMALL_BYTES, ByteBudget, Charge, Full

MEGABYTE = 1 << 20


def test_what_is_beyond_the_limit_is_refused_and_changes_nothing() -> None:
    budget = ByteBudget(10 * MEGABYTE)
    first, second = Charge(budget), Charge(budget)
    first.hold(6 * MEGABYTE)
    second.hold(3 * MEGABYTE)

    with pytest.raises(Full):
        second.hold(5 * MEGABYTE)

    assert budget.used == 9 * MEGABYTE
    first.release()
    second.hold(5 * MEGABYTE)
    assert budget.used == 5 * MEGABYTE


def test_small_ones_are_not_counted_and_go_on_when_it_is_full() -> None:
    budget = ByteBudget(MEGABYTE)
    large, small = Charge(budget), Charge(budget)
    large.hold(MEGABYTE)

    small.hold(SMALL_BYTES)

    assert budget.used == MEGABYTE


def test_one_that_is_alone_may_be_of_any_size() -> None:
    budget = ByteBudget(MEGABYTE)
    alone, other = Charge(budget), Charge(budget)
    alone.hold(5 * MEGABYTE)

    with pytest.raises(Full):
        other.hold(2 * SMALL_BYTES)

    alone.hold(6 * MEGABYTE)
    assert budget.used == 6 * MEGABYTE


def test_what_was_paid_for_is_never_refused_and_presses_others_out() -> None:
    budget = ByteBudget(MEGABYTE)
    first, second = Charge(budget), Charge(budget)
    first.hold(MEGABYTE)

    second.hold(MEGABYTE, paid=True)

    assert budget.used == 2 * MEGABYTE
    with pytest.raises(Full):
        Charge(budget).hold(2 * SMALL_BYTES)


def test_holding_less_is_never_refused() -> None:
    budget = ByteBudget(MEGABYTE)
    shrinking, other = Charge(budget), Charge(budget)
    shrinking.hold(4 * MEGABYTE)
    other.hold(MEGABYTE, paid=True)

    shrinking.hold(3 * MEGABYTE)

    assert budget.used == 4 * MEGABYTE


def test_threads_never_exceed_it_and_all_comes_back() -> None:
    budget = ByteBudget(8 * MEGABYTE)

    def come_and_go(number: int) -> int:
        most = 0
        for turn in range(2000):
            with Charge(budget) as charge, suppress(Full):
                for part in (1, 2, 3):
                    charge.hold(part * SMALL_BYTES * (1 + (turn + number) % 24))
                    most = max(most, budget.used)
        return most

    with ThreadPoolExecutor(8) as pool:
        most = max(pool.map(come_and_go, range(8)))

    assert budget.used == 0
    assert 4 * MEGABYTE < most <= budget.limit


def test_what_is_forgotten_comes_back() -> None:
    budget = ByteBudget(8 * MEGABYTE)
    Charge(budget).hold(MEGABYTE)

    assert budget.used == 0
