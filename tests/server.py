"""A gateway and a Ray head of the tests' own, as fixtures and tests start them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from gateway.commands.ray_head import RayHead, stop
from tests.environment import TOP, clean_environment, free_port
from tests.waiting import START_SECONDS, until

GUNICORN = (sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:app")

CALLER = "b2xkLWNsaWVudHM"
"""The token of `guarded`'s only caller."""

Deploy = Callable[..., str]


class Server:
    """A gunicorn, or another server, of its own port, settings and log; `http` talks to it."""

    def __init__(
        self, log: Path, environment: dict[str, str], command: tuple[str, ...] = GUNICORN
    ) -> None:
        self.log = log
        self.port = free_port()
        self.environment = {
            **clean_environment(),
            "GATEWAY_BIND": f"127.0.0.1:{self.port}",
            **environment,
        }
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                cwd=TOP,
                env=self.environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def wait_until(
        self, path: str = "/readyz", status: int = 200, seconds: float = START_SECONDS
    ) -> None:
        """Until the processes agree: eight connections in a row, each taken by whichever process is
        free."""
        deadline = time.monotonic() + seconds
        agreed = 0
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                same = self.http.get(path, headers={"Connection": "close"}).status_code == status
            except httpx.TransportError:
                same = False
            agreed = agreed + 1 if same else 0
            if agreed == 8:
                return
            time.sleep(0 if same else 0.2)
        raise AssertionError(f"{path} did not become {status}:\n{self.log.read_text()[-4000:]}")

    def chats(self, name: str) -> int:
        """How often a chat was asked of /v1, as the log has it; its provider is not asked again
        while it rests."""
        lines = [
            json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")
        ]
        return sum(
            line["chat"] == name and line["path"] == "/v1/chat/completions" for line in lines
        )

    def stop(self) -> None:
        self.http.close()
        stop(self.process)


@contextmanager
def running_head() -> Iterator[RayHead]:
    """A Ray head of its own, for as long as it is wanted."""
    head = RayHead(clean_environment())
    try:
        until(head.up)
        yield head
    finally:
        head.stop()
