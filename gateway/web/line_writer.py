"""The one thread of a process that writes its log of requests, so that a reader who stalls stalls
nobody else."""

from __future__ import annotations

import atexit
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

MOST_LINES = 10_000
"""So many may wait, about 4 MB; then lines are dropped."""

GATHER_SECONDS = 0.01
"""How long lines wait for one another: to wake a thread for each would cost more than to write
it."""

LAST_SECONDS = 1
"""At its end a process waits for so long until its lines are written."""


class LineWriter:
    """Writes lines to a descriptor, in order. `count_dropped` is told how many were dropped."""

    def __init__(self, descriptor: int, count_dropped: Callable[[int], None]) -> None:
        self._descriptor = descriptor
        self._count_dropped = count_dropped
        self._lines: deque[bytes] = deque()
        self._some = threading.Event()
        self._lock = threading.Lock()
        self._dropped = 0
        self._busy = False
        threading.Thread(target=self._run, name="log", daemon=True).start()
        atexit.register(self.flush, LAST_SECONDS)

    def write(self, line: bytes) -> None:
        """Take a line, which ends with a line feed; never waits."""
        if len(self._lines) >= MOST_LINES:
            self._drop(1)
            return
        self._lines.append(line)
        if not self._some.is_set():
            self._some.set()

    def flush(self, seconds: float) -> None:
        """Wait, for so long at most, until all is written."""
        deadline = time.monotonic() + seconds
        while (self._lines or self._busy) and time.monotonic() < deadline:
            time.sleep(GATHER_SECONDS)

    def _run(self) -> None:
        while True:
            self._some.wait()
            time.sleep(GATHER_SECONDS)
            self._busy = True
            self._some.clear()
            while self._lines:
                self._write(self._together())
            self._say()
            self._busy = False

    def _together(self) -> list[bytes]:
        """Return the next lines, as many as a pipe takes in one piece: other processes write to it,
        too."""
        lines = [self._lines.popleft()]
        size = len(lines[0])
        while self._lines and (size := size + len(self._lines[0])) <= select.PIPE_BUF:
            lines.append(self._lines.popleft())
        return lines

    def _write(self, lines: list[bytes]) -> None:
        rest = b"".join(lines)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # somebody who shares it has made it so
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
            except OSError:  # nobody reads it any more, or its disk is full
                self._drop(len(lines))
                return

    def _drop(self, count: int) -> None:
        with self._lock:
            self._dropped += count
        self._count_dropped(count)

    def _say(self) -> None:
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning(
                "%d lines about requests were dropped: nobody read standard output", dropped
            )
