"""How many bytes of large questions and answers a process may hold at once. Pure.

What is small is not counted: the number of requests bounds it, and it goes on while large ones are
refused.
"""

from __future__ import annotations

import ctypes
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

SMALL_BYTES = 64 * 1024
"""A thousand chats of this size take 64 MB."""

M_MMAP_THRESHOLD = -3
"""As mallopt(3) calls it."""

OWN_BLOCK_BYTES = 256 * 1024


def give_back_large_blocks() -> None:
    """Let each large block of this process's memory go back to the kernel when it is freed.

    glibc does so at first, but from the first free on it takes blocks of that size from its heaps,
    one for each thread: what is freed there stays, and sixteen questions of 8 MB so left 700 MB
    behind. Other libcs have no such call.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, OWN_BLOCK_BYTES)


class Full(Exception):  # noqa: N818  # as Code.GATEWAY_BUSY
    """There is no room for so many bytes now."""


class ByteBudget:
    """Bytes that may be in use at once, counted by any number of threads."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        # One that its own thread may take again: garbage that is collected gives bytes back, at any
        # time.
        self._lock = threading.RLock()

    def exchange(self, held: int, wanted: int, paid: bool = False) -> None:
        """Let somebody who holds `held` bytes hold `wanted` instead. Raises Full, and changes
        nothing then.

        One that is alone may be of any size, else it could never be served; nor is what was `paid`
        for refused.
        """
        with self._lock:
            others = self.used - held
            if not paid and wanted > held and others and others + wanted > self.limit:
                raise Full
            self.used = others + wanted


class Charge:
    """What one request holds of a budget. Leaving its `with` block gives it back, and so does its
    own end."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.held = 0

    def hold(self, size: int, paid: bool = False) -> None:
        """Hold so many bytes from now on. Raises Full: as before, then."""
        size = size if size > SMALL_BYTES else 0
        if size != self.held:
            self._budget.exchange(self.held, size, paid)
            self.held = size

    def release(self) -> None:
        """Hold nothing any more."""
        self.hold(0)

    def __del__(self) -> None:
        self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.release()
