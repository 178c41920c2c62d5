"""`make bench`: this gateway beside other gateways and the provider itself; `make bench-quick`:
the provider only.

Starts all that it measures, on free loopback ports, and stops just that. A whole `make bench`
writes its tables into docs/performance.md and the plot docs/latency.svg; one of a few loads only
prints.
"""

from __future__ import annotations

import argparse
import resource
import sys
from contextlib import ExitStack

from bench import contenders, memory, other_gateways, plot, report, start
from bench.contenders import CHAT, DIRECT
from bench.loads import AT_ONCE, LOADS, Rounds, measure, median
from bench.other_gateways import ENVOY, LITELLM, PORTKEY, SMG, TENSORZERO
from bench.provider import provider
from bench.service import gateway, ray_head
from bench.targets import Row, judged
from gateway.commands.ray_head import say
from gateway.commands.run import HERE

EVERYTHING = (*LOADS, memory.LOAD, start.LOAD)
PLOT = HERE / "docs/latency.svg"
PLOTTED = {
    CHAT: "this gateway",
    **{name: name for name in (PORTKEY, LITELLM, TENSORZERO, SMG, ENVOY, DIRECT)},
}
OPEN_FILES = 16_384


def main() -> int:
    """Measure, print, and write if it was everything. Returns the exit code: 1 if a target was
    missed."""
    asked = arguments()
    allow_open_files()
    taken, rows = measured(asked)
    how = report.conditions(asked.seconds, asked.rounds, taken)
    tables = f"{how}\n\n{report.verdict(rows)}\n\n{report.figures(taken)}"
    say(f"\n{tables}")
    if asked.peers and set(asked.loads) == set(EVERYTHING):
        report.write(f"{tables}\n\n![Latency against concurrency](latency.svg)")
        PLOT.write_text(drawn(taken))
    return 0 if all(row.met for row in rows) else 1


def arguments() -> argparse.Namespace:
    ask = argparse.ArgumentParser(prog="bench.compare", description=__doc__)
    ask.add_argument(
        "--loads", type=_loads, default=EVERYTHING, help=f"some of {','.join(EVERYTHING)}"
    )
    ask.add_argument(
        "--seconds", type=int, default=5, help="of a run; longer where answers take seconds"
    )
    ask.add_argument("--rounds", type=int, default=3, help="in which the contenders take turns")
    ask.add_argument("--no-peers", dest="peers", action="store_false", help="no other gateway")
    return ask.parse_args()


def measured(asked: argparse.Namespace) -> tuple[dict[str, Rounds], list[Row]]:
    """Start everybody, let them take turns at each load, and judge."""
    taken: dict[str, Rounds] = {}
    with ExitStack() as started:
        head = started.enter_context(ray_head())
        source = started.enter_context(provider())
        service = started.enter_context(gateway(head))
        ours = contenders.gateway(service, source)
        say(
            f"To look inside: gateway processes {memory.workers(service)}, model actors"
            f" {memory.chats(service)}."
        )
        weighed: list[Row] = []
        # first of all: later, Ray's control store would have grown already
        if memory.LOAD in asked.loads:
            weighed += memory.rows(service, ours[0])
        everybody = [contenders.direct(source), *ours]
        if asked.peers:
            everybody += [started.enter_context(peer(source)) for peer in other_gateways.ALL]
        for name in (name for name in LOADS if name in asked.loads):
            taken[name] = measure(everybody, LOADS[name], asked.seconds, asked.rounds)
        rows = [*judged(taken), *weighed]
        if start.LOAD in asked.loads:
            rows += start.rows(head, ours[0].post(0, False).body, asked.rounds)
    return taken, rows


def drawn(taken: dict[str, Rounds]) -> str:
    """Latency against concurrency, of all that were measured."""
    series = {}
    for name, shown in PLOTTED.items():
        p50 = {n: median(taken[str(n)], name, lambda seen: seen.run.p50_ms) for n in AT_ONCE}
        series[shown] = [(n, ms) for n, ms in p50.items() if ms]  # 0: no answer within a whole run
    return plot.drawn(
        "Latency against concurrency, provider answers at once", "connections", "p50 in ms", series
    )


def allow_open_files() -> None:
    """A thousand connections need more than the thousand files that a shell often allows; children
    inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, OPEN_FILES), hard))


def _loads(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(EVERYTHING):
        raise argparse.ArgumentTypeError(
            f"no such load: {', '.join(unknown)}; there are {', '.join(EVERYTHING)}"
        )
    return names


if __name__ == "__main__":
    sys.exit(main())
