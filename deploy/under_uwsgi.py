"""What gunicorn does and uWSGI leaves to the application: chunked bodies both ways, a look at the
client's socket, raw bytes in a URL."""

from __future__ import annotations

import io
import os
import socket
import string
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import uwsgi

from app import app
from gateway.web import metrics
from gateway.web.counts_folder import forget_process

SLOW_CLIENT_SECONDS = 30

# uWSGI tells nobody that a process has ended; the one in its place drops what it had under way.
_living = {worker["pid"] for worker in uwsgi.workers()}
for _file in metrics.FOLDER.glob("gauge_live*_*.db"):
    if (_pid := int(_file.stem.rpartition("_")[2])) not in _living:
        forget_process(metrics.FOLDER, _pid)


class _Chunks(io.RawIOBase):
    """A chunked request's body."""

    _left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        self._left = self._left or uwsgi.chunked_read(SLOW_CLIENT_SECONDS)
        size = min(len(into), len(self._left))
        into[:size], self._left = self._left[:size], self._left[size:]
        return size


class _Reply:
    """A reply of unknown size goes out in HTTP/1.1's chunks.

    One that breaks off lacks the last of them, and so cannot be mistaken for a whole one.
    """

    framed = False

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self.pieces: Any = ()

    def __iter__(self) -> Iterator[bytes]:
        if not self.framed:
            yield from self.pieces
            return
        with suppress(BrokenPipeError):  # it broke off
            for piece in filter(None, self.pieces):
                yield b"%x\r\n%b\r\n" % (len(piece), piece)
            yield b"0\r\n\r\n"

    def close(self) -> None:
        self._client.close()
        if hasattr(self.pieces, "close"):
            self.pieces.close()


def application(environ: dict[str, Any], start_response: Any) -> _Reply:
    """The gateway, as gunicorn would serve it."""
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        environ["wsgi.input"] = io.BufferedReader(_Chunks())
        environ["wsgi.input_terminated"] = True
    # Raw bytes, as curl puts Chinese into a URL: Werkzeug reads a query as ASCII or UTF-8 only.
    environ["QUERY_STRING"] = quote(environ["QUERY_STRING"], string.printable, "latin-1")
    # Streams look at it, to notice that their client has gone.
    client = environ["gunicorn.socket"] = socket.socket(fileno=os.dup(uwsgi.connection_fd()))
    reply = _Reply(client)

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        sized = any(name.lower() == "content-length" for name, _ in headers)
        reads_chunks = (
            environ["SERVER_PROTOCOL"] == "HTTP/1.1" and environ["REQUEST_METHOD"] != "HEAD"
        )
        reply.framed = reads_chunks and not sized
        framing = [("Transfer-Encoding", "chunked")] if reply.framed else []
        return start_response(status, headers + framing, *more)

    reply.pieces = app(environ, start)
    return reply
