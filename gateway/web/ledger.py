"""What this process has counted for the ledger, until the ledger has it: handed over every second,
again until it is acknowledged, and written once."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import uuid
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gateway.actors.ledger_book import MICRO, OK
from gateway.errors import GatewayError
from gateway.protocol import Usage
from gateway.web import metrics
from gateway.web.spending import Spending

if TYPE_CHECKING:
    from gateway.cluster.client import GatewayLLM

HAND_OVER_SECONDS = 1
DAY = "%Y-%m-%d"

log = logging.getLogger(__name__)

Key = tuple[str, ...]


class Ledger:
    """Counts for the ledger in the folder `folder` of the cluster's head ("": nothing is kept), and
    for limits and budgets."""

    def __init__(self, llm: GatewayLLM, folder: str, spending: Spending) -> None:
        self._llm = llm
        self._spending = spending
        self.folder = folder
        self._process = uuid.uuid4().hex
        self._number = 0
        self._day = time.strftime(DAY)  # looked at once a second: a chat has no time for it
        self._sums: dict[Key, list[int]] = defaultdict(lambda: [0] * 6)
        self._batch: list[list[Any]] = []
        self._lock = threading.Lock()
        self._handing_over = threading.Lock()
        self._trouble = ""
        threading.Thread(target=self._keep_handing_over, name="ledger", daemon=True).start()
        if folder:
            atexit.register(self._close)

    def answered(
        self, caller: str, chat: str, served_by: str, model: str, usage: Usage, fell_back: bool
    ) -> None:
        """Count an answer: `chat` was asked, `served_by` answered."""
        tokens_in, tokens_out, cached = (
            usage.tokens_in or 0,
            usage.tokens_out or 0,
            usage.cached or 0,
        )
        money, currency = 0.0, ""
        if price := self._llm.price(served_by):
            held = min(cached, tokens_in)
            money = (tokens_in - held) * price["in"] + held * price["cached"]
            money += tokens_out * price["out"]
            currency = price["currency"]
        self._spending.answered(caller, served_by, tokens_in + tokens_out, money / MICRO, currency)
        if not self.folder:
            return
        key = (caller, chat, served_by, usage.provider, model[:200], OK, currency)
        self._add(key, (1, fell_back, tokens_in, tokens_out, cached, round(money)))

    def failed(self, caller: str, chat: str, code: str) -> None:
        """Count an error."""
        if self.folder:
            self._add((caller, chat, "", "", "", code, ""), (1, 0, 0, 0, 0, 0))

    def _add(self, key: Key, numbers: tuple[int, ...]) -> None:
        with self._lock:
            sums = self._sums[self._day, *key]
            for place, number in enumerate(numbers):
                sums[place] += number

    def _close(self) -> None:
        """Hand over what is left: the batch under way, and what came after it."""
        self._hand_over()
        self._hand_over()

    def _keep_handing_over(self) -> None:
        while True:
            time.sleep(HAND_OVER_SECONDS)
            self._day = time.strftime(DAY)
            with suppress(Exception):  # it goes on, whatever is wrong with the cluster
                self._spending.exchange()
            if self.folder:
                self._hand_over()

    def _hand_over(self) -> None:
        """Hand a batch over, the last one again if nobody acknowledged it."""
        with self._handing_over:
            self._hand_over_alone()

    def _hand_over_alone(self) -> None:
        if not self._batch:
            self._batch = self._gathered()
            self._number += bool(self._batch)
        if not self._batch:
            return
        written, note = self._add_to_book()
        if written:
            self._batch = []
        if note != self._trouble and note:
            log.warning("the ledger: %s", note)
        self._trouble = note

    def _add_to_book(self) -> tuple[bool, str]:
        """Return whether the batch is written, and what is to be said."""
        batch = self._process, self._number, self._batch
        try:
            written, note = self._llm.ask_ledger("add", self.folder, *batch)
        except GatewayError as error:
            return False, str(error.code)
        except Exception as error:  # whatever it is, the next second may be better
            return False, type(error).__name__
        return written, note

    def _gathered(self) -> list[list[Any]]:
        """Return what was counted since the last batch, and count it for Prometheus, too."""
        with self._lock:
            sums, self._sums = self._sums, defaultdict(lambda: [0] * 6)
        for (_, caller, chat, served_by, *_, currency), numbers in sums.items():
            if caller:
                metrics.callers.labels(caller, chat).inc(numbers[0])
            if currency:
                metrics.money.labels(served_by, currency).inc(numbers[-1] / MICRO)
        return [[*key, *numbers] for key, numbers in sums.items()]
