"""SIGHUP takes new settings and code, SIGTERM ends: under 50 chats in flight, and none that was
taken is dropped."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from gateway.commands.ray_head import RayHead
from tests import next_version
from tests.environment import TOP, clean_environment
from tests.load import ANSWERED, REFUSED, load
from tests.server import GUNICORN, Deploy, Server
from tests.standin.client import StandIn
from tests.waiting import until


def test_a_reload_takes_new_tokens_and_processes_and_loses_no_chat(
    start_server: Callable[..., Server], ray_head: RayHead, deploy: Deploy, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("shop:sk-the-shop:chat\n")
    tokens.chmod(0o600)
    server = start_server({**ray_head.environment, "GATEWAY_TOKENS_FILE": str(tokens)})
    name = deploy(model_name="slow:0.3")
    new = {"X-Api-Key": "sk-a-newcomer"}
    assert server.http.get("/models", headers=new).status_code == 401

    former = psutil.Process(server.process.pid).children()
    with load(server.url, name, token="sk-the-shop") as chats:
        chats.answered_again(0, 30)
        with tokens.open("a") as file:
            file.write("newcomer:sk-a-newcomer:chat\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: not any(process.is_running() for process in former))
        again = chats.answered_again(time.monotonic(), 60)
    print(
        f"\n{len(chats.asked)} chats, failed {dict(chats.failed())}, slowest"
        f" {chats.slowest('answered'):.1f} s, {again}"
    )

    assert not chats.failed()
    assert server.http.get("/models", headers=new).status_code == 200
    assert len(psutil.Process(server.process.pid).children()) == 2


def test_a_reload_takes_the_next_version_whole_and_loses_no_chat(
    start_server: Callable[..., Server], ray_head: RayHead, deploy: Deploy, tmp_path: Path
) -> None:
    """Also what gunicorn's master had loaded: a mixture of two versions may not even start."""
    tree = next_version.copy(tmp_path)
    serve = ("sh", "-c", f"cd {tree} && exec {shlex.join(GUNICORN)}")
    server = start_server(ray_head.environment, command=serve)
    name = deploy(model_name="slow:0.3")

    former = psutil.Process(server.process.pid).children()
    with load(server.url, name) as chats:
        chats.answered_again(0, 30)
        next_version.upgrade(tree)
        with (tree / "gateway/errors.py").open("a") as file:
            file.write("\nNEW_HERE = 1\n")
        with (tree / "gateway/web/status.py").open("a") as file:
            file.write("\nfrom gateway.errors import NEW_HERE\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: not any(process.is_running() for process in former), 60)
        chats.answered_again(time.monotonic(), 60)

    assert not chats.failed()
    replies = [server.http.get("/healthz", headers={"Connection": "close"}) for _ in range(8)]
    assert {reply.json()["version"] for reply in replies} == {next_version.LATER}
    assert len(psutil.Process(server.process.pid).children()) == 2


def test_wrong_settings_are_named_before_a_reload(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("shop:sk-secret-of-the-shop\n")
    tokens.chmod(0o600)
    environment = {**clean_environment(), "GATEWAY_TOKENS_FILE": str(tokens)}
    command = [sys.executable, "-m", "gateway", "check-settings"]
    answer = subprocess.run(
        command, cwd=TOP, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 1
    assert "GATEWAY_TOKENS_FILE, line 1" in answer.stderr
    assert "sk-secret" not in answer.stderr

    tokens.write_text("shop:sk-secret-of-the-shop:chat\n")
    subprocess.run(command, cwd=TOP, env=environment, timeout=60, check=True)


def test_a_stop_answers_the_chats_under_way_takes_no_new_ones_and_leaves_the_model_actors(
    start_server: Callable[..., Server],
    ray_head: RayHead,
    deploy: Deploy,
    gateway: httpx.Client,
    standin: StandIn,
    key: str,
) -> None:
    server = start_server(ray_head.environment)
    name = deploy(model_name="slow:1")
    with load(server.url, name) as chats:
        chats.answered_again(0, 30)
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(60) == 0
        ended = time.monotonic()

    # Whoever was let in was answered; who came later found nobody, and could ask elsewhere.
    assert set(chats.failed()) <= {REFUSED}
    assert standin.count(key) == chats.outcomes()[ANSWERED]
    assert not [one for one in chats.asked if one.began > ended and one.outcome != REFUSED]
    assert (
        gateway.post("/openai/chat", json={"chat_name": name, "content": "hi"}).json()
        == "openai:hi"
    )
