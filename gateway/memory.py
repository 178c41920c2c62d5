"""What is remembered for applications that cannot do it themselves: answers under an id
(gateway/job_store.py), and the turns of sessions.

One small actor of the cluster, so that all gateway processes know the same and any of them may end.
All of it is in memory, for a limited time, and bounded: where there is too much, the caller who has
most gives way, with its oldest.

All callers share the actor, so that no call may take longer because there is much in it: sizes are
running totals, whatever grows old stands in order, and a call forgets a few at most.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, field

import ray
import ray._private.state

from gateway.job_store import FORGET_AT_ONCE, Begun, Caller, Clock, Heard, Jobs, News
from gateway.shares import Key, Owner, Shares, Shelf

MAX_SESSIONS = 200_000
MAX_BYTES = 64 * 1024 * 1024
"""Of all sessions together."""

SESSION_SECONDS = 24 * 3600
SESSION_TURNS = 20
SESSION_CHARACTERS = 32_000

LOOK_SECONDS = 1


@dataclass(slots=True)
class Session:
    """The last turns, what was asked and said in each, and when the last of them was."""

    turns: list[tuple[str, str]] = field(default_factory=list)
    characters: int = 0
    size: int = 0
    used: float = 0.0

    def add(self, asked: str, said: str) -> None:
        """One more turn; the oldest make room for it."""
        self._count((asked, said), 1)
        self.turns.append((asked, said))
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
        """As `Memory.turns`."""
        self._forget_old()
        if reset:
            self._sessions.drop(key)
        session = self._sessions.get(key)
        return list(session.turns) if session and not self._old(session) else []

    def remember(self, key: Key, asked: str, said: str) -> None:
        """As `Memory.remember`."""
        self._forget_old()
        session = self._sessions.drop(key)
        if session is None or self._old(session):
            session = Session()
        session.add(asked, said)
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


def living_drivers() -> frozenset[str]:
    """Return the ids of all drivers that are connected to the cluster: a raylet tells Ray's control
    store as soon as a driver's connection ends, which the kernel does for whoever dies, and nobody
    for whoever is stalled."""
    return frozenset(job["JobID"] for job in ray._private.state.jobs() if not job["IsDead"])


def was_restarted() -> bool:
    """Return whether this actor was here before, and its process ended."""
    return ray.is_initialized() and bool(ray.get_runtime_context().was_current_actor_reconstructed)


class Memory:
    """Called by the gateway processes; no call waits for an answer. Replies are plain data."""

    def __init__(
        self,
        living: Callable[[], Container[str]] = living_drivers,
        restarted: Callable[[], bool] = was_restarted,
        clock: Clock = time.monotonic,
    ) -> None:
        self._jobs = Jobs(clock, follows=restarted())
        self._sessions = Sessions()
        self._living = living
        self._looking: asyncio.Task[None] | None = None

    async def begin(
        self, caller: Caller, key: Key, digest: str, question: bytes, again: bool = False
    ) -> Begun:
        """As `Jobs.begin`."""
        return self._jobs.begin(caller, key, digest, question, again)

    async def finish(self, key: Key, result: bytes, failed: bool) -> bool:
        """As `Jobs.finish`."""
        return self._jobs.finish(key, result, failed)

    async def beat(self, caller: Caller, running: list[Key]) -> Heard:
        """As `Jobs.beat`."""
        self._look_after_silent()
        return self._jobs.beat(caller, running)

    async def news(self, caller: Caller, keys: list[Key]) -> list[News]:
        """As `Jobs.news`."""
        self._look_after_silent()
        return self._jobs.news(caller, keys)

    async def turns(self, owner: Owner, session: str, reset: bool) -> list[tuple[str, str]]:
        """What was asked and said in a session so far; nothing after a `reset`."""
        return self._sessions.turns((owner, session), reset)

    async def remember(self, owner: Owner, session: str, asked: str, said: str) -> None:
        """One more turn of a session."""
        self._sessions.remember((owner, session), asked, said)

    def _look_after_silent(self) -> None:
        """Ask Ray, meanwhile and at most once a second, whether the processes that have said
        nothing have ended."""
        if self._jobs.silent() and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._bury())

    async def _bury(self) -> None:
        with suppress(Exception):  # while Ray does not say that they have ended, they have not
            self._jobs.bury(await asyncio.to_thread(self._living))
        await asyncio.sleep(LOOK_SECONDS)
