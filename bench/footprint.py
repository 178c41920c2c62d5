"""`make footprint`: what a Ray head, a gateway of two processes and three relay chats weigh, beside
their targets.

A process's weight is its PSS: its own pages, and its share of those it has in common with others,
so another Ray on the machine makes these lighter than they are. Nothing is sent to a provider.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from contextlib import suppress

from bench.processes import GONE, command, family, megabytes
from bench.service import free_port, running
from gateway.commands.ray_head import say

CHATS = ("footprint-1", "footprint-2", "footprint-3")
RELAY_CHAT_MB = 90
WHOLE_MB = 750
DEPLOY_SECONDS = 3
ROLES = {
    "ray::Directory": "directory actor",
    "ray::Store": "store of jobs and sessions",
    "ray::ModelActor": "relay chat",
    "ray::IDLE": "idle Ray workers",
}


def main() -> int:
    """Start, deploy, weigh, stop. Returns the exit code: 1 if a target is missed."""
    with running() as service:
        closed = f"http://127.0.0.1:{free_port()}/v1"
        seconds = {name: service.deploy(name, closed) for name in CHATS}
        return report(weigh(service.head, service.gateway), seconds)


def weigh(head: int, gateway: int) -> dict[str, list[float]]:
    """PSS in MB of every process of the two, by role."""
    weights: defaultdict[str, list[float]] = defaultdict(list)
    processes = {
        **dict.fromkeys(family(head), "Ray head"),
        **dict.fromkeys(family(gateway), "gateway"),
    }
    for pid, whose in processes.items():
        with suppress(*GONE):
            role = next(
                (role for sign, role in ROLES.items() if command(pid).startswith(sign)), whose
            )
            weights[role].append(megabytes(pid))
    return weights


def report(weights: dict[str, list[float]], seconds: dict[str, float]) -> int:
    """Print the table. Returns 1 if a target is missed or a chat was not seen, else 0."""
    for name in ("Ray head", "idle Ray workers", "gateway", "directory actor"):
        row(f"{name} (processes: {len(weights[name])})", sum(weights[name]), "MB")
    met = [
        row(f"relay chat {i}", weight, "MB", RELAY_CHAT_MB)
        for i, weight in enumerate(weights["relay chat"], 1)
    ]
    met += [row("the whole of it", sum(map(sum, weights.values())), "MB", WHOLE_MB)]
    met += [row(f"deploy {name}", took, "s", DEPLOY_SECONDS) for name, took in seconds.items()]
    return 0 if all(met) and len(weights["relay chat"]) == len(CHATS) else 1


def row(what: str, amount: float, unit: str, target: float = math.inf) -> bool:
    """Print one line of the table; whether its target is met."""
    met = amount < target
    aim = f"   target < {target:g} {unit}{'' if met else '   MISSED'}" if target < math.inf else ""
    say(f"{what:32}{amount:9.1f} {unit:2}{aim}")
    return met


if __name__ == "__main__":
    sys.exit(main())
