"""The ledger's book: what was asked, answered and paid, by day, in an SQLite file. No prompt, no
answer and no key is in it.

Names and days are numbers in it (a day is 20261127), so that a year is small and added up quickly.
A batch of counts is applied once, however often it is handed over: each process numbers its own,
and the number is written with them.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

from gateway.actors import ledger_rests, ledger_seconds

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
CREATE TABLE IF NOT EXISTS names (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS counts (
  {", ".join(f"{name} INTEGER NOT NULL" for name in (*COLUMNS, "currency"))},
  {", ".join(f"{name} INTEGER NOT NULL" for name in _SUMS)},
  PRIMARY KEY ({", ".join((*COLUMNS, "currency"))})
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batches (
  process TEXT PRIMARY KEY, number INTEGER NOT NULL, at INTEGER NOT NULL
) WITHOUT ROWID;
{ledger_seconds.SCHEMA}
{ledger_rests.SCHEMA}
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


class Batch(TypedDict):
    """What a process has counted since its last batch. `seconds` are rows of a day, a chat, the
    chat that answered, a bucket (ledger_seconds.py), and how many; `turned_away` and `answered` are
    what ledger_rests.py says."""

    counts: list[list[Any]]
    seconds: list[list[Any]]
    turned_away: list[list[Any]]
    answered: dict[str, float]


class Book:
    """The book at `path`. Raises sqlite3.Error: it cannot be read or written now."""

    def __init__(self, path: Path) -> None:
        path.touch(0o600)
        self._store = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._store.executescript(_SCHEMA)
        self._ids: dict[str, int] = {}
        self._rests = ledger_rests.Rests(self._store, self._id)

    def add(self, process: str, number: int, batch: Batch) -> None:
        """Add a process's batch, unless it was added before. Batches of one process come in their
        order."""
        try:
            with self._store:
                self._store.execute("BEGIN IMMEDIATE")
                self._add(process, number, batch)
        except sqlite3.Error:
            self._ids.clear()  # some may be of names that were not written
            raise

    def _add(self, process: str, number: int, batch: Batch) -> None:
        last = self._store.execute("SELECT number FROM batches WHERE process = ?", [process])
        row = last.fetchone()
        if row and row[0] >= number:
            return
        self._store.executemany(_ADD, [self._numbers(count) for count in batch["counts"]])
        ledger_seconds.add(
            self._store,
            [
                [_day(day), self._id(chat), self._id(served_by), bucket, requests]
                for day, chat, served_by, bucket, requests in batch["seconds"]
            ],
        )
        self._rests.add(batch["turned_away"], batch["answered"])
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
        values: list[Any] = [_day(first), _day(last)]
        who = ""
        if caller is not None:  # nothing is written for who only reads
            who = "AND caller = (SELECT id FROM names WHERE name = ?)"
            values.append(caller)
        # nobody's words are in it: `by` are columns
        query = (
            f"SELECT {names}, {sums} FROM counts WHERE day BETWEEN ? AND ? {who}"  # noqa: S608
            f" GROUP BY {names}"
        )
        words = dict(self._store.execute("SELECT id, name FROM names"))
        rows: dict[tuple[str, ...], dict[str, Any]] = {}
        for line in self._store.execute(query, values):
            numbers, counts = line[: len(by) + 2], line[len(by) + 2 :]
            texts = map(_words(words), (*by, "currency", "code"), numbers)
            *key, currency, code = texts
            row = rows.setdefault(tuple(key), {**dict(zip(by, key, strict=True)), **_nothing()})
            _gather(row, currency, code, counts)
        self._add_seconds(rows, by, values[:2], words, caller)
        return [rows[key] for key in sorted(rows)]

    def _add_seconds(
        self,
        rows: dict[tuple[str, ...], dict[str, Any]],
        by: Sequence[By],
        days: Sequence[int],
        words: dict[int, str],
        caller: str | None,
    ) -> None:
        """Say of each row how long its answers took, where that is told apart so."""
        if caller is not None or not set(by) <= set(ledger_seconds.COLUMNS):
            return
        for numbers, seconds in ledger_seconds.percentiles(self._store, by, *days).items():
            rows[tuple(map(_words(words), by, numbers))]["seconds"] = seconds

    def rests(self, chat: str | None, first: float, last: float) -> list[dict[str, Any]]:
        """Return when chats could not answer (ledger_rests.py)."""
        return self._rests.rows(chat, first, last)

    def _numbers(self, count: Sequence[Any]) -> list[int]:
        """Return a Count as it is written."""
        day, *names = count[: len(COLUMNS) + 1]
        return [_day(day), *map(self._id, names), *count[len(COLUMNS) + 1 :]]

    def _id(self, name: str) -> int:
        if name not in self._ids:
            self._store.execute("INSERT OR IGNORE INTO names (name) VALUES (?)", [name])
            row = self._store.execute("SELECT id FROM names WHERE name = ?", [name]).fetchone()
            self._ids[name] = row[0]
        return self._ids[name]

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def _day(text: str) -> int:
    return int(text.replace("-", ""))


def _words(names: dict[int, str]) -> Callable[[str, int], str]:
    """Return what turns a column's number back into its text."""

    def text(column: str, number: int) -> str:
        if column != "day":
            return names[number]
        return f"{number // 10000}-{number // 100 % 100:02}-{number % 100:02}"

    return text


def _nothing() -> dict[str, Any]:
    names = ("requests", "errors", "fell_back", "tokens_in", "tokens_out", "cached")
    return {**dict.fromkeys(names, 0), "money": {}, "errors_by_code": {}, "seconds": None}


def _gather(row: dict[str, Any], currency: str, code: str, sums: Sequence[int]) -> None:
    requests, *counts, money = sums
    row["requests"] += requests
    if code != OK and requests:  # else it is what a failure took, which is counted by itself
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
