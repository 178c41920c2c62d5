"""gunicorn's thread worker with fewer turns at the GIL: what is for speed alone.

gunicorn's own passes each request from its poller to a thread and back, sets a time limit and takes
it back, and sends a reply's head and body apart. Each system call, and each thread that wakes, is a
turn at the GIL, for which all chats of the process wait (docs/performance.md).
"""

from __future__ import annotations

import sys
import time
from typing import Any

from gunicorn.workers import gthread
from typing_extensions import override

LINGER_SECONDS = 1
"""How long a thread waits for its client's next request itself, before the poller does so for
all."""

FEW = 16
"""Threads that may wait so in each process. More of them fight for the GIL, where the poller wakes
one after the other: at 256 connections that took a fifth of the requests/s."""

MANY = 64
"""Threads of a process at work, or waiting for a provider, from which on they wait for the GIL more
patiently."""

PATIENT_SECONDS = 0.05
"""Each thread that waits for the GIL wakes as often, to ask for it: with Python's own 5 ms, a
thousand of them took a quarter of a chat's CPU, and p99 was twice as long. With few threads the
longer time costs requests/s."""

PYTHONS_OWN_SECONDS = sys.getswitchinterval()

REST_SECONDS = 0.2
"""So long a thread waits for a body that nobody wants, to keep the connection; gunicorn's own waits
5 s."""


class FastWorker(gthread.ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gthread that lets a thread keep its client while there is little else to do, and the GIL be
    waited for patiently while there is much."""

    def waiting(self) -> int:
        """Return on how many connections nobody works."""
        return 0

    def busy(self) -> int:
        """Return how many threads are answering a request, or linger."""
        return int(self.nr_conns - len(self.keepalived_conns) - self.waiting())

    def linger_seconds(self) -> float:
        """Return how long a thread waits for its client's next request itself."""
        return LINGER_SECONDS if self.alive and self.busy() <= FEW else 0

    def set_patience(self) -> None:
        """Set how long a thread waits for the GIL before it asks for it."""
        sys.setswitchinterval(PATIENT_SECONDS if self.busy() > MANY else PYTHONS_OWN_SECONDS)

    @override
    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        """Read the rest of a body with one time limit for all of it; gunicorn sets one for each
        piece, and takes it back."""
        if keepalive and getattr(conn.parser.mesg.body.reader, "length", None) != 0:
            keepalive = conn.parser.finish_body(deadline=time.monotonic() + REST_SECONDS)
        return bool(keepalive)
