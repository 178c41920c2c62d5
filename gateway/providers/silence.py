"""How much of a stream may be held back, until it says something that goes on to its client.
Pure."""

from __future__ import annotations

from gateway.byte_budget import Charge
from gateway.providers.reader import StreamReader

SILENT_CHUNKS = 10_000
"""So many chunks that say nothing, before the first that does, are no chat's stream."""

SILENT_BYTES = 1024 * 1024
"""Nor are so many bytes, of comments too. Thoughts say something, and an event that is still coming
may."""

CHUNK_BYTES = 500
"""What such a chunk takes in memory, beside its own bytes."""


class Silence:
    """Counts what `reader` was fed and nobody has been told yet, and lets `charge` hold it."""

    def __init__(self, reader: StreamReader, charge: Charge) -> None:
        self._reader, self._charge = reader, charge
        self._size = 0

    def fed(self, size: int, chunks: int) -> None:
        """Count `size` bytes more; so many chunks wait. Raises Full, and ValueError for a silence
        without end."""
        unfinished = self._reader.unfinished
        if self._reader.spoke or self._reader.thinking:
            self._size = unfinished  # the rest goes on now
            self._charge.hold(unfinished)
            return
        self._size += size
        if self._size - unfinished > SILENT_BYTES or chunks > SILENT_CHUNKS:
            raise ValueError("silence without end")
        self._charge.hold(self._size + CHUNK_BYTES * chunks)
