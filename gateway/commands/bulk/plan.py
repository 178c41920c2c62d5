"""Which column holds which variable of a chat, and what its answers are called."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from gateway.commands.bulk.run import Plan
from gateway.commands.bulk.words import BulkError, words


def plan_for(args: Namespace, columns: list[str], row: dict[str, Any]) -> Plan:
    """Return what is asked of a chat, given its `row` of GET /models. Raises BulkError."""
    task, reply = row.get("task") or {}, row.get("reply") or {}
    given = dict(_pair(one) for one in args.column)
    variables = {**dict.fromkeys(task.get("variables") or ["content"]), **given}
    places = {
        name: _place(name, given.get(name), columns, alone=len(variables) == 1)
        for name in variables
    }
    more = {name: getattr(args, name) for name in ("choices", "fields") if getattr(args, name)}
    fields = _field_names(args.fields or ("" if args.choices else reply.get("fields")) or "")
    names = fields or ("answer",)
    return Plan(args.chat, places, more, names, bool(fields))


def _pair(text: str) -> tuple[str, str]:
    name, sign, column = text.partition("=")
    if not sign or not name.strip():
        raise BulkError(
            words(
                f"--column {text}: it must be VARIABLE=COLUMN, such as content=Text.",
                f"--column {text}：格式应为 VARIABLE=COLUMN，例如 content=Text。",
            )
        )
    return name.strip(), column


def _place(name: str, column: str | None, columns: list[str], alone: bool) -> int:
    """Return which column a variable comes from: the one that was named, or that is called like
    it; or the only one."""
    wanted = name if column is None else column
    for same in (str, lambda text: str(text).strip().casefold()):
        places = [place for place, title in enumerate(columns) if same(title) == same(wanted)]
        if len(places) == 1:
            return places[0]
    if alone and column is None and columns == ["1"]:
        return 0
    there = ", ".join(repr(title) for title in columns)
    raise BulkError(
        words(
            f"{wanted}: no column is called so, or several are; there are {there}. Say --column"
            f" {name}=COLUMN, or --no-header if that is the first row already.",
            f"{wanted}：没有这一列，或有多列同名；现有 {there}。请用 --column {name}=列名 指定；"
            "若第一行就是数据，请加 --no-header。",
        )
    )


def _field_names(fields: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of `name,amount:number`, which may come as a list."""
    parts = fields.split(",") if isinstance(fields, str) else fields
    return tuple(part.partition(":")[0].strip() for part in parts if part.strip())
