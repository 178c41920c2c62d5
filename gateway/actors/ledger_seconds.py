"""How long answers took, in the ledger's book: a histogram for each day, chat and chat that
answered, of the seconds until the answer or its first word."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence

GROWTH = 1.15
"""A bucket's upper end is so many times its lower end: a percentile is right to 7 %."""

LEAST, MOST = 0.001, 36_000.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS seconds (
  day INTEGER NOT NULL, chat INTEGER NOT NULL, served_by INTEGER NOT NULL,
  bucket INTEGER NOT NULL, requests INTEGER NOT NULL,
  PRIMARY KEY (day, chat, served_by, bucket)
) WITHOUT ROWID;
"""

COLUMNS = ("day", "chat", "served_by")
"""What they are told apart by."""

_ADD = (
    "INSERT INTO seconds VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests"
)


def bucket(seconds: float) -> int:
    """Return the number of the bucket in which so many seconds are counted."""
    return math.floor(math.log(min(max(seconds, LEAST), MOST), GROWTH))


def add(store: sqlite3.Connection, rows: Iterable[Sequence[int]]) -> None:
    """Add rows of the numbers of day, chat and served_by, a bucket, and how many are in it."""
    store.executemany(_ADD, rows)


def percentiles(
    store: sqlite3.Connection, by: Sequence[str], first: int, last: int
) -> dict[tuple[int, ...], dict[str, float]]:
    """Return p50 and p99, in seconds, from the day `first` to `last`, by the numbers of the columns
    `by`, which are of COLUMNS."""
    names = ", ".join((*by, "bucket"))
    # nobody's words are in it: `by` are columns
    query = (
        f"SELECT {names}, sum(requests) FROM seconds WHERE day BETWEEN ? AND ?"  # noqa: S608
        f" GROUP BY {names}"
    )
    buckets: dict[tuple[int, ...], dict[int, int]] = defaultdict(dict)
    for *key, number, count in store.execute(query, [first, last]):
        buckets[tuple(key)][number] = count
    return {
        key: {"p50": at(counts, 0.5), "p99": at(counts, 0.99)} for key, counts in buckets.items()
    }


def at(counts: dict[int, int], part: float) -> float:
    """Return the seconds that this part of the answers took at most: the middle of the bucket of
    the last of them."""
    left = part * sum(counts.values())
    for number in sorted(counts):
        left -= counts[number]
        if left <= 0:
            return _middle(number)
    return 0.0


def _middle(number: int) -> float:
    return float(f"{GROWTH ** (number + 0.5):.2g}")
