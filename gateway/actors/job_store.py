"""The jobs of all gateway processes: who asks for which answer, and what came of it. Pure.

A job whose process has ended is given to another one that is asked for its answer, once: what ended
two processes is not asked a third time. That a process is silent does not show that it has ended,
since it may be stalled, with its question under way at a provider; Ray knows whether the process is
there.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field

from gateway.actors.shares import Shares, Shelf
from gateway.store_protocol import Begun, Caller, Given, Heard, Key, News, Owner, State

MAX_ANSWERS = 10_000
MAX_BYTES = 64 * 1024 * 1024
"""Of questions and answers together."""

LOST_SECONDS = 10
"""A process that has ended also says nothing for so long: one that only connects to Ray anew is not
there meanwhile."""

GATHER_SECONDS = 5
"""So long a store that follows another one waits for the processes to tell what they were asking
for."""

NEWS_BYTES = 8 * 1024 * 1024
"""One reply tells so much, or one thing that is larger; the next one tells more."""

FORGET_AT_ONCE = 64
"""So much that is too old may one call forget; it adds one thing at most."""

Clock = Callable[[], float]


@dataclass(slots=True)
class Job:
    """An answer that is there (`result`) or will be, and which `process` asks for it; `lost`: so
    many have ended."""

    digest: str
    question: bytes
    process: str
    keep: int
    born: float
    lost: int = 0
    result: bytes | None = None
    failed: bool = False


@dataclass(slots=True)
class Process:
    """When a gateway process was heard last, whether it has ended, and the jobs that it is asking
    for."""

    driver: str
    heard: float
    ended: bool = False
    jobs: dict[Key, Job] = field(default_factory=dict)


class Jobs:
    """The answers, by caller and name. `follows`: another store was there before, and what it kept
    is lost."""

    def __init__(self, clock: Clock = time.monotonic, follows: bool = False) -> None:
        self._clock = clock
        self._born = clock()
        self._follows = follows
        self.name = secrets.token_hex(8)
        self.shares = Shares(MAX_ANSWERS, MAX_BYTES)
        self._pending: Shelf[Job] = Shelf(self.shares)
        self._done: Shelf[Job] = Shelf(self.shares)
        self._processes: dict[str, Process] = {}

    def find(self, key: Key) -> Job | None:
        """Return what is kept under this name."""
        self._forget_old()
        job = self._done.get(key)
        if job and self._old(job):
            return None
        return job or self._pending.get(key)

    def begin(
        self, caller: Caller, key: Key, digest: str, question: bytes, again: bool = False
    ) -> Begun:
        """Ask for an answer. "new": the caller shall ask; "known": somebody did; "other": with
        another question; "full": there is no room; "early": try again soon. `again`: the caller is
        asking already."""
        self._hear(caller)
        job = self.find(key)
        if job and job.digest != digest:
            return "other"
        if job and not job.failed:
            return "known"
        if job is None and not again and self._gathering():
            return "early"
        if not self._make_room(key[0], len(question)):
            return "full"
        self._done.drop(key)  # it failed, or is too old
        job = Job(digest, question, caller["process"], caller["keep"], self._clock())
        self._pending.put(key, job, len(question))
        self._processes[job.process].jobs[key] = job
        return "new"

    def finish(self, key: Key, result: bytes, failed: bool, digest: str = "") -> bool:
        """Keep an answer; where it is too large, the oldest of whoever has most make room. False:
        no such job is known. One to another question than the name now has is dropped.

        If two processes came to ask for it, the first answer stays.
        """
        job = self._pending.get(key) or self._done.get(key)
        if job is None:
            return False
        if digest not in ("", job.digest):
            return True
        if job.result is not None and (failed or not job.failed):
            return True
        if process := self._processes.get(job.process):  # else it has ended, long ago
            process.jobs.pop(key, None)
        self._pending.drop(key)
        job.result, job.failed, job.born = result, failed, self._clock()
        self._done.put(key, job, len(job.question) + len(result))
        while self.shares.over() and (owner := self.shares.largest(self._done.owners)) is not None:
            self._done.drop_oldest(owner)
        return True

    def forget(self, key: Key) -> None:
        """Keep an answer no longer, if it is there: its caller has it."""
        self._done.drop(key)

    def beat(self, caller: Caller, running: Iterable[Key]) -> Heard:
        """Hear that a process lives, and the keys of all jobs for which it asks."""
        process, running = self._hear(caller), set(running)
        given: list[Given] = []
        size = 0
        for key, job in process.jobs.items():
            if key not in running and size < NEWS_BYTES:
                given.append((key, job.digest, job.question, job.lost))
                size += len(job.question)
        unknown = [key for key in running if self.find(key) is None]
        return {"store": self.name, "given": given, "unknown": unknown}

    def news(self, caller: Caller, keys: Iterable[Key]) -> list[News]:
        """Return those of `keys` whose answer is there, or will never be. The caller is given the
        others whose process has ended, and told so at its next beat."""
        self._hear(caller)
        news: list[News] = []
        size = 0
        for key in keys:
            job = self.find(key)
            if job is None:
                news += [(key, state, None)] if (state := self._missing(caller)) else []
            elif job.result is None:
                self._hand_over(key, job, caller["process"])
            elif size < NEWS_BYTES:
                news.append((key, "here", job.result))
                size += len(job.result)
        return news

    def silent(self) -> list[Process]:
        """Return the processes that have jobs, said nothing for long, and may have ended."""
        long_ago = self._clock() - LOST_SECONDS
        return [
            one
            for one in self._processes.values()
            if one.jobs and one.heard < long_ago and not one.ended
        ]

    def bury(self, living: Container[str]) -> None:
        """Let the silent processes have ended whose Ray drivers are not among the `living`."""
        for process in self.silent():
            process.ended = process.driver not in living

    def _hear(self, caller: Caller) -> Process:
        """Note that a process lives. If it knew another store, that one's answers are lost."""
        self._follows |= caller["store"] not in ("", self.name)
        now, name = self._clock(), caller["process"]
        if name not in self._processes:
            idle = [
                k
                for k, one in self._processes.items()
                if not one.jobs and one.heard < now - LOST_SECONDS
            ]
            for other in idle:
                del self._processes[other]
            self._processes[name] = Process(caller["driver"], now)
        process = self._processes[name]
        process.driver, process.heard, process.ended = caller["driver"], now, False
        return process

    def _hand_over(self, key: Key, job: Job, process: str) -> None:
        if self._processes[job.process].ended:
            del self._processes[job.process].jobs[key]
            self._processes[process].jobs[key] = job
            job.process, job.lost = process, job.lost + 1

    def _gathering(self) -> bool:
        return self._follows and self._clock() < self._born + GATHER_SECONDS

    def _missing(self, caller: Caller) -> State | None:
        """Return what a name means of which nothing is known; None: nobody can say yet."""
        if self._gathering():
            return None
        return (
            "lost" if self._follows and self._clock() < self._born + caller["keep"] else "unknown"
        )

    def _make_room(self, owner: Owner, size: int) -> bool:
        """Let those who have more give way to a new question; return whether there is room for
        it."""
        if (
            self.shares.over(size, 1)
            and self.shares.largest((owner, *self._done.owners), owner, size) == owner
        ):
            return False  # what it has was paid for, and may not have been fetched yet
        while self.shares.over(size, 1):
            others = (other for other in self._done.owners if other != owner)
            if (largest := self.shares.largest(others)) is None:
                return False
            self._done.drop_oldest(largest)
        return True

    def _old(self, job: Job) -> bool:
        return job.born + job.keep < self._clock()

    def _forget_old(self) -> None:
        for shelf in (self._done, self._pending):
            for _ in range(FORGET_AT_ONCE):
                oldest = shelf.oldest()
                if oldest is None or not self._old(oldest[1]):
                    break
                key, job = oldest
                shelf.drop(key)
                if job.result is None:
                    self._forget_pending(key, job)

    def _forget_pending(self, key: Key, job: Job) -> None:
        """Nobody came for it since its process ended; else it takes long: look again after as
        long."""
        process = self._processes[job.process]
        if process.ended:
            del process.jobs[key]
        else:
            job.born = self._clock()
            self._pending.put(key, job, len(job.question))
