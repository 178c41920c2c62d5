"""What the people behind each channel have been told, and which gateway process tells them more.
Pure.

Every process keeps a copy and shows it with each call; the newer one of each channel counts. So
neither a process nor this board takes with it what was told: a board that is born anew learns it
from the processes, and lets nobody speak before they have had time to show what they know.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.store_protocol import Note, Turn

TURN_SECONDS = 20
"""So long a process that says nothing keeps its turn."""

GATHER_SECONDS = 8
"""So long a new board listens; a process calls every 5 s."""

MAX_CHANNELS = 100
"""Those that nobody has shown for longest are forgotten."""


class NoticeBoard:
    """By channel: the note of what was told, and whose turn it is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._born = clock()
        self._notes: dict[str, Note] = {}
        self._turns: dict[str, tuple[str, float]] = {}

    def turn(self, process: str, notes: dict[str, Note]) -> Turn:
        """Learn what a process knows of its channels. Return what is known of them, and for
        which it is to speak."""
        for channel, note in notes.items():
            before = self._notes.pop(channel, note)  # at the end then: it was shown just now
            newer = note if note["revision"] > before["revision"] else before
            self._notes[channel] = newer
        while len(self._notes) > MAX_CHANNELS:
            oldest = next(iter(self._notes))
            del self._notes[oldest]
            self._turns.pop(oldest, None)
        mine = [channel for channel in notes if self._is_turn_of(process, channel)]
        return {"mine": mine, "notes": {one: self._notes.get(one, notes[one]) for one in notes}}

    def _is_turn_of(self, process: str, channel: str) -> bool:
        now = self._clock()
        if now < self._born + GATHER_SECONDS:
            return False
        holder, until = self._turns.get(channel, (process, now))
        if holder != process and now < until:
            return False
        self._turns[channel] = process, now + TURN_SECONDS
        return True
