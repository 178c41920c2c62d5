"""A provider on loopback whose every byte a test decides, in the test's own process.

Its script is given each request, and returns the bytes of a reply, or steps: bytes to send, seconds
to wait, CLOSE or RESET. Without either of the last two the connection is kept for the next request.
"""

from __future__ import annotations

import itertools
import json
import select
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self


class End(Enum):
    """How a connection ends: by a FIN, or by a RST."""

    CLOSE = "close"
    RESET = "reset"


CLOSE, RESET = End.CLOSE, End.RESET
BALANCES = ("/balance", "/key", "/dashboard/billing/subscription", "/dashboard/billing/usage")
NO_BALANCE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
HANG = 600.0
"""So many seconds that whoever asked has left before."""

Step = bytes | float | End
Reply = bytes | Sequence[Step]


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the number of its connection, its own on that connection, both from 1, and who
    sent it.

    `left` is set when the client hangs up before its reply is complete.
    """

    connection: int
    number: int
    address: str
    headers: dict[str, str]
    body: bytes
    path: str = ""
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def looks(self) -> bool:
        """Whether it asks what is left in the account."""
        return self.path.endswith(BALANCES)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def streams(self) -> bool:
        """Whether server-sent events are asked for, as a strict provider reads it."""
        return self.json.get("stream") is True


Script = Callable[[Request], Reply]


class _Connection(socketserver.StreamRequestHandler):
    """Reads requests from one connection, and plays the script's reply to each."""

    disable_nagle_algorithm = True
    server: RawProvider

    def handle(self) -> None:
        connection = next(self.server.connections)
        with suppress(ConnectionError):
            for number in itertools.count(1):
                request = self._read(connection, number)
                if request is None or not self._play(request):
                    return

    def _read(self, connection: int, number: int) -> Request | None:
        """The next request, or None: the client hung up."""
        first = self.rfile.readline().split()
        if not first:
            return None
        headers: dict[str, str] = {}
        while (line := self.rfile.readline().decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        path = first[1].decode() if len(first) > 1 else ""
        request = Request(connection, number, self.client_address[0], headers, body, path)
        (self.server.looks if request.looks else self.server.requests).append(request)
        return request

    def _play(self, request: Request) -> bool:
        """Whether the connection is kept."""
        reply = (self.server.balances if request.looks else self.server.script)(request)
        for step in (reply,) if isinstance(reply, bytes) else reply:
            if isinstance(step, End):
                if step is RESET:
                    self._reset()
                return False
            if not self._take(step):
                request.left.set()
                return False
        return True

    def _take(self, step: bytes | float) -> bool:
        """Send these bytes, or wait so many seconds. False: the client hung up."""
        try:
            if isinstance(step, bytes):
                self.connection.sendall(step)
                return True
            poll = select.poll()
            poll.register(self.connection, select.POLLIN)
            return not poll.poll(step * 1000) or self.connection.recv(1, socket.MSG_PEEK) != b""
        except OSError:
            return False

    def _reset(self) -> None:
        # A socket that lingers for no time is ended by a RST; it closes only when nothing reads
        # from it any more.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()


class RawProvider(socketserver.ThreadingTCPServer):
    """Serves until its `with` block ends. `script` may be exchanged at any time; `requests` came in
    this order. Who asks for a balance is answered by `balances`, and stands in `looks`."""

    request_queue_size = 128

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), _Connection)
        self.script: Script = lambda request: (CLOSE,)
        self.requests: list[Request] = []
        self.balances: Script = lambda request: NO_BALANCE
        self.looks: list[Request] = []
        self.connections = itertools.count(1)
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))

    @property
    def base_url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/v1"

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.vanish()

    def vanish(self) -> None:
        """Listen no more, and hang up; twice is fine."""
        self.shutdown()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()
        self._thread.join()


def by_mode(whole: Reply, stream: Reply) -> Script:
    """Answer a request for a stream with one reply, and every other with another."""
    return lambda request: stream if request.streams else whole


def _head(status: str, content_type: str | None, headers: Sequence[str]) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        *([f"Content-Type: {content_type}"] if content_type else ()),
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1")


def whole(
    body: Any,
    status: str = "200 OK",
    content_type: str | None = "application/json",
    headers: Sequence[str] = (),
) -> bytes:
    """A reply with its length; what is no bytes becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return _head(status, content_type, [f"Content-Length: {len(data)}", *headers]) + data


def piece(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST = b"0\r\n\r\n"
"""The end of a chunked body; without it, the body broke off."""


def opening(
    status: str = "200 OK",
    content_type: str | None = "text/event-stream",
    headers: Sequence[str] = (),
) -> bytes:
    """The head of a chunked reply."""
    return _head(status, content_type, ["Transfer-Encoding: chunked", *headers])


def streamed(
    *events: bytes, content_type: str = "text/event-stream", status: str = "200 OK"
) -> bytes:
    """A chunked reply, properly ended."""
    return opening(status, content_type) + b"".join(map(piece, events)) + LAST


def slowly(*events: bytes, seconds: float = 0.1) -> list[Step]:
    """A chunked reply whose events are read one by one, since time passes between them."""
    steps: list[Step] = [opening()]
    for event in events:
        steps += [piece(event), seconds]
    return [*steps, LAST]


def event(data: Any, name: str = "") -> bytes:
    """A server-sent event; what is no bytes becomes JSON."""
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + text + b"\n\n"


DONE = event(b"[DONE]")


def chunk(
    content: Any = None, finish: Any = None, delta: Any = None, **more: Any
) -> dict[str, Any]:
    """A chunk of an OpenAI-shaped stream, whose delta is `delta`, or else this content."""
    added = delta if delta is not None else {} if content is None else {"content": content}
    choice = {"index": 0, "delta": added, "finish_reason": finish}
    return {
        "id": "r-7",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m-7",
        "choices": [choice],
        **more,
    }


def completion(content: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    """An OpenAI-shaped whole answer; `message` adds to its message, what is left to the reply."""
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {
        "id": "r-7",
        "object": "chat.completion",
        "created": 7,
        "model": "m-7",
        "choices": [choice],
        **more,
    }
