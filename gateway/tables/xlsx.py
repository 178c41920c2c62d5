"""Excel's own files: the first sheet, row by row. An answer is always a text there, never a
formula."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook
from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format

from gateway.tables.error import TableError
from gateway.tables.files import Cell, text

MAX_CHARACTERS = 32_767
"""Excel takes no more in a cell."""

MAX_ROWS = 1_048_576

_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_FORMATS = {datetime: "yyyy-mm-dd hh:mm:ss", date: "yyyy-mm-dd", time: "hh:mm:ss"}


class XlsxTable:
    """The first sheet of a file that is read. Without a header, its columns are called 1, 2, 3."""

    def __init__(self, path: Path, with_header: bool = True) -> None:
        try:
            self._sheet: CalamineSheet = CalamineWorkbook.from_path(path).get_sheet_by_index(0)
        except (CalamineError, OSError) as error:
            raise TableError(f"{path}: {error}", f"{path}：{error}") from None
        first = next(self._records(), None)
        if first is None:
            raise TableError(f"{path}: there is nothing in it.", f"{path}：文件是空的。")
        self._name = self._sheet.name
        self.header: list[Cell] | None = first if with_header else None
        self.columns = (
            list(map(text, first)) if with_header else [str(n) for n in range(1, len(first) + 1)]
        )

    def rows(self) -> Iterator[list[Cell]]:
        """Yield each row that holds anything."""
        yield from islice(self._records(), bool(self.header), None)

    def about(self) -> str:
        """Return the sheet's name."""
        return self._name

    def _records(self) -> Iterator[list[Cell]]:
        return (row for row in self._sheet.iter_rows() if any(cell != "" for cell in row))


class XlsxRows:
    """Rows that are written to the first sheet of a book."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self._sheet = book.add_worksheet()
        self._formats = {kind: self._format(shape) for kind, shape in _FORMATS.items()}
        self._row = self.losses = 0

    def write(self, copied: Sequence[Cell], answers: Sequence[str]) -> None:
        """Write a row. Raises TableError."""
        if self._row == MAX_ROWS:
            raise TableError(
                f"Excel takes no more than {MAX_ROWS} rows; write a .csv.",
                f"Excel 最多只能容纳 {MAX_ROWS} 行，请输出 .csv。",
            )
        for column, cell in enumerate((*copied, *answers)):
            self._write(column, cell)
        self._row += 1

    def close(self) -> None:
        """Write what is left."""
        self._book.close()

    def _format(self, shape: str) -> Format:
        return self._book.add_format({"num_format": shape})

    def _write(self, column: int, cell: Cell) -> None:
        place = self._row, column
        if isinstance(cell, bool):
            self._sheet.write_boolean(*place, cell)
        elif isinstance(cell, int | float):
            self._sheet.write_number(*place, cell)
        elif isinstance(cell, datetime | date | time):
            self._sheet.write_datetime(*place, cell, self._formats[type(cell)])
        elif isinstance(cell, timedelta):
            self._sheet.write_datetime(*place, cell, self._formats[time])
        elif cell not in ("", None):
            whole = text(cell)
            fit = _NO_XML.sub("?", whole)[:MAX_CHARACTERS]
            self.losses += fit != whole
            self._sheet.write_string(*place, fit)


class XlsxSink(XlsxRows):
    """A file that is written. It is there when it is whole."""

    def __init__(self, path: Path) -> None:
        self._path, self._new = path, path.with_name(f"{path.name}.new")
        super().__init__(Workbook(str(self._new), {"constant_memory": True}))

    def close(self) -> None:
        """Put the file where it belongs."""
        try:
            super().close()
        except FileCreateError as error:  # no OSError: a full disk, or a folder that has gone
            raise TableError(f"{self._path}: {error}", f"{self._path}：{error}") from None
        os.replace(self._new, self._path)
