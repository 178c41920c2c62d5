"""`python -m bench.cluster`: what the parts of a cluster take that all its machines share: the
control store, the directory, the ledger. By these figures docs/scaling.md says how large a cluster
may be.

The further nodes are raylets on this machine.
"""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any

import ray

from bench.processes import command, cpu_seconds, family
from bench.scaling import second_node, table
from bench.service import clean_environment, gateway, ray_head
from gateway.actors.directory import Directory
from gateway.actors.ledger_actor import Ledger
from gateway.actors.ledger_book import Batch
from gateway.cluster.connection import shared_actor
from gateway.commands.ray_head import RayHead, say
from gateway.protocol import DIRECTORY, LEDGER, NAMESPACE

REST_SECONDS = 20
MOST_NODES = 5
CALLS = 200
CHATS = (1, 100, 1000)


def main() -> None:
    """Print a table for each part."""
    with ray_head() as head:
        table(["nodes at rest", "control store, ms of CPU a second"])
        with ExitStack() as nodes:
            for count in range(1, MOST_NODES + 1):
                if count > 1:
                    nodes.enter_context(second_node(head))
                if count % 2:
                    say(f"| {count} | {at_rest(head):.1f} |")
        with gateway(head) as service:
            service.deploy("one", "http://127.0.0.1:9/v1")
            # Ray reads the way to its token when it is imported.
            subprocess.run(
                [sys.executable, "-m", "bench.cluster", str(head.process.pid), str(head.folder)],
                env={**clean_environment(), **head.environment},
                check=True,
            )


def at_rest(head: RayHead) -> float:
    """What the control store takes while nobody asks anything, in ms of CPU a second."""
    time.sleep(5)
    [store] = [pid for pid in family(head.process.pid) if "gcs_server\0" in command(pid)]
    before = cpu_seconds([store])
    time.sleep(REST_SECONDS)
    return 1000 * (cpu_seconds([store]) - before) / REST_SECONDS


def shared_actors(head: int, folder: str) -> None:
    """What the directory takes to tell a process all there is, and to be asked for one chat; and
    the ledger for an exchange."""
    ray.init(namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
    directory, ledger = shared_actor(Directory, DIRECTORY), shared_actor(Ledger, LEDGER)
    book, numbers = f"{folder}/ledger", itertools.count(1)
    batch: Batch = {"counts": [], "seconds": [], "turned_away": [], "answered": {}}
    [one] = ray.get(directory.chats.remote())["configs"]
    table(
        [
            "chats",
            "kB for a process",
            "directory, ms of CPU",
            "a question, ms",
            "an exchange, ledger, ms",
        ]
    )
    for count in CHATS:
        copies = [{**one, "chat_name": f"chat-{n}"} for n in range(1, count)]
        ray.get(directory.remember.remote(copies))
        kilobytes = len(pickle.dumps(ray.get(directory.chats.remote()))) / 1000
        cells = [
            cpu_of("Directory", head, directory.chats.remote, 20),
            cpu_of("Directory", head, lambda: directory.find.remote("one"), CALLS),
            cpu_of(
                "Ledger",
                head,
                lambda: ledger.add.remote(book, "bench", next(numbers), batch),
                CALLS,
            ),
        ]
        say(f"| {count} | {kilobytes:.0f} | " + " | ".join(f"{ms:.2f}" for ms in cells) + " |")


def cpu_of(kind: str, head: int, call: Any, times: int) -> float:
    """The CPU that a call takes in an actor's process, in ms."""
    ray.get(call())  # it is there then
    [pid] = [one for one in family(head) if f"ray::{kind}" in command(one)]
    before = cpu_seconds([pid])
    for _ in range(times):
        ray.get(call())
    return 1000 * (cpu_seconds([pid]) - before) / times


if __name__ == "__main__":
    if len(sys.argv) > 1:
        shared_actors(int(sys.argv[1]), sys.argv[2])
    else:
        main()
