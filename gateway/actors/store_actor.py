"""The store: one small detached actor that keeps the answers of jobs (gateway/actors/job_store.py),
the turns of sessions (gateway/actors/session_store.py), what callers and chats have used of their
limits (gateway/actors/meters.py), and what people have been told (gateway/actors/notice_board.py).

So all gateway processes know the same, and any of them may end. All of it is in memory, for a
limited time, and bounded: where there is too much, the caller who has most gives way, with its
oldest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container
from contextlib import suppress

import ray

from gateway.actors import ray_private
from gateway.actors.job_store import Clock, Jobs
from gateway.actors.meters import Meters
from gateway.actors.notice_board import NoticeBoard
from gateway.actors.session_store import Sessions
from gateway.store_protocol import (
    Amounts,
    Begun,
    Caller,
    Heard,
    Key,
    LimitRefusal,
    MeterLimit,
    News,
    Note,
    Owner,
    Turn,
    Used,
)

LOOK_SECONDS = 1


def was_restarted() -> bool:
    """Return whether this actor was here before, and its process ended; where the control store
    does not say, it may have been. (An actor that cannot be made ends for good.)"""
    if not ray.is_initialized():
        return False
    try:
        return bool(ray.get_runtime_context().was_current_actor_reconstructed)
    except Exception:
        return True


class Store:
    """Called by the gateway processes; no call waits for an answer. Replies are plain data."""

    def __init__(
        self,
        living: Callable[[], Container[str]] = ray_private.living_drivers,
        restarted: Callable[[], bool] = was_restarted,
        clock: Clock = time.monotonic,
    ) -> None:
        self._jobs = Jobs(clock, follows=restarted())
        self._sessions = Sessions()
        self._notices = NoticeBoard(clock)
        self._meters = Meters(clock)
        self._living = living
        self._looking: asyncio.Task[None] | None = None

    async def begin(
        self, caller: Caller, key: Key, digest: str, question: bytes, again: bool = False
    ) -> Begun:
        """Do as `Jobs.begin`."""
        return self._jobs.begin(caller, key, digest, question, again)

    async def finish(self, key: Key, result: bytes, failed: bool, digest: str = "") -> bool:
        """Do as `Jobs.finish`."""
        return self._jobs.finish(key, result, failed, digest)

    async def forget(self, key: Key) -> None:
        """Do as `Jobs.forget`."""
        self._jobs.forget(key)

    async def beat(self, caller: Caller, running: list[Key]) -> Heard:
        """Do as `Jobs.beat`."""
        self._look_after_silent()
        return self._jobs.beat(caller, running)

    async def news(self, caller: Caller, keys: list[Key]) -> list[News]:
        """Do as `Jobs.news`."""
        self._look_after_silent()
        return self._jobs.news(caller, keys)

    async def turns(self, owner: Owner, session: str, reset: bool) -> list[tuple[str, str]]:
        """Return what was asked and said in a session so far; nothing after a `reset`."""
        return self._sessions.turns((owner, session), reset)

    async def remember(self, owner: Owner, session: str, question: str, answer: str) -> None:
        """Keep one more turn of a session."""
        self._sessions.remember((owner, session), question, answer)

    async def notice_turn(self, process: str, notes: dict[str, Note]) -> Turn:
        """Do as `NoticeBoard.turn`."""
        return self._notices.turn(process, notes)

    async def admit(self, meter: str, limits: list[MeterLimit]) -> LimitRefusal | None:
        """Do as `Meters.admit`."""
        return self._meters.admit(meter, limits)

    async def use(self, amounts: dict[str, Amounts], meters: list[str]) -> dict[str, Used | None]:
        """Do as `Meters.add`, and return what was used of `meters`, as `Meters.used` does."""
        self._meters.add(amounts)
        return self._meters.used(meters)

    async def begin_meter(self, meter: str, day: Amounts, month: Amounts) -> None:
        """Do as `Meters.begin`."""
        self._meters.begin(meter, day, month)

    async def over(self) -> dict[str, str]:
        """Do as `Meters.over`."""
        return self._meters.over()

    def _look_after_silent(self) -> None:
        """Ask Ray, meanwhile and at most once a second, whether the processes that have said
        nothing have ended."""
        if self._jobs.silent() and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._bury())

    async def _bury(self) -> None:
        with suppress(Exception):  # while Ray does not say that they have ended, they have not
            self._jobs.bury(await asyncio.to_thread(self._living))
        await asyncio.sleep(LOOK_SECONDS)
