"""The project's folder, free ports, and an environment in which nothing is configured."""

from __future__ import annotations

import itertools
import os
import socket
from contextlib import suppress
from pathlib import Path

TOP = Path(__file__).parent.parent


# Processes that test side by side have a range each.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 3
_ports = itertools.cycle(range(20_000 + 2_000 * _worker, 22_000 + 2_000 * _worker))
for _ in range(os.getpid() * 97 % 2_000):  # as those of one run and the next
    next(_ports)


def free_port() -> int:
    """A port that nobody listens on, and that no connection takes meanwhile: Linux gives those
    ports from 32768 on, and a flood takes thousands of them. Ray's own end at 19999, and a head of
    ours takes those from 26000 on."""
    while True:
        port = next(_ports)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def clean_environment() -> dict[str, str]:
    """This process's, without anything that configures a gateway, Ray or prometheus_client, whose
    folder is set here by whatever test imports gateway.web.metrics."""
    prefixes = ("GATEWAY_", "RAY_", "WEB_CONCURRENCY", "PROMETHEUS_")
    return {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
