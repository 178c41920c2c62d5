"""How a chat waits without a thread: in a greenlet, which goes on when the kernel says so.

A process's poller (gateway/web/worker.py) has one Hub. A request that runs in a greenlet of it
gives the thread to others wherever it waits: for its model's actor (gateway/cluster/channel.py),
for its client, or for what only a thread can wait for, such as Ray (`in_thread`). Everywhere else,
in threads of gunicorn's, of jobs and of other servers, there is no hub, and waiting is done as
usual.

A lock must not be held while a greenlet waits, unless others only try it: one that waited for the
lock would hold up the thread, and so all of them.
"""

from __future__ import annotations

import contextvars
import select
import time
from collections.abc import Callable
from concurrent.futures import Executor
from enum import Enum
from typing import Any, NamedTuple, Protocol, TypeVar

import greenlet

T = TypeVar("T")

OVER = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
MORE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
"""Told of once, and again only when still more has come: so no system call is needed for each
wait."""


class Wake(Enum):
    """Why a greenlet goes on."""

    READY = "ready"
    LATE = "late"
    """Its time is over."""
    GONE = "gone"
    """The client that it works for has hung up."""


class Socket(Protocol):
    """What is waited for; -1: it was closed."""

    def fileno(self) -> int: ...


class _Waiter(NamedTuple):
    greenlet: greenlet.greenlet
    deadline: float
    client: Socket | None
    look_at: float


class Hub:
    """The greenlets of one thread; `pool` runs what would hold it up, and `call_soon` runs a
    function in it, called from any thread.

    `fileno` is readable when some of them can go on: then `turn` is to be called, and `tick` about
    once a second.
    """

    def __init__(self, pool: Executor, call_soon: Callable[..., None]) -> None:
        self._pool = pool
        self._call_soon = call_soon
        self._loop = greenlet.getcurrent()
        self._epoll = select.epoll()
        self.fileno = self._epoll.fileno
        self._waiting: dict[int, _Waiter] = {}
        self._ready: set[int] = set()

    def spawn(self, run: Callable[..., None], *arguments: Any) -> None:
        """Run a function, which raises nothing, until it waits or ends."""
        greenlet.greenlet(run, self._loop).switch(*arguments)

    def is_here(self) -> bool:
        """Return whether whoever calls runs in a greenlet of this hub."""
        return greenlet.getcurrent().parent is self._loop

    def watch(self, number: int) -> None:
        """Let a descriptor be waited for, until it is closed."""
        self._ready.discard(number)  # what is known is of another one, which had its number
        self._epoll.register(number, MORE)

    def wait(
        self, number: int, seconds: float, client: Socket | None = None, look_after: float = 0.0
    ) -> Wake:
        """Wait until more has come on a descriptor that is watched, since it was waited for last
        or watched; after `look_after` seconds also for a client to hang up. Seconds are whole
        ones, about."""
        if number in self._ready:
            self._ready.remove(number)
            return Wake.READY
        now = time.monotonic()
        here = greenlet.getcurrent()
        self._waiting[number] = _Waiter(here, now + seconds, client, now + look_after)
        return self._loop.switch()  # type: ignore[no-any-return]

    def wait_once(self, number: int, events: int, seconds: float) -> Wake:
        """Wait for one of `events` (as of epoll) on a descriptor that is not watched."""
        self._ready.discard(number)
        self._epoll.register(number, events)
        try:
            return self.wait(number, seconds)
        finally:
            self._epoll.unregister(number)

    def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what a function returns, or raise what it raises, which a thread runs."""
        here, context = greenlet.getcurrent(), contextvars.copy_context()
        future = self._pool.submit(context.run, function, *arguments)
        future.add_done_callback(lambda _: self._call_soon(here.switch))
        self._loop.switch()
        try:
            return future.result()
        finally:
            del future  # it has what it raises, whose traceback has this frame

    def turn(self, _: object = None) -> None:
        """Let those go on for whom something has come."""
        for number, events in self._epoll.poll(0):
            waiter = self._waiting.pop(number, None)
            if waiter is None or events & OVER:
                self._ready.add(number)  # it will not be told again
            if waiter:
                waiter.greenlet.switch(Wake.READY)

    def tick(self) -> None:
        """Let those go on whose time is over, or whose client has gone."""
        now, poll, clients = time.monotonic(), select.poll(), {}
        for number, waiter in list(self._waiting.items()):
            if waiter.deadline <= now:
                self._wake(number, waiter, Wake.LATE)
            elif waiter.client and waiter.look_at <= now and (client := waiter.client.fileno()) > 0:
                clients[client] = number, waiter
                poll.register(client, select.POLLRDHUP)
        for client, _ in poll.poll(0) if clients else ():
            self._wake(*clients[client], Wake.GONE)

    def _wake(self, number: int, waiter: _Waiter, why: Wake) -> None:
        if self._waiting.get(number) is waiter:
            del self._waiting[number]
            waiter.greenlet.switch(why)


_hub: Hub | None = None


def install(hub: Hub) -> None:
    """Let this be the hub of the process."""
    global _hub  # a process has one poller
    _hub = hub


def current() -> Hub | None:
    """Return the hub in a greenlet of which whoever calls runs; None: in none."""
    return _hub if _hub and _hub.is_here() else None


def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function that would hold up other greenlets: in a thread, if need be."""
    hub = current()
    return hub.in_thread(function, *arguments) if hub else function(*arguments)
