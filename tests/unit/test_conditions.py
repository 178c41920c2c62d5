"""What a person is told of, and that it is told once, however it flickers."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import LASTING as LASTING_CODES
from gateway.notifications.conditions import (
    LASTING,
    Condition,
    Conditions,
    Kind,
    Look,
    News,
    news,
)
from gateway.protocol import ChatRow
from tests.unit.notices import DAY, row, seen

NOBODY: Conditions = frozenset()


def budget(money: float, spent: float, per: str = "month") -> dict[str, Any]:
    return {"money": money, "tokens": None, "per": per, "spent_money": spent, "spent_tokens": 0}


def steady(now: Look, noted: Conditions = NOBODY) -> News:
    """What is told of what two looks in a row have seen."""
    return news(now, now, noted)


def kinds(conditions: Any) -> list[tuple[str, str, str]]:
    return [(one.kind.value, one.name, one.detail) for one in conditions]


def test_the_lasting_codes_are_told() -> None:
    assert {code.value for code in LASTING_CODES} <= LASTING


@pytest.mark.parametrize("code", sorted(LASTING))
def test_a_rest_is_told_when_it_begins_and_when_it_ends(code: str) -> None:
    begun = steady(seen(row(code=code)))
    assert kinds(begun.begun) == [("resting", "shop", code)]
    assert steady(seen(row(code=code)), begun.noted).begun == []

    ended = steady(seen(row()), begun.noted)
    assert (kinds(ended.ended), ended.noted) == ([("resting", "shop", code)], NOBODY)


@pytest.mark.parametrize("code", ["SLOW_DOWN", "PROVIDER_BUSY", "PROVIDER_DOWN"])
def test_what_passes_by_itself_is_not_told(code: str) -> None:
    assert steady(seen(row(code=code, fallback=["b"]), row("b", code=code))).begun == []


def test_what_only_one_look_has_seen_is_not_told() -> None:
    rests, answers = seen(row(code="PAY_BILL")), seen(row())
    assert news(answers, rests, NOBODY).begun == []
    assert news(rests, answers, NOBODY) == News([], [], NOBODY)

    noted = steady(rests).noted
    assert news(answers, rests, noted) == News([], [], noted)
    assert news(rests, answers, noted) == News([], [], noted)


def test_a_chat_that_starts_anew_has_not_ended_its_rest() -> None:
    noted = steady(seen(row(code="PAY_BILL"))).noted
    for state in ("starting", "resting"):
        assert steady(seen(row(state=state)), noted) == News([], [], noted)
    assert len(steady(seen(row(state="answering")), noted).ended) == 1


def test_one_rest_that_follows_another_is_told_and_no_end_is() -> None:
    noted = steady(seen(row(code="PAY_BILL"))).noted
    later = steady(seen(row(code="BAD_KEY")), noted)
    assert (kinds(later.begun), later.ended) == ([("resting", "shop", "BAD_KEY")], [])
    assert kinds(later.noted) == [("resting", "shop", "BAD_KEY")]

    lost = steady(seen(row(state="need_key")), noted)
    assert (kinds(lost.begun), lost.ended) == ([("need_key", "shop", "")], [])


def test_a_lost_key_is_told_and_that_it_is_back() -> None:
    noted = steady(seen(row(state="need_key"))).noted
    assert kinds(noted) == [("need_key", "shop", "")]
    assert steady(seen(row(state="starting")), noted).ended == []
    for back in (row(), row(code="PROVIDER_BUSY")):
        assert kinds(steady(seen(back), noted).ended) == [("need_key", "shop", "")]


def test_a_chain_of_which_nothing_is_left_is_told() -> None:
    out = [row(code="PAY_BILL", fallback=["b", "c"]), row("b", state="need_key")]
    exhausted = steady(seen(*out, row("c", code="BAD_KEY")))
    assert kinds(exhausted.begun)[0] == ("nothing_left", "shop", "")
    assert len(exhausted.begun) == 4  # and each of the three by itself

    starting = steady(seen(*out, row("c", state="starting")), exhausted.noted)
    assert ("nothing_left", "shop", "") in kinds(starting.noted)
    back = steady(seen(*out, row("c")), exhausted.noted)
    assert ("nothing_left", "shop", "") in kinds(back.ended)
    assert ("nothing_left", "shop", "") not in kinds(back.noted)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([row(code="PAY_BILL")], id="no chain: the rest itself is told"),
        pytest.param([row(code="PAY_BILL", fallback=["b"]), row("b")], id="one answers"),
        pytest.param(
            [row(code="PAY_BILL", fallback=["b"]), row("b", state="starting")], id="one starts"
        ),
        pytest.param([row(fallback=["b"]), row("b", code="PAY_BILL")], id="it answers itself"),
        pytest.param(
            [row(code="PAY_BILL", fallback=["b"]), row("b", code="SLOW_DOWN")], id="one is slow"
        ),
    ],
)
def test_a_chain_in_which_something_is_left_is_not(rows: list[ChatRow]) -> None:
    assert "nothing_left" not in [kind for kind, _, _ in kinds(steady(seen(*rows)).begun)]


def test_a_fallback_that_is_gone_answers_nobody() -> None:
    latest = steady(seen(row(code="PAY_BILL", fallback=["gone"])))
    assert kinds(latest.begun)[0] == ("nothing_left", "shop", "")


def test_the_sentence_names_who_answers_instead() -> None:
    rows = [row(code="PAY_BILL", fallback=["b", "c"]), row("b", code="BAD_KEY"), row("c")]
    [shop] = [one for one in steady(seen(*rows)).begun if one.name == "shop"]
    assert (shop.facts["chain"], shop.facts["provider"]) == ("c", "zhipu")


def test_a_chat_that_is_taken_away_takes_its_conditions_along_in_silence() -> None:
    rows = [row(code="PAY_BILL", fallback=["b"], budget=budget(10, 9)), row("b", code="BAD_KEY")]
    noted = steady(seen(*rows)).noted
    assert len(noted) == 4
    assert steady(seen(), noted) == News([], [], NOBODY)


def test_a_task_is_as_its_chat_and_not_told_twice() -> None:
    task = row("task", code="PAY_BILL", task={"through": "shop", "variables": []})
    assert kinds(steady(seen(row(code="PAY_BILL"), task)).begun) == [
        ("resting", "shop", "PAY_BILL")
    ]


@pytest.mark.parametrize(("spent", "times"), [(159.9, 0), (160, 1), (200, 1), (250, 1)])
def test_a_budget_is_told_of_at_four_fifths(spent: float, times: int) -> None:
    assert len(steady(seen(row(budget=budget(200, spent)))).begun) == times


def test_a_budget_is_told_of_once_in_its_period_however_it_flickers() -> None:
    noted = steady(seen(row(budget=budget(200, 170)))).noted
    for spent in (10, 190, 0, 200):  # a process that has lost its count, and found it
        later = steady(seen(row(budget=budget(200, spent)), day="2026-11-30"), noted)
        assert later == News([], [], noted)
    assert steady(seen(row(budget=budget(200, 10)), day="2026-12-01"), noted).noted == NOBODY
    assert len(steady(seen(row(budget=budget(200, 170)), day="2026-12-01"), noted).begun) == 1


def test_a_budget_that_is_raised_is_another_one() -> None:
    noted = steady(seen(row(budget=budget(200, 170)))).noted
    raised = steady(seen(row(budget=budget(400, 170))), noted)
    assert (raised.begun, raised.noted) == ([], NOBODY)
    assert kinds(steady(seen(row(budget=budget(400, 330))), raised.noted).begun) == [
        ("budget", "shop", "money 400")
    ]


def test_a_budget_of_tokens_in_a_day() -> None:
    tokens = {"money": None, "tokens": 1000, "per": "day", "spent_money": 5.0, "spent_tokens": 800}
    [budget] = steady(seen(row(budget=tokens))).begun
    assert (budget.detail, budget.period, budget.facts["unit"]) == ("tokens 1000", DAY, "tokens")


def balance(amount: float) -> dict[str, Any]:
    return {"amount": amount, "currency": "CNY", "at": 0}


def test_a_balance_at_the_brink_is_told_of_once() -> None:
    noted = steady(seen(row(balance=balance(19.9), low=20))).noted
    assert kinds(noted) == [("balance", "shop", "")]
    for amount in (20.1, 19.9, 21.9, 15):
        assert steady(seen(row(balance=balance(amount), low=20)), noted) == News([], [], noted)
    assert steady(seen(row(balance=None, low=20)), noted) == News([], [], noted)

    paid = steady(seen(row(balance=balance(22), low=20)), noted)
    assert paid == News([], [], NOBODY)
    assert len(steady(seen(row(balance=balance(19), low=20)), paid.noted).begun) == 1


@pytest.mark.parametrize(("currency", "amount"), [("CNY", "19.9 CNY"), ("", "19.9")])
def test_a_balance_may_have_no_currency(currency: str, amount: str) -> None:
    low = {**balance(19.9), "currency": currency}
    [condition] = steady(seen(row(balance=low, low=20))).begun
    assert condition.facts["amount"] == amount


def test_a_balance_without_a_limit_is_not_told_of() -> None:
    assert steady(seen(row(balance=balance(0.1)))).begun == []
    assert steady(seen(row(balance=balance(20), low=20))).begun == []


def test_a_caller_over_its_limit_is_told_of_once_a_day_and_once_while_it_lasts() -> None:
    noted = steady(seen(shop="60/min")).noted
    assert kinds(noted) == [("caller", "shop", "60/min")]
    assert steady(seen(), noted).noted == noted  # it comes back every minute
    assert steady(seen(shop="60/min"), noted).begun == []

    tomorrow = "2026-11-28"
    assert steady(seen(shop="60/min", day=tomorrow), noted) == News([], [], noted)
    assert steady(seen(day=tomorrow), noted).noted == NOBODY
    assert len(steady(seen(shop="60/min", day=tomorrow), NOBODY).begun) == 1
    assert len(steady(seen(shop="9 CNY/month"), noted).begun) == 1


def test_a_condition_crosses_as_plain_data() -> None:
    condition = Condition(Kind.BUDGET, "shop", "money 200", "2026-11", {"unit": "CNY"})
    assert Condition.from_list(condition.as_list()) == condition
