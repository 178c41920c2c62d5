"""A process that may open no more files is full, which passes; it does not end, nor do its
chats."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead
from tests.server import Server
from tests.standin.client import StandIn
from tests.waiting import until


@pytest.fixture(scope="module")
def alone(start_server: Callable[..., Server], ray_head: RayHead) -> Iterator[Server]:
    """A gateway of one process."""
    server = start_server(
        {**ray_head.environment, "WEB_CONCURRENCY": "1", "GATEWAY_JOIN_REPEATS": "0"}
    )
    yield server
    server.stop()


@pytest.fixture
def slow(alone: Server, standin: StandIn, key: str) -> Iterator[str]:
    """A chat whose first answer takes fifteen seconds."""
    standin.script(key, ["slow:15", "echo"])
    body = {
        "chat_name": "slow-files",
        "api_key": key,
        "base_url": standin.base_url("openai"),
        "model_name": "echo",
    }
    alone.http.post("/openai/deploy", json=body).raise_for_status()
    yield "slow-files"
    alone.http.post("/openai/undeploy", json={"chat_name": "slow-files"})


def worker(server: Server) -> psutil.Process:
    [process] = psutil.Process(server.process.pid).children()
    return process


@contextmanager
def no_more_files(process: psutil.Process, spare: int = 0) -> Iterator[None]:
    """So many more than it has open may the process open, and no more."""
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    numbers = sorted(int(number) for number in os.listdir(f"/proc/{process.pid}/fd"))
    # The limit is on a file's number: those that are free below it can still be used.
    most, free = 0, 0
    while free < spare or most <= 2:
        free += most not in numbers
        most += 1
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)


def chat(client: httpx.Client, name: str) -> httpx.Response:
    return client.post("/openai/chat", json={"chat_name": name, "content": "hi"})


def test_connections_wait_and_chats_go_on_while_no_file_can_be_opened(
    alone: Server, slow: str, standin: StandIn, key: str
) -> None:
    process = worker(alone)
    with (
        ThreadPoolExecutor(4) as pool,
        httpx.Client(
            base_url=alone.url,
            timeout=60,
            trust_env=False,
            limits=httpx.Limits(keepalive_expiry=60),
        ) as other,
    ):
        other.get("/healthz").raise_for_status()
        under_way = pool.submit(chat, alone.http, slow)
        until(lambda: standin.open(key) == 1, 20)
        with no_more_files(process), ExitStack() as held:
            for _ in range(20):
                held.enter_context(socket.create_connection(("127.0.0.1", alone.port), 10))
            time.sleep(3)  # its watch on the cluster comes by, too
            busy = chat(other, slow)
            assert (busy.status_code, busy.json()["error"]["code"]) == (503, "GATEWAY_BUSY"), (
                busy.text
            )
            assert int(busy.headers["Retry-After"]) >= 1
            answer = under_way.result(60)
        assert (answer.status_code, answer.json()) == (200, "openai:hi")

        assert httpx.get(f"{alone.url}/healthz", timeout=20, trust_env=False).status_code == 200
        again = chat(other, slow)
        assert (again.status_code, again.json()) == (200, "openai:hi")
    assert worker(alone).pid == process.pid
    assert "no connection can be taken for a while" in alone.log.read_text()
    assert "Traceback" not in alone.log.read_text()


def test_a_flood_of_connections_beyond_the_limit_passes(alone: Server, slow: str) -> None:
    process = worker(alone)
    with no_more_files(process, spare=50), ExitStack() as held:
        for _ in range(200):
            with suppress(OSError):
                held.enter_context(socket.create_connection(("127.0.0.1", alone.port), 10))
        time.sleep(2)
        assert worker(alone).pid == process.pid

        held.close()
        until(
            lambda: (
                httpx.get(f"{alone.url}/healthz", timeout=5, trust_env=False).status_code == 200
            ),
            30,
        )
    assert chat(alone.http, slow).json() == "openai:hi"
    assert worker(alone).pid == process.pid
