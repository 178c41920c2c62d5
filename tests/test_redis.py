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

import pytest

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
    body = {"chat_name": "both", "api_key": "sk-both", "model_name": "slow:0.2", "workers": 4}
    try:
        until(lambda: _is_on_both(server, {**body, "base_url": standin.base_url("openai")}, node))
        with load(server.url, "both") as chats:
            chats.answered_again(0, 30)
            os.killpg(head.process.pid, signal.SIGKILL)
            killed = time.monotonic()
            head.process.wait()
            until(lambda: not _ready(server))  # it has noticed
            head.start()
            until(head.up)
            until(lambda: _ready(server), 60)
            print(f"\nready again after {time.monotonic() - killed:.1f} s")
            time.sleep(3)
        outcomes = chats.outcomes(killed)
        print(f"chats meanwhile: {dict(outcomes)}, slowest {chats.slowest(ANSWERED, killed):.1f} s")

        assert not chats.failed()
        (row,) = server.http.get("/models").json()["models"]
        assert (row["chat_name"], row["replicas"]) == ("both", 4)
    finally:
        server.stop()
        stop(node)


def _ready(server: Server) -> bool:
    return server.http.get("/readyz").status_code == 200


def _is_on_both(server: Server, body: dict[str, object], node: subprocess.Popen[bytes]) -> bool:
    assert server.http.post("/openai/deploy", json=body).json() == {"ret": "ok"}
    if 0 < len(actors_of(node)) < 4:
        return True
    server.http.post("/openai/undeploy", json={"chat_name": "both"})  # the node is not there yet
    return False
