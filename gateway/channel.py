"""How a chat crosses the cluster: on a plain connection from the gateway's process to the model's
actor.

Ray places, names, restarts and ends the actors; the chats themselves go beside it, since a Ray call
costs 0.5 ms of CPU and five threads in each process (docs/performance.md). On one machine it is a
Unix socket in Ray's own session folder, to another node TLS (gateway/tls.py) on a TCP port that
opens when that node first asks; either lets in only who knows the actor's secret, which travels by
Ray call. In a folder that is open to others, somebody else's socket may stand in the actor's place:
so the gateway asks the kernel who listens before it says anything.

A connection carries one request at a time, as in HTTP/1.1: a request is a frame, its answer one or
more. So whoever waits is woken by the kernel, a slow client slows its provider down through TCP
alone, a client that has gone hangs up, and the end of an actor's process is the end of its
connections.

A frame: four bytes of length, big-endian, and one of its kind; then so many bytes. What a provider
said travels in frames of its own kind, so that nothing it says can be taken for a mark of ours.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import os
import resource
import secrets
import select
import socket
import ssl
import struct
import sys
import time
import traceback
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import cast

import orjson

from gateway import hub
from gateway.byte_budget import SMALL_BYTES, ByteBudget, Charge, Full
from gateway.errors import OUT_OF_FILES
from gateway.protocol import Address, FarAddress, Kind, NearAddress
from gateway.tls import SecureSocket, make_certificate, trusting, watched

HEADER_BYTES = 5
RECEIVE_BYTES = 64 * 1024
MOST_RECEIVED = 1024 * 1024
"""So much of a long frame is read by one system call, which first takes as much memory."""

WINDOW_BYTES = 256 * 1024
"""How much of one stream may wait for a slow client in the actor; as much again waits in the
kernel."""

HANDSHAKE_BYTES = 256
CONNECT_SECONDS = 5

IDLE_SECONDS = 30
"""So long a connection is free before it is closed: after a flood, its thousand connections are not
kept for ever."""

LOOK_SECONDS = 1
"""So long an answer is waited for alone; then its client is looked after, too, who may have
gone."""

Answer = Callable[..., AsyncGenerator[bytes, None]]


Frame = tuple[Kind, bytes]


class ChannelError(Exception):
    """The other end is gone: its process has ended, or is being started. `sent`: it may have got
    the request."""

    def __init__(self, words: str, sent: bool) -> None:
        super().__init__(words)
        self.sent = sent


def allow_many() -> None:
    """Let this process have as many connections as its hard limit allows: a chat takes two, and the
    usual soft limit of 1,024 files is for programs that use `select`. (In a driver, ray.init does
    it.)"""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class ClientGone(Exception):  # noqa: N818  # no error: nobody waits any more
    """The client that an answer is for has hung up."""


def frame(kind: Kind, content: bytes) -> bytes:
    """Return a frame as it goes over the wire."""
    return b"%b%c%b" % (len(content).to_bytes(4, "big"), kind, content)


# The actor's end.


class Listener:
    """Lets gateway processes in. `answer(*what, body)` yields frames, the last of them an end or an
    error.

    `name` is the actor's own, however often it is restarted: what a process that was killed left is
    replaced. A large request for which `budget` has no room is not kept, and answered with the
    frames of `refusal`.
    """

    def __init__(
        self,
        answer: Answer,
        name: str,
        budget: ByteBudget | None = None,
        refusal: Callable[[], bytes] = bytes,
    ) -> None:
        self.secret = secrets.token_hex(32)
        self._answer = answer
        self._budget = budget or ByteBudget(sys.maxsize)
        self._refusal = refusal
        self._name = name
        self._near: NearAddress | None = None
        self._far: FarAddress | None = None
        self._open: list[asyncio.Server] = []  # kept, since uvloop closes one that nobody holds
        self._one_at_a_time = asyncio.Lock()

    async def address(self, folder: str) -> NearAddress:
        """Return the address for gateway processes on the same node; `folder` is where Ray has its
        own sockets."""
        async with self._one_at_a_time:
            if self._near is None:
                # No longer than the name of Ray's own there, since the kernel takes 107 bytes.
                path = str(Path(folder) / self._name)
                loop = asyncio.get_running_loop()
                self._open.append(
                    await loop.create_unix_server(self._connected, path, backlog=4096)
                )
                self._near = {"path": path, "user": str(os.geteuid()), "secret": self.secret}
        return self._near

    async def far_address(self, host: str) -> FarAddress:
        """Return the address for gateway processes on other nodes; `host` is this node's."""
        async with self._one_at_a_time:
            if self._far is None:
                context, certificate = await asyncio.to_thread(make_certificate)
                loop, limit = asyncio.get_running_loop(), CONNECT_SECONDS
                # as are the connections that it takes
                port = watched(socket.create_server((host, 0)))
                server = await loop.create_server(
                    self._connected,
                    sock=port,
                    backlog=4096,
                    ssl=context,
                    ssl_handshake_timeout=limit,
                )
                self._open.append(server)
                self._far = {
                    "host": host,
                    "port": port.getsockname()[1],
                    "certificate": certificate,
                    "secret": self.secret,
                }
        return self._far

    def close(self) -> None:
        """Let nobody else in, and leave no socket file; whoever is in goes on."""
        for server in self._open:
            server.close()
        self._open.clear()
        if self._near:
            Path(self._near["path"]).unlink(missing_ok=True)
        self._near = self._far = None

    def _connected(self) -> _Served:
        return _Served(self.secret, self._answer, Charge(self._budget), self._refusal)


class _Served(asyncio.Protocol):
    """One connection, seen from the actor."""

    def __init__(
        self, secret: str, answer: Answer, charge: Charge, refusal: Callable[[], bytes]
    ) -> None:
        self._secret = secret.encode()
        self._known = False
        self._frames = answer
        self._charge = charge
        self._refusal = refusal
        self._unwanted = 0  # what is still to come of a request that is not kept
        self._task: asyncio.Task[None] | None = None
        self._rest = bytearray()
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is a class of its own
        self._transport.set_write_buffer_limits(high=WINDOW_BYTES)

    def data_received(self, data: bytes) -> None:
        rest = self._rest
        rest += data
        if self._task is not None:
            # the next request, which came while the last one's end was still being tidied up
            return
        if (self._unwanted and not self._past_unwanted()) or len(rest) < HEADER_BYTES:
            return
        end = HEADER_BYTES + int.from_bytes(rest[:4], "big")
        if not self._known and end > HANDSHAKE_BYTES:
            self._transport.abort()
        elif end > SMALL_BYTES and not self._has_room(end):
            self._unwanted = end
            self.data_received(b"")
        elif len(rest) >= end:
            content = bytes(rest[HEADER_BYTES:end])
            del rest[:end]
            self._received(content)

    def _received(self, content: bytes) -> None:
        if self._known:
            self._task = asyncio.create_task(self._answer(content))
        elif hmac.compare_digest(content, self._secret):
            self._known = True
            if self._rest:
                self.data_received(b"")
        else:
            self._transport.abort()

    def _has_room(self, size: int) -> bool:
        try:
            self._charge.hold(size)
        except Full:
            return False
        return True

    def _past_unwanted(self) -> bool:
        """Drop what came of a request that is not kept; at its end refuse it."""
        size = min(self._unwanted, len(self._rest))
        del self._rest[:size]
        self._unwanted -= size
        if not self._unwanted:
            self._transport.write(self._refusal())
        return not self._unwanted

    def connection_lost(self, error: Exception | None) -> None:
        self._room.set()
        if self._task:
            self._task.cancel()
        else:
            self._charge.release()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    async def _answer(self, request: bytes) -> None:
        try:
            head, _, body = request.partition(b"\n")
            async with aclosing(self._frames(*orjson.loads(head), body)) as frames:
                del request, body  # for as long as it takes, whoever answers has the only copy
                async for piece in frames:
                    self._transport.write(piece)
                    if len(piece) > SMALL_BYTES:
                        await self._written(len(piece))
                    else:
                        await self._room.wait()
        except Exception as error:
            # Our own fault: where it happened, but not its text, which may quote a prompt.
            traceback.print_tb(error.__traceback__)
            print(f"{type(error).__name__} in a model actor (text withheld)", file=sys.stderr)
            self._transport.write(frame(Kind.ERROR, b""))
        finally:
            self._charge.release()
        self._task = None
        if self._rest:
            self.data_received(b"")

    async def _written(self, size: int) -> None:
        """Wait until there is room for more. A large piece counts meanwhile: it was paid for."""
        question = self._charge.held
        self._charge.hold(question + size, paid=True)
        await self._room.wait()
        self._charge.hold(question)


# The gateway's end.


class Channel:
    """One connection, seen from the gateway: `send`, then `receive` until `ended`. For one thread,
    or greenlet (gateway/hub.py), at a time."""

    def __init__(
        self,
        address: Address,
        patience: float,
        trust: ssl.SSLContext | None = None,
        budget: ByteBudget | None = None,
    ) -> None:
        """Connect; `patience` is the seconds for any wait, and `trust` the address's, if that was
        made before.

        A large frame counts in `budget` until the next one, or the request's end. Raises
        ChannelError: nobody is there, or somebody else.
        """
        self.address = address
        self.free_since = 0.0
        self._rest = bytearray()
        self._patience = patience
        self._near = "path" in address
        self._watched = False
        self._drained = True  # all that has come was read, and was told of by the hub
        self._charge = Charge(budget or ByteBudget(sys.maxsize))
        self.ended = True
        try:
            self._socket = _connected(address, trust)
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                raise  # nobody was looked for: it is this process that is full
            raise ChannelError(str(error), sent=False) from error
        try:
            # The kernel's own limits: Python's would cost a second system call for each.
            self._socket.settimeout(None)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(LOOK_SECONDS))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(patience))
            self._socket.sendall(frame(Kind.REQUEST, address["secret"].encode()))
        except OSError as error:
            self._socket.close()
            raise ChannelError(str(error), sent=False) from error

    def send(self, *what: str, body: bytes) -> None:
        """Send a request. Raises ChannelError, and TimeoutError."""
        self.ended = False
        head = orjson.dumps(what) + b"\n"
        start = b"%b%c%b" % ((len(head) + len(body)).to_bytes(4, "big"), Kind.REQUEST, head)
        try:
            if len(body) > SMALL_BYTES:  # without a copy of it
                self._send(start)
                self._send(body)
            else:
                self._send(start + body)
        except BlockingIOError:
            raise TimeoutError from None
        except OSError as error:
            raise ChannelError(str(error), sent=True) from error

    def receive(self, client: socket.socket | None = None) -> Frame:
        """Return the next frame of the answer; `ended` tells whether it was the last.

        Raises ChannelError, TimeoutError, Full, or ClientGone: `client`, whom the answer is for,
        has hung up.
        """
        self._read(HEADER_BYTES, client)
        end = HEADER_BYTES + int.from_bytes(self._rest[:4], "big")
        if end > SMALL_BYTES or self._charge.held:
            self._charge.hold(end)
        self._read(end, client)
        kind, content = Kind(self._rest[4]), bytes(self._rest[HEADER_BYTES:end])
        del self._rest[:end]
        self.ended = kind >= Kind.END
        return kind, content

    def close(self) -> None:
        """Hang up; a request that has not ended is cancelled, at its provider too."""
        self._charge.release()
        self._socket.close()

    def rest(self) -> None:
        """Stay connected, for another request later."""
        self._charge.release()
        self.free_since = time.monotonic()

    def _send(self, content: bytes) -> None:
        own = hub.current()
        count = 0
        if own and isinstance(self._socket, socket.socket):
            with suppress(BlockingIOError):
                count = self._socket.send(content, socket.MSG_DONTWAIT)
        if count < len(content):
            hub.in_thread(self._socket.sendall, memoryview(content)[count:])

    def _read(self, size: int, client: socket.socket | None) -> None:
        own = hub.current()
        while len(self._rest) < size:
            most = min(max(RECEIVE_BYTES, size - len(self._rest)), MOST_RECEIVED)
            if own and self._drained:
                self._wait_in(own, client)
            try:
                came = self._socket.recv(most, socket.MSG_DONTWAIT if own else 0)
                self._drained = len(came) < most and self._near
            except BlockingIOError:
                if own:
                    self._drained = True
                else:
                    self._wait(client)
                continue
            except OSError as error:
                raise ChannelError(str(error), sent=True) from error
            if not came:
                raise ChannelError("the connection was closed", sent=True)
            self._rest += came

    def _wait_in(self, own: hub.Hub, client: socket.socket | None) -> None:
        """Wait for more in a greenlet. Raises TimeoutError or ClientGone."""
        number = self._socket.fileno()
        if not self._watched:
            own.watch(number)
            self._watched = True
        woken = own.wait(number, self._patience, client, LOOK_SECONDS)
        if woken is hub.Wake.LATE:
            raise TimeoutError
        if woken is hub.Wake.GONE:
            raise ClientGone

    def _wait(self, client: socket.socket | None) -> None:
        """Wait for more, beside the client, after LOOK_SECONDS alone. Raises TimeoutError or
        ClientGone."""
        poll = select.poll()  # select.select knows no descriptor beyond 1,023
        poll.register(self._socket, select.POLLIN)
        if client is not None and client.fileno() >= 0:
            poll.register(client, select.POLLRDHUP)
        ready = poll.poll(max(0.0, self._patience - LOOK_SECONDS) * 1000)
        if not ready:
            raise TimeoutError
        if all(number != self._socket.fileno() for number, _ in ready):
            raise ClientGone


def _connected(address: Address, trust: ssl.SSLContext | None) -> socket.socket | SecureSocket:
    """Return a connection to an actor. Raises OSError: nobody is there, or somebody else."""
    if "host" in address:
        far = SecureSocket(trust or trusting(address["certificate"]))
        with _closed_on_error(far):
            far.settimeout(CONNECT_SECONDS)
            far.connect((address["host"], address["port"]))
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return far
    near = socket.socket(socket.AF_UNIX)
    with _closed_on_error(near):
        near.settimeout(CONNECT_SECONDS)
        near.connect(address["path"])
        if _user_of(near) != address["user"]:
            raise PermissionError("another user of its machine has taken its socket's place")
    return near


@contextmanager
def _closed_on_error(connection: socket.socket | SecureSocket) -> Iterator[None]:
    """Close a connection that could not be made."""
    try:
        yield
    except OSError:
        connection.close()
        raise


def _user_of(connection: socket.socket) -> str:
    """Return the number of the user as whom the process at the other end of a Unix socket
    listens."""
    process_user_group = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    return str(struct.unpack("3i", process_user_group)[1])


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))


class Channels:
    """The connections to one actor that are free, the last used first, so that those beyond need
    stay idle and are closed. `find` asks Ray for the actor's address.

    `host` is where it was last: "" is this node; None is not known yet. Large frames count in
    `budget`.
    """

    def __init__(
        self, find: Callable[[], Address], patience: float, budget: ByteBudget | None = None
    ) -> None:
        self._find = find
        self._patience = patience
        self._budget = budget
        self._address: Address | None = None
        self._trust: ssl.SSLContext | None = None
        self.host: str | None = None
        self._free: deque[Channel] = deque()

    def take(self) -> Channel:
        """Return a connection. Raises ChannelError, and what `find` raises."""
        try:
            return self._free.pop()
        except IndexError:
            return hub.in_thread(self._connect)

    def _connect(self) -> Channel:
        if self._address is None:
            self._address = self._find()
            if "host" in self._address:
                self.host = self._address["host"]
                self._trust = trusting(self._address["certificate"])
            else:
                self.host, self._trust = "", None
        return Channel(self._address, self._patience, self._trust, self._budget)

    def give_back(self, channel: Channel) -> None:
        """It has ended its request, and may be used for another, unless it leads to a process that
        was lost."""
        if channel.address is not self._address:
            channel.close()
            return
        channel.rest()
        self._free.append(channel)

    def lost(self) -> None:
        """The actor's process has ended, and its next one has another address; or the chat has been
        taken away."""
        self._address = None
        self.close()

    def close_idle(self, now: float) -> None:
        """Hang up where nothing was under way for IDLE_SECONDS before `now`. The longest idle stand
        first."""
        while self._free:
            try:
                channel = self._free.popleft()
            except IndexError:
                return
            if now - channel.free_since < IDLE_SECONDS:
                self._free.appendleft(channel)
                return
            channel.close()

    def close(self) -> None:
        """Hang up where nothing is under way."""
        for _ in itertools.repeat(None, len(self._free)):
            try:
                self._free.popleft().close()
            except IndexError:
                return
