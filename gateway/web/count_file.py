"""The file that a process counts in, made safe against a full disk.

prometheus_client maps files that have no blocks yet. When the disk is full, the kernel ends whoever
writes into such a page, by SIGBUS. So blocks are allocated before they are mapped, and where there
are none, the counts stay in memory until there is room: each is a running total, of which nothing
is lost unless its process ends meanwhile.
"""

from __future__ import annotations

import logging
import mmap
import os
import time
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

log = logging.getLogger(__name__)

FIRST_BYTES = 1 << 16
AGAIN_SECONDS = 1
"""So long nothing is tried again where there was no room."""

ENTRY_BYTES = 32
"""At most so much takes a count beside its name."""


class CountFile(MmapedDict):
    """prometheus_client's, which drops what there is no room for. Not thread-safe, as that is
    not."""

    no_room = False
    """Whether it was said, by any of the files of this process."""

    def __init__(self, filename: str) -> None:
        self._name = filename
        self._f = None  # type: ignore[assignment]
        self._positions: dict[str, int] = {}
        self._try_at = 0.0

    def read_value(self, key: str) -> tuple[float, float]:
        """Return a count and its time; 0 where there is no room for it."""
        count: tuple[float, float] = (0.0, 0.0)
        if key in self._positions or self._placed(key):
            count = super().read_value(key)  # type: ignore[no-untyped-call]
        return count

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Set a count, if there is room for it."""
        if key in self._positions or self._placed(key):
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._f is not None:
            super().close()  # type: ignore[no-untyped-call]

    def _placed(self, key: str) -> bool:
        """Make a place for a count; return whether there is room for it."""
        if time.monotonic() < self._try_at:
            return False
        try:
            if self._f is None:
                self._open()
            if key not in self._positions:  # a process of the same number may have made it
                self._grow(len(key.encode()) + ENTRY_BYTES)
                self._init_value(key)  # type: ignore[no-untyped-call]
        except OSError as error:
            self._try_at = time.monotonic() + AGAIN_SECONDS
            if not CountFile.no_room:
                CountFile.no_room = True
                log.warning(
                    "no room to count requests in %s (%s); nothing else suffers",
                    self._name,
                    error.strerror,
                )
            return False
        return True

    def _open(self) -> None:
        # whose name is none of those that are read
        path, new = Path(self._name), Path(f"{self._name}.new")
        if not path.exists():
            try:
                with new.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, FIRST_BYTES)
                new.rename(path)
            except OSError:
                new.unlink(missing_ok=True)
                raise
        try:
            super().__init__(self._name)  # type: ignore[no-untyped-call]
        except OSError:
            self._f = None  # type: ignore[assignment]
            raise

    def _grow(self, more: int) -> None:
        size = self._capacity
        while self._used + more > size:
            size *= 2
        if size > self._capacity:
            os.posix_fallocate(self._f.fileno(), 0, size)
            self._m, self._capacity = mmap.mmap(self._f.fileno(), size), size
