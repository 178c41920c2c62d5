"""What one channel has been told, and when it may be told more."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from gateway.notifications.conditions import Condition, Conditions, Look, News, news
from gateway.notifications.robots import Verdict
from gateway.notifications.sentences import Letter, letter
from gateway.notify_targets import Target
from gateway.store_protocol import Note

BETWEEN_SECONDS = 10
"""Between two messages to one channel: what comes meanwhile is gathered."""

LONGEST_SECONDS = 300
"""Between two attempts at a channel that takes nothing; the waits grow up to it."""

log = logging.getLogger(__name__)

Send = Callable[[Target, Letter], Verdict]


class Outbox:
    """Tells `target` by `send`, in a thread of its own, and then calls `publish`."""

    def __init__(
        self,
        target: Target,
        lang: str,
        send: Send,
        publish: Callable[[Outbox], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self._lang = lang
        self._send = send
        self._publish = publish
        self._clock = clock
        self._lock = threading.Lock()
        self._revision = 0
        self._noted: Conditions = frozenset()
        self._not_before = 0.0
        self._failures = 0
        self._trouble = ""
        # A process that ends waits for its threads, so that what a channel takes is noted.
        self._thread = ThreadPoolExecutor(1, f"notify-{target.channel}")
        self._sending: Future[None] | None = None

    def note(self) -> Note:
        """Return what the channel has been told."""
        with self._lock:
            rows = [one.as_list() for one in self._noted]
            return {"revision": self._revision, "conditions": rows}

    def learn(self, note: Note) -> None:
        """Take over what another process has told it."""
        with self._lock:
            if note["revision"] > self._revision:
                self._revision = note["revision"]
                self._noted = frozenset(map(Condition.from_list, note["conditions"]))

    def tell(self, earlier: Look, later: Look) -> None:
        """Tell what is new, in one message, unless the last one is on its way or was just now."""
        if (self._sending and not self._sending.done()) or self._clock() < self._not_before:
            return
        latest = news(earlier, later, self._noted)
        if latest.begun or latest.ended:
            self._sending = self._thread.submit(self._deliver, latest)
        elif latest.noted != self._noted:
            self._keep(latest.noted)

    def _deliver(self, latest: News) -> None:
        try:
            verdict = self._send(self.target, letter(latest.begun, latest.ended, self._lang))
        except Exception as error:  # a fault of ours; never its text
            verdict = Verdict(f"it cannot be sent ({type(error).__name__})")
        if verdict.reason:
            self._failed(verdict)
            return
        if self._trouble and not verdict.lost:
            log.info("notify: %s takes messages again", self.target.name)
        if verdict.lost and verdict.lost != self._trouble:
            log.warning("notify: %s: %s", self.target.name, verdict.lost)
        self._failures, self._trouble = 0, verdict.lost
        self._not_before = self._clock() + BETWEEN_SECONDS
        self._keep(latest.noted)
        self._publish(self)

    def _keep(self, noted: Conditions) -> None:
        with self._lock:
            self._revision, self._noted = self._revision + 1, noted

    def _failed(self, verdict: Verdict) -> None:
        growing = min(BETWEEN_SECONDS * 2**self._failures, LONGEST_SECONDS)
        self._not_before = self._clock() + max(growing, verdict.wait)
        self._failures = min(self._failures + 1, 10)
        if verdict.reason != self._trouble:
            log.warning("notify: %s: %s", self.target.name, verdict.reason)
        self._trouble = verdict.reason
