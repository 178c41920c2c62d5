"""`python -m gateway bulk in.csv out.csv --chat NAME`: ask a chat about each row of a table, and
write the same row with the answer beside it.

A run that was ended, however, goes on when the same command is given again: no row is asked twice.
It exits with 0 when each row has an answer, with 3 when some have an error, and with 1 when it
stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.commands import own_gateway
from gateway.commands.bulk.answers import NEW
from gateway.commands.bulk.words import BulkError, words
from gateway.commands.run import reachable
from gateway.row_errors import PATIENCE_SECONDS
from gateway.tables.error import TableError

if TYPE_CHECKING:
    from gateway.commands.bulk.display import Display
    from gateway.commands.bulk.run import Plan
    from gateway.tables.files import Table

SOME_FAILED, INTERRUPTED = 3, 130
MOST_AT_ONCE = 256


def main(arguments: list[str]) -> None:
    """Ask all rows. Raises SystemExit."""
    args = _parser().parse_args(arguments)
    try:
        from gateway.commands.bulk.run import Interrupted
    except ModuleNotFoundError as error:
        raise SystemExit(
            words(
                f"{error.name} is missing: run this with the gateway's own Python,"
                " .venv/bin/python, or pip install -r requirements.txt",
                f"缺少 {error.name}：请用网关自己的 Python（.venv/bin/python）运行，"
                "或 pip install -r requirements.txt",
            )
        ) from None
    try:
        display = asyncio.run(_bulk(args))
    except (Interrupted, KeyboardInterrupt):
        raise SystemExit(INTERRUPTED) from None
    except TableError as error:
        raise SystemExit(words(error.detail, error.detail_zh)) from None
    except (BulkError, OSError) as error:
        raise SystemExit(str(error)) from None
    if not display.done:
        raise SystemExit(SOME_FAILED)


def _parser() -> argparse.ArgumentParser:
    ask = argparse.ArgumentParser(
        prog="python -m gateway bulk",
        description="Ask a chat about each row of a table. The same command goes on where it was.",
        epilog="The gateway's token, if it wants one, comes from GATEWAY_TOKEN or --token-file.",
    )
    ask.add_argument("source", metavar="IN", type=Path, help="a .csv or .xlsx file with a header")
    ask.add_argument("out", metavar="OUT", type=Path, help="where the rows go, with their answers")
    ask.add_argument("--chat", required=True, metavar="NAME", help="a task's or a chat's name")
    ask.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="VARIABLE=COLUMN",
        help="which column a variable comes from, where its name is another: content=Text",
    )
    ask.add_argument("--choices", default="", help="the answer is one of these: refund,other")
    ask.add_argument("--fields", default="", help="the answer has these, a column each: name,phone")
    ask.add_argument("--charset", default="", help="of IN, where it is not found: gbk")
    ask.add_argument("--out-charset", default="", metavar="CHARSET", help="of OUT, if another")
    ask.add_argument("--delimiter", default="", help="between IN's cells: , or ; or tab")
    ask.add_argument(
        "--no-header", action="store_true", help="IN has none: its columns are called 1, 2, 3"
    )
    ask.add_argument(
        "--exact",
        action="store_true",
        help="no apostrophe in front of answers that a spreadsheet would run as formulas",
    )
    ask.add_argument("--at-once", type=_at_once, default=4, metavar="N", help="rows (default 4)")
    ask.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help="how long to wait while the gateway or the provider sends us away (default 900)",
    )
    here = f"http://{reachable(os.environ.get('GATEWAY_BIND', '').strip() or '127.0.0.1:8099')}"
    ask.add_argument("--url", default=here, help=f"the gateway's (default {here})")
    ask.add_argument("--token-file", type=Path, help="a file that holds the gateway's token")
    return ask


def _at_once(number: str) -> int:
    if not number.isdigit() or not 1 <= int(number) <= MOST_AT_ONCE:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {MOST_AT_ONCE}")
    return int(number)


async def _bulk(args: argparse.Namespace) -> Display:
    """Read, plan, ask and write. Raises BulkError, OSError."""
    from gateway.commands.bulk import tables
    from gateway.commands.bulk.answers import Answers
    from gateway.commands.bulk.display import Display
    from gateway.commands.bulk.gateway import Gateway
    from gateway.commands.bulk.plan import plan_for
    from gateway.commands.bulk.run import Run

    table = tables.opened(args)
    total = sum(1 for _ in table.rows())  # what cannot be read is found before anything is paid
    gateway = Gateway(args.url.rstrip("/"), _token(args), args.patience, _say)
    try:
        plan = plan_for(args, table.columns, await gateway.chat(args.chat))
        answers = Answers(args.out, _settings(plan, table))
        _say(_beginning(table, plan, total))
        display = Display(total)
        gateway.note = display.note
        sink = tables.sink(args, table, plan.names)
        try:
            await Run(plan, answers, gateway, display, sink, args.at_once).all(table)
        finally:
            sink.close()
            display.close()
            _say(display.summary())
            if sink.losses:
                _say(_lost(sink.losses))
            elif not display.done:
                _say(_go_on())
            answers.close(display.done and not sink.losses)
    finally:
        await gateway.close()
    return display


def _settings(plan: Plan, table: Table) -> dict[str, object]:
    """Return what makes a run another one."""
    columns = {name: table.columns[place] for name, place in plan.variables.items()}
    new = {"names": list(plan.names), "fields": plan.fields}
    return {"chat": plan.chat_name, **plan.more, "columns": columns, NEW: new}


def _token(args: argparse.Namespace) -> str:
    if args.token_file is None:
        return own_gateway.token()
    text = args.token_file.read_bytes().decode("utf-8-sig", errors="replace")
    return own_gateway.checked(text, str(args.token_file))


def _beginning(table: Table, plan: Plan, total: int) -> str:
    columns = ", ".join(f"{name}={table.columns[place]}" for name, place in plan.variables.items())
    return words(
        f"{total} rows ({table.about()}), {columns}; new columns: {', '.join(plan.names)}, error",
        f"{total} 行（{table.about()}），{columns}；新增列：{', '.join(plan.names)}, error",
    )


def _lost(number: int) -> str:
    return words(
        f"{number} cells hold what OUT's charset lacks, or more than Excel takes. The same"
        " command with --out-charset utf-8 writes OUT anew; nothing is asked again.",
        f"有 {number} 个单元格含有输出字符集所缺的字符，或超出 Excel 的长度。"
        "同一命令加 --out-charset utf-8 会重新写出文件，不会重新提问。",
    )


def _go_on() -> str:
    return words(
        "The same command goes on: what has an answer is not asked again.",
        "再次运行同一命令即可继续：已有回答的行不会重新提问。",
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
