"""What the tests share: a real Ray cluster, a real gunicorn with two processes, and the stand-in
for the providers.

Tests talk HTTP to `gateway` (an httpx.Client) and script the stand-in; nothing of ours is patched.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.server import CALLER, GUNICORN, Deploy, Server, running_head
from tests.standin.client import StandIn
from tests.standin.refusals import Dialect

pytest_plugins = ["tests.browser", "tests.fronts"]

LONGEST_FIRST = (
    *("boot", "job_faults", "failover", "console_run", "heal", "servers", "openapi", "legacy"),
    *("console", "console_looks", "doctor", "bytes_in_flight", "slow_clients", "byzer", "streams"),
    *("chaos", "contract", "jobs", "limits", "keyholder", "secrets", "storm", "launch", "nodes"),
    *("bulk", "connections", "other_clients", "other_users", "dashboard", "local", "watch"),
)
"""The files that take more than 30 s, in the order of what they took. With pytest -n each process
takes file after file; a long one that came last would be waited for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {f"test_{name}.py": place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
    if not os.environ.get("LONG"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="make test-long runs it: it takes minutes"))


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
