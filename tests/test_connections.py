"""What a chat leaves when it is taken away: no connection in any gateway process, and no socket
file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil

from gateway.commands.ray_head import RayHead
from tests.processes import actor_process
from tests.server import Deploy, Server
from tests.waiting import until


def socket_file(actor: psutil.Process) -> Path:
    """Where an actor lets gateway processes in: the one path that several of its sockets bear."""
    paths = [str(end.laddr) for end in actor.net_connections("unix") if end.laddr]
    return Path(max(paths, key=paths.count))


def connections(server: Server) -> int:
    """How many Unix sockets the gateway's processes have open."""
    return sum(
        len(child.net_connections("unix"))
        for child in psutil.Process(server.process.pid).children()
    )


def ask_at_once(server: Server, name: str, count: int) -> None:
    def ask(_: int) -> int:
        body = {"chat_name": name, "content": "hi"}
        reply = httpx.post(f"{server.url}/openai/chat", json=body, timeout=60, trust_env=False)
        return reply.status_code

    with ThreadPoolExecutor(count) as pool:
        assert set(pool.map(ask, range(count))) == {200}


def test_a_chat_that_is_undeployed_leaves_no_connection_and_no_file(
    server: Server, gateway: httpx.Client, deploy: Deploy, ray_head: RayHead
) -> None:
    stays = deploy()
    ask_at_once(server, stays, 8)
    before = connections(server)
    name = deploy(model_name="slow:2")
    ask_at_once(server, name, 40)
    path = socket_file(actor_process(ray_head, "ModelActor"))
    assert path.is_socket()
    assert connections(server) >= before + 15

    gateway.post("/openai/undeploy", json={"chat_name": name}).raise_for_status()

    assert not path.exists()
    until(lambda: connections(server) <= before, 20)
    ask_at_once(server, stays, 8)


def test_a_chat_that_is_deployed_again_and_killed_leaves_one_file(
    server: Server, deploy: Deploy, ray_head: RayHead
) -> None:
    name = deploy()
    ask_at_once(server, name, 4)
    actor = actor_process(ray_head, "ModelActor")
    path = socket_file(actor)
    files = len(list(path.parent.iterdir()))

    actor.kill()
    ask_at_once(server, name, 4)
    deploy(chat_name=name)
    ask_at_once(server, name, 4)

    assert socket_file(actor_process(ray_head, "ModelActor")) == path
    assert len(list(path.parent.iterdir())) <= files
