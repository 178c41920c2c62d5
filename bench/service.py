"""A Ray head and a gateway of two processes, for a benchmark's duration. Nothing here talks to a provider."""

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
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from gateway.launch import HERE, RAY_SECONDS, READY_SECONDS, wait
from gateway.ray_head import BIN, RayHead, stop


class Service(NamedTuple):
    """Where the gateway answers, and the processes that everything else descends from."""

    base: str
    head: int
    gateway: int

    def deploy(self, name: str, base_url: str, model_name: str = "m", key: str = "sk-bench") -> float:
        """Returns the seconds it took, once it succeeds. Raises SystemExit: it does not."""
        body = {"api_key": key, "chat_name": name, "base_url": base_url, "model_name": model_name}
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            started = time.monotonic()
            if _answers(f"{self.base}/openai/deploy", body):
                return time.monotonic() - started
            time.sleep(0.5)  # the other of the two processes may still be connecting to Ray
        raise SystemExit(f"{name} could not be deployed.")


@contextmanager
def running() -> Iterator[Service]:
    """Start it all, and stop it all."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GATEWAY_", "RAY_"))}
    with ExitStack() as started:
        head = RayHead(clean)
        started.callback(head.stop)
        wait("Starting Ray", RAY_SECONDS, head.up)
        bind = f"127.0.0.1:{free_port()}"
        environment = {**clean, **head.environment, "GATEWAY_BIND": bind, "WEB_CONCURRENCY": "2"}
        command = [str(BIN / "gunicorn"), "-c", str(HERE / "gunicorn.conf.py"), "app:app"]
        gateway = subprocess.Popen(command, env=environment, cwd=HERE, start_new_session=True)
        started.callback(stop, gateway)
        wait("Waiting for the gateway", READY_SECONDS, lambda: _answers(f"http://{bind}/readyz"))
        yield Service(f"http://{bind}", head.process.pid, gateway.pid)


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str, body: dict[str, str] | None = None) -> bool:
    try:
        urllib.request.urlopen(url, json.dumps(body).encode() if body else None, timeout=READY_SECONDS).close()
    except OSError:
        return False
    return True
