"""When chats could not answer, in the ledger's book: since when, until when, with which code, and
who answered meanwhile.

Many processes tell what became of questions, each some moments late: a rest begins with the first
question that was turned away, and ends with the next one that the chat answers itself.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

CONTINUE_SECONDS = 60
"""A chat that is turned away with the same code so soon after its rest has rested all the time."""

KEEP_SECONDS = 400 * 24 * 3600
MOST = 10_000
"""So many rests are kept; the oldest go first."""

SHOWN = 1000
"""So many are returned at once."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS rests (
  id INTEGER PRIMARY KEY, chat INTEGER NOT NULL, code INTEGER NOT NULL,
  began REAL NOT NULL, last REAL NOT NULL, ended REAL, requests INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS rests_of_chat ON rests (chat, began);
CREATE TABLE IF NOT EXISTS stand_ins (
  rest INTEGER NOT NULL, served_by INTEGER NOT NULL, requests INTEGER NOT NULL,
  PRIMARY KEY (rest, served_by)
) WITHOUT ROWID;
"""

_LAST = (
    "SELECT id, code, began, last, ended FROM rests WHERE chat = ?"
    " ORDER BY began DESC, id DESC LIMIT 1"
)
_STAND_IN = (
    "INSERT INTO stand_ins VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests"
)


class Rests:
    """The rests in a book. `number` gives a name's number in it."""

    def __init__(self, store: sqlite3.Connection, number: Callable[[str], int]) -> None:
        self._store = store
        self._number = number
        self._answered: dict[int, float] = {}

    def add(self, turned_away: Sequence[Sequence[Any]], answered: dict[str, float]) -> None:
        """Add what a process has seen: rows of a chat, a code, who answered in its place ("":
        nobody), how often, and the Unix times of the first and the last; and when each chat last
        answered itself."""
        for chat, code, served_by, requests, first, last in sorted(turned_away, key=_first):
            rest = self._rest(self._number(chat), self._number(code), first, last, requests)
            if served_by:
                self._store.execute(_STAND_IN, [rest, self._number(served_by), requests])
        for name, at in answered.items():
            self._end(self._number(name), at)

    def _rest(self, chat: int, code: int, first: float, last: float, requests: int) -> int:
        """Return the rest that such questions belong to: the last one goes on, or another begins;
        what is told late may be of one that was before the last."""
        row = self._store.execute(_LAST, [chat]).fetchone()
        answered = self._answered.get(chat, 0.0)
        until = answered if answered > last else None
        if row is None:
            return self._begin(chat, code, first, last, until, requests)
        number, its_code, began, its_last, ended = row
        if its_code == code and (ended is None or first - ended < CONTINUE_SECONDS):
            until = ended if ended is not None and ended > last else until
            values = [max(last, its_last), until, requests, number]
            self._store.execute(
                "UPDATE rests SET last = ?, ended = ?, requests = requests + ? WHERE id = ?", values
            )
            return int(number)
        if first < began:
            until = began
        elif ended is None:
            self._store.execute("UPDATE rests SET ended = ? WHERE id = ?", [first, number])
        return self._begin(chat, code, first, last, until, requests)

    def _begin(
        self, chat: int, code: int, first: float, last: float, until: float | None, requests: int
    ) -> int:
        values = [chat, code, first, last, until, requests]
        added = self._store.execute(
            "INSERT INTO rests (chat, code, began, last, ended, requests) VALUES (?,?,?,?,?,?)",
            values,
        )
        self._forget()
        return int(added.lastrowid or 0)

    def _end(self, chat: int, at: float) -> None:
        self._answered[chat] = max(at, self._answered.get(chat, 0.0))
        self._store.execute(
            "UPDATE rests SET ended = ? WHERE chat = ? AND ended IS NULL AND last < ?",
            [at, chat, at],
        )

    def _forget(self) -> None:
        old = "began < ? OR id <= (SELECT max(id) FROM rests) - ?"
        self._store.execute(
            f"DELETE FROM rests WHERE {old}",  # noqa: S608 - a text of this file
            [time.time() - KEEP_SECONDS, MOST],
        )
        self._store.execute("DELETE FROM stand_ins WHERE rest NOT IN (SELECT id FROM rests)")

    def rows(self, chat: str | None, first: float, last: float) -> list[dict[str, Any]]:
        """Return the rests of a chat (None: of all) that began from the Unix time `first` to
        `last`, the newest first."""
        names = dict(self._store.execute("SELECT id, name FROM names"))
        who = "" if chat is None else "AND chat = (SELECT id FROM names WHERE name = ?)"
        query = (
            "SELECT id, chat, code, began, ended, requests FROM rests"  # noqa: S608
            f" WHERE began BETWEEN ? AND ? {who} ORDER BY began DESC, id DESC LIMIT {SHOWN}"
        )
        values: list[Any] = [first, last, *([] if chat is None else [chat])]
        return [
            {
                "chat_name": names[chat_id],
                "code": names[code],
                "since": int(began),
                "until": None if ended is None else int(ended),
                "requests": requests,
                "answered_by": self._stand_ins(rest, names),
            }
            for rest, chat_id, code, began, ended, requests in self._store.execute(query, values)
        ]

    def _stand_ins(self, rest: int, names: dict[int, str]) -> dict[str, int]:
        query = "SELECT served_by, requests FROM stand_ins WHERE rest = ? ORDER BY requests DESC"
        return {names[name]: count for name, count in self._store.execute(query, [rest])}


def _first(row: Sequence[Any]) -> float:
    return float(row[4])
