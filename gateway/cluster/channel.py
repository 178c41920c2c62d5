"""The gateway's end of a chat's way through the cluster (gateway/channel.py): its connections to
the actors.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import orjson

from gateway import hub
from gateway.byte_budget import SMALL_BYTES, ByteBudget, Charge
from gateway.channel import CONNECT_SECONDS, HEADER_BYTES, Frame, frame
from gateway.errors import OUT_OF_FILES
from gateway.frames import Kind
from gateway.protocol import Address
from gateway.tls import SecureSocket, trusting

RECEIVE_BYTES = 64 * 1024
MOST_RECEIVED = 1024 * 1024
"""So much of a long frame is read by one system call, which first takes as much memory."""

LOOK_SECONDS = 1
"""So long an answer is waited for alone; then its client is looked after, too, who may have
gone."""


class ChannelError(Exception):
    """The other end is gone: its process has ended, or is being started. `sent`: it may have got
    the request."""

    def __init__(self, words: str, sent: bool) -> None:
        super().__init__(words)
        self.sent = sent


class ClientGone(Exception):  # noqa: N818  # no error: nobody waits any more
    """The client that an answer is for has hung up."""


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
        if client is not None and (number := client.fileno()) >= 0:
            poll.register(number, select.POLLRDHUP)
        ready = poll.poll(max(0.0, self._patience - LOOK_SECONDS) * 1000)
        if not ready:
            raise TimeoutError
        if all(one != self._socket.fileno() for one, _ in ready):
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
