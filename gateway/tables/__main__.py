"""`python -m gateway.tables`: a table that somebody sent to the gateway, read or written in a
process of its own, whose memory and time are bounded: a file may be made to take any amount of
both.

An order comes in on standard input (JSON, order.py). A table's rows go out as JSON, or a file as
its bytes; what is wrong goes out as JSON with the exit code REFUSED. Nothing is written to a disk.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from base64 import b64decode
from itertools import islice
from pathlib import Path
from typing import Any

from gateway.tables.dialects import find_dialect, name_of
from gateway.tables.error import TableError
from gateway.tables.files import CsvSink, CsvTable, Sink, Table, text, titles
from gateway.tables.order import CPU_SECONDS, MEMORY_BYTES, MOST_ROWS, REFUSED, Order

ZIP = b"PK\x03\x04"
"""How a file of Excel's own begins, whatever it is called."""


def main() -> None:
    """Do what is ordered. Raises SystemExit."""
    order: Order = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    path = _in_memory(b64decode(order["file"]))
    try:
        table = _opened(path, order)
        read = order["answers"] is None
        output = json.dumps(_read(table)).encode() if read else _written(table, order)
    except TableError as error:
        texts = (error.detail, error.detail_zh)
        names = [one.replace(str(path), order["name"]) for one in texts]
        sys.stdout.write(json.dumps(names))
        raise SystemExit(REFUSED) from None
    sys.stdout.buffer.write(output)


def _in_memory(contents: bytes) -> Path:
    """Return the path of a file that is on no disk."""
    number = os.memfd_create("table")
    with os.fdopen(os.dup(number), "wb") as file:
        file.write(contents)
    return Path(f"/proc/self/fd/{number}")


def _opened(path: Path, order: Order) -> Table:
    with path.open("rb") as file:
        is_excel = file.read(len(ZIP)) == ZIP
    if is_excel:
        try:
            from gateway.tables.xlsx import XlsxTable
        except ModuleNotFoundError as error:
            raise TableError(
                f"{path}: .xlsx needs {error.name}, which is not installed: save it as .csv, or ask"
                " the operator for requirements-xlsx.txt.",
                f"{path}：.xlsx 需要 {error.name}，尚未安装：请另存为 .csv，"
                "或请管理员安装 requirements-xlsx.txt。",
            ) from None
        return XlsxTable(path, order["header"])
    dialect = find_dialect(path, order["charset"], order["delimiter"])
    return CsvTable(path, dialect, order["header"])


def _rows(table: Table) -> list[list[Any]]:
    """Return the rows. Raises TableError: there are too many."""
    rows = list(islice(table.rows(), MOST_ROWS + 1))
    if len(rows) > MOST_ROWS:
        raise TableError(
            f"There are more than {MOST_ROWS:,} rows: python -m gateway bulk takes any number.",
            f"超过 {MOST_ROWS:,} 行：python -m gateway bulk 不限行数。",
        )
    return rows


def _read(table: Table) -> dict[str, Any]:
    csv = table.dialect if isinstance(table, CsvTable) else None
    return {
        "columns": table.columns,
        "rows": [list(map(text, row)) for row in _rows(table)],
        "charset": name_of(csv.codec) if csv else None,
        "delimiter": csv.delimiter if csv else None,
    }


def _written(table: Table, order: Order) -> bytes:
    """Return the table as a file of its kind, with the answers beside its rows. Raises
    TableError."""
    rows, answers = _rows(table), order["answers"] or []
    if len(rows) != len(answers):
        raise TableError(
            f"There are {len(rows)} rows and {len(answers)} answers.",
            f"共有 {len(rows)} 行，而回答有 {len(answers)} 个。",
        )
    out = _in_memory(b"")
    sink = _sink(table, out)
    if table.header:
        sink.write(table.header, titles(table.columns, order["names"]))
    empty = [""] * (len(order["names"]) + 1)
    for row, answer in zip(rows, answers, strict=True):
        sink.write(row, answer or empty)
    sink.close()
    return out.read_bytes()


def _sink(table: Table, out: Path) -> Sink:
    if isinstance(table, CsvTable):
        return CsvSink(out, table.dialect)
    from xlsxwriter import Workbook

    from gateway.tables.xlsx import XlsxRows

    return XlsxRows(Workbook(str(out), {"in_memory": True}))


if __name__ == "__main__":
    main()
