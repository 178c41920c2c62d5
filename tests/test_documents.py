"""The calls in README.md and docs/ run as they stand, against a gateway whose providers are played
by the stand-in."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.environment import TOP
from tests.server import Server
from tests.standin.client import BASES, StandIn

HERE = "http://127.0.0.1:8099"
CALL = re.compile(r"^(?P<block>curl .*(?:\n  .*)*)|`(?P<cell>curl [^`]+)`", re.MULTILINE)


def text(page: str) -> str:
    return (TOP / page).read_text()


@pytest.fixture
def here(server: Server, local_chat: str) -> Iterator[Server]:
    yield server
    server.http.post("/openai/undeploy", json={"chat_name": "shop_chat"})


def run(call: str, server: Server, standin: StandIn) -> str:
    """Run a call as it stands, but for the gateway's port and, in a deploy, the provider's
    address and model."""
    deploy = re.search(r"/(\w+)/deploy -d '(.*)'", call, re.DOTALL)
    if deploy and deploy[1] != "task":
        provider = next(name for name in BASES if name == deploy[1])
        order = json.loads(deploy[2])
        order |= {"base_url": standin.base_url(provider), "model_name": "echo"}
        call = call.replace(deploy[2], json.dumps(order))
    call = call.replace(HERE, server.url).replace("curl ", "curl -fsS --noproxy '*' ", 1)
    command = ["bash", "-c", call]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, f"{call}: {ended.stderr}"
    return ended.stdout


@pytest.mark.parametrize("page", ["README.md", "docs/calls.md"])
def test_every_call_runs_as_it_stands(page: str, here: Server, standin: StandIn) -> None:
    calls = [match["block"] or match["cell"] for match in CALL.finditer(text(page))]
    replies = {call: run(call, here, standin) for call in calls}
    assert len(calls) == text(page).count("curl ")
    for call, reply in replies.items():
        if "/zhipu/chat" in call:
            assert json.loads(reply) == "zhipu:你好"
        elif "/local/chat" in call:
            assert reply
        elif "/task/chat" in call:
            assert reply in ("refund", "complaint", "other")
        else:
            assert json.loads(reply) == {"ret": "ok"}


def test_a_page_that_sets_a_fallback(here: Server, standin: StandIn) -> None:
    deploy = f"""curl {HERE}/zhipu/deploy -d '{{"chat_name": "shop_chat", "api_key": "a-key"}}'"""
    run(deploy, here, standin)
    (call,) = (match[0] for match in CALL.finditer(text("docs/errors.md")))
    assert json.loads(run(call, here, standin)) == {"ret": "ok"}
    rows = {row["chat_name"]: row for row in here.http.get("/models").json()["models"]}
    assert rows["shop_chat"]["fallback"] == ["local_chat"]


def test_openais_client_runs_as_it_stands(here: Server) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", text("docs/calls.md"), re.MULTILINE | re.DOTALL)
    code = code.replace(HERE, here.url)
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
