"""How gunicorn serves the gateway; every setting with its reason."""

from __future__ import annotations

import gc
import json
import logging
import secrets
import signal
import socket
import struct
import sys
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from gateway.errors import Code, GatewayError
from gateway.settings import SettingError, bind_is_safe, load

try:
    settings = load()
except SettingError as error:
    sys.exit(f"The gateway cannot start: {error}")

SLOW_CLIENT_SECONDS = 30
"""A client that sends or reads nothing for so long is dropped; else it would hold its thread for ever."""

SETTLE_SECONDS = 15
"""How long a new process looks for its cluster before it says CLUSTER_DOWN."""


def _without_traceback(record: logging.LogRecord) -> bool:
    """A client that falls silent is a line in the log, and not a fault of ours that gunicorn traces back."""
    if record.exc_info and isinstance(record.exc_info[1], BlockingIOError):
        record.exc_info, record.msg = None, f"a client fell silent for {SLOW_CLIENT_SECONDS} s"
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True


logging.getLogger("gunicorn.error").addFilter(_without_traceback)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gthread, except for its start, malformed requests and signals."""

    def run(self) -> None:
        """Take no connection before the cluster is known: in a reload they wait in the backlog, and none fails."""
        self.wsgi.extensions["llm"].settled(SETTLE_SECONDS)
        super().run()

    def notify(self) -> None:
        """Called about once a second: takes signals back that Ray's C++ took when it connected, to end gracefully."""
        super().notify()
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
        """A request that gunicorn cannot parse gets the gateway's error shape, not an HTML page."""
        name = type(exc).__name__
        too_large = name in ("LimitRequestLine", "LimitRequestHeaders")
        code = Code.TOO_LARGE if too_large else Code.INVALID_REQUEST
        self.log.warning("malformed HTTP from %s: %s", addr[0] if addr else "?", name)
        request_id = secrets.token_hex(8)
        error = GatewayError(code, f"This is not an HTTP request that can be read ({name}).")
        body = json.dumps(error.shape(request_id)).encode()
        head = (
            f"HTTP/1.1 {error.status} {'Content Too Large' if too_large else 'Bad Request'}\r\n"
            "Content-Type: application/json; charset=utf-8\r\nConnection: close\r\n"
            f"X-Request-Id: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            client.sendall(head.encode() + body)
        except OSError:
            self.log.debug("the client of a malformed request has gone")


worker_class = Worker
bind = settings.bind
# Few processes, since each holds a Ray driver (about 200 MB); many threads, since each chat waits in one. Connecting
# to Ray happens after the fork, so the application must not be loaded before it.
workers = settings.processes
threads = settings.max_in_flight + 32  # the rest answer /healthz, /models and GATEWAY_BUSY when all chats are taken
worker_connections = threads + 512
preload_app = False
# Importing byzerllm takes about 4 s, and longer on a busy machine; a thread that waits for a chat is not a hang.
timeout = 120
# Chats under way finish before a stop, up to a long chat's time.
graceful_timeout = 120
# Old clients and proxies reuse connections; longer than nginx's 60 s, so that it is never ours that closes first.
keepalive = 75
backlog = 2048
# gunicorn's control socket would be one more door, and is not used.
control_socket_disable = True
# byzerllm and Ray must not find the gateway's tokens in their environment's logs; access logs hold no bodies.
accesslog = None
errorlog = "-"


def post_worker_init(worker: Any) -> None:
    """What is loaded now stays: byzerllm's and Ray's million objects need not be searched for garbage again and again,
    with every chat waiting."""
    gc.collect()
    gc.freeze()


def pre_request(worker: Any, req: Any) -> None:
    """A body without its length would be taken for the next request, so there is none on this connection."""
    if req.method == "POST" and not any(name in ("CONTENT-LENGTH", "TRANSFER-ENCODING") for name, _ in req.headers):
        req.force_close()


def worker_exit(server: Any, worker: Any) -> None:
    """Leave the heap to the kernel: Python's last collection of all that Ray and pandas made takes seconds."""
    gc.freeze()


def when_ready(server: Any) -> None:
    """Look at the sockets themselves: `gunicorn --bind` and systemd may have opened others than GATEWAY_BIND."""
    limit = struct.pack("ll", SLOW_CLIENT_SECONDS, 0)
    for listener in server.LISTENERS:
        address = listener.sock.getsockname()
        if isinstance(address, tuple) and not bind_is_safe(address[0], settings.tokens):
            sys.exit(
                f"The gateway cannot start: {address[0]} would let anyone in. Set GATEWAY_TOKENS or "
                "GATEWAY_TOKENS_FILE, or GATEWAY_OPEN=1 if everyone who reaches this address may deploy and chat."
            )
        # Time limits for slow clients: accepted connections inherit them from the listening socket (Linux).
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    if not settings.tokens:
        server.log.warning("no GATEWAY_TOKENS: whoever reaches this address may deploy and chat")
