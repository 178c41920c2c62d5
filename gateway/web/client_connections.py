"""Clients' connections: nobody waits for a request's head, and nobody for long for a client that is
slow.

The worker's poller (gateway/web/worker.py) takes what has come of a head, until that is whole. A
body is waited for by the greenlet or thread that answers it, and so is the client's reading of a
reply: as long as at least `LEAST_RATE` bytes a second go over the wire.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers import gthread

from gateway import hub

SLOW_CLIENT_SECONDS = 30
"""A request's head must be whole so soon after its first byte, or after its connection was opened.
Of a body, and of a reply, something must go over the wire within as long, and all of it within as
long and what LEAST_RATE allows."""

LEAST_RATE = 2048
"""Bytes a second: half of what an old modem carries."""

HEAD_BYTES = 32768
"""The longest head, as nginx has it: those of several thousand connections wait in memory."""

LEAVING_SECONDS = 2
LEAVING_BYTES = 65536
"""So long, and up to so much, what a client still sends is read and dropped after the last reply:
else the kernel would take back what the client has not read of it (RFC 9112, 9.6)."""

PIECE_BYTES = 8192
LAST_BYTES = 3


class Head(Enum):
    """How much of its next request's head a client has sent."""

    NOTHING = "nothing"
    BEGUN = "begun"
    WHOLE = "whole"
    GONE = "gone"
    """It has closed its connection, and will send no more."""


class Patience:
    """How long one body, or one reply, may wait for the client."""

    _waited = 0.0
    _received = 0

    def spend(self, since: float, count: int) -> None:
        """Note that `count` bytes were waited for since then. Raises what a socket does whose time
        limit (SO_RCVTIMEO, SO_SNDTIMEO) has passed."""
        self._waited += time.monotonic() - since
        self._received += count
        if self._waited > SLOW_CLIENT_SECONDS + self._received / LEAST_RATE:
            raise BlockingIOError(errno.EAGAIN, "the client is too slow")


def await_client(own: hub.Hub, client: socket.socket, event: int) -> None:
    """Wait in a greenlet for a client to send, or to read. Raises what a socket does whose time
    limit has passed."""
    if own.wait_once(client.fileno(), event, SLOW_CLIENT_SECONDS) is hub.Wake.LATE:
        raise BlockingIOError(errno.EAGAIN, "the client is silent")


class Reader(SocketUnreader):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's source of what a client sent. The head is put into its buffer by `add`, before
    anybody reads it."""

    buf: Any
    _patience: Patience | None = None

    def __init__(self, client: socket.socket) -> None:
        super().__init__(client)
        self.begin_head()

    def begin_head(self) -> None:
        """Expect a request. What came together with the last one may hold its head already."""
        self.whole, self._in_head, self._last = False, True, b""
        if came := self.take_buffered():
            self.add(came)

    def add(self, piece: bytes) -> None:
        """Keep what came of a head. It is whole with an empty line, however that ends; or when it
        is too long, or its line ends are mixed, which the parser refuses without reading on."""
        self.buf.write(piece)
        end = self._last + piece
        self.whole = b"\n\r\n" in end or b"\n\n" in end or self.size() > HEAD_BYTES
        self._last = end[-LAST_BYTES:]

    def size(self) -> int:
        """Return how much waits to be read."""
        return int(self.buf.seek(0, os.SEEK_END))

    def begin_body(self) -> None:
        """Let whoever reads wait for the client from here on: the head was parsed."""
        self._in_head, self._patience = False, None

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return what comes next, to gunicorn. Raises BlockingIOError: it comes too slowly."""
        if self._in_head:
            raise LimitRequestHeaders("max buffer headers")
        self._patience = self._patience or Patience()
        since = time.monotonic()
        piece = self._next(size_hint)
        self._patience.spend(since, len(piece))
        return piece

    def _next(self, size_hint: int | None) -> bytes:
        piece: bytes
        if (own := hub.current()) is None:
            piece = super().chunk(size_hint)
            return piece
        size = min(max(self.mxchunk, size_hint or 0), self.max_body_chunk)
        while True:
            try:
                piece = self.sock.recv(size, socket.MSG_DONTWAIT)
            except BlockingIOError:
                await_client(own, self.sock, select.EPOLLIN)
            else:
                return piece


class Connection(gthread.TConn):  # type: ignore[misc]
    """gunicorn's, which would wait for a head in a thread."""

    sock: socket.socket
    client: Any
    parser: Any
    deadline = 0.0
    answered = False
    """Whether a request was answered on it, so that it is a kept one."""

    _dropped = 0

    def init(self) -> None:
        """Prepare a connection; gunicorn calls this once for each."""
        if not self.initialized:
            super().init()
            self.parser.unreader = Reader(self.sock)

    def look(self) -> Head:
        """Take what has come of the next request's head."""
        self.init()
        reader = self.parser.unreader
        if reader.whole:
            return Head.WHOLE
        try:
            piece = self.sock.recv(PIECE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            piece = None
        except OSError:
            return Head.GONE
        if piece == b"":
            return Head.GONE
        if piece:
            reader.add(piece)
        return Head.WHOLE if reader.whole else Head.BEGUN if reader.size() else Head.NOTHING

    def look_again(self) -> Head:
        """Return the same for the request that follows one which was answered. No system call is
        spent on what will seldom have come already."""
        self.answered = True
        self.parser.unreader.begin_head()
        return self.look() if self.parser.unreader.size() else Head.NOTHING

    def leave(self) -> bool:
        """Tell the client that no more will come; return whether it has gone, too."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return True
        return self.drop()

    def drop(self) -> bool:
        """Read what a client still sends, for nothing; return whether that was all, or too much."""
        try:
            piece = self.sock.recv(LEAVING_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._dropped += len(piece)
        return not piece or self._dropped >= LEAVING_BYTES


class Waiting:
    """Connections on which nobody works, in the order in which they came. Where there are too many
    of them, or of one origin, the oldest gives way. `origin_of` names where a connection comes
    from; "": whence any number may come."""

    def __init__(
        self,
        seconds: float,
        most: int,
        most_of_one: int,
        origin_of: Callable[[Connection], str] = lambda _: "",
    ) -> None:
        self.seconds = seconds
        self._most, self._most_of_one, self._origin_of = most, most_of_one, origin_of
        self._all: OrderedDict[Connection, str] = OrderedDict()
        self._by_origin: dict[str, OrderedDict[Connection, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, conn: object) -> bool:
        return conn in self._all

    def add(self, conn: Connection) -> Connection | None:
        """Let one wait; return which one has to give way to it."""
        conn.deadline = time.monotonic() + self.seconds
        origin = self._all[conn] = self._origin_of(conn)
        if origin:
            of_one = self._by_origin.setdefault(origin, OrderedDict())
            of_one[conn] = None
            if len(of_one) > self._most_of_one:
                return next(iter(of_one))
        return self.oldest() if len(self._all) > self._most else None

    def remove(self, conn: Connection) -> None:
        """Let a connection wait no longer."""
        if origin := self._all.pop(conn):
            of_one = self._by_origin[origin]
            del of_one[conn]
            if not of_one:
                del self._by_origin[origin]

    def oldest(self) -> Connection | None:
        """Return the one that waits longest."""
        return next(iter(self._all), None)

    def late(self) -> Iterator[Connection]:
        """Yield those whose time has passed; each must be removed before the next."""
        while (conn := self.oldest()) and conn.deadline <= time.monotonic():
            yield conn

    def hurry(self, deadline: float) -> None:
        """Let none wait any longer than that; the order stays."""
        for conn in self._all:
            conn.deadline = min(conn.deadline, deadline)
