"""What processes take: memory and CPU, as Linux counts them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

GONE = (ProcessLookupError, FileNotFoundError)
"""What reading of a process that has ended raises."""


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = [
        child
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in task.read_text().split()
    ]
    return [pid, *(member for child in children for member in family(int(child)))]


def megabytes(pid: int, kind: str = "Pss") -> float:
    """A process's memory: `Pss` (its own pages, and its share of those it has in common with
    others) or `Rss` (both in full). Raises one of GONE."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().split()
    return int(rollup[rollup.index(f"{kind}:") + 1]) / 1024


def command(pid: int) -> str:
    """Its command line, which Ray sets to what an actor does; empty: it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except GONE:
        return ""


def cpu_seconds(roots: Iterable[int]) -> float:
    """The CPU that processes and all their descendants have taken so far, those that have ended
    included."""
    ticks = 0
    for pid in (member for root in roots for member in family(root)):
        with suppress(*GONE):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            # user and system: its own, and its ended children's
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """The CPU that the whole machine has spent on anything so far."""
    user, nice, system, _idle, _waiting, irq, softirq = map(
        int, Path("/proc/stat").read_text().split()[1:8]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
