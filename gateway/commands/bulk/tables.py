"""Tables by their files' names: CSV, or Excel's own."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from gateway.commands.bulk.words import BulkError, words
from gateway.tables.dialects import Dialect, find_dialect, of_charset
from gateway.tables.files import CsvSink, CsvTable, Sink, Table, titles


def opened(args: Namespace) -> Table:
    """Return the table that is asked about. Raises BulkError, TableError, OSError."""
    source, out = args.source, args.out
    if out.exists() and source.exists() and out.samefile(source):
        raise BulkError(words("IN and OUT are one file.", "输入与输出是同一个文件。"))
    if not out.parent.is_dir():
        raise BulkError(words(f"There is no folder {out.parent}.", f"没有文件夹 {out.parent}。"))
    if is_excel(out):
        excel()
    if is_excel(source):
        table: Table = excel().XlsxTable(source, not args.no_header)
        return table
    delimiter = {"tab": "\t", "\\t": "\t"}.get(args.delimiter, args.delimiter)
    if len(delimiter) > 1:
        raise BulkError(words("--delimiter: one character.", "--delimiter：只能是一个字符。"))
    return CsvTable(source, find_dialect(source, args.charset, delimiter), not args.no_header)


def sink(args: Namespace, table: Table, names: Sequence[str]) -> Sink:
    """Return where the rows go, with the header written. Raises BulkError, TableError, OSError."""
    rows: Sink
    if is_excel(args.out):
        rows = excel().XlsxSink(args.out)
    else:
        usual = table.dialect if isinstance(table, CsvTable) else Dialect("utf-8-sig", ",")
        rows = CsvSink(args.out, of_charset(usual, args.out_charset), args.exact)
    if table.header:
        rows.write(table.header, titles(table.columns, names))
    return rows


def is_excel(path: Path) -> bool:
    """Return whether a file is one of Excel's own, by its name."""
    return path.suffix.lower() == ".xlsx"


def excel() -> ModuleType:
    """Return what reads and writes Excel's own files. Raises BulkError: it is not installed."""
    try:
        from gateway.tables import xlsx
    except ModuleNotFoundError as error:
        raise BulkError(
            words(
                f".xlsx needs {error.name}: .venv/bin/pip install -r requirements-xlsx.txt",
                f".xlsx 需要 {error.name}：.venv/bin/pip install -r requirements-xlsx.txt",
            )
        ) from None
    return xlsx
