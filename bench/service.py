"""A Ray head and a gateway, for a benchmark's duration. Nothing here talks to a provider."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

from gateway.commands.ray_head import BIN, RayHead, stop
from gateway.commands.run import HERE, RAY_SECONDS, READY_SECONDS, wait


class Service(NamedTuple):
    """Where the gateway answers, and the processes that everything else descends from."""

    base: str
    head: int
    gateway: int

    def deploy(
        self, name: str, base_url: str, model_name: str = "m", key: str = "sk-bench"
    ) -> float:
        """Returns the seconds it took, once it succeeds. Raises SystemExit: it does not."""
        body = {"api_key": key, "chat_name": name, "base_url": base_url, "model_name": model_name}
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            started = time.monotonic()
            if answers(f"{self.base}/openai/deploy", body):
                return time.monotonic() - started
            time.sleep(0.5)  # the other of the two processes may still be connecting to Ray
        raise SystemExit(f"{name} could not be deployed.")


@contextmanager
def running() -> Iterator[Service]:
    """Start it all, and stop it all."""
    with ray_head() as head, gateway(head) as service:
        yield service


@contextmanager
def ray_head() -> Iterator[RayHead]:
    """A Ray head that runs."""
    signal.signal(signal.SIGTERM, _end)
    head = RayHead(clean_environment())
    try:
        wait("Starting Ray", RAY_SECONDS, head.up)
        yield head
    finally:
        head.stop()


@contextmanager
def gateway(head: RayHead, processes: int = 2) -> Iterator[Service]:
    """A gateway of so many processes that is ready."""
    with starting_gateway(head, processes) as service:
        wait("Waiting for the gateway", READY_SECONDS, lambda: answers(f"{service.base}/readyz"))
        yield service


@contextmanager
def starting_gateway(head: RayHead, processes: int) -> Iterator[Service]:
    """A gateway that has just been started."""
    bind = f"127.0.0.1:{free_port()}"
    environment = {
        **clean_environment(),
        **head.environment,
        "GATEWAY_BIND": bind,
        "WEB_CONCURRENCY": str(processes),
    }
    # 5,000 chats are held at once, and the kernel does not deal them out evenly
    environment["GATEWAY_MAX_IN_FLIGHT"] = "5000"
    # a load is one question again and again: each shall reach the provider
    environment["GATEWAY_JOIN_REPEATS"] = "0"
    command = [str(BIN / "gunicorn"), "-c", str(HERE / "gunicorn.conf.py"), "app:app"]
    # The lines about requests, hundreds of thousands of them, go nowhere, as the peers' do;
    # warnings are shown.
    master = subprocess.Popen(
        command, env=environment, cwd=HERE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield Service(f"http://{bind}", head.process.pid, master.pid)
    finally:
        stop(master)


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not leave half of it running
    sys.exit(1)


def clean_environment() -> dict[str, str]:
    """This process's, without anything that configures a gateway or Ray."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("GATEWAY_", "RAY_"))}


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(
    url: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> bool:
    """Whether a GET, or the POST of a body, succeeds."""
    request = urllib.request.Request(
        url, json.dumps(body).encode() if body else None, headers or {}
    )
    try:
        urllib.request.urlopen(request, timeout=READY_SECONDS).close()
    except OSError:
        return False
    return True
