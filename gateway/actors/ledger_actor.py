"""The ledger: one detached actor that alone writes the book (gateway/actors/ledger_book.py), and
reads it for whoever asks."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.actors.ledger_book import Batch, Book, By, opened

FILE = "ledger.db"
FOLDER_MODE = 0o700


class Ledger:
    """Called by the gateway processes, one call at a time, each naming the folder of its book:
    GATEWAY_STATE may change while the cluster runs. What goes wrong is returned in words, and tried
    again by whoever hands over."""

    def __init__(self) -> None:
        self._books: dict[str, Book] = {}
        self._note = ""

    def add(self, folder: str, process: str, number: int, batch: Batch) -> tuple[bool, str]:
        """Add a batch, once. Return whether it is written, and what is to be said ("":
        nothing)."""
        try:
            self._opened(folder).add(process, number, batch)
        except (sqlite3.Error, OSError) as error:
            return False, self._trouble(folder, error)
        note, self._note = self._note, ""
        return True, note

    def usage(
        self, folder: str, by: Sequence[By], first: str, last: str, caller: str | None
    ) -> list[dict[str, Any]] | str:
        """Return sums, or what went wrong."""
        try:
            return self._opened(folder).usage(by, first, last, caller)
        except (sqlite3.Error, OSError) as error:
            return self._trouble(folder, error)

    def rests(
        self, folder: str, chat: str | None, first: float, last: float
    ) -> list[dict[str, Any]] | str:
        """Return when chats could not answer, or what went wrong."""
        try:
            return self._opened(folder).rests(chat, first, last)
        except (sqlite3.Error, OSError) as error:
            return self._trouble(folder, error)

    def _opened(self, folder: str) -> Book:
        if folder not in self._books:
            path = Path(folder) / FILE
            path.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            self._books[folder], self._note = opened(path)
        return self._books[folder]

    def _trouble(self, folder: str, error: Exception) -> str:
        """Return what is to be said, and begin anew with the next call: the file may be another one
        by then."""
        if book := self._books.pop(folder, None):
            book.close()
        return f"{Path(folder) / FILE}: {error}"
