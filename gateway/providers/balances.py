"""What is left in an account, as each provider says it. Pure.

Amounts come as numbers and as texts, may be below zero, and may be anything at all: what cannot be
read is no balance, and never an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from gateway.providers.complaints import document

NO_CAP = 100_000_000
"""What one-api and new-api write as the limit of a key that has none."""

DIGITS = 4
"""So many decimals of an amount are told: a difference of two has more, and they mean nothing."""

NO_SUCH_PATH = frozenset({404, 405, 410, 501})

_CURRENCY = re.compile("[A-Z]{3}")


class BalanceForm(StrEnum):
    """In whose form a balance is said."""

    DEEPSEEK = "deepseek"
    MOONSHOT = "moonshot"
    OPENROUTER = "openrouter"
    ONE_API = "one-api"


class BalanceSource(NamedTuple):
    """Where a provider says a balance, and in which form: each place lies under the base URL or,
    with a slash before it, elsewhere on its host. No form: nowhere."""

    form: str = ""  # a BalanceForm
    places: tuple[str, ...] = ()


NOWHERE = BalanceSource()


class Left(NamedTuple):
    """What is left: `amount` is infinite where nothing limits it, and `currency` is "" where nobody
    says it."""

    amount: float
    currency: str


class Look(NamedTuple):
    """What came from one place: HTTP's status, and the body."""

    status: int
    body: bytes


def balance(form: str, host: str, looks: Sequence[Look]) -> Left | None:
    """Return what the replies from a source's places say is left. None: they do not say it."""
    if not looks or not all(200 <= look.status < 300 for look in looks):
        return None
    left = _READERS[BalanceForm(form)](host, [_fields(look.body) for look in looks])
    return left and Left(round(left.amount, DIGITS), left.currency)


def is_unknown(look: Look) -> bool:
    """Return whether such a reply, where no balance could be read, means that there is none to be
    had: another refusal may pass."""
    return look.status in NO_SUCH_PATH or 200 <= look.status < 300


Fields = dict[str, Any]


def _deepseek(_: str, bodies: list[Fields]) -> Left | None:
    """Read DeepSeek's: an account has a purse for each currency, and the fuller one is told, since
    an empty one beside it stops nothing."""
    rows = bodies[0].get("balance_infos")
    purses = [
        Left(amount, _currency(row.get("currency")))
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and (amount := _amount(row.get("total_balance"))) is not None
    ]
    return max(purses, default=None)


def _moonshot(host: str, bodies: list[Fields]) -> Left | None:
    """Read Moonshot's, which names no currency: its two platforms have one each."""
    amount = _amount(_part(bodies[0], "data").get("available_balance"))
    currency = {"cn": "CNY", "ai": "USD"}.get(host.removeprefix("api.moonshot."), "")
    return None if amount is None else Left(amount, currency)


def _openrouter(_: str, bodies: list[Fields]) -> Left | None:
    """Read what a key may still take at OpenRouter; null: as much as its account has."""
    data = _part(bodies[0], "data")
    if "limit_remaining" not in data:
        return None
    amount = math.inf if data["limit_remaining"] is None else _amount(data["limit_remaining"])
    return None if amount is None else Left(amount, "USD")


def _one_api(_: str, bodies: list[Fields]) -> Left | None:
    """Read one-api's and new-api's: a limit, and hundredths of it that were used. Fields that are
    called USD are in what that site shows: dollars, yuan, or points."""
    limit = _amount(bodies[0].get("hard_limit_usd"))
    used = _amount(bodies[-1].get("total_usage"))
    if limit is None or used is None:
        return None
    return Left(math.inf if limit >= NO_CAP else limit - used / 100, "")


_READERS: dict[BalanceForm, Callable[[str, list[Fields]], Left | None]] = {
    BalanceForm.DEEPSEEK: _deepseek,
    BalanceForm.MOONSHOT: _moonshot,
    BalanceForm.OPENROUTER: _openrouter,
    BalanceForm.ONE_API: _one_api,
}


def _fields(body: bytes) -> Fields:
    fields = document(body)
    return fields if isinstance(fields, dict) else {}


def _part(fields: Fields, name: str) -> Fields:
    part = fields.get(name)
    return part if isinstance(part, dict) else {}


def _currency(value: Any) -> str:
    return value if isinstance(value, str) and _CURRENCY.fullmatch(value) else ""


def _amount(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = float(value)
    except (ValueError, OverflowError):
        return None
    return amount if math.isfinite(amount) else None
