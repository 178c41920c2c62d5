"""The loads, and how the contenders take turns at them. All that is judged is a ratio of one
round's neighbours."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from bench.contenders import Contender
from bench.processes import cpu_seconds, machine_seconds
from bench.wrk import Run, load
from gateway.commands.ray_head import say

WARM_SECONDS = 1


class Load(NamedTuple):
    """So many connections that ask without a pause; the provider takes `delay_ms`. It runs
    `stretch` times as long."""

    name: str
    connections: int
    delay_ms: int = 0
    stream: bool = False
    stretch: int = 1


AT_ONCE = (1, 4, 16, 64, 256, 1000)
LOADS = {
    # With 256 and 1,000 connections an answer may take seconds; so do the held ones.
    **{
        str(n): Load(f"{n:,} connection{'s' * (n > 1)}", n, stretch=1 if n < 256 else 3)
        for n in AT_ONCE
    },
    "held": Load("1,000 held connections, provider takes 2 s", 1000, delay_ms=2000, stretch=4),
    "held-5000": Load("5,000 held connections, provider takes 5 s", 5000, delay_ms=5000, stretch=6),
    "streams": Load("64 streams, 20 chunks over 200 ms", 64, delay_ms=200, stream=True),
}


class Seen(NamedTuple):
    """One run; the CPU that each of its answers took in all of the contender's processes; and the
    share of the machine that others took, who are no part of the benchmark."""

    run: Run
    cpu_ms: float
    others: float


Rounds = list[dict[str, Seen]]
"""Of one load: what each contender, by name, gave in each round."""


def measure(contenders: Sequence[Contender], which: Load, seconds: int, rounds: int) -> Rounds:
    """Let them take turns, another one first in each round, after a second of warming up for
    each."""
    for contender in contenders:
        contender.settle(which.delay_ms, which.stream)
        load(contender.post(which.delay_ms, which.stream), min(which.connections, 64), WARM_SECONDS)
    taken: Rounds = []
    for number in range(rounds):
        first = number % len(contenders)
        turns = (*contenders[first:], *contenders[:first])
        taken.append({c.name: _one(c, which, seconds) for c in turns})
    return taken


def _one(contender: Contender, which: Load, seconds: int) -> Seen:
    contender.settle(which.delay_ms, which.stream)
    began = time.monotonic()
    before = cpu_seconds(contender.pids), cpu_seconds([os.getpid()]), machine_seconds()
    run = load(
        contender.post(which.delay_ms, which.stream), which.connections, seconds * which.stretch
    )
    after = cpu_seconds(contender.pids), cpu_seconds([os.getpid()]), machine_seconds()
    its, ours, all_of_it = (now - then for now, then in zip(after, before, strict=True))
    others = (all_of_it - ours) / ((time.monotonic() - began) * (os.cpu_count() or 1))
    say(f"{which.name:42} {contender.name:20} {described(run)}   others: {others:.0%}")
    return Seen(run, its * 1000 / max(run.good, 1), others)


def described(run: Run) -> str:
    failed = ", ".join(f"{number} {kind}" for kind, number in run.errors.items())
    return (
        f"{run.per_second:9.1f}/s   p50 {run.p50_ms:8.1f} ms   p99 {run.p99_ms:8.1f} ms   failed:"
        f" {failed or 0}"
    )


def median(rounds: Iterable[dict[str, Seen]], name: str, what: Callable[[Seen], float]) -> float:
    return statistics.median(what(seen[name]) for seen in rounds)
