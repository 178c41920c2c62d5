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
from hypothesis import HealthCheck, settings

from gateway.commands.ray_head import RayHead
from tests.server import CALLER, GUNICORN, Deploy, Server, running_head
from tests.standin.client import StandIn
from tests.standin.refusals import Dialect

pytest_plugins = ["tests.browser", "tests.fronts"]

# A change is judged by the same examples each time, and never by how fast they were made.
UNJUDGED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=UNJUDGED)
settings.load_profile("steady")

LONGEST_FIRST = (
    *("job_faults", "heal", "openapi", "boot", "console", "console_run", "servers", "byzer"),
    *("console_looks", "failover", "doctor", "keyholder", "limits", "slow_clients", "streams"),
    *(
        "bulk",
        "structured",
        "jobs",
        "bytes_in_flight",
        "notifications",
        "other_clients",
        "launch",
        "secrets",
        "other_users",
        "nodes",
    ),
    *("provider_bytes", "storm", "local", "legacy", "contract", "clock_jump", "chaos", "dashboard"),
    *("provider_refusals", "provider_connections", "relays", "refusals", "watch", "out_of_files"),
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
    tokens = {"GATEWAY_TOKENS": f"old:{CALLER}:chat", "WEB_CONCURRENCY": "1"}
    return start_server({**ray_head.environment, **tokens})


_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def spare_names(gateway: httpx.Client) -> Iterator[list[str]]:
    """The names of chats that a test of a file with the mark `reuses_chats` has left to the next:
    a deploy over one is a switch, which starts no process."""
    spare: list[str] = []
    yield spare
    for name in spare:
        gateway.post("/openai/undeploy", json={"chat_name": name})


def _deploys_anew(row: dict[str, Any]) -> bool:
    """Return whether nothing would be left of a chat after another deploy over it."""
    kept = (row["fallback"], row["reply"], row["replicas"], row.get("in_flight"))
    return kept == ([], {}, 1, 0)


@pytest.fixture
def names(
    gateway: httpx.Client, spare_names: list[str], request: pytest.FixtureRequest
) -> Iterator[Callable[[], str]]:
    """New chat names, undeployed after the test; with the mark `reuses_chats`, chats to deploy
    over, which an earlier test may have deployed."""
    reuses = request.node.get_closest_marker("reuses_chats")
    given: list[str] = []

    def new() -> str:
        number = next(_numbers)
        given.append(
            spare_names.pop() if reuses and spare_names else f"chat-{os.getpid()}-{number}"
        )
        return given[-1]

    yield new
    if reuses:
        rows = gateway.get("/models").json()["models"]
        spare_names.extend({row["chat_name"] for row in rows if _deploys_anew(row)} & {*given})
    for name in given:
        if name not in spare_names:
            gateway.post("/openai/undeploy", json={"chat_name": name})


@pytest.fixture
def new_name(gateway: httpx.Client) -> Iterator[str]:
    """A name that no chat has had: what is kept of an earlier one is not asked for anew."""
    name = f"chat-{os.getpid()}-{next(_numbers)}"
    yield name
    gateway.post("/openai/undeploy", json={"chat_name": name})


@pytest.fixture
def chat_name(names: Callable[[], str]) -> str:
    return names()


@pytest.fixture
def key() -> str:
    """A key of this test's own, by which the stand-in is scripted and asked what it received."""
    return f"sk-test-{os.getpid()}-{next(_numbers)}"


REMEMBERED = {"timeout", "reply", "options", "thinking"}
"""Of a chat, by a gateway process, for up to 2 s after another was deployed over it through another
process: a chat that has one of these is deployed over none, and none over it."""


@pytest.fixture
def deploy(
    gateway: httpx.Client, standin: StandIn, names: Callable[[], str], key: str
) -> Iterator[Deploy]:
    """Deploy a chat whose provider is the stand-in, and return its name."""
    apart: list[str] = []

    def name_for(settings: dict[str, Any]) -> str:
        if not REMEMBERED & settings.keys():
            return names()
        apart.append(f"chat-{os.getpid()}-{next(_numbers)}")
        return apart[-1]

    def deployed(provider: Dialect = "openai", model_name: str = "echo", **more: Any) -> str:
        name = more.pop("chat_name", None) or name_for(more)
        body = {
            "chat_name": name,
            "api_key": key,
            "base_url": standin.base_url(provider),
            "model_name": model_name,
            **more,
        }
        reply = gateway.post(f"/{provider}/deploy", json=body)
        assert (reply.status_code, reply.json()) == (200, {"ret": "ok"}), reply.text
        return str(name)

    yield deployed
    for name in apart:
        gateway.post("/openai/undeploy", json={"chat_name": name})


@pytest.fixture(scope="session")
def local_chat(gateway: httpx.Client) -> Iterator[str]:
    """The embedded model, deployed once."""
    assert gateway.post("/local/deploy", json={"chat_name": "local_chat"}).json() == {"ret": "ok"}
    yield "local_chat"
    gateway.post("/local/undeploy", json={"chat_name": "local_chat"})
