"""gunicorn's thread worker, with fewer turns at the GIL, and a parser that reads what old clients write by hand.

gunicorn's own passes each request from its poller to a thread and back, sets a time limit and takes it back, and sends
a reply's head and body apart. Each system call, and each thread that wakes, is a turn at the GIL, for which all chats
of the process wait (docs/performance.md).
"""

from __future__ import annotations

import logging
import re
import secrets
import select
import signal
import sys
import time
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http import message, wsgi
from gunicorn.http.errors import InvalidRequestLine, LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.http.parser import RequestParser
from gunicorn.workers import gthread

from gateway.errors import OUT_OF_FILES, Code, GatewayError

SLOW_CLIENT_SECONDS = 30
"""A client that sends or reads nothing for so long is dropped; else it would hold its thread for ever."""

SETTLE_SECONDS = 15
"""How long a new process looks for its cluster before it says CLUSTER_DOWN."""

LINGER_SECONDS = 1
"""How long a thread waits for its client's next request itself, before the poller does so for all."""

FEW = 16
"""Threads that may wait so in each process. More of them fight for the GIL, where the poller wakes one after the other:
at 256 connections that took a fifth of the requests/s."""

MANY = 64
"""Threads of a process at work, or waiting for a provider, from which on they wait for the GIL more patiently."""

PATIENT_SECONDS = 0.05
"""Each thread that waits for the GIL wakes as often, to ask for it: with Python's own 5 ms, a thousand of them took a
quarter of a chat's CPU, and p99 was twice as long. With few threads the longer time costs requests/s."""

PYTHONS_OWN_SECONDS = sys.getswitchinterval()

NOTICE_SECONDS = 1

FULL_SECONDS = 0.5
"""So long no connection is taken where no file can be opened; those that come wait, or another process takes them."""

CR = 13
BARE_LF = "bare LF"
"""How gunicorn's exceptions name it."""

PIECE_BYTES = 64 * 1024
"""What is longer is sent apart from a reply's head."""

UNENCODED = re.compile(rb"[#\x80-\xff]")


class Worker(gthread.ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gthread, except for its start, waiting for the next request, malformed ones, signals, and the GIL's patience."""

    _noticed = 0.0
    _full_until = 0.0

    def run(self) -> None:
        """Take no connection before the cluster is known: in a reload they wait in the backlog, and none fails."""
        Request.takes_bare_lf = not self.wsgi.extensions["settings"].trusted_proxies
        self.wsgi.extensions["llm"].settled(SETTLE_SECONDS)
        super().run()

    def accept(self, listener: Any) -> None:
        """gunicorn's, whose process would end with all its chats where no file can be opened. That is full, and
        passes."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in OUT_OF_FILES:
                raise
            now = time.monotonic()
            if now > self._full_until + FULL_SECONDS * 4:  # else it was said a moment ago
                self.log.warning("no connection can be taken for a while: %s (ulimit -n)", error.strerror)
            self._full_until = now + FULL_SECONDS
            self.set_accept_enabled(False)

    def set_accept_enabled(self, enabled: bool) -> None:
        """gunicorn's, called at each turn of the poller."""
        super().set_accept_enabled(enabled and time.monotonic() >= self._full_until)

    def handle(self, conn: Any) -> Any:
        """Answer a request, and those that follow it closely; returns as gunicorn's: whether the client goes on."""
        goes_on = super().handle(conn)
        while goes_on is True and self._asks_again(conn):
            goes_on = super().handle(conn)
        return goes_on

    def _asks_again(self, conn: Any) -> bool:
        """Whether the client's next request begins within LINGER_SECONDS, while there is little else to do."""
        if not self.alive or self._busy() > FEW:
            return False
        if conn.parser.unreader.buf.getvalue():
            return True  # it came with the last one
        poll = select.poll()
        poll.register(conn.sock, select.POLLIN)
        return bool(poll.poll(LINGER_SECONDS * 1000))

    def _busy(self) -> int:
        """Threads that are answering a request, or linger."""
        return int(self.nr_conns - len(self.keepalived_conns) - len(self.pending_conns))

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        """gunicorn's, for a body that was not read to its end: it sets a time limit for the rest, and takes it back."""
        if keepalive and getattr(conn.parser.mesg.body.reader, "length", None) == 0:
            return True
        return bool(super()._keepalive_after(conn, keepalive))

    def notify(self) -> None:
        """Called at each turn of the poller, and done once a second: tell the master that this process lives, set the
        GIL's patience, and take signals back that Ray's C++ took when it connected, to end gracefully."""
        if time.monotonic() < self._noticed + NOTICE_SECONDS:
            return
        self._noticed = time.monotonic()
        super().notify()
        sys.setswitchinterval(PATIENT_SECONDS if self._busy() > MANY else PYTHONS_OWN_SECONDS)
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.signal(signal.SIGABRT, self.handle_abort)

    def is_parent_alive(self) -> bool:
        """Without its master a worker ends its chats; at once it leaves the port to the next master, and tells clients
        that keep their connections to close them. gunicorn 27 would hold both for as long as there is work."""
        if super().is_parent_alive():
            return True
        self.alive = False
        self.set_accept_enabled(False)
        for listener in self.sockets:
            listener.close()
        return False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """A request that gunicorn cannot parse gets the gateway's error, as its query asks for, and no HTML page."""
        self.log.warning("malformed HTTP from %s: %s", addr[0] if addr else "?", type(exc).__name__)
        request_id = secrets.token_hex(8)
        status, reply = _refusal(exc, request_id)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"Content-Type: {reply.content_type}\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n"
            f"X-Request-Id: {request_id}\r\nContent-Length: {len(reply.body)}\r\n\r\n"
        )
        try:
            client.sendall(head.encode() + reply.body)
        except OSError:
            self.log.debug("the client of a malformed request has gone")


class Connection(gthread.TConn):  # type: ignore[misc]
    """gunicorn's, which would open a file more to wait for its first byte."""

    data_ready: bool

    def wait_for_data(self, timeout: float) -> bool:
        """Return whether there is some, within `timeout`."""
        if not self.data_ready:
            poll = select.poll()
            try:
                poll.register(self.sock, select.POLLIN)
            except ValueError:
                return False  # it was closed
            self.data_ready = bool(poll.poll(timeout * 1000))
        return self.data_ready


gthread.TConn = Connection  # gunicorn has no setting for it


def _refusal(exc: BaseException, request_id: str) -> tuple[int, Any]:
    """The status and the body for a request that could not be parsed."""
    # Here, since gunicorn's master must not load what a reload shall replace.
    from gateway import contract, wire

    error = _malformed(exc)
    line = getattr(exc, "line", b"").partition(b"?")[2]
    try:
        options = wire.query(re.sub(rb"\s+HTTP/\S*\s*$", b"", line))
    except GatewayError:
        options = {}  # it is malformed, too
    form = contract.form(wire.Form(), options)
    if form.format == "text" or form.status:
        return form.status or error.status, wire.plain(error.words(form.lang), form)
    return error.status, wire.json_object(error.shape(request_id), form)


def _malformed(exc: BaseException) -> GatewayError:
    """What was wrong with a request's head, as whoever wrote it by hand would want to know."""
    words, words_zh = f"This is not an HTTP request that can be read ({type(exc).__name__}).", "无法解析该 HTTP 请求。"
    if isinstance(exc, LimitRequestLine | LimitRequestHeaders):
        return GatewayError(Code.TOO_LARGE, words + " POST long questions.", words_zh + "长问题请用 POST 发送。")
    if BARE_LF in str(exc):
        words, words_zh = "A header line ends with LF alone: end each line with CR LF.", "请求头每行须以 CR LF 结尾。"
    elif getattr(exc, "line", b"").count(b" ") > 2:
        words, words_zh = "There is a blank in the URL: write it as %20 or +.", "URL 中有空格：请写成 %20 或 +。"
    return GatewayError(Code.INVALID_REQUEST, words, words_zh)


class Request(message.Request):  # type: ignore[misc]
    """gunicorn's, that also reads what RFC 9112 lets a server read: a head whose lines end with LF alone; and bytes in
    a URL that should have been percent-encoded.

    LF alone could mean one thing to a proxy and another here. So it is taken where no proxy is trusted, from a head
    that has no CR at all and no chunks behind it, and ends the connection: nothing is read as a second request.
    """

    takes_bare_lf = False
    line = b""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        try:
            super().__init__(*arguments, **more)
        except ParseException as error:
            error.line = self.line
            raise

    def read_line(self, unreader: Any, buf: bytearray, limit: int = 0) -> Any:
        """gunicorn's: the request's first line, and what follows it."""
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
        """gunicorn's, which refuses a target with other characters than those of RFC 3986. A # is one of the text:
        clients send no fragments."""
        if not line_bytes.isascii() or b"#" in line_bytes:
            method, _, rest = line_bytes.partition(b" ")
            target, _, version = rest.rpartition(b" ")
            line_bytes = b" ".join((method, UNENCODED.sub(lambda byte: b"%%%02X" % byte[0][0], target), version))
        super().parse_request_line(line_bytes)

    def parse_headers(self, data: bytes, from_trailer: bool = False) -> Any:
        """gunicorn's; it would not say what is wrong with a line end inside a head."""
        if data.count(b"\n") != data.count(b"\r\n"):
            raise InvalidRequestLine(BARE_LF)
        return super().parse_headers(data, from_trailer)


RequestParser.mesg_class = Request  # gunicorn has no setting for it


class Response(wsgi.Response):  # type: ignore[misc]
    """gunicorn's, whose head goes out together with the first piece of its body."""

    headers_sent: bool
    _head = b""

    def send_headers(self) -> None:
        """Keep it until there is something to send it with."""
        if not self.headers_sent:
            lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
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
        """What gunicorn's functions for a socket call on this."""
        head, self._head = self._head, b""
        if len(piece) > PIECE_BYTES:  # a copy of it would stay for as long as its client takes
            self.sock.sendall(head)
            self.sock.sendall(piece)
        else:
            self.sock.sendall(head + piece)

    def _emit_body(self, data: bytes) -> None:
        util.write(self, data, self.chunked)


wsgi.Response = Response  # gunicorn has no setting for it


def _without_traceback(record: logging.LogRecord) -> bool:
    """A client that falls silent is a line in the log, and not a fault of ours that gunicorn traces back."""
    if record.exc_info and isinstance(record.exc_info[1], BlockingIOError):
        record.exc_info, record.msg = None, f"a client fell silent for {SLOW_CLIENT_SECONDS} s"
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True


logging.getLogger("gunicorn.error").addFilter(_without_traceback)
