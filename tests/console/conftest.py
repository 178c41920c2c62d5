"""The page shows all chats that there are, so these tests look at a gateway and a cluster of their
own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.conftest import Server, running_head


@pytest.fixture(scope="module")
def ray_head() -> Iterator[RayHead]:
    with running_head() as head:
        yield head


@pytest.fixture(scope="module")
def server(ray_head: RayHead, start_server: Callable[..., Server]) -> Iterator[Server]:
    server = start_server(ray_head.environment)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(server: Server) -> httpx.Client:
    return server.http
