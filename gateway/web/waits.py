"""Who waits in this process for the answers of jobs: one wait for each job, shared by all, and no
more than so many."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import Code, GatewayError, client_left
from gateway.frames import Client
from gateway.store_protocol import Key

LOOK_SECONDS = 1
"""So often it is looked whether a client that waits is still there, since its place is another's
then."""


class Wait:
    """One job's, for all who wait for it here."""

    def __init__(self) -> None:
        self.waiting = 0
        self._there = threading.Event()
        self._outcome: bytes | GatewayError | None = None

    def end(self, outcome: bytes | GatewayError) -> None:
        """Let all go on with this."""
        self._outcome = outcome
        self._there.set()

    def outcome(self, seconds: float | None, client: Client = None) -> bytes | None:
        """Return the answer; None: it is not there after so long. Raises GatewayError: it cannot be
        had, or the `client` has gone."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._there.wait(_least(LOOK_SECONDS, deadline)):
            if deadline is not None and time.monotonic() >= deadline:
                break
            if client is not None and _has_gone(client):
                raise client_left()
        if isinstance(self._outcome, GatewayError):
            raise GatewayError(**self._outcome.as_dict())  # each raises its own
        return self._outcome


def _least(seconds: float, deadline: float | None) -> float:
    return seconds if deadline is None else min(seconds, max(deadline - time.monotonic(), 0))


def _has_gone(client: socket.socket) -> bool:
    poll = select.poll()  # select.select knows no descriptor beyond 1,023
    if (number := client.fileno()) < 0:
        return True
    poll.register(number, select.POLLRDHUP)
    return bool(poll.poll(0))


class Waits:
    """At most so many wait at once: each holds a thread and a connection."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting = 0
        self._waits: dict[Key, Wait] = {}

    @contextmanager
    def place(self) -> Iterator[None]:
        """Wait, if there is room for one more. Raises GatewayError (GATEWAY_BUSY)."""
        with self._lock:
            if self._waiting >= self._most:
                words = f"{self._most} callers wait for answers of jobs in this process already."
                words_zh = f"该进程中已有 {self._most} 个调用者在等待任务结果。"
                raise GatewayError(Code.GATEWAY_BUSY, words, words_zh)
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    @contextmanager
    def join(self, key: Key) -> Iterator[Wait]:
        """Wait for a job, with all others who do."""
        with self._lock:
            wait = self._waits.setdefault(key, Wait())
            wait.waiting += 1
        try:
            yield wait
        finally:
            with self._lock:
                wait.waiting -= 1
                if not wait.waiting and self._waits.get(key) is wait:
                    del self._waits[key]

    def awaited(self) -> list[Key]:
        """Return what is waited for."""
        with self._lock:
            return list(self._waits)

    def end(self, key: Key, outcome: bytes | GatewayError) -> None:
        """Tell all who wait for a job what came of it; whoever comes later asks the store."""
        with self._lock:
            wait = self._waits.pop(key, None)
        if wait:
            wait.end(outcome)
