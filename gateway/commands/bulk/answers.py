"""The answers of a run, kept beside the file that they are written to: OUT.progress, an SQLite
database. So a run that was killed goes on, whatever became of its output.

Each question has an id of its own, by which the gateway knows it again: it is made of the run, the
question, and how often the same one came before. Rows may be added or moved between two runs.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from gateway.commands.bulk.words import BulkError, words

SUFFIX = ".progress"

NEW = "new"
"""The setting that says which columns are written."""

_TABLES = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA temp_store = FILE;
CREATE TABLE IF NOT EXISTS run (id TEXT, settings TEXT);
CREATE TABLE IF NOT EXISTS answers (id TEXT PRIMARY KEY, answer TEXT) WITHOUT ROWID;
CREATE TEMP TABLE seen (digest TEXT PRIMARY KEY, times INTEGER) WITHOUT ROWID;
"""


class Answer(NamedTuple):
    """What a row's new cells hold, or what went wrong; and its tokens, as far as they were
    counted."""

    texts: tuple[str, ...] = ()
    error: str = ""
    tokens_in: int = 0
    tokens_out: int = 0


class Answers:
    """The answers so far. `settings` are the run's own: under others, its answers would be other
    ones. One process at a time has them."""

    def __init__(self, out: Path, settings: dict[str, Any]) -> None:
        self.path = out.with_name(out.name + SUFFIX)
        new = not self.path.exists()
        if new and out.exists() and out.stat().st_size:
            raise BulkError(
                words(
                    f"{out} is there already, and no unfinished run wrote it. Give another name,"
                    " or remove it.",
                    f"{out} 已存在，且不属于未完成的任务。请换一个文件名，或先删除它。",
                )
            )
        self.path.touch(0o600)
        try:
            self._store = sqlite3.connect(self.path, timeout=0, isolation_level=None)
            self._store.executescript(_TABLES)
            self._run = self._begin(settings)
        except sqlite3.Error as error:
            raise BulkError(
                words(
                    f"{self.path}: {error}. Does another run write {out}?",
                    f"{self.path}：{error}。是否有另一个任务正在写 {out}？",
                )
            ) from None

    def id_of(self, question: dict[str, Any]) -> str:
        """Return the id of a question, each time the next one: equal rows are asked each for
        itself."""
        digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
        self._store.execute(
            "INSERT INTO seen VALUES (?, 1) ON CONFLICT (digest) DO UPDATE SET times = times + 1",
            [digest],
        )
        row = self._store.execute("SELECT times FROM seen WHERE digest = ?", [digest]).fetchone()
        whole = f"{self._run} {digest} {row[0]}"
        return f"bulk-{hashlib.sha256(whole.encode()).hexdigest()[:40]}"

    def find(self, name: str) -> Answer | None:
        """Return the answer under an id, if it is there."""
        row = self._store.execute("SELECT answer FROM answers WHERE id = ?", [name]).fetchone()
        if row is None:
            return None
        texts, *rest = json.loads(row[0])
        return Answer(tuple(texts), *rest)

    def keep(self, name: str, answer: Answer) -> None:
        """Keep an answer: from here on it is paid for once, whatever happens. Raises
        BulkError."""
        try:
            self._store.execute("REPLACE INTO answers VALUES (?, ?)", [name, json.dumps(answer)])
        except sqlite3.Error as error:  # such as a full disk
            raise BulkError(f"{self.path}: {error}") from None

    def close(self, done: bool) -> None:
        """Close the database. It goes when nothing is left to be `done`."""
        self._store.close()
        if done:
            self.path.unlink()

    def _begin(self, settings: dict[str, Any]) -> str:
        """Return the run's own name, which is new with it: another run has other answers."""
        self._store.execute("BEGIN EXCLUSIVE")
        row = self._store.execute("SELECT id, settings FROM run").fetchone()
        if row is None:
            row = secrets.token_hex(8), json.dumps(settings, sort_keys=True)
            self._store.execute("INSERT INTO run VALUES (?, ?)", row)
        self._store.execute("COMMIT")
        before = json.loads(row[1])
        # older versions noted no new columns
        mine = {name: value for name, value in settings.items() if name in before or name != NEW}
        if before != mine:
            raise BulkError(
                words(
                    f"{self.path} is of a run with other settings: {row[1]}. Give another name, or"
                    " remove it.",
                    f"{self.path} 属于使用其他设置的任务：{row[1]}。请换一个文件名，或先删除它。",
                )
            )
        return str(row[0])
