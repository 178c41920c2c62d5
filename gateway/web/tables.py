"""POST /console/table and /console/answered_table: for the page's view Bulk, which asks a chat
about each row of a table. How tables are read and written is gateway/tables, as for the command
bulk."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated

import orjson
from flask import Blueprint, Response
from pydantic import Field, StringConstraints

from gateway.errors import Code, GatewayError
from gateway.tables.order import CPU_SECONDS, REFUSED, Order
from gateway.web import request_fields
from gateway.web.description import Description, described
from gateway.web.schemas import PERHAPS, TEXT, schema_object
from gateway.web.strict_request import Request

tables_app = Blueprint("tables", __name__, url_prefix="/console")

SECONDS = CPU_SECONDS + 20
"""How long a table may take."""

MOST_WAITING = 4
"""So many tables may be here: this process has one read at a time, and others need its threads."""

RETRY_SECONDS = 5

FILE = "application/octet-stream"
TOP = Path(__file__).parents[2]

_places = threading.BoundedSemaphore(MOST_WAITING)
_one_at_a_time = threading.Lock()

log = logging.getLogger(__name__)

_TEXTS = {"type": "array", "items": TEXT}
TABLE = schema_object(
    columns=_TEXTS,
    rows={"type": "array", "items": _TEXTS},
    charset={**PERHAPS, "description": "null: the file is one of Excel's own."},
    delimiter=PERHAPS,
)

Texts = tuple[str, ...]


class TableRequest(Request):
    """POST /console/table: a file of .csv or .xlsx, in base64."""

    name: Annotated[str, StringConstraints(max_length=200)] = Field(
        default="table", description="What the file is called in errors."
    )
    file: Annotated[str, StringConstraints(min_length=1, pattern=r"^[A-Za-z0-9+/]+=*$")]
    header: bool = Field(default=True, description="Whether its first row names the columns.")
    charset: str = Field(default="", description="Such as gbk, where it is not found.")
    delimiter: Annotated[str, StringConstraints(max_length=1)] = Field(
        default="", description="Such as ; where it is not found."
    )


class AnsweredTableRequest(TableRequest):
    """POST /console/answered_table: the same, the new columns' names, and for each row their texts
    and its error (null: there is none yet)."""

    names: Texts
    answers: tuple[Texts | None, ...]


@tables_app.post("/table")
@described(Description("Read a table.", TABLE, "chat", TableRequest, fails=(Code.GATEWAY_BUSY,)))
def table() -> Response:
    """Return a file's columns and rows. Nothing of it is kept."""
    order = request_fields.parsed(TableRequest)
    return Response(_done(_order(order)), content_type="application/json")


@tables_app.post("/answered_table")
@described(
    Description(
        "Write a table with its answers.",
        {},
        "chat",
        AnsweredTableRequest,
        streams=FILE,
        fails=(Code.GATEWAY_BUSY,),
    )
)
def answered_table() -> Response:
    """Return the file with new columns, written as it was; an answer that a spreadsheet would run
    as a formula is made harmless."""
    request = request_fields.parsed(AnsweredTableRequest)
    wide = len(request.names) + 1
    order = _order(request)
    order["names"] = list(request.names)
    order["answers"] = [[*row, *[""] * wide][:wide] if row else None for row in request.answers]
    return Response(_done(order), content_type=FILE)


def _order(request: TableRequest) -> Order:
    return {
        "name": request.name,
        "file": request.file,
        "header": request.header,
        "charset": request.charset,
        "delimiter": request.delimiter,
        "names": [],
        "answers": None,
    }


def _done(order: Order) -> bytes:
    """Return what a process of its own makes of an order. Raises GatewayError."""
    if not _places.acquire(blocking=False):
        words, words_zh = "Other tables are being read.", "正在读取其他表格。"
        raise GatewayError(Code.GATEWAY_BUSY, words, words_zh, retry_after=RETRY_SECONDS)
    try:
        with _one_at_a_time:
            child = _run(order)
    finally:
        _places.release()
    if child.returncode == REFUSED:
        raise GatewayError(Code.INVALID_REQUEST, *json.loads(child.stdout), param="file")
    if child.returncode:
        log.warning("a table could not be read: exit code %s", child.returncode)
        raise _too_much()
    return child.stdout


def _run(order: Order) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            [sys.executable, "-m", "gateway.tables"],
            input=orjson.dumps(order),
            capture_output=True,
            cwd=TOP,
            env={},  # the gateway's own holds its tokens
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _too_much() from None


def _too_much() -> GatewayError:
    return GatewayError(
        Code.INVALID_REQUEST,
        "file: it is damaged, or takes too much memory or time. Save it as .csv, or split it.",
        "file：文件已损坏，或占用的内存或时间过多。请另存为 .csv，或拆分文件。",
        param="file",
    )
