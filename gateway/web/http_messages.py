"""Requests that old clients write by hand, and replies in one piece: gunicorn's own classes read
and send less well.

A reply's head and body go out by one system call, since each is a turn at the GIL
(docs/performance.md).
"""

from __future__ import annotations

import logging
import re
import select
import socket
import time
from typing import Any

from gunicorn import util
from gunicorn.http import message, wsgi
from gunicorn.http.errors import (
    InvalidRequestLine,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.http.parser import RequestParser

from gateway import hub
from gateway.errors import Code, GatewayError
from gateway.web.client_connections import Patience, await_client

CR = 13
BARE_LF = "bare LF"
"""How gunicorn's exceptions name it."""

LARGE_BYTES = 64 * 1024
"""What is longer is sent apart from its reply's head."""

UNENCODED = re.compile(rb"[#\x80-\xff]")


def refusal(exc: BaseException, request_id: str) -> tuple[int, Any]:
    """Return the status and the body for a request that could not be parsed."""
    # Here, since gunicorn's master needs none of it.
    from gateway.web import validation, wire

    error = _malformed(exc)
    line = getattr(exc, "line", b"").partition(b"?")[2]
    try:
        options = wire.query(re.sub(rb"\s+HTTP/\S*\s*$", b"", line))
    except GatewayError:
        options = {}  # it is malformed, too
    form = validation.form(wire.Form(), options)
    if form.plain:
        return form.status or error.status, wire.plain(error.words(form.lang), form)
    return error.status, wire.json_object(error.shape(request_id), form)


def _malformed(exc: BaseException) -> GatewayError:
    """Return what was wrong with a request's head, as whoever wrote it by hand would want to
    know."""
    words, words_zh = (
        f"This is not an HTTP request that can be read ({type(exc).__name__}).",
        "无法解析该 HTTP 请求。",
    )
    if isinstance(exc, LimitRequestLine | LimitRequestHeaders):
        return GatewayError(
            Code.TOO_LARGE, words + " POST long questions.", words_zh + "长问题请用 POST 发送。"
        )
    if BARE_LF in str(exc):
        words, words_zh = (
            "A header line ends with LF alone: end each line with CR LF.",
            "请求头每行须以 CR LF 结尾。",
        )
    elif getattr(exc, "line", b"").count(b" ") > 2:
        words, words_zh = (
            "There is a blank in the URL: write it as %20 or +.",
            "URL 中有空格：请写成 %20 或 +。",
        )
    return GatewayError(Code.INVALID_REQUEST, words, words_zh)


class Request(message.Request):  # type: ignore[misc]
    """gunicorn's, that also reads what RFC 9112 lets a server read: a head whose lines end with LF
    alone; and bytes in a URL that should have been percent-encoded.

    LF alone could mean one thing to a proxy and another here. So it is taken where no proxy is
    trusted, from a head that has no CR at all and no chunks behind it, and ends the connection:
    nothing is read as a second request.
    """

    takes_bare_lf = False
    line = b""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        try:
            super().__init__(*arguments, **more)
        except ParseException as error:
            error.line = self.line
            raise
        self.unreader.begin_body()

    def read_line(self, unreader: Any, buf: bytearray, limit: int = 0) -> Any:
        """Return the request's first line, and what follows it, to gunicorn."""
        while (end := buf.find(b"\n")) < 0 and len(buf) <= limit:
            self.read_into(unreader, buf)
        self.line = bytes(buf[:end])
        if end > 0 and buf[end - 1] != CR and self.takes_bare_lf:
            self._end_lines_with_cr_lf(unreader, buf)
        return super().read_line(unreader, buf, limit)

    def _end_lines_with_cr_lf(self, unreader: Any, buf: bytearray) -> None:
        while (end := buf.find(b"\n\n")) < 0 and CR not in buf:
            if len(buf) > self.max_buffer_headers:
                raise LimitRequestHeaders("max buffer headers")
            self.read_into(unreader, buf)
        head = buf[:end]
        if end < 0 or CR in head or b"\ntransfer-encoding" in head.lower():
            raise InvalidRequestLine(BARE_LF)
        buf[: end + 2] = head.replace(b"\n", b"\r\n") + b"\r\n\r\n"
        self.force_close()

    def parse_request_line(self, line_bytes: bytes) -> None:
        """Parse the request line. gunicorn's own refuses a target with other characters than those
        of RFC 3986. A # is one of the text: clients send no fragments."""
        if not line_bytes.isascii() or b"#" in line_bytes:
            method, _, rest = line_bytes.partition(b" ")
            target, _, version = rest.rpartition(b" ")
            line_bytes = b" ".join(
                (method, UNENCODED.sub(lambda byte: b"%%%02X" % byte[0][0], target), version)
            )
        super().parse_request_line(line_bytes)

    def parse_headers(self, data: bytes, from_trailer: bool = False) -> Any:
        """Parse the headers; gunicorn's own would not say what is wrong with a line end inside a
        head."""
        if data.count(b"\n") != data.count(b"\r\n"):
            raise InvalidRequestLine(BARE_LF)
        return super().parse_headers(data, from_trailer)


class Response(wsgi.Response):  # type: ignore[misc]
    """gunicorn's, whose head goes out together with the first piece of its body."""

    headers_sent: bool
    _head = b""
    _patience: Patience | None = None

    def send_headers(self) -> None:
        """Keep it until there is something to send it with."""
        if not self.headers_sent:
            lines = [
                *self.default_headers(),
                *(f"{name}: {value}\r\n" for name, value in self.headers),
                "\r\n",
            ]
            self._head = util.to_bytestring("".join(lines), "latin-1")
            self.headers_sent = True

    def close(self) -> None:
        """Send what is left."""
        if not self.headers_sent:
            self.send_headers()
        if self._head:
            self.sendall(b"")
        super().close()

    def sendall(self, piece: bytes) -> None:
        """Send all of `data`, as gunicorn's functions for a socket do."""
        head, self._head = self._head, b""
        if len(piece) > LARGE_BYTES:  # a copy of it would stay for as long as its client takes
            self._send(head)
            self._send(piece)
        else:
            self._send(head + piece)

    def _send(self, data: bytes) -> None:
        try:
            count = self.sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            count = 0
        if count < len(data):
            self._send_slowly(memoryview(data)[count:])

    def _send_slowly(self, rest: memoryview) -> None:
        """Send to a client that has not read what it got before."""
        self._patience = self._patience or Patience()
        own = hub.current()
        while rest:
            since = time.monotonic()
            if own:
                await_client(own, self.sock, select.EPOLLOUT)
            count = self.sock.send(rest, socket.MSG_DONTWAIT if own else 0)
            rest = rest[count:]
            self._patience.spend(since, count)

    def _emit_body(self, data: bytes) -> None:
        util.write(self, data, self.chunked)


def install() -> None:
    """Have gunicorn use these, in a process that answers: it has no settings for them. The master
    must not, since a reload gives it the next version's."""
    RequestParser.mesg_class = Request
    wsgi.Response = Response
    logging.getLogger("gunicorn.error").addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    """Return a client that falls silent is a line in the log, and not a fault of ours that gunicorn
    traces back."""
    if record.exc_info and isinstance(record.exc_info[1], BlockingIOError):
        record.exc_info, record.msg = None, "a client fell silent, or was too slow"
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True
