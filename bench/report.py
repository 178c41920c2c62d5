"""The tables, on the terminal and in docs/performance.md."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

from bench.contenders import CHAT, V1
from bench.loads import LOADS, Rounds, Seen, median
from bench.targets import Row
from gateway.commands.run import HERE

DOCUMENT = HERE / "docs/performance.md"
FIGURES: dict[str, Callable[[Seen], float]] = {
    "requests/s": lambda seen: seen.run.per_second,
    "p50 ms": lambda seen: seen.run.p50_ms,
    "p99 ms": lambda seen: seen.run.p99_ms,
    "CPU ms each": lambda seen: seen.cpu_ms,
}
QUIET = 0.1
"""The share of the machine that others may take."""

BEGIN, END = "<!-- make bench writes what follows -->", "<!-- until here -->"


def verdict(rows: Iterable[Row]) -> str:
    """What was aimed at, what came out, and whether it was met."""
    lines = [
        (
            row.load,
            row.target,
            row.figures[0],
            *(row.figures[1:] or ("",)),
            "yes" if row.met else "**no**",
        )
        for row in rows
    ]
    return _table(("load", "target", CHAT, V1, "met"), lines)


def figures(taken: dict[str, Rounds]) -> str:
    """What each contender gave: medians of its rounds, and the sum of what failed."""
    lines = []
    for key, rounds in taken.items():
        for name in rounds[0]:
            amounts = [median(rounds, name, figure) for figure in FIGURES.values()]
            failed = str(sum(seen[name].run.failed for seen in rounds))
            lines.append(
                (
                    LOADS[key].name,
                    name,
                    *(f"{amount:,.2f}" if amount else "none" for amount in amounts),
                    failed,
                )
            )
    return _table(("load", "who", *FIGURES, "failed"), lines)


def conditions(seconds: int, number: int, taken: dict[str, Rounds]) -> str:
    """On what it was measured, and how."""
    others = [seen.others for rounds in taken.values() for one in rounds for seen in one.values()]
    share = statistics.median(others) if others else 0
    warning = " So much that the ratios mean little." if share > QUIET else ""
    return (
        f"{os.cpu_count()} cores, with everything on them: wrk, the stand-in provider and who is"
        f" measured. Others took {share:.0%} of the CPU meanwhile.{warning} Python"
        f" {platform.python_version()}, Ray {version('ray')}. Runs of {seconds} s (longer where"
        f" answers take seconds), {number} of each, in turns."
    )


def write(text: str, to: Path = DOCUMENT) -> None:
    """Put it between the document's two marks; what stands around them stays. Raises SystemExit:
    they are gone."""
    document = to.read_text()
    marked = re.compile(f"(?<={re.escape(BEGIN)}\n).*(?={re.escape(END)})", re.DOTALL)
    if not marked.search(document):
        raise SystemExit(f"{to.name} lacks its marks: {BEGIN} and {END}")
    to.write_text(marked.sub(lambda _: f"\n{text}\n\n", document))


def _table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *lines))
