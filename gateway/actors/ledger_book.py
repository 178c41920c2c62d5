"""The ledger's book: what was asked, answered and paid, by day, in an SQLite file. No prompt, no
answer and no key is in it.

A batch of counts is applied once, however often it is handed over: each process numbers its own,
and the number is written with them.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

OK = "OK"

MICRO = 1_000_000
"""Money is counted in millionths, so that sums are exact: a price is that of a million tokens."""

FORGET_SECONDS = 7 * 24 * 3600
"""So long a process's last number is kept. It hands over what is left within seconds, or never."""

By = Literal["day", "caller", "chat", "served_by", "provider", "model", "code"]

COLUMNS: tuple[By, ...] = ("day", "caller", "chat", "served_by", "provider", "model", "code")

_SUMS = ("requests", "fell_back", "tokens_in", "tokens_out", "cached", "money")

_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS counts (
  {", ".join(f"{name} TEXT NOT NULL" for name in (*COLUMNS, "currency"))},
  {", ".join(f"{name} INTEGER NOT NULL" for name in _SUMS)},
  PRIMARY KEY ({", ".join((*COLUMNS, "currency"))})
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
  process TEXT PRIMARY KEY, number INTEGER NOT NULL, at INTEGER NOT NULL
) WITHOUT ROWID;
"""

_PLACES = ", ".join("?" * (len(COLUMNS) + 1 + len(_SUMS)))
_MORE = ", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)
_ADD = f"INSERT INTO counts VALUES ({_PLACES}) ON CONFLICT DO UPDATE SET {_MORE}"  # noqa: S608


class Count(NamedTuple):
    """What is counted together, and how much of it. `day` is YYYY-MM-DD, `served_by` the chat that
    answered, `code` OK or an error's; `fell_back` are the answers of another chat than `chat`;
    `money` is in millionths of `currency`."""

    day: str
    caller: str
    chat: str
    served_by: str
    provider: str
    model: str
    code: str
    currency: str
    requests: int
    fell_back: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cached: int = 0
    money: int = 0


class Book:
    """The book at `path`. Raises sqlite3.Error: it cannot be read or written now."""

    def __init__(self, path: Path) -> None:
        path.touch(0o600)
        self._store = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._store.executescript(_SCHEMA)

    def add(self, process: str, number: int, counts: Sequence[Sequence[Any]]) -> None:
        """Add a process's batch of Counts, unless it was added before. Batches of one process come
        in their order."""
        with self._store:
            self._store.execute("BEGIN IMMEDIATE")
            row = self._store.execute(
                "SELECT number FROM batches WHERE process = ?", [process]
            ).fetchone()
            if row and row[0] >= number:
                return
            self._store.executemany(_ADD, counts)
            now = int(time.time())
            self._store.execute("REPLACE INTO batches VALUES (?, ?, ?)", [process, number, now])
            self._store.execute("DELETE FROM batches WHERE at < ?", [now - FORGET_SECONDS])

    def usage(
        self, by: Sequence[By], first: str, last: str, caller: str | None = None
    ) -> list[dict[str, Any]]:
        """Return sums from the day `first` to `last`, both included, by the columns `by`; of one
        caller, or of all (None)."""
        names = ", ".join((*by, "currency", "code"))
        sums = ", ".join(f"sum({name})" for name in _SUMS)
        who = "" if caller is None else "AND caller = ?"
        # nobody's words are in it: `by` are columns
        query = (
            f"SELECT {names}, {sums} FROM counts WHERE day BETWEEN ? AND ? {who}"  # noqa: S608
            f" GROUP BY {names} ORDER BY {names}"
        )
        rows: dict[tuple[str, ...], dict[str, Any]] = {}
        values = [first, last] if caller is None else [first, last, caller]
        for line in self._store.execute(query, values):
            key, (currency, code, *counts) = line[: len(by)], line[len(by) :]
            row = rows.setdefault(key, {**dict(zip(by, key, strict=True)), **_nothing()})
            _gather(row, currency, code, counts)
        return list(rows.values())

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def _nothing() -> dict[str, Any]:
    names = ("requests", "errors", "fell_back", "tokens_in", "tokens_out", "cached")
    return {**dict.fromkeys(names, 0), "money": {}, "errors_by_code": {}}


def _gather(row: dict[str, Any], currency: str, code: str, sums: Sequence[int]) -> None:
    requests, *counts, money = sums
    row["requests"] += requests
    if code != OK:
        row["errors"] += requests
        row["errors_by_code"][code] = row["errors_by_code"].get(code, 0) + requests
    for name, count in zip(("fell_back", "tokens_in", "tokens_out", "cached"), counts, strict=True):
        row[name] += count
    if currency:
        row["money"][currency] = row["money"].get(currency, 0) + money


def opened(path: Path) -> tuple[Book, str]:
    """Return the book at `path`, and what is to be said of that; a damaged one is set aside, and
    another begun. Raises sqlite3.Error and OSError: there is no room, or no leave."""
    try:
        book = Book(path)
        [check] = book._store.execute("PRAGMA quick_check(1)").fetchone()
        if check == "ok":
            return book, ""
        book.close()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
    aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return Book(path), f"The ledger was damaged. It is set aside as {aside.name}; a new one begins."
