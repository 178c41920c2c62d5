"""What is remembered for applications that cannot do it themselves: answers under an id, and the turns of sessions.

One small actor of the cluster, so that all gateway processes know the same and any of them may end. All of it is in
memory, for a limited time, and bounded: where there is too much, the caller who has most gives way, with its oldest.

All callers share the actor, so that no call may take longer because there is much in it: sizes are running totals,
whatever grows old stands in order, and a call forgets a few at most.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.shares import Key, Owner, Shares, Shelf

KEEP_SECONDS = 3600
"""How long an answer is kept after it is there."""

MAX_ANSWERS = 10_000
MAX_SESSIONS = 200_000
MAX_BYTES = 64 * 1024 * 1024
"""Of questions and answers together; and as much again of sessions."""

LOST_SECONDS = 10
"""A gateway process that said nothing for so long has ended, and whoever asks for its answers asks anew."""

SESSION_SECONDS = 24 * 3600
SESSION_TURNS = 20
SESSION_CHARACTERS = 32_000

FORGET_AT_ONCE = 64
"""So much that is too old may one call forget; it adds one thing at most."""

Clock = Callable[[], float]


@dataclass(slots=True)
class Job:
    """An answer that is there (`result`) or will be, and by whom (`runner`) it is being asked for."""

    digest: str
    question: bytes
    runner: str
    born: float
    result: bytes | None = None
    failed: bool = False
    there: asyncio.Event = field(default_factory=asyncio.Event)


class Jobs:
    """The answers, by caller and name."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.shares = Shares(MAX_ANSWERS, MAX_BYTES)
        self._pending: Shelf[Job] = Shelf(self.shares)
        self._done: Shelf[Job] = Shelf(self.shares)
        self._heard: OrderedDict[str, float] = OrderedDict()

    def find(self, key: Key) -> Job | None:
        """What is kept under this name."""
        self._forget_old()
        job = self._done.get(key)
        if job and self._old(job):
            return None
        return job or self._pending.get(key)

    def begin(self, key: Key, digest: str, question: bytes, runner: str) -> str:
        """As `Memory.begin`."""
        self.beat(runner)
        job = self.find(key)
        if job and job.digest != digest:
            return "other"
        if job and not job.failed:
            return "known"
        if not self._make_room(key[0], len(question)):
            return "full"
        self._done.drop(key)  # it failed, or is too old
        self._pending.put(key, Job(digest, question, runner, self._clock()), len(question))
        return "new"

    def finish(self, key: Key, result: bytes, failed: bool) -> None:
        """The answer is there; where it is too large, the oldest of whoever has most make room."""
        job = self._pending.drop(key) or self._done.drop(key)
        if job is None:
            return
        job.result, job.failed, job.born = result, failed, self._clock()
        job.there.set()
        self._done.put(key, job, len(job.question) + len(result))
        while self.shares.over() and (owner := self.shares.largest(self._done.owners)) is not None:
            self._done.drop_oldest(owner)

    def beat(self, runner: str) -> None:
        """A gateway process that is asking for answers lives."""
        self._heard[runner] = now = self._clock()
        self._heard.move_to_end(runner)
        other = next(iter(self._heard))
        if now - self._heard[other] > LOST_SECONDS:
            del self._heard[other]

    def lost(self, job: Job) -> bool:
        """Whether the process that asks for it has ended."""
        return self._clock() - self._heard.get(job.runner, -math.inf) > LOST_SECONDS

    def _make_room(self, owner: Owner, size: int) -> bool:
        """Let those who have more give way to a new question; return whether there is room for it."""
        if self.shares.over(size, 1) and self.shares.largest((owner, *self._done.owners), owner, size) == owner:
            return False  # what it has was paid for, and may not have been fetched yet
        while self.shares.over(size, 1):
            others = (other for other in self._done.owners if other != owner)
            if (largest := self.shares.largest(others)) is None:
                return False
            self._done.drop_oldest(largest)
        return True

    def _old(self, job: Job) -> bool:
        return job.born + KEEP_SECONDS < self._clock()

    def _forget_old(self) -> None:
        for shelf in (self._done, self._pending):
            for _ in range(FORGET_AT_ONCE):
                found = shelf.oldest()
                if found is None or not self._old(found[1]):
                    break
                key, job = found
                shelf.drop(key)
                if job.result is None and not self.lost(job):  # it takes long: look again after as long
                    job.born = self._clock()
                    shelf.put(key, job, len(job.question))


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
        while len(self.turns) > SESSION_TURNS or (self.characters > SESSION_CHARACTERS and len(self.turns) > 1):
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
        while self.shares.over() and (owner := self.shares.largest(self._sessions.owners)) is not None:
            self._sessions.drop_oldest(owner)

    def _old(self, session: Session) -> bool:
        return session.used + SESSION_SECONDS < self._clock()

    def _forget_old(self) -> None:
        for _ in range(FORGET_AT_ONCE):
            found = self._sessions.oldest()
            if found is None or not self._old(found[1]):
                return
            self._sessions.drop(found[0])


class Memory:
    """Called by the gateway processes; replies are plain data."""

    def __init__(self) -> None:
        self._jobs = Jobs()
        self._sessions = Sessions()

    async def begin(self, owner: Owner, name: str, digest: str, question: bytes, runner: str) -> str:
        """Ask for an answer under `name`. "new": the caller shall ask for it; "known": somebody did; "other": with
        another question; "full": there is no room."""
        return self._jobs.begin((owner, name), digest, question, runner)

    async def finish(self, owner: Owner, name: str, result: bytes, failed: bool) -> None:
        """The answer is there, or the error that came in its place."""
        self._jobs.finish((owner, name), result, failed)

    async def wait(self, owner: Owner, name: str, seconds: float, runner: str) -> dict[str, Any] | None:
        """{"result"}, which is None while it is not there after so long; {"question"}: its process was lost, and the
        caller shall ask for it again; None: there is nothing of this name."""
        job = self._jobs.find((owner, name))
        if job is None:
            return None
        deadline = time.monotonic() + seconds
        while job.result is None:
            if self._jobs.lost(job):
                job.runner = runner
                self._jobs.beat(runner)
                return {"question": job.question}
            if (left := deadline - time.monotonic()) <= 0:
                break
            try:
                await asyncio.wait_for(job.there.wait(), min(left, 1.0))
            except TimeoutError:
                continue  # look whether its process lives
        return {"result": job.result}

    async def beat(self, runner: str) -> None:
        """A gateway process that is asking for answers lives."""
        self._jobs.beat(runner)

    async def turns(self, owner: Owner, session: str, reset: bool) -> list[tuple[str, str]]:
        """What was asked and said in a session so far; nothing after a `reset`."""
        return self._sessions.turns((owner, session), reset)

    async def remember(self, owner: Owner, session: str, asked: str, said: str) -> None:
        """One more turn of a session."""
        self._sessions.remember((owner, session), asked, said)
