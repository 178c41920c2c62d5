"""`make scaling`: what more gateway processes, more replicas and a second node give, and what a
chat takes.

The second node is another raylet on this machine, so it adds no core; what shows is what crossing
to it costs. Nor can two cores fill an actor's, so some rows let each actor have only a tenth of
one: what more replicas then give, shows.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from bench.compare import allow_open_files
from bench.memory import chats, workers
from bench.processes import GONE, command, cpu_seconds, family, megabytes
from bench.provider import Provider, provider
from bench.service import Service, answers, clean_environment, gateway, ray_head
from bench.wrk import Post, load
from gateway.commands.ray_head import BIN, RayHead, say, stop

CHAT = "scaling"
NODE_SECONDS = 60
PERIOD_SECONDS = 0.1
"""In which an actor that may have a share of a core runs once."""

REST_SECONDS = 30
RAYS_OWN = ("gcs_server", "raylet")
HELD_MS = 10_000
"""What a slow provider takes, so that chats wait."""


class Setup(NamedTuple):
    """Gateway processes, replicas of the chat, connections at once, and how much of a core each
    replica may have."""

    processes: int
    replicas: int
    connections: int
    share: float = 1.0


SETUPS = [
    *(Setup(1, 1, 64), Setup(2, 1, 64), Setup(3, 1, 64)),
    *(Setup(2, 2, 64), Setup(2, 4, 64)),
    *(Setup(1, 1, 512), Setup(2, 1, 512), Setup(2, 4, 512)),
    *(Setup(2, 1, 256, 0.1), Setup(2, 2, 256, 0.1), Setup(2, 4, 256, 0.1)),
]


def main() -> None:
    """Print a row for each setup, and for two nodes."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seconds", type=int, default=5, help="of a run")
    seconds = ask.parse_args().seconds
    heads = (
        *("nodes", "processes", "replicas", "connections", "core for each replica"),
        *("chats/s", "p50 ms", "failed", "gateway ms", "actors ms"),
    )
    allow_open_files()
    with provider() as upstream, ray_head() as head:
        table(heads)
        for setup in SETUPS:
            with gateway(head, setup.processes) as service:
                one(service, upstream, setup, seconds, [head.process.pid])
        with second_node(head) as node, gateway(head) as service:
            one(service, upstream, Setup(2, 4, 64), seconds, [head.process.pid, node])
        table(
            ("chats that wait", "a gateway process, MB", "its files", "the actor, MB", "its files")
        )
        with gateway(head, 1) as service:
            for waiting in (0, 250, 500, 1000):
                held(service, upstream, waiting)
        table(
            (
                "gateway processes at rest",
                "control store, ms of CPU a second",
                "raylet, ms of CPU a second",
            )
        )
        for processes in (1, 4, 8):
            with gateway(head, processes):
                at_rest(head.process.pid, processes)


def one(service: Service, upstream: Provider, setup: Setup, seconds: int, nodes: list[int]) -> None:
    """Deploy the chat anew, so that its replicas are spread over `nodes`, and load it."""
    answers(f"{service.base}/openai/undeploy", {"chat_name": CHAT})
    body = {
        "api_key": "sk-bench",
        "chat_name": CHAT,
        "base_url": upstream.base_url(0),
        "model_name": "m",
    }
    if not answers(f"{service.base}/openai/deploy", {**body, "workers": setup.replicas}):
        raise SystemExit("The chat could not be deployed.")
    post = question(service)
    load(post, min(setup.connections, 64), 1)
    actors = [pid for node in nodes for pid in family(node) if "ray::ModelActor" in command(pid)]
    before = cpu_seconds([service.gateway]), cpu_seconds(actors)
    with limited(actors, setup.share):
        run = load(post, setup.connections, seconds)
    mine, theirs = (
        (now - then) * 1000 / max(run.good, 1)
        for now, then in zip(
            (cpu_seconds([service.gateway]), cpu_seconds(actors)), before, strict=True
        )
    )
    shown = (
        len(nodes),
        *setup,
        f"{run.per_second:.0f}",
        f"{run.p50_ms:.1f}",
        run.failed,
        f"{mine:.2f}",
        f"{theirs:.2f}",
    )
    say(f"| {' | '.join(map(str, shown))} |")


def held(service: Service, upstream: Provider, waiting: int) -> None:
    """What so many chats take that wait for a provider."""
    service.deploy(CHAT, upstream.base_url(HELD_MS))
    post = question(service)
    asking = threading.Thread(target=load, args=(post, waiting, 2 * HELD_MS // 1000))
    if waiting:
        asking.start()
        time.sleep(HELD_MS * 0.8 / 1000)  # all have been sent on, and none is answered yet
    [process], [actor] = workers(service), chats(service)
    said = (
        f"{megabytes(pid):.0f} | {len(os.listdir(f'/proc/{pid}/fd'))}" for pid in (process, actor)
    )
    say(f"| {waiting} | {' | '.join(said)} |")
    if waiting:
        asking.join()


def at_rest(head: int, processes: int) -> None:
    """What gateway processes ask of Ray that have nothing to do."""
    time.sleep(5)  # they have settled
    parts = [
        [pid for pid in family(head) if command(pid).split("\0")[0].endswith(name)]
        for name in RAYS_OWN
    ]
    before = [cpu_seconds(part) for part in parts]
    time.sleep(REST_SECONDS)
    taken = (
        1000 * (cpu_seconds(part) - was) / REST_SECONDS
        for part, was in zip(parts, before, strict=True)
    )
    say(f"| {processes} | {' | '.join(f'{ms:.1f}' for ms in taken)} |")


def question(service: Service) -> Post:
    return Post(
        f"{service.base}/openai/chat", {"chat_name": CHAT, "content": "hello, who are you"}, {}
    )


def table(heads: Sequence[str]) -> None:
    say(f"\n| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")


@contextmanager
def limited(pids: list[int], share: float) -> Iterator[None]:
    """Let processes run for that share of the time only, one after the other: a part of a core for
    each."""
    ended = threading.Event()

    def tell(number: signal.Signals, pid: int) -> None:
        with suppress(*GONE):
            os.kill(pid, number)

    def take_turns() -> None:
        while not ended.is_set():
            for pid in pids:
                tell(signal.SIGCONT, pid)
                ended.wait(PERIOD_SECONDS * share)
                tell(signal.SIGSTOP, pid)
            ended.wait(PERIOD_SECONDS * (1 - share * len(pids)))
        for pid in pids:
            tell(signal.SIGCONT, pid)

    turns = threading.Thread(target=take_turns)
    if share < 1:
        turns.start()
    try:
        yield
    finally:
        ended.set()
        if share < 1:
            turns.join()


@contextmanager
def second_node(head: RayHead) -> Iterator[int]:
    """A further node of the head's cluster: its first process, whose descendants are not the
    head's."""
    started = [
        str(BIN / "ray"),
        "start",
        f"--address={head.address}",
        "--block",
        "--object-store-memory=100000000",
    ]
    environment = {**clean_environment(), **head.environment, "RAY_worker_niceness": "0"}
    node = subprocess.Popen(
        started, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + NODE_SECONDS
        while not any("raylet" in command(pid) for pid in family(node.pid)):
            if time.monotonic() > deadline:
                raise SystemExit("The second node did not start.")
            time.sleep(0.2)
        time.sleep(5)  # until the head counts it in
        yield node.pid
    finally:
        stop(node)


if __name__ == "__main__":
    main()
