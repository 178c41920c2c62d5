"""What this process has counted for the ledger, until the ledger has it: handed over every second,
again until it is acknowledged, and written once."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from gateway.actors.ledger_book import MICRO, OK, Batch
from gateway.actors.ledger_seconds import bucket
from gateway.errors import Code, GatewayError
from gateway.frames import Usage
from gateway.web import metrics
from gateway.web.failover import FALL_BACK_ON, Failures
from gateway.web.spending import Spending

if TYPE_CHECKING:
    from gateway.cluster.client import GatewayLLM

HAND_OVER_SECONDS = 1
DAY = "%Y-%m-%d"

RESTS = FALL_BACK_ON - {Code.BAD_ANSWER, Code.TIMEOUT}
"""With these a chat rests, or could not be reached; the others are of one question alone."""

log = logging.getLogger(__name__)

T = TypeVar("T")

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
        self._begin()
        self._batch: Batch | None = None
        self._lock = threading.Lock()
        self._handing_over = threading.Lock()
        self._trouble = ""
        threading.Thread(target=self._keep_handing_over, name="ledger", daemon=True).start()
        if folder:
            atexit.register(self._close)

    def _begin(self) -> None:
        """Begin with nothing counted."""
        self._sums: dict[Key, list[int]] = defaultdict(lambda: [0] * 6)
        self._seconds: dict[tuple[str, str, str, int], int] = defaultdict(int)
        self._turned_away: dict[Key, list[float]] = {}
        self._heard: dict[str, float] = {}

    def answered(
        self,
        caller: str,
        chat: str,
        served_by: str,
        model: str,
        usage: Usage,
        fell_back: bool,
        seconds_ago: float = 0.0,
    ) -> None:
        """Count an answer: `chat` was asked, `served_by` answered, and began to so long ago."""
        numbers, currency = self._spent(caller, served_by, usage)
        if not self.folder:
            return
        key = (caller, chat, served_by, usage.provider, model[:200], OK, currency)
        with self._lock:
            self._add(key, (1, fell_back, *numbers))
            self._seconds[self._day, chat, served_by, bucket(usage.seconds)] += 1
            now = time.time() - seconds_ago
            self._heard[served_by] = max(now, self._heard.get(served_by, 0.0))

    def paying(self, caller: str, chat: str, ask: Callable[[str], T]) -> Callable[[str], T]:
        """Return what asks one or another in place of `chat`, and counts what that took where it
        failed."""

        def counted(name: str) -> T:
            try:
                return ask(name)
            except GatewayError as error:
                if error.usage:
                    self.paid(caller, chat, name, error.usage, error.code)
                raise

        return counted

    def paid(self, caller: str, chat: str, asked: str, usage: Usage, code: str) -> None:
        """Count what `asked`, which was to answer for `chat`, took before it failed. The error
        itself is counted where it is told."""
        numbers, currency = self._spent(caller, asked, usage)
        if self.folder:
            with self._lock:
                key = (caller, chat, asked, usage.provider, "", code, currency)
                self._add(key, (0, 0, *numbers))

    def _spent(self, caller: str, served_by: str, usage: Usage) -> tuple[tuple[int, ...], str]:
        """Have limits and budgets know of what was taken. Return the tokens in and out, those of
        them that the provider's cache had, and the money in millionths; and its currency."""
        (tokens_in, tokens_out), cached = usage.most_likely, usage.cached or 0
        money, currency = 0.0, ""
        if price := self._llm.price(served_by):
            held = min(cached, tokens_in)
            money = (tokens_in - held) * price["in"] + held * price["cached"]
            money += tokens_out * price["out"]
            currency = price["currency"]
        self._spending.answered(caller, served_by, tokens_in + tokens_out, money / MICRO, currency)
        return (tokens_in, tokens_out, cached, round(money)), currency

    def failed(self, caller: str, chat: str, code: str) -> None:
        """Count an error."""
        if self.folder:
            with self._lock:
                self._add((caller, chat, "", "", "", code, ""), (1, 0, 0, 0, 0, 0))

    def turned_away(self, failures: Failures, served_by: str) -> None:
        """Note chats that could not answer a question, and who answered it ("": nobody)."""
        now = time.time()
        for chat, code in failures if self.folder else ():
            if code in RESTS:
                with self._lock:
                    row = self._turned_away.setdefault((chat, code, served_by), [0, now, now])
                    row[0] += 1
                    row[2] = now

    def _add(self, key: Key, numbers: tuple[int, ...]) -> None:
        sums = self._sums[self._day, *key]
        for place, number in enumerate(numbers):
            sums[place] += number

    def _close(self) -> None:
        """Hand over what is left: the batch under way, and what came after it."""
        with suppress(Exception):  # the cluster may be gone already
            self._hand_over()
            self._hand_over()

    def _keep_handing_over(self) -> None:
        while True:
            time.sleep(HAND_OVER_SECONDS)
            with self._lock:
                self._day = time.strftime(DAY)
            with suppress(Exception):  # it goes on, whatever is wrong with the cluster
                self._hand_over()

    def _hand_over(self) -> None:
        """Tell what was used of budgets, then hand a batch over, the last one again if nobody
        acknowledged it. Raises what `Spending.exchange` raises.

        In this order: whoever begins to count a budget reads in the book what was used before, and
        what is not told yet must not be there.
        """
        with self._handing_over:
            if self._batch is None and self.folder:
                self._batch = self._gathered()
                self._number += self._batch is not None
            self._spending.exchange()
            if self._batch is not None:
                self._hand_over_alone(self._batch)

    def _hand_over_alone(self, batch: Batch) -> None:
        written, note = self._add_to_book(batch)
        if written:
            self._batch = None
        if note != self._trouble and note:
            log.warning("the ledger: %s", note)
        self._trouble = note

    def _add_to_book(self, batch: Batch) -> tuple[bool, str]:
        """Return whether the batch is written, and what is to be said."""
        try:
            written, note = self._llm.ask_ledger(
                "add", self.folder, self._process, self._number, batch
            )
        except GatewayError as error:
            return False, str(error.code)
        except Exception as error:  # whatever it is, the next second may be better
            return False, type(error).__name__
        return written, note

    def _gathered(self) -> Batch | None:
        """Return what was counted since the last batch (None: nothing), and count it for
        Prometheus, too."""
        with self._lock:
            sums, seconds = self._sums, self._seconds
            turned_away, heard = self._turned_away, self._heard
            self._begin()
        if not sums and not turned_away:
            return None
        for (_, caller, chat, served_by, *_, currency), numbers in sums.items():
            if caller:
                metrics.callers.labels(caller, chat).inc(numbers[0])
            if currency:
                metrics.money.labels(served_by, currency).inc(numbers[-1] / MICRO)
        return {
            "counts": [[*key, *numbers] for key, numbers in sums.items()],
            "seconds": [[*key, number] for key, number in seconds.items()],
            "turned_away": [[*key, *row] for key, row in turned_away.items()],
            "answered": heard,
        }
