"""The sessions of all gateway processes: the last turns of each, for programs that cannot keep
them. Pure.

All callers share the store, so that no call may take longer because there is much in it: sizes are
running totals, whatever grows old stands in order, and a call forgets a few at most.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

from gateway.actors.job_store import FORGET_AT_ONCE, Clock
from gateway.actors.shares import Shares, Shelf
from gateway.protocol import SESSION_CHARACTERS
from gateway.store_protocol import Key

MAX_SESSIONS = 200_000
MAX_BYTES = 64 * 1024 * 1024
"""Of all sessions together."""

SESSION_SECONDS = 24 * 3600
SESSION_TURNS = 20


@dataclass(slots=True)
class Session:
    """The last turns, what was asked and said in each, and when the last of them was."""

    turns: list[tuple[str, str]] = field(default_factory=list)
    characters: int = 0
    size: int = 0
    used: float = 0.0

    def add(self, question: str, answer: str) -> None:
        """Add a turn; the oldest make room for it."""
        self._count((question, answer), 1)
        self.turns.append((question, answer))
        while len(self.turns) > SESSION_TURNS or (
            self.characters > SESSION_CHARACTERS and len(self.turns) > 1
        ):
            self._count(self.turns.pop(0), -1)

    def _count(self, turn: tuple[str, str], one: int) -> None:
        self.characters += one * sum(map(len, turn))
        self.size += one * sum(map(sys.getsizeof, turn))  # one to four bytes a character


class Sessions:
    """The sessions, by caller and name."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.shares = Shares(MAX_SESSIONS, MAX_BYTES)
        self._sessions: Shelf[Session] = Shelf(self.shares)

    def turns(self, key: Key, reset: bool) -> list[tuple[str, str]]:
        """Return what was asked and answered in a session so far; nothing after a `reset`."""
        self._forget_old()
        if reset:
            self._sessions.drop(key)
        session = self._sessions.get(key)
        return list(session.turns) if session and not self._old(session) else []

    def remember(self, key: Key, question: str, answer: str) -> None:
        """Keep one more turn; where there are too many, the oldest session of whoever has most
        gives way."""
        self._forget_old()
        session = self._sessions.drop(key)
        if session is None or self._old(session):
            session = Session()
        if session.turns[-1:] != [(question, answer)]:  # else it is a repeat, which was joined
            session.add(question, answer)
        session.used = self._clock()
        self._sessions.put(key, session, session.size)
        while (
            self.shares.over() and (owner := self.shares.largest(self._sessions.owners)) is not None
        ):
            self._sessions.drop_oldest(owner)

    def _old(self, session: Session) -> bool:
        return session.used + SESSION_SECONDS < self._clock()

    def _forget_old(self) -> None:
        for _ in range(FORGET_AT_ONCE):
            oldest = self._sessions.oldest()
            if oldest is None or not self._old(oldest[1]):
                return
            self._sessions.drop(oldest[0])
