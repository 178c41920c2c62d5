"""What is killed comes back by itself, with the keys that are still in memory."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest

from gateway.launch import RayHead
from tests.conftest import Deploy, Server, clean_environment
from tests.standin.client import StandIn


def actor_process(head: RayHead, name: str) -> psutil.Process:
    """The newest process of the actor class `name`, among the head's own."""
    alive = [p for p in psutil.Process(head.process.pid).children(recursive=True) if p.status() != "zombie"]
    return max((p for p in alive if f"ray::{name}" in "".join(p.cmdline())), key=psutil.Process.create_time)


def ask_until_answered(gateway: httpx.Client, name: str, seconds: float = 60) -> list[str]:
    """Chat again and again until it is answered; the codes of the failures before."""
    codes: list[str] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reply = gateway.post("/openai/chat", json={"chat_name": name, "content": "hi"})
        if reply.status_code == 200:
            return codes
        codes.append(reply.json()["error"]["code"])
        time.sleep(0.2)
    raise AssertionError(f"no answer within {seconds} s: {codes}")


def test_a_killed_model_actor_answers_again_without_a_new_deploy(
    gateway: httpx.Client, deploy: Deploy, ray_head: RayHead, standin: StandIn, key: str
) -> None:
    name = deploy()
    actor_process(ray_head, "ModelActor").kill()

    codes = ask_until_answered(gateway, name)

    assert set(codes) <= {"CLUSTER_DOWN"}
    assert standin.requests(key)[-1]["headers"]["Authorization"] == f"Bearer {key}"


def test_a_killed_directory_knows_everything_again(
    gateway: httpx.Client, deploy: Deploy, ray_head: RayHead, chat_name: str
) -> None:
    name = deploy(workers=2)
    before = [row for row in gateway.get("/models").json()["models"] if row["chat_name"] == name]
    actor_process(ray_head, "Directory").kill()

    # Chats go on: they do not pass through the directory.
    chat = {"chat_name": name, "content": "hi"}
    assert [gateway.post("/openai/chat", json=chat).status_code for _ in range(20)] == [200] * 20

    deadline = time.monotonic() + 60
    while (reply := gateway.get("/models")).status_code != 200:
        assert time.monotonic() < deadline, reply.text
        time.sleep(0.2)
    assert [row for row in reply.json()["models"] if row["chat_name"] == name] == before
    deploy(chat_name=chat_name)
    assert gateway.post("/openai/undeploy", json={"chat_name": name}).status_code == 200


def test_a_chat_whose_actor_and_directory_die_together_says_need_key(
    gateway: httpx.Client, deploy: Deploy, ray_head: RayHead, chat_name: str
) -> None:
    deploy("zhipu", chat_name=chat_name)
    time.sleep(5)  # both gateway processes have heard of the chat by now
    actor_process(ray_head, "ModelActor").kill()
    actor_process(ray_head, "Directory").kill()

    chat = {"chat_name": chat_name, "content": "hi"}
    deadline = time.monotonic() + 60
    while (code := gateway.post("/openai/chat", json=chat).json()["error"]["code"]) != "NEED_KEY":
        assert time.monotonic() < deadline, code
        time.sleep(0.2)

    deploy("zhipu", chat_name=chat_name)
    assert gateway.post("/openai/chat", json=chat).json() == "zhipu:hi"


@pytest.fixture
def own_cluster(start_server: Callable[..., Server]) -> Any:
    """A cluster and a gateway that a test may break."""
    head = RayHead(clean_environment())
    server = start_server(head.environment, ready=False)
    yield head, server
    server.stop()
    head.stop()


def test_a_restarted_cluster_is_found_again_and_its_chats_say_need_key(
    own_cluster: tuple[RayHead, Server], standin: StandIn
) -> None:
    head, server = own_cluster
    server.wait_until()
    chat = {"chat_name": "paid", "content": "hi"}
    paid = {"chat_name": "paid", "api_key": "sk-kept-nowhere", "base_url": standin.base_url("zhipu")}
    assert server.http.post("/zhipu/deploy", json={**paid, "model_name": "echo"}).status_code == 200
    assert server.http.post("/local/deploy", json={"chat_name": "free"}).status_code == 200
    time.sleep(5)  # both gateway processes have heard of the chats by now
    processes = set(psutil.Process(server.process.pid).children())

    os.killpg(head.process.pid, signal.SIGTERM)
    head.process.wait(60)
    started = time.monotonic()
    reply = server.http.post("/openai/chat", json=chat)
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "CLUSTER_DOWN")
    assert "Retry-After" in reply.headers
    assert time.monotonic() - started < 15
    assert server.http.get("/healthz").status_code == 200
    assert server.http.get("/readyz").status_code == 503
    assert server.http.get("/models").status_code == 503

    head.start()
    server.wait_until()

    # The local model needs no key, so it is back by itself.
    free = {"chat_name": "free", "content": "Hi", "max_tokens": 5}
    assert server.http.post("/local/chat", json=free).status_code == 200
    for _ in range(6):
        reply = server.http.post("/zhipu/chat", json=chat, headers={"Connection": "close"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "NEED_KEY")
    states = {row["chat_name"]: row["state"] for row in server.http.get("/models").json()["models"]}
    assert states == {"free": "answering", "paid": "need_key"}
    assert server.http.post("/zhipu/deploy", json={**paid, "model_name": "echo"}).status_code == 200
    assert server.http.post("/zhipu/chat", json=chat).json() == "zhipu:hi"
    assert set(psutil.Process(server.process.pid).children()) == processes, "a gateway process was restarted"


def test_a_gateway_without_a_cluster_says_so_and_joins_one_that_comes_later(
    start_server: Callable[..., Server],
) -> None:
    head = RayHead(clean_environment(), start=False)
    server = start_server(head.environment, ready=False)
    server.wait_until("/healthz")

    reply = server.http.get("/readyz")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "CLUSTER_DOWN")

    head.start()
    server.wait_until()
    server.stop()
    head.stop()


def test_a_gateway_process_ends_gracefully_with_its_chats_answered(
    start_server: Callable[..., Server], ray_head: RayHead, deploy: Deploy, standin: StandIn, key: str
) -> None:
    server = start_server({**ray_head.environment, "WEB_CONCURRENCY": "1"})
    name = deploy(model_name="slow:4")
    replies: list[httpx.Response] = []
    ask = {"chat_name": name, "content": "hi"}
    caller = threading.Thread(
        target=lambda: replies.append(httpx.post(f"{server.url}/openai/chat", json=ask, timeout=60))
    )
    caller.start()
    deadline = time.monotonic() + 20
    while not standin.open(key):
        assert time.monotonic() < deadline
        time.sleep(0.05)

    server.process.terminate()
    caller.join(60)

    assert [reply.json() for reply in replies] == ["openai:hi"]
    assert server.process.wait(60) == 0
    assert "SIGTERM received" not in server.log.read_text(), "Ray's own handler ended the process"
