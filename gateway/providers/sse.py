"""Server-sent events, taken apart line by line as WHATWG's HTML standard has it (section 9.2.6).
Pure.

More is forgiven than the standard asks for: several events with one line end between them, each a
JSON object; an end of input where an empty line should be; JSON lines without `data:`.
"""

from __future__ import annotations

from typing import NamedTuple

import orjson

EVENT_BYTES = 8 * 1024 * 1024
"""An event longer than this is not one of a chat's."""

LINE_BYTES = 40
"""What a line of an event takes in memory, beside its own bytes."""

STRAY_BYTES = 2000
BOM = b"\xef\xbb\xbf"
DONE = b"[DONE]"
IGNORED = (b":", b"id:", b"retry:")


class Event(NamedTuple):
    """One event: its name ("" is a message), and its data lines with line ends between them."""

    name: str
    data: bytes


class EventReader:
    """Collects bytes until they make events. `stray` holds the beginning of what was no field of an
    event."""

    def __init__(self) -> None:
        self.stray = b""
        self._rest = bytearray()
        self._after_cr = False
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    @property
    def unfinished(self) -> int:
        """How many bytes are held of an event that has not ended. A comment is none of one."""
        return self._size if self._rest.startswith(IGNORED) else self._size + len(self._rest)

    def feed(self, piece: bytes) -> list[Event]:
        """Return the events that `piece` completes. Raises ValueError: an event without end."""
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")  # the other half of a line end
            self._after_cr = False
        if self._size + len(self._rest) + len(piece) > EVENT_BYTES:
            raise ValueError("an event without end")
        if b"\n" not in piece and b"\r" not in piece:
            self._rest += piece
            return []
        text = piece
        if self._rest:
            text, self._rest = bytes(self._rest) + piece, bytearray()
        lines = text.splitlines()
        self._after_cr = text.endswith(b"\r")
        if not text.endswith((b"\n", b"\r")):
            self._rest += lines.pop()
        return self._events(lines)

    def end(self) -> list[Event]:
        """Return what the end of the input completes."""
        lines, self._rest = [bytes(self._rest), b""], bytearray()
        return self._events(lines)

    def _events(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            if line.startswith(BOM):  # before each event, where a file with one is included
                line = line[len(BOM) :]
            if not line:
                self._finish(events)
            elif line.startswith(b"data:"):
                self._add(line[5:].strip(), events)
            elif line.startswith(b"event:"):
                self._name = line[6:].strip().decode(errors="replace")
            elif not line.startswith(IGNORED):
                field, _, value = line.partition(b":")
                name = field.strip().lower()
                if name == b"data":
                    self._add(value.strip(), events)
                elif name == b"event":
                    self._name = value.strip().decode(errors="replace")
                elif self._data or line.startswith(b"{"):
                    self._add(line, events)
                elif len(self.stray) < STRAY_BYTES:
                    self.stray += line + b"\n"
        return events

    def _add(self, data: bytes, events: list[Event]) -> None:
        if len(self._data) == 1 and _complete(self._data[0]):
            self._finish(events)
        self._data.append(data)
        self._size += len(data) + LINE_BYTES

    def _finish(self, events: list[Event]) -> None:
        if self._data or self._name.lower() == "error":
            events.append(Event(self._name, b"\n".join(self._data)))
        self._name, self._data, self._size = "", [], 0


def _complete(data: bytes) -> bool:
    """Return whether a line is an event by itself, although no empty line follows it."""
    try:
        return data == DONE or isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False
