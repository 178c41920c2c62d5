"""What callers may use (OVER_LIMIT) and what chats may cost (OVER_BUDGET).

Both are counted in the cluster's store, by all gateway processes together. A caller with a limit is
counted at once, one call before its question and one after its answer, so that nothing but what is
in flight can be used beyond it. A chat's budget is looked at here, and exchanged every second, so
that it costs a chat nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.actors.ledger_book import MICRO
from gateway.actors.meters import add, end_of
from gateway.errors import Code, GatewayError
from gateway.protocol import Budget, BudgetStatus, ChatRow, ChatState, used_part
from gateway.store_protocol import Amounts, LimitRefusal, MeterLimit, Used
from gateway.tokens import REQUESTS, TOKENS, Limit, Token

if TYPE_CHECKING:
    from gateway.cluster.client import GatewayLLM

NOT_ADMITTED = frozenset({Code.OVER_LIMIT, Code.INVALID_REQUEST})
"""The codes of questions that were not asked, and so used nothing of their caller's limits."""

T = TypeVar("T")

PER_ZH = {"min": "分钟", "day": "天", "month": "月"}

log = logging.getLogger(__name__)


class Spending:
    """`folder` is the ledger's, which knows what was used before; "": nobody does."""

    def __init__(self, llm: GatewayLLM, folder: str, tokens: Sequence[Token]) -> None:
        self._llm = llm
        self._folder = folder
        self._limits: dict[str, tuple[Limit, ...]] = {
            token.name: token.limits for token in tokens if token.limits
        }
        self._pending: dict[str, Amounts] = {}
        self._used: dict[str, Used] = {}
        self._day = time.localtime()[:3]
        self._lock = threading.Lock()

    def admit(self, caller: str) -> None:
        """Count a question of a caller that has limits. Raises GatewayError (OVER_LIMIT)."""
        if caller not in self._limits:
            return
        limits, meter = self._limits[caller], _of_caller(caller)
        rows = [_row(limit) for limit in limits]
        refusal: LimitRefusal | None = self._llm.ask_store("admit", meter, rows)
        if refusal and refusal["limit"] < 0:
            self._begin(meter)
            refusal = self._llm.ask_store("admit", meter, rows)
        if refusal and refusal["limit"] < 0:
            words = "The store of limits was restarted a moment ago."
            raise GatewayError(Code.CLUSTER_DOWN, words, "上限计数的存储刚刚重启。")
        if refusal:
            raise _over_limit(caller, limits[refusal["limit"]], refusal["seconds"])

    def within_budget(self, ask: Callable[[str], T]) -> Callable[[str], T]:
        """Return what asks a chat unless its budget is spent: then OVER_BUDGET is raised."""

        def checked(name: str) -> T:
            self.check(name)
            return ask(name)

        return checked

    def check(self, name: str) -> None:
        """Raise GatewayError (OVER_BUDGET) where a chat's budget is spent."""
        if (budget := self._llm.budget(name)) and used_part(self._status(name, budget)) >= 1:
            per, per_zh = budget["per"], PER_ZH[budget["per"]]
            words = f"The budget of {name} for this {per} is used up."
            words_zh = f"{name} 本{per_zh}的预算已用完。"
            raise GatewayError(Code.OVER_BUDGET, words, words_zh, chat_name=name)

    def answered(self, caller: str, served_by: str, tokens: int, money: float, unit: str) -> None:
        """Count what an answer took: `money` in the currency `unit`."""
        more: Amounts = {REQUESTS: 0, TOKENS: tokens, **({unit: money} if unit else {})}
        if self._llm.budget(served_by):
            self._keep({_of_chat(served_by): more})
        if any(limit.unit != REQUESTS for limit in self._limits.get(caller, ())):
            try:
                self._llm.ask_store("use", {_of_caller(caller): more}, [])
            except Exception:  # the answer is there, and is given; it is counted later
                self._keep({_of_caller(caller): more})

    def exchange(self) -> None:
        """Tell what was used of budgets here, and learn what was used everywhere."""
        meters = [_of_chat(name) for name in self._llm.budgets()]
        if not meters and not self._pending:
            return
        if unknown := self._exchange_once(meters):
            for meter in unknown:
                self._begin(meter)
            self._exchange_once(meters)

    def _exchange_once(self, meters: list[str]) -> list[str]:
        """Do so, and return the meters that must begin first; what was used of those is kept."""
        with self._lock:
            pending, self._pending = self._pending, {}
        try:
            report: dict[str, Used | None] = self._llm.ask_store("use", pending, meters)
        except Exception:
            self._keep(pending)
            raise
        unknown = [meter for meter, used in report.items() if used is None]
        self._keep({meter: pending[meter] for meter in unknown if meter in pending})
        # What must begin anew stays what it was until then: the ledger may be away.
        today = time.localtime()[:3]
        until_then = {
            meter: _still_true(used, self._day, today)
            for meter, used in self._used.items()
            if meter in unknown
        }
        self._used = {**until_then, **{meter: used for meter, used in report.items() if used}}
        self._day = today
        return unknown

    def with_budgets(self, rows: list[ChatRow]) -> list[ChatRow]:
        """Return rows of GET /models with what was used of their budgets; a chat whose budget is
        spent rests, and so do the tasks that it answers."""
        resting = {}
        for row in rows:
            if row["budget"]:
                row["budget"] = self._status(row["chat_name"], row["budget"])
                if used_part(row["budget"]) >= 1:
                    resting[row["chat_name"]] = row["budget"]
        for row in rows:
            name = row["task"]["through"] if row["task"] else row["chat_name"]
            if name in resting and row["resting"] is None and row["state"] != ChatState.NEED_KEY:
                row["state"] = ChatState.RESTING.value
                row["resting"] = {
                    "code": Code.OVER_BUDGET.value,
                    "since": self._changed(name),
                    "until": int(end_of(resting[name]["per"], time.localtime())),
                }
        return rows

    def used(self, token: Token) -> list[float]:
        """Return how much a caller has used of each of its limits. Raises GatewayError."""
        if not token.limits:
            return []
        meter = _of_caller(token.name)
        report: dict[str, Used | None] = self._llm.ask_store("use", {}, [meter])
        if report[meter] is None:
            self._begin(meter)
            report = self._llm.ask_store("use", {}, [meter])
        used = report[meter]
        return [_used_of(limit, used) if used else 0 for limit in token.limits]

    def over(self) -> dict[str, str]:
        """Return the callers that were refused today, and by which limit. Raises GatewayError."""
        report: dict[str, str] = self._llm.ask_store("over")
        return {meter.partition(":")[2]: words for meter, words in report.items()}

    def _keep(self, amounts: dict[str, Amounts]) -> None:
        """Have amounts told to the store at the next exchange."""
        with self._lock:
            for meter, more in amounts.items():
                add(self._pending.setdefault(meter, {}), more)

    def _begin(self, meter: str) -> None:
        """Tell the store what the ledger knows of this month."""
        day, month = self._from_ledger(meter) if self._folder else ({}, {})
        self._llm.ask_store("begin_meter", meter, day, month)

    def _from_ledger(self, meter: str) -> tuple[Amounts, Amounts]:
        kind, _, name = meter.partition(":")
        today, first = time.strftime("%Y-%m-%d"), time.strftime("%Y-%m-01")
        caller = name if kind == "caller" else None
        rows = self._llm.ask_ledger(
            "usage", self._folder, ("day", "served_by", "code"), first, today, caller
        )
        if isinstance(rows, str):  # as if nothing were known: chats go on
            log.warning("limits and budgets begin with nothing: %s", rows)
            return {}, {}
        day: Amounts = {}
        month: Amounts = {}
        for row in rows:
            if kind == "caller" or row["served_by"] == name:
                more = _amounts(row)
                add(month, more)
                add(day, more if row["day"] == today else {})
        return day, month

    def _status(self, name: str, budget: Budget) -> BudgetStatus:
        """Return a chat's budget, and what was used of it."""
        meter = _of_chat(name)
        # while this process looks, it may have begun to count
        entry, pending = self._used.get(meter), self._pending.get(meter, {})
        used = (entry["day"] if budget["per"] == "day" else entry["month"]) if entry else {}
        price = self._llm.price(name)
        unit = price["currency"] if price else ""
        money, tokens = (used.get(key, 0) + pending.get(key, 0) for key in (unit, TOKENS))
        return {**budget, "spent_money": money, "spent_tokens": int(tokens)}

    def _changed(self, name: str) -> int:
        entry = self._used.get(_of_chat(name))
        return entry["changed"] if entry else 0


def _still_true(used: Used, day: tuple[int, ...], today: tuple[int, ...]) -> Used:
    """Return what is `today` true of what was used as of a `day`: days and months end."""
    of_day = used["day"] if day == today else {}
    return {**used, "day": of_day, "month": used["month"] if day[:2] == today[:2] else {}}


def _of_caller(name: str) -> str:
    return f"caller:{name}"


def _of_chat(name: str) -> str:
    return f"chat:{name}"


def _row(limit: Limit) -> MeterLimit:
    return {"amount": limit.amount, "unit": limit.unit, "per": limit.per, "words": str(limit)}


def _used_of(limit: Limit, used: Used) -> float:
    if limit.per == "min":
        return used["minute"]
    return (used["day"] if limit.per == "day" else used["month"]).get(limit.unit, 0)


def _amounts(row: dict[str, Any]) -> Amounts:
    """Return what a row of the ledger tells."""
    money = {unit: amount / MICRO for unit, amount in row["money"].items()}
    tokens = row["tokens_in"] + row["tokens_out"]
    requests = 0 if row["code"] in NOT_ADMITTED else row["requests"]
    return {REQUESTS: requests, TOKENS: tokens, **money}


def _over_limit(caller: str, limit: Limit, seconds: float) -> GatewayError:
    return GatewayError(
        Code.OVER_LIMIT,
        f"The token {caller!r} is at its limit of {limit}.",
        f"令牌 {caller!r} 已达到上限 {limit}。",
        retry_after=seconds,
    )
