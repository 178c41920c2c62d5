"""What this process has counted for the ledger, until the ledger has it: handed over every second,
again until it is acknowledged, and written once."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from gateway.actors.ledger_book import MICRO, OK
from gateway.errors import GatewayError
from gateway.protocol import Usage
from gateway.web import metrics

if TYPE_CHECKING:
    from gateway.cluster.client import GatewayLLM

HAND_OVER_SECONDS = 1

log = logging.getLogger(__name__)

Key = tuple[str, ...]


class Ledger:
    """Counts for the ledger in the folder `folder` of the cluster's head; "": nothing is kept."""

    def __init__(self, llm: GatewayLLM, folder: str) -> None:
        self._llm = llm
        self.folder = folder
        self._process = uuid.uuid4().hex
        self._number = 0
        self._sums: dict[Key, list[int]] = defaultdict(lambda: [0] * 6)
        self._batch: list[list[Any]] = []
        self._lock = threading.Lock()
        self._trouble = ""
        if folder:
            threading.Thread(target=self._keep_handing_over, name="ledger", daemon=True).start()
            atexit.register(self._hand_over)

    def answered(
        self, caller: str, chat: str, served_by: str, model: str, usage: Usage, fell_back: bool
    ) -> None:
        """Count an answer: `chat` was asked, `served_by` answered."""
        price = self._llm.price(served_by)
        money = 0.0
        if price:
            cached = min(usage.cached or 0, usage.tokens_in or 0)
            money = (
                ((usage.tokens_in or 0) - cached) * price["in"]
                + cached * price["cached"]
                + (usage.tokens_out or 0) * price["out"]
            )
        currency = price["currency"] if price else ""
        metrics.count_caller(caller, chat)
        if money:
            metrics.money.labels(served_by, currency).inc(money / MICRO)
        tokens = [usage.tokens_in or 0, usage.tokens_out or 0, usage.cached or 0]
        key = (caller, chat, served_by, usage.provider, model[:200], OK, currency)
        self._add(key, [1, int(fell_back), *tokens, round(money)])

    def failed(self, caller: str, chat: str, code: str) -> None:
        """Count an error."""
        metrics.count_caller(caller, chat)
        self._add((caller, chat, "", "", "", code, ""), [1, 0, 0, 0, 0, 0])

    def _add(self, key: Key, numbers: list[int]) -> None:
        if not self.folder:
            return
        day = time.strftime("%Y-%m-%d")
        with self._lock:
            sums = self._sums[(day, *key)]
            for place, number in enumerate(numbers):
                sums[place] += number

    def _keep_handing_over(self) -> None:
        while True:
            time.sleep(HAND_OVER_SECONDS)
            self._hand_over()

    def _hand_over(self) -> None:
        """Hand a batch over, the last one again if nobody acknowledged it."""
        if not self._batch:
            with self._lock:
                sums, self._sums = self._sums, defaultdict(lambda: [0] * 6)
            self._batch = [[*key, *numbers] for key, numbers in sums.items()]
            self._number += bool(self._batch)
        if not self._batch:
            return
        try:
            note = self._llm.ask_ledger(
                self.folder, "add", self._process, self._number, self._batch
            )
        except GatewayError as error:
            note = str(error.code)
        except Exception as error:
            note = type(error).__name__
        else:
            if not note or note.startswith("The ledger was damaged"):
                self._batch = []
        if note != self._trouble and note:
            log.warning("the ledger: %s", note)
        self._trouble = note
