"""GET /usage: what was asked, answered and paid, from the ledger."""

from __future__ import annotations

import csv
import io
import time
from typing import Annotated, Any, get_args

from flask import Blueprint, Response, jsonify
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from gateway.actors.ledger_book import MICRO, By
from gateway.errors import Code, GatewayError
from gateway.tables.files import harmless
from gateway.web import call, replies, request_fields, services, validation, wire
from gateway.web.contract import ReplyOptions
from gateway.web.description import Description, described
from gateway.web.field_types import ChatName, split_at_commas
from gateway.web.schemas import COUNT, PLAIN, TEXT, Json, schema_object
from gateway.web.strict_request import Request

usage_app = Blueprint("usage", __name__)

NUMBERS = ("requests", "errors", "fell_back", "tokens_in", "tokens_out", "cached")

DAY_FORMAT, DAY_SECONDS = "%Y-%m-%d", 86_400
DAY = r"^\d{4}-\d\d-\d\d$"

ROW: Json = schema_object(
    **dict.fromkeys(NUMBERS, COUNT),
    money={"type": "object", "additionalProperties": {"type": "number"}},
    errors_by_code={"type": "object", "additionalProperties": COUNT},
    seconds={
        "type": ["object", "null"],
        "description": (
            "p50 and p99 of the seconds until an answer or its first word; null: not told apart so."
        ),
    },
)
USAGE = schema_object(**{"from": TEXT}, to=TEXT, usage={"type": "array", "items": ROW})


REST = schema_object(
    **{"chat_name": TEXT, "code": TEXT, "since": COUNT, "requests": COUNT},
    until={"type": ["integer", "null"], "description": "null: it has not answered since."},
    answered_by={"type": "object", "additionalProperties": COUNT},
)
RESTS = schema_object(**{"from": TEXT}, to=TEXT, rests={"type": "array", "items": REST})


def _columns(names: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [name for name in names if name not in get_args(By)]:
        raise ValueError(f"{wrong[0][:64]!r} is none of {', '.join(get_args(By))}")
    return tuple(dict.fromkeys(names))


Day = Annotated[str, StringConstraints(pattern=DAY)]


class UsageRequest(ReplyOptions):
    """GET /usage: days are YYYY-MM-DD, this month's if they are not given."""

    from_: Day | None = Field(default=None, alias="from", description="The first day.")
    to: Day | None = Field(default=None, description="The last day.")
    by: Annotated[tuple[str, ...], BeforeValidator(split_at_commas), AfterValidator(_columns)] = (
        Field(
            default=("day", "chat"), description=f"What is told apart: {', '.join(get_args(By))}."
        )
    )


class RestsRequest(Request):
    """GET /rests: days are YYYY-MM-DD, the last 30 if they are not given."""

    chat_name: ChatName | None = None
    from_: Day | None = Field(default=None, alias="from", description="The first day.")
    to: Day | None = Field(default=None, description="The last day.")


@usage_app.get("/rests")
@described(Description("When chats could not answer, and who did.", RESTS, "admin", RestsRequest))
def rests() -> Response:
    """Return since when and until when a chat was turned away with which code, and who answered
    meanwhile, the newest first."""
    query, now = request_fields.parsed(RestsRequest), time.time()
    first = query.from_ or time.strftime(DAY_FORMAT, time.localtime(now - 29 * DAY_SECONDS))
    last = query.to or time.strftime(DAY_FORMAT, time.localtime(now))
    span = _midnight("from", first), _midnight("to", last, days=1)
    rows = _ask_ledger("rests", query.chat_name, *span)
    return jsonify({"from": first, "to": last, "rests": rows})


def _midnight(name: str, day: str, days: int = 0) -> float:
    """Return the Unix time at which a day begins, or one `days` later. Raises GatewayError."""
    try:
        date = time.strptime(day, DAY_FORMAT)
        return time.mktime((date.tm_year, date.tm_mon, date.tm_mday + days, 0, 0, 0, 0, 0, -1))
    except (ValueError, OverflowError):
        raise validation.invalid(name, f"{day} is no day", f"{day} 不是日期") from None


@usage_app.get("/usage")
@described(Description("What was asked, answered and paid.", USAGE, "", UsageRequest, PLAIN))
def usage() -> Response:
    """Return sums by day, chat or whatever else: all callers' to an admin, else the caller's
    own."""
    query = request_fields.parsed(UsageRequest)
    first = query.from_ or time.strftime("%Y-%m-01")
    last = query.to or time.strftime(DAY_FORMAT)
    rows = _read(query.by, first, last, services.own_name())
    form = call.current().form
    if form.format == "json":
        body = wire.json_object({"from": first, "to": last, "usage": rows}, form)
        return replies.response(body)
    table = _table(query.by, rows)
    if form.format == "csv":
        return replies.response(_as_csv(table, form))
    return replies.response(wire.plain(_as_text(table), form))


def _read(by: tuple[str, ...], first: str, last: str, caller: str | None) -> list[dict[str, Any]]:
    rows = _ask_ledger("usage", by, first, last, caller)
    for row in rows:
        row["money"] = {name: money / MICRO for name, money in row["money"].items()}
    return rows


def _ask_ledger(method: str, *arguments: Any) -> list[dict[str, Any]]:
    """Return the ledger's rows. Raises GatewayError: there is none, or it cannot be read."""
    folder = services.ledger().folder
    if not folder:
        words = "Nothing is kept: GATEWAY_STATE names no folder for it."
        words_zh = "没有保存用量：未用 GATEWAY_STATE 指定目录。"
        raise GatewayError(Code.INVALID_REQUEST, words, words_zh)
    rows = services.llm().ask_ledger(method, folder, *arguments)
    if isinstance(rows, str):
        raise GatewayError(Code.INTERNAL, f"The ledger cannot be read: {rows}.")
    return list(rows)


def _table(by: tuple[str, ...], rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return rows of cells, the first of them names; a column of money for each currency, and how
    long answers took where that is known."""
    currencies = sorted({name for row in rows for name in row["money"]})
    took = ("p50", "p99") if any(row["seconds"] for row in rows) else ()
    table = [[*by, *NUMBERS, *(f"money_{name}" for name in currencies), *took]]
    for row in rows:
        money = [f"{row['money'].get(name, 0):.6f}" for name in currencies]
        seconds = [str((row["seconds"] or {}).get(name, "")) for name in took]
        table.append([*(str(row[name]) for name in (*by, *NUMBERS)), *money, *seconds])
    return table


def _as_csv(table: list[list[str]], form: wire.Form) -> wire.Reply:
    lines = io.StringIO()
    rows = ([harmless(cell) for cell in row] for row in table)
    csv.writer(lines, lineterminator="\n" if form.eol == "lf" else "\r\n").writerows(rows)
    plain = wire.plain(lines.getvalue(), form._replace(eol=""))
    return wire.Reply(plain.body, f"text/csv; charset={form.charset}")


def _as_text(table: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    )
