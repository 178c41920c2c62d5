"""What a process counts: told where budgets are counted, and handed over to the ledger."""

from __future__ import annotations

from typing import Any

from gateway.frames import Usage
from gateway.web.ledger import Ledger
from gateway.web.spending import Spending
from tests.waiting import until

TOKENS = 13


class Cluster:
    """What lies beyond the process: the store and the ledger. While it is told of budgets, another
    answer comes."""

    def __init__(self) -> None:
        self.in_store = self.in_ledger = 0
        self.ahead: list[int] = []
        self.ledger: Ledger | None = None

    def price(self, name: str) -> None:
        return None

    def budget(self, name: str) -> dict[str, Any]:
        return {"money": None, "tokens": 1000, "per": "day"}

    def budgets(self) -> list[str]:
        return ["shop"]

    def answer(self) -> None:
        usage = Usage("openai", tokens_in=TOKENS, tokens_out=0, seconds=0.1)
        if self.ledger:
            self.ledger.answered("till", "shop", "shop", "m", usage, fell_back=False)

    def ask_store(self, method: str, amounts: dict[str, Any], meters: list[str]) -> dict[str, Any]:
        self.in_store += sum(more["tokens"] for more in amounts.values())
        if self.in_store < 5 * TOKENS:
            self.answer()
        return {meter: {"minute": 0, "day": {}, "month": {}, "changed": 0} for meter in meters}

    def ask_ledger(self, method: str, folder: str, *batch: Any) -> tuple[bool, str]:
        self.in_ledger += sum(count[10] for count in batch[-1]["counts"])
        self.ahead.append(self.in_ledger - self.in_store)
        return True, ""


def test_nothing_is_in_the_ledger_that_budgets_do_not_know_yet() -> None:
    cluster = Cluster()
    llm: Any = cluster
    cluster.ledger = Ledger(llm, "folder", Spending(llm, "folder", []))
    cluster.answer()

    until(lambda: cluster.in_ledger >= 5 * TOKENS)

    assert max(cluster.ahead) <= 0, "whoever begins to count would count it twice"
