"""How gunicorn serves the gateway; every setting with its reason."""

from __future__ import annotations

import gc
import os
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

# A reload (SIGHUP) reads this file again, in a master that has the modules of the version before:
# new processes, which inherit them, would run a mixture of both.
for module in [one for one in sys.modules if one.partition(".")[0] == "gateway"]:
    del sys.modules[module]

from gateway.settings import SPARE_THREADS, SettingError, bind_is_safe, load
from gateway.web.client_connections import SLOW_CLIENT_SECONDS
from gateway.web.counts_folder import counts_folder, forget_process
from gateway.web.worker import Worker

try:
    settings = load()
except SettingError as error:
    sys.exit(f"The gateway cannot start: {error}")

worker_class = Worker
bind = settings.bind
# Few processes, since each holds a Ray driver (about 100 MB). Connecting to Ray happens after the
# fork, so the application must not be loaded before it.
workers = settings.processes
# Small questions to chats take none. As many large ones as waits for jobs; the rest answer
# /healthz, /models and GATEWAY_BUSY when all of these are taken. They start when they are needed.
threads = 2 * settings.max_in_flight + SPARE_THREADS
worker_connections = threads + 512
preload_app = False
# Importing byzerllm takes about 4 s, and longer on a busy machine; a thread that waits for a chat
# is not a hang.
timeout = 120
# Chats under way finish before a stop, up to a long chat's time.
graceful_timeout = 120
# Old clients and proxies reuse connections; longer than nginx's 60 s, so that it is never ours that
# closes first.
keepalive = 75
backlog = 2048
# which gateway/web/worker.py adds to; the one in C is taken by itself where it is installed
http_parser = "python"
limit_request_line = 8190  # gunicorn's most: with GATEWAY_ALLOW_GET the question stands in it
# gunicorn's control socket would be one more door, and is not used.
control_socket_disable = True
# gunicorn would believe a proxy on loopback, and so whoever calls through it, what a request's path
# and scheme are: with `SCRIPT_NAME: /x` the path /x/metrics is /metrics. gateway/web/proxies.py
# believes addresses, and nothing else is.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
# the gateway has no files to send, and gateway/web/worker.py's replies would not notice
sendfile = False
# byzerllm and Ray must not find the gateway's tokens in their environment's logs; access logs hold
# no bodies.
accesslog = None
errorlog = "-"


def post_worker_init(worker: Any) -> None:
    """Keep what is loaded now: byzerllm's and Ray's objects need not be searched for garbage again
    and again, with every chat waiting. And let no thread that wakes take the CPU from one that
    works, which may hold the GIL that both need (docs/performance.md)."""
    gc.collect()
    gc.freeze()
    with suppress(OSError):  # a sandbox may forbid it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def pre_request(worker: Any, req: Any) -> None:
    """A body without its length would be taken for the next request, so there is none on this
    connection."""
    if req.method == "POST" and not any(
        name in ("CONTENT-LENGTH", "TRANSFER-ENCODING") for name, _ in req.headers
    ):
        req.force_close()


def child_exit(server: Any, worker: Any) -> None:
    """In the master, drop what a process that has ended had under way."""
    forget_process(counts_folder(os.getpid()), worker.pid)


def worker_exit(server: Any, worker: Any) -> None:
    """Leave the heap to the kernel: Python's last collection of all that Ray and pandas made takes
    seconds."""
    gc.freeze()


def when_ready(server: Any) -> None:
    """Look at the sockets themselves: `gunicorn --bind` and systemd may have opened others than
    GATEWAY_BIND."""
    limit = struct.pack("ll", SLOW_CLIENT_SECONDS, 0)
    for listener in server.LISTENERS:
        address = listener.sock.getsockname()
        if isinstance(address, tuple) and not bind_is_safe(address[0], settings.tokens):
            sys.exit(
                f"The gateway cannot start: {address[0]} would let anyone in. Set GATEWAY_TOKENS or"
                " GATEWAY_TOKENS_FILE, or GATEWAY_OPEN=1 if everyone who reaches this address may"
                " deploy and chat."
            )
        # Time limits for slow clients: accepted connections inherit them from the listening socket
        # (Linux).
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    if not settings.tokens:
        server.log.warning("no GATEWAY_TOKENS: whoever reaches this address may deploy and chat")
