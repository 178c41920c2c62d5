"""What the process that reads and writes a table (__main__.py) is told, and its bounds."""

from __future__ import annotations

from typing import TypedDict

REFUSED = 3
"""The exit code that says that there is something wrong with the table."""

MOST_ROWS = 50_000
MEMORY_BYTES = 1024 * 1024 * 1024
CPU_SECONDS = 20


class Order(TypedDict):
    """A file (in base64) and how it is read: its `name` for what is said of it, whether its first
    row is a `header`, and its charset and delimiter ("": they are found).

    `answers` None: its rows are wanted. Else a file is: the texts of each row's new columns and its
    error (None: it has none yet), where `names` are the new columns'.
    """

    name: str
    file: str
    header: bool
    charset: str
    delimiter: str
    names: list[str]
    answers: list[list[str] | None] | None
