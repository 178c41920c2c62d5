"""The ledger: one detached actor that alone writes the book (gateway/actors/ledger_book.py), and
reads it for whoever asks."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.actors.ledger_book import Book, By, opened

FILE = "ledger.db"
FOLDER_MODE = 0o700


class Ledger:
    """Called by the gateway processes, one call at a time. What goes wrong is returned in words,
    and tried again by whoever hands over."""

    def __init__(self, folder: str) -> None:
        self._path = Path(folder) / FILE
        self._book: Book | None = None
        self._note = ""

    def add(self, process: str, number: int, counts: Sequence[Sequence[Any]]) -> tuple[bool, str]:
        """Add a batch of counts, once. Return whether it is written, and what is to be said ("":
        nothing)."""
        try:
            self._opened().add(process, number, counts)
        except (sqlite3.Error, OSError) as error:
            self._close()
            return False, f"{self._path}: {error}"
        note, self._note = self._note, ""
        return True, note

    def usage(
        self, by: Sequence[By], first: str, last: str, caller: str | None
    ) -> list[dict[str, Any]] | str:
        """Return sums, or what went wrong."""
        try:
            return self._opened().usage(by, first, last, caller)
        except (sqlite3.Error, OSError) as error:
            self._close()
            return f"{self._path}: {error}"

    def _opened(self) -> Book:
        if self._book is None:
            self._path.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            self._book, self._note = opened(self._path)
        return self._book

    def _close(self) -> None:
        """Begin anew with the next call: the file may be another one by then."""
        if self._book:
            self._book.close()
        self._book = None
