"""What the tests share: a real Ray cluster, a real gunicorn with two processes, and the stand-in
for the providers.

Tests talk HTTP to `gateway` (an httpx.Client) and script the stand-in; nothing of ours is patched.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.commands.ray_head import RayHead, stop
from tests.standin.client import StandIn
from tests.standin.refusals import Dialect

TOP = Path(__file__).parent.parent
START_SECONDS = 120
pytest_plugins = ["tests.browser", "tests.fronts"]

GUNICORN = (sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:app")

LONGEST_FIRST = (
    *(
        "boot",
        "heal",
        "servers",
        "dashboard",
        "openapi",
        "console_run",
        "console_looks",
        "doctor",
        "secrets",
        "soak",
    ),
    *("launch", "keyholder", "failover", "legacy", "bytes_in_flight", "job_faults", "byzer"),
)
"""With pytest -n each process takes file after file; a long one that came last would be waited
for."""

CALLER = "b2xkLWNsaWVudHM"
"""The token of `guarded`'s only caller."""

Deploy = Callable[..., str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {f"test_{name}.py": place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
    if not os.environ.get("LONG"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="make test-long runs it: it takes minutes"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment() -> dict[str, str]:
    """This process's, without anything that configures a gateway or Ray."""
    return {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("GATEWAY_", "RAY_", "WEB_CONCURRENCY"))
    }


def until(true: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Wait for something that takes its time, but not for ever; who cannot be reached yet says
    no."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(httpx.TransportError):
            if true():
                return
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)


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


@pytest.fixture(scope="session")
def standin() -> Iterator[StandIn]:
    server = StandIn()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ray_head() -> Iterator[RayHead]:
    """One cluster for the whole session; tests that break a cluster start their own."""
    with running_head() as head:
        yield head


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start a gunicorn with an environment; all of them end with the session."""
    servers: list[Server] = []

    def start(
        environment: dict[str, str], ready: bool = True, command: tuple[str, ...] = GUNICORN
    ) -> Server:
        server = Server(tmp_path_factory.mktemp("gateway") / "log", environment, command)
        servers.append(server)
        if ready:
            server.wait_until()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(ray_head: RayHead, start_server: Callable[..., Server]) -> Server:
    """The gateway that most tests talk to: two processes, no tokens."""
    return start_server(ray_head.environment)


@pytest.fixture(scope="session")
def gateway(server: Server) -> httpx.Client:
    return server.http


@pytest.fixture(scope="session")
def guarded(ray_head: RayHead, start_server: Callable[..., Server]) -> Server:
    """Another gateway on the same cluster, whose chats need the token CALLER."""
    return start_server({**ray_head.environment, "GATEWAY_TOKENS": f"old:{CALLER}:chat"})


_numbers = itertools.count(1)


@pytest.fixture
def names(gateway: httpx.Client) -> Iterator[Callable[[], str]]:
    """New chat names, undeployed after the test."""
    given: list[str] = []

    def new() -> str:
        given.append(f"chat-{os.getpid()}-{next(_numbers)}")
        return given[-1]

    yield new
    for name in given:
        gateway.post("/openai/undeploy", json={"chat_name": name})


@pytest.fixture
def chat_name(names: Callable[[], str]) -> str:
    return names()


@pytest.fixture
def key() -> str:
    """A key of this test's own, by which the stand-in is scripted and asked what it received."""
    return f"sk-test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def deploy(gateway: httpx.Client, standin: StandIn, names: Callable[[], str], key: str) -> Deploy:
    """Deploy a chat whose provider is the stand-in, and return its name."""

    def deployed(provider: Dialect = "openai", model_name: str = "echo", **more: Any) -> str:
        more.setdefault("chat_name", names())
        body = {
            "api_key": key,
            "base_url": standin.base_url(provider),
            "model_name": model_name,
            **more,
        }
        reply = gateway.post(f"/{provider}/deploy", json=body)
        assert (reply.status_code, reply.json()) == (200, {"ret": "ok"}), reply.text
        return str(more["chat_name"])

    return deployed


@pytest.fixture(scope="session")
def local_chat(gateway: httpx.Client) -> Iterator[str]:
    """The embedded model, deployed once."""
    assert gateway.post("/local/deploy", json={"chat_name": "local_chat"}).json() == {"ret": "ok"}
    yield "local_chat"
    gateway.post("/local/undeploy", json={"chat_name": "local_chat"})
