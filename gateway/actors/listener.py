"""The actor's end of a chat's way through the cluster (gateway/channel.py)."""

from __future__ import annotations

import asyncio
import hmac
import os
import resource
import secrets
import socket
import sys
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import cast

import orjson

from gateway.byte_budget import SMALL_BYTES, ByteBudget, Charge, Full
from gateway.channel import CONNECT_SECONDS, HEADER_BYTES, frame
from gateway.frames import Kind
from gateway.protocol import FarAddress, NearAddress
from gateway.tls import make_certificate, watched

WINDOW_BYTES = 256 * 1024
"""How much of one stream may wait for a slow client in the actor; as much again waits in the
kernel."""

SLOW_SECONDS = 120
"""So long a gateway process may read nothing of a stream before it is taken for one that is cut
off: its client may read slowly."""

HANDSHAKE_BYTES = 256

Answer = Callable[..., AsyncGenerator[bytes, None]]


def allow_many() -> None:
    """Let this process have as many connections as its hard limit allows: a chat takes two, and the
    usual soft limit of 1,024 files is for programs that use `select`. (In a driver, ray.init does
    it.)"""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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
                port = watched(socket.create_server((host, 0)), SLOW_SECONDS)
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
