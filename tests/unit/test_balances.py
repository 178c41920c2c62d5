"""What is left in an account, in every form in which providers say it, and in none."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.balances import BalanceForm, Left, Look, balance, is_unknown
from tests.providers import PROVIDERS

DEEPSEEK, MOONSHOT, OPENROUTER, ONE_API = BalanceForm
CN, AI = "api.moonshot.cn", "api.moonshot.ai"


def purse(amount: Any, currency: Any = "CNY") -> dict[str, Any]:
    return {"currency": currency, "total_balance": amount, "granted_balance": "0.00"}


def purses(*rows: Any) -> list[Any]:
    return [{"is_available": True, "balance_infos": list(rows)}]


def available(amount: Any) -> list[Any]:
    return [{"code": 0, "data": {"available_balance": amount, "cash_balance": -3.2}}]


def remaining(amount: Any) -> list[Any]:
    return [{"data": {"label": "sk-or-v1-0e6...1c9", "usage": 25.5, "limit_remaining": amount}}]


def relay(limit: Any, used: Any) -> list[Any]:
    return [{"object": "billing_subscription", "hard_limit_usd": limit}, {"total_usage": used}]


SAID: dict[str, tuple[BalanceForm, str, list[Any], Left | None]] = {
    # api-docs.deepseek.com, get-user-balance
    "DeepSeek": (DEEPSEEK, "", purses(purse("110.00")), Left(110.0, "CNY")),
    "in two purses": (
        DEEPSEEK,
        "",
        purses(purse("0.00"), purse("7.50", "USD")),
        Left(7.5, "USD"),
    ),
    "overdrawn": (DEEPSEEK, "", purses(purse("-0.31")), Left(-0.31, "CNY")),
    "as a number": (DEEPSEEK, "", purses(purse(3)), Left(3.0, "CNY")),
    "an odd purse beside": (DEEPSEEK, "", purses(None, purse("x"), purse("1")), Left(1.0, "CNY")),
    "no currency": (DEEPSEEK, "", purses(purse("1", None)), Left(1.0, "")),
    "a currency that is none": (DEEPSEEK, "", purses(purse("1", "C" * 9000)), Left(1.0, "")),
    "no purse": (DEEPSEEK, "", purses(), None),
    "purses that are none": (DEEPSEEK, "", [{"balance_infos": {"currency": "CNY"}}], None),
    "not a number": (DEEPSEEK, "", purses(purse("NaN")), None),
    "without end": (DEEPSEEK, "", purses(purse("Infinity")), None),
    # platform.kimi.com, check balance
    "Moonshot": (MOONSHOT, CN, available(49.58894), Left(49.5889, "CNY")),
    "Moonshot abroad": (MOONSHOT, AI, available(10), Left(10.0, "USD")),
    "Moonshot behind a proxy": (MOONSHOT, "relay.example.cn", available(10), Left(10.0, "")),
    "Moonshot in arrears": (MOONSHOT, CN, available(-2.5), Left(-2.5, "CNY")),
    "as a text": (MOONSHOT, CN, available("1.5"), Left(1.5, "CNY")),
    "true": (MOONSHOT, CN, available(True), None),
    "no amount": (MOONSHOT, CN, [{"data": {}}], None),
    "data that are none": (MOONSHOT, CN, [{"data": [1]}], None),
    "an error in a success": (MOONSHOT, CN, [{"error": {"message": "no"}}], None),
    "more than a number holds": (MOONSHOT, CN, available("9" * 400), None),
    # openrouter.ai/docs, limits
    "OpenRouter": (OPENROUTER, "", remaining(74.5), Left(74.5, "USD")),
    "OpenRouter without a cap": (OPENROUTER, "", remaining(None), Left(math.inf, "USD")),
    "another key": (OPENROUTER, "", [{"data": {"usage": 1}}], None),
    "a list": (OPENROUTER, "", [[]], None),
    # songquanpeng/one-api and QuantumNous/new-api, controller/billing.go
    "a relay": (ONE_API, "", relay(20, 763.9), Left(12.361, "")),
    "a relay without a limit": (ONE_API, "", relay(100_000_000, 763), Left(math.inf, "")),
    "a relay's error": (ONE_API, "", [{"error": {"message": "no"}}, {"total_usage": 1}], None),
    "half a relay": (ONE_API, "", [{"hard_limit_usd": 1}, {}], None),
    "a page": (ONE_API, "", ["<!doctype html><title>New API</title>"] * 2, None),
    "LM Studio": (ONE_API, "", [{"error": "Unexpected endpoint or method."}] * 2, None),
    "nothing": (ONE_API, "", [], None),
}
"""The form, the host, the bodies of its replies, and what they say."""


def looks(bodies: list[Any], status: int = 200) -> list[Look]:
    return [
        Look(status, (body if isinstance(body, str) else json.dumps(body)).encode())
        for body in bodies
    ]


@pytest.mark.parametrize("case", SAID)
def test_what_is_left_is_read(case: str) -> None:
    form, host, bodies, left = SAID[case]

    assert balance(form, host, looks(bodies)) == left


@pytest.mark.parametrize("form", BalanceForm)
def test_a_refusal_says_nothing_whatever_its_body(form: BalanceForm) -> None:
    bodies = next(bodies for one, _, bodies, left in SAID.values() if one == form and left)

    assert balance(form, "", looks(bodies)) is not None
    assert balance(form, "", looks(bodies, 401)) is None
    assert balance(form, "", [*looks(bodies)[:-1], *looks(bodies, 500)[-1:]]) is None


@pytest.mark.parametrize(
    ("status", "unknown"),
    [
        *((200, True), (404, True), (405, True), (410, True), (501, True)),
        *((401, False), (403, False), (429, False), (500, False), (503, False), (302, False)),
    ],
)
def test_a_refusal_that_may_pass_is_told_from_a_server_that_knows_no_balances(
    status: int, unknown: bool
) -> None:
    assert is_unknown(Look(status, b"")) is unknown


NAMES = st.sampled_from(
    [
        "balance_infos",
        "total_balance",
        "currency",
        "data",
        "available_balance",
        "limit_remaining",
        "hard_limit_usd",
        "total_usage",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode())


@given(st.sampled_from(BalanceForm), st.text(max_size=20), st.lists(BODIES, max_size=3))
def test_no_reply_is_an_error_of_ours(form: BalanceForm, host: str, bodies: list[bytes]) -> None:
    left = balance(form, host, [Look(200, body) for body in bodies])

    if left is not None:
        assert isinstance(left.amount, float)
        assert not math.isnan(left.amount)
        assert left.amount > -math.inf
        assert left.currency == "" or (len(left.currency) == 3 and left.currency.isupper())


@pytest.mark.parametrize("form", BalanceForm)
def test_deep_nesting_is_no_error(form: BalanceForm) -> None:
    assert balance(form, "", [Look(200, b'{"data":' * 8000), Look(200, b"[" * 60_000)]) is None


def test_who_says_it_and_where() -> None:
    sources = {name: one.balance for name, one in PROVIDERS.items() if one.balance.form}

    assert {name: source.form for name, source in sources.items()} == {
        "deepseek": DEEPSEEK,
        "moonshot": MOONSHOT,
        "openrouter": OPENROUTER,
        "custom": ONE_API,
    }
    for source in sources.values():
        assert source.places
        assert not any("//" in place or place.endswith("/") for place in source.places)
