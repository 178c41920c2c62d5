"""GET /usage: what was asked, answered and paid, from the ledger."""

from __future__ import annotations

import csv
import io
import time
from typing import Annotated, Any, get_args

from flask import Blueprint, Response
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from gateway.actors.ledger_book import MICRO, By
from gateway.errors import Code, GatewayError
from gateway.web import call, replies, request_fields, services, wire
from gateway.web.contract import ReplyOptions
from gateway.web.description import Description, described
from gateway.web.field_types import split_at_commas
from gateway.web.schemas import COUNT, PLAIN, TEXT, Json, schema_object

usage_app = Blueprint("usage", __name__)

NUMBERS = ("requests", "errors", "fell_back", "tokens_in", "tokens_out", "cached")

DAY = r"^\d{4}-\d\d-\d\d$"

ROW: Json = schema_object(
    **dict.fromkeys(NUMBERS, COUNT),
    money={"type": "object", "additionalProperties": {"type": "number"}},
    errors_by_code={"type": "object", "additionalProperties": COUNT},
)
USAGE = schema_object(**{"from": TEXT}, to=TEXT, usage={"type": "array", "items": ROW})


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


@usage_app.get("/usage")
@described(Description("What was asked, answered and paid.", USAGE, "", UsageRequest, PLAIN))
def usage() -> Response:
    """Return sums by day, chat or whatever else: all callers' to an admin, else the caller's
    own."""
    asked, token = request_fields.parsed(UsageRequest), call.current().token
    first = asked.from_ or time.strftime("%Y-%m-01")
    last = asked.to or time.strftime("%Y-%m-%d")
    own = None if token is None or "admin" in token.scopes else token.name
    rows = _read(asked.by, first, last, own)
    form = call.current().form
    if form.format == "json":
        body = wire.json_object({"from": first, "to": last, "usage": rows}, form)
        return replies.response(body)
    table = _table(asked.by, rows)
    if form.format == "csv":
        return replies.response(_as_csv(table, form))
    return replies.response(wire.plain(_as_text(table), form))


def _read(by: tuple[str, ...], first: str, last: str, caller: str | None) -> list[dict[str, Any]]:
    folder = services.ledger().folder
    if not folder:
        words = "Nothing is kept: GATEWAY_STATE names no folder for it."
        words_zh = "没有保存用量：未用 GATEWAY_STATE 指定目录。"
        raise GatewayError(Code.INVALID_REQUEST, words, words_zh)
    rows = services.llm().ask_ledger("usage", folder, by, first, last, caller)
    if isinstance(rows, str):
        raise GatewayError(Code.INTERNAL, f"The ledger cannot be read: {rows}.")
    for row in rows:
        row["money"] = {name: money / MICRO for name, money in row["money"].items()}
    return list(rows)


def _table(by: tuple[str, ...], rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return rows of cells, the first of them names; a column of money for each currency."""
    currencies = sorted({name for row in rows for name in row["money"]})
    table = [[*by, *NUMBERS, *(f"money_{name}" for name in currencies)]]
    for row in rows:
        money = [f"{row['money'].get(name, 0):.6f}" for name in currencies]
        table.append([*(str(row[name]) for name in (*by, *NUMBERS)), *money])
    return table


def _as_csv(table: list[list[str]], form: wire.Form) -> wire.Reply:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n" if form.eol == "lf" else "\r\n").writerows(table)
    plain = wire.plain(lines.getvalue(), form._replace(eol=""))
    return wire.Reply(plain.body, f"text/csv; charset={form.charset}")


def _as_text(table: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    )
