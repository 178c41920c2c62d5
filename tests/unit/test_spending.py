"""What a chat may cost while the store that counts is new, and the ledger is away."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gateway.actors.meters import Meters
from gateway.errors import Code, GatewayError
from gateway.web.spending import Spending


class Cluster:
    """A store of real meters, which may begin anew, and a ledger that has 150 tokens of today."""

    def __init__(self) -> None:
        self.meters = Meters(time.monotonic)
        self.ledger_is_away = False

    def budget(self, name: str) -> dict[str, Any]:
        return {"money": None, "tokens": 100, "per": "month"}

    def budgets(self) -> list[str]:
        return ["shop"]

    def price(self, name: str) -> None:
        return None

    def ask_store(self, method: str, *arguments: Any) -> Any:
        if method == "begin_meter":
            return self.meters.begin(*arguments)
        amounts, meters = arguments
        self.meters.add(amounts)
        return self.meters.used(meters)

    def ask_ledger(self, *arguments: Any) -> list[dict[str, Any]]:
        if self.ledger_is_away:
            raise GatewayError(Code.CLUSTER_DOWN)
        row = {"day": time.strftime("%Y-%m-%d"), "served_by": "shop", "code": "OK", "requests": 9}
        return [{**row, "tokens_in": 150, "tokens_out": 0, "money": {}}]


def test_a_spent_budget_stays_spent_while_a_new_store_cannot_ask_the_ledger() -> None:
    cluster: Any = Cluster()
    spending = Spending(cluster, "folder", ())
    spending.exchange()
    with pytest.raises(GatewayError, match="budget of shop"):
        spending.check("shop")

    cluster.meters, cluster.ledger_is_away = Meters(time.monotonic), True
    for _ in range(2):
        with pytest.raises(GatewayError, match=r"CLUSTER_DOWN|cluster"):
            spending.exchange()
        with pytest.raises(GatewayError, match="budget of shop"):
            spending.check("shop")
