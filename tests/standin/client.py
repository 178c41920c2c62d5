"""Starts the stand-in as a process of its own, and steers it. Standard library only."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

from tests.standin.ledger import Received
from tests.standin.refusals import Dialect

ROOT = Path(__file__).resolve().parents[2]
BASES: dict[Dialect, str] = {
    "openai": "/openai/v1",
    "zhipu": "/zhipu/api/paas/v4",
    "tongwen": "/tongwen/compatible-mode/v1",
}
# A proxy named in the environment must not come between the tests and loopback.
_OPENER = build_opener(ProxyHandler({}))


class StandIn:
    """A running stand-in. `with StandIn() as standin:` starts and stops it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._url = ""

    def __enter__(self) -> StandIn:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, timeout: float = 20.0) -> None:
        """Start the server and wait until it listens."""
        # On a leash of standard input, the server ends with us even when we are killed.
        command = [sys.executable, "-m", "tests.standin.server", "--leashed"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], timeout)
        line = self._process.stdout.readline() if ready else ""
        if not line.startswith("standin "):
            self.stop()
            raise RuntimeError(f"the stand-in did not start within {timeout} s: {line!r}")
        self._url = line.split()[1]

    def stop(self) -> None:
        """End the server; twice is fine."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return self._url

    def base_url(self, dialect: Dialect) -> str:
        """What an operator deploys as the provider's base URL."""
        return self._url + BASES[dialect]

    def script(self, key: str, behaviours: Sequence[str]) -> None:
        """The key's next requests behave so, one by one; the last sticks. Empty: by the model
        again."""
        self._ask("PUT", f"/_scripts/{quote(key, safe='')}", list(behaviours))

    def requests(self, key: str | None = None) -> list[Received]:
        """What came with the key, or in all, oldest first (the last 10,000)."""
        received: list[Received] = self._ask("GET", "/_requests" + _query(key))
        return received

    def count(self, key: str | None = None) -> int:
        """How many requests came with the key, or in all."""
        return int(self._ask("GET", "/_requests/count" + _query(key)))

    def open(self, key: str | None = None) -> int:
        """How many requests with the key, or in all, are open now."""
        return int(self._ask("GET", "/_open" + _query(key)))

    def tokens(self, key: str) -> int:
        """How many tokens the key's whole answers took, in and out."""
        return int(self._ask("GET", "/_tokens" + _query(key)))

    def reset(self) -> None:
        """Forget every request and every script, of all keys."""
        self._ask("DELETE", "/_requests")
        self._ask("DELETE", "/_scripts")

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        with _OPENER.open(
            Request(self._url + path, data, headers, method=method), timeout=10
        ) as response:
            return json.load(response)


def _query(key: str | None) -> str:
    return "" if key is None else "?" + urlencode({"key": key})
