"""How streams cross Ray: each gateway process has a mailbox in each model actor it talks to.

A request is submitted without waiting; one `collect` at a time brings back all that has come for all streams of the
process. So the busier it gets, the more travels in one Ray message: with 64 streams at once Ray's own streaming
generators, a Ray message for each piece, gave a p50 of 2.6 times the provider's; this gave 1.3 times. What is pending
when its actor dies fails together, and can be asked again. An answer in one piece costs less as a call of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import secrets
import sys
import threading
import time
import traceback
from collections.abc import AsyncGenerator, Callable
from typing import Any

import ray

COLLECT_SECONDS = 20
"""A collect that has nothing to bring returns after this long."""

FORGET_SECONDS = 90
"""A box that nobody collects from for this long belonged to a process that has died: its requests are cancelled."""

WINDOW_BYTES = 256 * 1024
"""How much of one stream may wait for a slow client, here and on the way; then its provider is not read from."""

LINGER_SECONDS = 30

Mail = list[tuple[int, bytes | None]]
"""Pieces, each with its request's number; None ends the request."""

Serve = Callable[..., AsyncGenerator[bytes, None]]


class _Box:
    """The actor's end for one gateway process."""

    def __init__(self) -> None:
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.seen = time.monotonic()
        self._mail: Mail = []
        self._any = asyncio.Event()
        self._unread: dict[int, int] = {}
        self._room: dict[int, asyncio.Event] = {}

    def put(self, number: int, piece: bytes | None) -> None:
        self._mail.append((number, piece))
        self._any.set()

    async def collect(self) -> Mail:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._any.wait(), COLLECT_SECONDS)
        self._any.clear()
        mail, self._mail = self._mail, []
        self.seen = time.monotonic()
        return mail

    async def run(self, number: int, pieces: AsyncGenerator[bytes, None]) -> None:
        try:
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    self.put(number, piece)
                    unread = self._unread[number] = self._unread.get(number, 0) + len(piece)
                    if unread > WINDOW_BYTES:
                        room = self._room[number] = asyncio.Event()
                        await room.wait()
        except Exception as error:
            # Our own fault: where it happened, but not its text, which may quote a prompt.
            traceback.print_tb(error.__traceback__)
            print(f"{type(error).__name__} in a model actor (text withheld)", file=sys.stderr)
        finally:
            self.put(number, None)
            for kept in (self.tasks, self._unread, self._room):
                kept.pop(number, None)

    def consumed(self, number: int, size: int) -> None:
        if number in self._unread:
            self._unread[number] -= size
        if number in self._room and self._unread.get(number, 0) <= WINDOW_BYTES // 2:
            self._room.pop(number).set()


class Boxes:
    """The actor's end. `serve(*what)` answers a request, in one piece or several."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._boxes: dict[str, _Box] = {}
        self._born = secrets.token_hex(8)

    async def submit(self, box_name: str, number: int, *what: Any) -> None:
        box = self._boxes.setdefault(box_name, _Box())
        box.tasks[number] = asyncio.create_task(box.run(number, self._serve(*what)))

    async def collect(self, box_name: str) -> tuple[str, Mail]:
        """This actor's birth mark, which tells that it was restarted, and what has come since the last collect."""
        self._forget_abandoned()
        return self._born, await self._boxes.setdefault(box_name, _Box()).collect()

    async def cancel(self, box_name: str, number: int) -> None:
        if (box := self._boxes.get(box_name)) and (task := box.tasks.get(number)):
            task.cancel()

    async def consumed(self, box_name: str, number: int, size: int) -> None:
        if box := self._boxes.get(box_name):
            box.consumed(number, size)

    def _forget_abandoned(self) -> None:
        oldest = time.monotonic() - FORGET_SECONDS
        for name in [name for name, box in self._boxes.items() if box.seen < oldest]:
            for task in self._boxes.pop(name).tasks.values():
                task.cancel()


class Exchange:
    """One request under way, seen from the gateway. Close it, whatever happens."""

    def __init__(self, mailbox: Mailbox, number: int) -> None:
        self._mailbox = mailbox
        self._number = number
        self._ended = False
        self._read = 0
        self.pieces: queue.SimpleQueue[bytes | BaseException | None] = queue.SimpleQueue()

    def next(self, seconds: float) -> bytes | None:
        """The next piece, or None at the end. Raises TimeoutError, and RayError where the actor has gone."""
        try:
            piece = self.pieces.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(piece, BaseException):
            self._ended = True
            raise piece
        if piece is None:
            self._ended = True
            return None
        self._read += len(piece)
        if self._read > WINDOW_BYTES // 4:
            self._mailbox.consumed(self._number, self._read)
            self._read = 0
        return piece

    def close(self) -> None:
        """Cancel it, at its provider too, unless it has ended."""
        self._mailbox.forget(self._number, cancel=not self._ended)


class Mailbox:
    """The gateway's end, for one actor. A thread collects for as long as something is under way, and a while longer."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._box = secrets.token_hex(8)
        self._numbers = itertools.count()
        self._lock = threading.Condition()
        self._under_way: dict[int, Exchange] = {}
        self._collecting = False
        self._born: str | None = None

    def send(self, *what: Any) -> Exchange:
        """Submit a request."""
        exchange = Exchange(self, number := next(self._numbers))
        with self._lock:
            self._under_way[number] = exchange
            # Before the first collect asks for it, so that the box is there.
            self._actor.submit.remote(self._box, number, *what)
            if self._collecting:
                self._lock.notify()
            else:
                self._collecting = True
                threading.Thread(target=self._collect, name="mailbox", daemon=True).start()
        return exchange

    def consumed(self, number: int, size: int) -> None:
        """Tell the actor that a client has read so much of a stream."""
        self._actor.consumed.remote(self._box, number, size)

    def forget(self, number: int, cancel: bool) -> None:
        """No more of this request is wanted."""
        with self._lock:
            known = self._under_way.pop(number, None)
        if cancel and known:
            self._actor.cancel.remote(self._box, number)

    def _collect(self) -> None:
        while True:
            with self._lock:
                if not self._under_way and not self._lock.wait_for(lambda: self._under_way, LINGER_SECONDS):
                    self._collecting = False
                    return
            try:
                born, mail = ray.get(self._actor.collect.remote(self._box), timeout=COLLECT_SECONDS * 2)
            except Exception as error:  # whatever it is, nobody may be left waiting
                self.fail(error)
                continue
            if self._born not in (None, born):
                self.fail(ray.exceptions.ActorUnavailableError("it was restarted", None))
            self._born = born
            for number, piece in mail:
                if exchange := self._under_way.get(number):
                    exchange.pieces.put(piece)

    def fail(self, error: Exception) -> None:
        """Let all that is under way end with `error`."""
        with self._lock:
            pending, self._under_way = self._under_way, {}
        for exchange in pending.values():
            exchange.pieces.put(error)
