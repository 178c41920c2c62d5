"""A control store that Redis keeps: the head is killed with all of it, and its successor knows what
it knew."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cluster.connection import WATCH_SECONDS
from gateway.commands.ray_head import RayHead, stop
from tests.environment import clean_environment, free_port
from tests.further_node import actors_of, start_node
from tests.load import ANSWERED, load
from tests.server import Server
from tests.standin.client import StandIn
from tests.waiting import until

# Debian's redis-tools has the server's program, too, under another name, and starts no service.
PROGRAM = shutil.which("redis-check-rdb") or ""
PASSWORD = "a-password-of-redis"

pytestmark = pytest.mark.skipif(not PROGRAM, reason="tests/install-packages installs redis-tools")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    program, port = tmp_path / "redis-server", free_port()
    program.symlink_to(PROGRAM)
    options = ["--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD]
    with (tmp_path / "redis.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "--port", str(port), "--dir", str(tmp_path), *options], stdout=log
        )
    until(lambda: "Ready to accept" in (tmp_path / "redis.log").read_text())
    yield f"127.0.0.1:{port}"
    stop(process)


@pytest.fixture
def head(redis: str) -> Iterator[RayHead]:
    environment = {"RAY_REDIS_ADDRESS": redis, "RAY_REDIS_PASSWORD": PASSWORD}
    head = RayHead({**clean_environment(), **environment})
    until(head.up)
    yield head
    head.stop()


def test_chats_go_on_while_the_head_is_away_and_its_successor_has_their_keys(
    head: RayHead, start_server: Callable[..., Server], standin: StandIn, tmp_path: Path
) -> None:
    node = start_node(head, tmp_path)
    server = start_server(head.environment)
    alone = start_server({**head.environment, "WEB_CONCURRENCY": "1"})
    model = {"model_name": "slow:0.2", "base_url": standin.base_url("openai"), "workers": 4}
    try:
        until(lambda: _is_on_both(server, "both", model, node))
        until(lambda: _is_on_both(alone, "quiet", model, node))
        with load(server.url, "both") as chats:
            chats.all_answered(8, 30)
            time.sleep(2 * WATCH_SECONDS)
            os.killpg(head.process.pid, signal.SIGKILL)
            killed = time.monotonic()
            head.process.wait()
            until(lambda: not _ready(server))  # it has noticed
            until(lambda: not _ready(alone))
            never_asked_before = [_ask_anew(by, "quiet") for by in (server, alone) * 10]
            head.start()
            until(head.up)
            until(lambda: _ready(server), 60)
            print(f"\nready again after {time.monotonic() - killed:.1f} s")
            time.sleep(3)
        outcomes = chats.outcomes(killed)
        print(f"chats meanwhile: {dict(outcomes)}, slowest {chats.slowest(ANSWERED, killed):.1f} s")

        assert not chats.failed()
        assert never_asked_before == ["openai:hi"] * 20
        until(lambda: _replicas(server) == {"both": 4, "quiet": 4}, 60)
    finally:
        server.stop()
        alone.stop()
        stop(node)


def _ready(server: Server) -> bool:
    return server.http.get("/readyz").status_code == 200


def _replicas(server: Server) -> dict[str, int]:
    rows = server.http.get("/models").json()["models"]
    return {row["chat_name"]: row["replicas"] for row in rows}


def _ask_anew(server: Server, name: str) -> Any:
    """The answer, on a connection of its own, which may lead to either gateway process."""
    question = {"chat_name": name, "content": "hi"}
    return httpx.post(f"{server.url}/openai/chat", json=question, timeout=60).json()


def _is_on_both(
    server: Server, name: str, model: dict[str, object], node: subprocess.Popen[bytes]
) -> bool:
    body = {"chat_name": name, "api_key": f"sk-{name}", **model}
    before = len(actors_of(node))
    assert server.http.post("/openai/deploy", json=body).json() == {"ret": "ok"}
    if 0 < len(actors_of(node)) - before < 4:
        return True
    server.http.post("/openai/undeploy", json={"chat_name": name})  # the node is not there yet
    return False
