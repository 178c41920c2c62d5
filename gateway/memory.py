"""What is remembered for applications that cannot do it themselves: answers under an id, and the turns of sessions.

One small actor of the cluster, so that all gateway processes know the same and any of them may end. All of it is in
memory, for a limited time, and bounded: what is too much for it is refused or forgotten, oldest first.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

KEEP_SECONDS = 3600
"""How long an answer is kept after it is there."""

MAX_ANSWERS = 10_000
MAX_BYTES = 64 * 1024 * 1024
"""Of questions and answers together; and as much again of sessions."""

LOST_SECONDS = 10
"""A gateway process that said nothing for so long has ended, and whoever asks for its answers asks anew."""

SESSION_SECONDS = 24 * 3600
SESSION_TURNS = 20
SESSION_CHARACTERS = 32_000

Owner = str
"""Whose it is: nobody else can read it."""


@dataclass
class _Kept:
    """An answer that is there (`result`) or will be, and by whom (`runner`) it is being asked for."""

    digest: str
    question: bytes
    runner: str
    born: float = field(default_factory=time.time)
    result: bytes | None = None
    failed: bool = False
    there: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def size(self) -> int:
        return len(self.question) + len(self.result or b"")


@dataclass
class _Session:
    turns: deque[tuple[str, str]] = field(default_factory=deque)
    characters: int = 0
    used: float = 0.0

    def add(self, asked: str, said: str) -> None:
        self.turns.append((asked, said))
        self.characters += len(asked) + len(said)
        while len(self.turns) > SESSION_TURNS or (self.characters > SESSION_CHARACTERS and len(self.turns) > 1):
            self.characters -= sum(map(len, self.turns.popleft()))
        self.used = time.time()


class Memory:
    """Called by the gateway processes; replies are plain data."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Owner, str], _Kept] = {}
        self._sessions: dict[tuple[Owner, str], _Session] = {}
        self._heard: dict[str, float] = {}

    async def begin(self, owner: Owner, name: str, digest: str, question: bytes, runner: str) -> str:
        """Ask for an answer under `name`. "new": the caller shall ask for it; "known": somebody did; "other": with
        another question; "full": there is no room."""
        self._forget_old()
        self._heard[runner] = time.monotonic()
        kept = self._kept.get((owner, name))
        if kept and kept.digest != digest:
            return "other"
        if kept and not kept.failed:
            return "known"
        if not self._room(len(question)):
            return "full"
        self._kept[owner, name] = _Kept(digest, question, runner)
        return "new"

    async def finish(self, owner: Owner, name: str, result: bytes, failed: bool) -> None:
        """The answer is there, or the error that came in its place."""
        if kept := self._kept.get((owner, name)):
            kept.result, kept.failed, kept.born = result, failed, time.time()
            kept.there.set()
            while not self._room(0):  # an answer is larger than its question: the oldest ones make room
                oldest = min((one for one in self._kept.items() if one[1].result), key=lambda one: one[1].born)
                del self._kept[oldest[0]]

    async def wait(self, owner: Owner, name: str, seconds: float, runner: str) -> dict[str, Any] | None:
        """{"result"}, which is None while it is not there after so long; {"question"}: its process was lost, and the
        caller shall ask for it again; None: there is nothing of this name."""
        self._forget_old()
        kept = self._kept.get((owner, name))
        if kept is None:
            return None
        deadline = time.monotonic() + seconds
        while kept.result is None:
            if self._lost(kept):
                kept.runner, self._heard[runner] = runner, time.monotonic()
                return {"question": kept.question}
            if (left := deadline - time.monotonic()) <= 0:
                break
            try:
                await asyncio.wait_for(kept.there.wait(), min(left, 1.0))
            except TimeoutError:
                continue  # look whether its process lives
        return {"result": kept.result}

    async def beat(self, runner: str) -> None:
        """A gateway process that is asking for answers lives."""
        self._heard[runner] = time.monotonic()

    async def turns(self, owner: Owner, session: str, reset: bool) -> list[tuple[str, str]]:
        """What was asked and said in a session so far; nothing after a `reset`."""
        self._forget_old()
        if reset:
            self._sessions.pop((owner, session), None)
        found = self._sessions.get((owner, session))
        return list(found.turns) if found else []

    async def remember(self, owner: Owner, session: str, asked: str, said: str) -> None:
        """One more turn of a session; the oldest make room for it."""
        found = self._sessions.pop((owner, session), None) or _Session()
        found.add(asked, said)
        self._sessions[owner, session] = found  # at the end: the latest used
        while sum(one.characters for one in self._sessions.values()) > MAX_BYTES // 4:  # one takes up to four bytes
            del self._sessions[next(iter(self._sessions))]

    def _forget_old(self) -> None:
        now = time.time()
        for name in [name for name, kept in self._kept.items() if kept.born + KEEP_SECONDS < now]:
            if self._kept[name].result is not None or self._lost(self._kept[name]):
                del self._kept[name]
        for session in [name for name, one in self._sessions.items() if one.used + SESSION_SECONDS < now]:
            del self._sessions[session]

    def _lost(self, kept: _Kept) -> bool:
        return time.monotonic() - self._heard.get(kept.runner, 0.0) > LOST_SECONDS

    def _room(self, size: int) -> bool:
        return len(self._kept) < MAX_ANSWERS and size + sum(kept.size for kept in self._kept.values()) < MAX_BYTES
