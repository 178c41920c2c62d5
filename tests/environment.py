"""The project's folder, free ports, and an environment in which nothing is configured."""

from __future__ import annotations

import os
import socket
from pathlib import Path

TOP = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment() -> dict[str, str]:
    """This process's, without anything that configures a gateway, Ray or prometheus_client, whose
    folder is set here by whatever test imports gateway.web.metrics."""
    prefixes = ("GATEWAY_", "RAY_", "WEB_CONCURRENCY", "PROMETHEUS_")
    return {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
