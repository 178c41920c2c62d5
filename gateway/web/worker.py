"""gunicorn's thread worker, whose poller also waits for all that chats wait for, and what else it
needs to keep them.

gunicorn's own holds a thread for each client that has sent a piece of a request, and one for each
chat that waits for its provider; and it ends where no file can be opened. Here a request runs in a
greenlet of the poller's thread (gateway/hub.py). What may take that thread long, which is all but
small questions to chats, runs in a thread of gunicorn's pool.
"""

from __future__ import annotations

import re
import resource
import secrets
import select
import selectors
import signal
import socket
import time
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn.workers import gthread
from typing_extensions import override

from gateway import hub
from gateway.byte_budget import SMALL_BYTES
from gateway.errors import OUT_OF_FILES
from gateway.settings import Network
from gateway.web import http_messages, proxies
from gateway.web.client_connections import (
    LEAVING_SECONDS,
    SLOW_CLIENT_SECONDS,
    Connection,
    Head,
    Waiting,
)
from gateway.web.http_messages import Request, refusal

SETTLE_SECONDS = 15
"""How long a new process looks for its cluster before it says CLUSTER_DOWN."""

CHATS = re.compile(r"/(?!all/)[a-z0-9_-]+/chat|/v1/((chat/)?completions|messages|responses)")
"""The paths of what waits for a provider and does little else, as clients usually write them:
/all/chat, which waits for many at once, must not be taken for one in any spelling."""

REST_SECONDS = 0.2
"""So long a thread waits for a body that nobody wants, to keep the connection."""

NOTICE_SECONDS = 1

FULL_SECONDS = 0.5
"""So long no connection is taken where no file can be opened; those that come wait, or another
process takes them."""

MOST_WAITING = 4096
"""Connections without a whole head in each process, and no more than half of the files that it may
open. The oldest gives way: whoever means it has sent its head by then."""

MOST_OF_ONE = 128
"""Of those, from one address (or one /64 of IPv6). A trusted proxy and loopback may have any
number."""

GIVE_WAY = 16
"""So many of the oldest are closed where no file can be opened."""


class Worker(gthread.ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gthread, except for its start, where requests run and are waited for, malformed ones, and
    signals."""

    _noticed = 0.0
    _full_until = 0.0

    @override
    def run(self) -> None:
        """Take no connection before the cluster is known: in a reload they wait in the backlog, and
        none fails."""
        trusted = self.wsgi.extensions["settings"].trusted_proxies
        gthread.TConn = Connection  # gunicorn has no setting for it
        http_messages.install()
        Request.takes_bare_lf = not trusted
        most = min(MOST_WAITING, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self.heads = Waiting(
            SLOW_CLIENT_SECONDS, most, MOST_OF_ONE, lambda conn: _origin(conn.client, trusted)
        )
        self.leaving = Waiting(LEAVING_SECONDS, most, most)
        self.hub = hub.Hub(self.tpool, self.method_queue.defer)
        hub.install(self.hub)
        self.poller.register(self.hub.fileno(), selectors.EVENT_READ, self.hub.turn)
        self.wsgi.extensions["llm"].settled(SETTLE_SECONDS)
        super().run()

    @property
    def worker_connections(self) -> int:
        """gunicorn's: with so many it takes no more. Those on which nobody works keep nobody
        out."""
        return int(self.cfg.worker_connections) + self.waiting()

    @worker_connections.setter
    def worker_connections(self, most: int) -> None:
        """gunicorn's constructor sets what the property reads by itself."""

    def waiting(self) -> int:
        """Return on how many connections nobody works."""
        return len(self.heads) + len(self.leaving)

    @override
    def accept(self, listener: Any) -> None:
        """Take a connection. gunicorn's own ends the process with all its chats where no file can
        be opened. That is full, and passes; at once, where connections wait that can give way."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in OUT_OF_FILES:
                raise
            if self.waiting():
                for _ in range(GIVE_WAY):
                    self._close(self.leaving.oldest() or self.heads.oldest())
                return
            now = time.monotonic()
            if now > self._full_until + FULL_SECONDS * 4:  # else it was said a moment ago
                self.log.warning(
                    "no connection can be taken for a while: %s (ulimit -n)", error.strerror
                )
            self._full_until = now + FULL_SECONDS
            self.set_accept_enabled(False)

    @override
    def set_accept_enabled(self, enabled: bool) -> None:
        """Take connections or not; called at each turn of the poller."""
        super().set_accept_enabled(enabled and time.monotonic() >= self._full_until)

    @override
    def enqueue_req(self, conn: Any) -> None:
        """Answer a connection's request, if its head is whole. gunicorn's own hands it to a
        thread."""
        head = conn.look()
        if head is Head.WHOLE:
            self.hub.spawn(self._serve, conn)
        else:
            self._go_on(conn, head)

    def _serve(self, conn: Any) -> None:
        """Answer the request whose head is whole, and those that came with it."""
        head = Head.WHOLE
        try:
            while head is Head.WHOLE:
                head = conn.look_again() if self.handle(conn) is True else Head.GONE
            self._go_on(conn, head)
        except Exception:  # a fault of ours must not end all other chats with the poller
            self.log.exception("a connection failed")
            self._close(conn)

    @override
    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request: here, where that is sure to be quick but for what it waits for, and
        else in a thread."""
        if _is_small_chat(req):
            return super().handle_request(req, conn)
        return self.hub.in_thread(super().handle_request, req, conn)

    @override
    def _keepalive_after(self, conn: Any, keepalive: Any) -> Any:
        """Read the rest of a body, which is seldom there."""
        if keepalive and getattr(conn.parser.mesg.body.reader, "length", None) != 0:
            return self.hub.in_thread(_read_rest, conn.parser)
        return keepalive

    def _go_on(self, conn: Any, head: Head) -> None:
        """Leave a connection to the poller. gunicorn's own waits here for each client that was told
        to go."""
        if head is Head.GONE:
            if conn.leave():
                self._close(conn)
            else:
                self._wait(self.leaving, conn, self.on_leaving_readable)
        elif head is Head.BEGUN or not conn.answered:
            self._wait(self.heads, conn, self.on_head_readable)
        else:
            conn.set_timeout()
            if not self.alive:
                conn.timeout = min(conn.timeout, time.monotonic() + LEAVING_SECONDS)
            if self._registered(conn, self.on_client_socket_readable):
                self.keepalived_conns.append(conn)

    def _wait(self, waiting: Waiting, conn: Any, readable: Any) -> None:
        """Leave a connection to the poller."""
        if self._registered(conn, readable):
            self._close(waiting.add(conn))
            if not self.alive:
                waiting.hurry(time.monotonic() + LEAVING_SECONDS)

    def _registered(self, conn: Any, readable: Any) -> bool:
        """Return whether the poller waits for a connection; else it is closed."""
        try:
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(readable, conn))
        except (OSError, ValueError):  # the kernel has no room for it, or it was closed
            self._close(conn)
            return False
        return True

    def on_head_readable(self, conn: Any, client: Any) -> None:
        """Look at more of a head that has come. (Unless it had to give way in this very turn of the
        poller.)"""
        if conn not in self.heads:
            return
        head = conn.look()
        if head is Head.WHOLE:
            self.heads.remove(conn)
            self.poller.unregister(client)
            self.enqueue_req(conn)
        elif head is Head.GONE:
            self._close(conn)

    def on_leaving_readable(self, conn: Any, client: Any) -> None:
        """Look whether a client that was told to go has gone, or still sends."""
        if conn in self.leaving and conn.drop():
            self._close(conn)

    def _close(self, conn: Any) -> None:
        """Close a connection on which nobody works; None: there is none."""
        if conn is None:
            return
        for waiting in (self.heads, self.leaving):
            if conn in waiting:
                waiting.remove(conn)
                self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    @override
    def murder_pending(self) -> None:
        """Close the connections whose time has passed; called at each turn of the poller."""
        for waiting in (self.heads, self.leaving):
            for conn in waiting.late():
                self._close(conn)

    @override
    def _cap_keepalive(self, deadline: float) -> None:
        """Wait no longer for who has not sent a request soon, and leave the port; called when a
        stop begins."""
        super()._cap_keepalive(deadline)
        self.heads.hurry(deadline)
        self._leave_the_port()

    def _leave_the_port(self) -> None:
        """Take who waits in the backlog, and nobody after. gunicorn would hold the port while it
        answers, and whom the kernel let in meanwhile be reset in the end; who is refused at once,
        such as by a proxy, asks elsewhere."""
        for listener in self.sockets:
            for _ in range(int(self.cfg.backlog)):
                if not select.select([listener], [], [], 0)[0]:
                    break
                self.accept(listener)
            listener.close()

    @override
    def notify(self) -> None:
        """Once a second, of all turns of the poller, tell the master that this process lives, see
        who has waited long enough, and take signals back that Ray's C++ took when it connected, to
        end gracefully."""
        if time.monotonic() < self._noticed + NOTICE_SECONDS:
            return
        self._noticed = time.monotonic()
        super().notify()
        self.hub.tick()
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.signal(signal.SIGABRT, self.handle_abort)

    @override
    def is_parent_alive(self) -> bool:
        """Say whether there is a master. Without one a worker ends its chats, and tells clients
        that keep their connections to close them: `alive` is what it goes by."""
        if super().is_parent_alive():
            return True
        self.alive = False
        return False

    @override
    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that gunicorn cannot parse with the gateway's error, as its query asks
        for, and no HTML page."""
        self.log.warning("malformed HTTP from %s: %s", addr[0] if addr else "?", type(exc).__name__)
        request_id = secrets.token_hex(8)
        status, reply = refusal(exc, request_id)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type:"
            f" {reply.content_type}\r\nX-Content-Type-Options: nosniff\r\nConnection:"
            f" close\r\nX-Request-Id: {request_id}\r\nContent-Length: {len(reply.body)}\r\n\r\n"
        )
        try:
            client.send(head.encode() + reply.body, socket.MSG_DONTWAIT)
        except OSError:
            self.log.debug("the client of a malformed request has gone")


def _is_small_chat(req: Any) -> bool:
    if not CHATS.fullmatch(req.path):
        return False
    length = getattr(req.body.reader, "length", None)  # None: nobody knows yet
    return length is not None and length <= SMALL_BYTES


def _read_rest(parser: Any) -> bool:
    """Read the rest of a body that nobody wants, to keep the connection; gunicorn's own waits
    5 s."""
    return bool(parser.finish_body(deadline=time.monotonic() + REST_SECONDS))


def _origin(client: Any, trusted: tuple[Network, ...]) -> str:
    """Return where a connection comes from; "": from whence many clients may come."""
    peer = client[0] if isinstance(client, tuple) else ""
    return "" if proxies.speaks_for_many(peer, trusted) else proxies.origin(peer)
