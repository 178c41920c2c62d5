"""The page shows all chats that there are, so these tests look at a gateway and a cluster of their
own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.fronts import RawChat
from tests.server import Server, running_head


@pytest.fixture(scope="module")
def ray_head() -> Iterator[RayHead]:
    """In place of the shared `ray_head`: one on which no other chats are."""
    with running_head() as head:
        yield head


@pytest.fixture(scope="module")
def server(
    ray_head: RayHead,
    start_server: Callable[..., Server],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """In place of the shared `server`: one on this cluster, with a ledger."""
    state = str(tmp_path_factory.mktemp("state"))
    server = start_server({**ray_head.environment, "GATEWAY_STATE": state})
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(server: Server) -> httpx.Client:
    """In place of the shared `gateway`: a client of this server."""
    return server.http


@pytest.fixture
def deploy_task(
    gateway: httpx.Client, raw_chat: RawChat, names: Callable[[], str]
) -> Iterator[Callable[..., str]]:
    """Deploy a task through `raw_chat`, and return its name."""
    tasks: list[str] = []

    def deploy(**more: Any) -> str:
        order = {
            "chat_name": names(),
            "through": raw_chat.name,
            "prompt": "Sort this mail of {{customer}}: {{content}}",
            "choices": ["refund", "other"],
            **more,
        }
        assert gateway.post("/task/deploy", json=order).json() == {"ret": "ok"}
        tasks.append(str(order["chat_name"]))
        return tasks[-1]

    yield deploy
    for name in tasks:
        gateway.post("/task/undeploy", json={"chat_name": name})
