"""What a gateway and its chats weigh: at rest, and after 100,000 chats."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from bench.contenders import Contender
from bench.footprint import RELAY_CHAT_MB
from bench.processes import command, family, megabytes
from bench.service import Service
from bench.targets import Row, under
from bench.wrk import load
from gateway.commands.ray_head import say

PROCESS_MB = 130
CHATS = 100_000
WARM_CHATS = 10_000
"""Until its threads and caches are there, a process grows."""

FLAT_MB = 10
"""Of a group of processes. Some caches still fill; 10 MB in 100,000 chats are 100 bytes each."""

BURST_SECONDS = 10
CONNECTIONS = 64
WARM_CONNECTIONS = 256
"""So many that each process has all its threads: the kernel does not deal connections out
evenly."""

LOAD = "memory"


def rows(service: Service, front: Contender) -> Iterator[Row]:
    """The lines of the table, for a gateway that has served next to nothing so far. They take two
    minutes or so."""
    yield under(
        LOAD,
        "a further relay chat (PSS)",
        statistics.mean(map(megabytes, chats(service))),
        RELAY_CHAT_MB,
        "MB",
    )
    yield under(
        LOAD,
        "a gateway process at rest (PSS)",
        max(map(megabytes, workers(service))),
        PROCESS_MB,
        "MB",
    )
    _chat(front, WARM_CONNECTIONS, WARM_CHATS)
    before = _resident(service)
    _chat(front, CONNECTIONS, CHATS)
    after = _resident(service)
    for who, amount in before.items():
        yield under(LOAD, f"after {CHATS:,} chats: {who} grew", after[who] - amount, FLAT_MB, "MB")


def _chat(front: Contender, connections: int, count: int) -> None:
    done = 0
    while done < count:
        run = load(front.post(0, False), connections, BURST_SECONDS)
        if not run.good:
            raise SystemExit(f"{front.name} does not answer any more: {run}")
        done += run.good
    say(f"{LOAD}: {done:,} chats")


def _resident(service: Service) -> dict[str, float]:
    """RSS in MB. Ray starts and ends idle workers as it likes; they are left out."""
    control_store = [pid for pid in family(service.head) if "gcs_server" in command(pid)]
    groups = {
        "gateway processes": workers(service),
        "model actors": chats(service),
        "Ray's control store": control_store,
    }
    return {who: sum(megabytes(pid, "Rss") for pid in pids) for who, pids in groups.items()}


def workers(service: Service) -> list[int]:
    """The gateway's processes that serve."""
    return [pid for pid in family(service.gateway) if pid != service.gateway]


def chats(service: Service) -> list[int]:
    """The model actors' processes."""
    return [pid for pid in family(service.head) if command(pid).startswith("ray::ModelActor")]
