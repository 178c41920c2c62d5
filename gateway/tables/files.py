"""CSV files as Excel and others write them: read and written row by row, in whatever charset and
with whatever delimiter. What is copied comes out as it was, and the answers' file is written as the
questions' is."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from gateway.tables.dialects import MAX_CELL, Dialect, line, name_of, unreadable
from gateway.tables.error import TableError

Cell = Any
"""A cell: in CSV always a text; in Excel's own files also a number, a date, or None."""

ERROR = "error"
"""What the last of the new columns is called: it says why a row has no answer."""

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)*([eE][+-]?[0-9]+)?%?")


class Table(Protocol):
    """What is asked: the columns' names, and the rows, as often as they are wanted."""

    columns: list[str]
    header: list[Cell] | None

    def rows(self) -> Iterator[list[Cell]]:
        """Yield each row, as wide as the columns. Raises TableError."""

    def about(self) -> str:
        """Return how the file was read, for its owner to look at."""


class Sink(Protocol):
    """Where the rows go. `losses` counts texts that could not be written whole."""

    losses: int

    def write(self, copied: Sequence[Cell], answers: Sequence[str]) -> None:
        """Write a row: the cells that were there, then the new ones."""

    def close(self) -> None:
        """Write what is left."""


class CsvTable:
    """A CSV file that is read. Without a header, its columns are called 1, 2, 3."""

    def __init__(self, path: Path, dialect: Dialect, with_header: bool = True) -> None:
        self._path, self.dialect = path, dialect
        first = next(self._records(), None)
        if first is None:
            raise TableError(f"{path}: there is nothing in it.", f"{path}：文件是空的。")
        self.header: list[Cell] | None = first if with_header else None
        self.columns = first if with_header else [str(n) for n in range(1, len(first) + 1)]

    def rows(self) -> Iterator[list[Cell]]:
        """Yield each row; one that is shorter than the header is filled up."""
        wide = len(self.columns)
        for number, cells in enumerate(islice(self._records(), bool(self.header), None), 1):
            if len(cells) > wide:
                raise TableError(
                    f"{self._path}: row {number} has {len(cells)} cells, but there are"
                    f" {wide} columns. Say the delimiter, or quote the cells that hold one.",
                    f"{self._path}：第 {number} 行有 {len(cells)} 个单元格，而列数是 {wide}。"
                    "请指定分隔符，或给含分隔符的单元格加引号。",
                )
            yield cells + [""] * (wide - len(cells))

    def about(self) -> str:
        """Return the charset and the delimiter."""
        delimiter = {"\t": "tab"}.get(self.dialect.delimiter, self.dialect.delimiter)
        return f"--charset {name_of(self.dialect.codec)} --delimiter '{delimiter}'"

    def _records(self) -> Iterator[list[str]]:
        csv.field_size_limit(MAX_CELL)
        try:
            with self._path.open(encoding=self.dialect.codec, newline="") as file:
                file.read(len(self.dialect.sep))
                reader = csv.reader(file, delimiter=self.dialect.delimiter)
                yield from filter(None, reader)  # an empty line is no row
        except UnicodeError as error:
            raise unreadable(self._path, self.dialect.codec, error) from None
        except csv.Error as error:
            raise TableError(
                f"{self._path}: {error}. Is there a quote that is never closed?",
                f"{self._path}：{error}。是否有未闭合的引号？",
            ) from None


class CsvSink:
    """A CSV file that is written, each row at once. What its charset lacks becomes a question
    mark.

    Unless `exact`, an answer that Excel would run as a formula gets an apostrophe in front.
    """

    def __init__(self, path: Path, dialect: Dialect, exact: bool = False) -> None:
        self._dialect, self._exact = dialect, exact
        self._file = path.open("w", encoding=dialect.codec, errors="replace", newline="")
        self._file.write(dialect.sep)
        self.losses = 0

    def write(self, copied: Sequence[Cell], answers: Sequence[str]) -> None:
        """Write a row, and let the system have it."""
        old = list(map(text, copied))
        self.losses += sum(_is_lost(cell, self._dialect.codec) for cell in (*old, *answers))
        new = answers if self._exact else list(map(harmless, answers))
        self._file.write(line([*old, *new], self._dialect))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def text(cell: Cell) -> str:
    """Return a cell as a text."""
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell)


def harmless(answer: str) -> str:
    """Return an answer that no spreadsheet takes for a formula (CSV injection); numbers stay as
    they are."""
    if _FORMULA.match(answer) and not _NUMBER.fullmatch(answer.strip()):
        return f"'{answer}"
    return answer


def _is_lost(answer: str, codec: str) -> bool:
    try:
        answer.encode(codec)
    except UnicodeEncodeError:
        return True
    return False


def titles(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return what the new columns are called, and the one of errors after them; another name where
    there is one like it already."""
    taken, new = set(columns), []
    for name in (*names, ERROR):
        number, title = 1, name
        while title in taken:
            number += 1
            title = f"{name}_{number}"
        taken.add(title)
        new.append(title)
    return new
