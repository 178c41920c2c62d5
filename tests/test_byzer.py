"""Both directions of Byzer compatibility: its programs chat with our chats, and we with theirs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.fronts import chat_stream, events, v1_stream
from tests.server import Deploy
from tests.standin.client import StandIn
from tests.waiting import until

# What any byzerllm program does, in a process that knows nothing of the gateway.
STOCK_PROGRAM = """
import json, os, sys
import ray, ray._private.utils
ray._private.utils.hex_to_binary = bytes.fromhex  # byzerllm 0.1.223 on Ray 2.60
from byzerllm.utils.client.byzerllm_client import ByzerLLM
ray.init(address=os.environ["RAY_ADDRESS"], namespace="default", log_to_driver=False)
llm = ByzerLLM()
"""


@pytest.fixture
def stock(ray_head: RayHead) -> Callable[[str], Any]:
    """Run a stock byzerllm program's lines; what it prints last is JSON."""

    def run(lines: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", STOCK_PROGRAM + lines],
            cwd="/",  # not where our code lies
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **ray_head.environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    return run


def test_a_stock_client_chats_with_a_chat_that_we_deployed(
    deploy: Deploy, stock: Callable[[str], Any], standin: StandIn, key: str
) -> None:
    name = deploy("zhipu", workers=2)

    answer = stock(f"""
llm.setup_default_model_name({name!r})
history = [{{"role": "user", "content": "one"}}, {{"role": "assistant", "content": "two"}}]
one = llm.chat_oai(history + [{{"role": "user", "content": "hello"}}])[0]
config = {{"temperature": 0.5, "reasoning_effort": "low", "extra_body": {{"top_k": 3}}}}
two = llm.chat_oai([{{"role": "user", "content": "again"}}], llm_config=config)[0]
print(json.dumps([one.output, one.metadata["input_tokens_count"] > 0, two.output]))
""")

    assert answer == ["zhipu:hello", True, "zhipu:again"]
    first, second = (seen["body"] for seen in standin.requests(key))
    assert [turn["content"] for turn in first["messages"]] == ["one", "two", "hello"]
    assert (first.get("max_tokens"), second["temperature"]) == (None, 0.5)
    assert (second["reasoning_effort"], second["top_k"]) == ("low", 3)


def test_a_stock_client_learns_why_a_chat_failed(
    deploy: Deploy, stock: Callable[[str], Any], standin: StandIn, key: str
) -> None:
    name = deploy(model_name="refuse:openai-insufficient_quota")

    answer = stock(f"""
try:
    llm.chat_oai([{{"role": "user", "content": "hello"}}], model={name!r})
except Exception as error:
    print(json.dumps(str(error)))
""")

    assert "PAY_BILL" in answer
    assert key not in answer


def test_our_chat_answers_for_a_model_that_stock_byzerllm_deployed(
    gateway: httpx.Client, stock: Callable[[str], Any], standin: StandIn, chat_name: str, key: str
) -> None:
    stock(f"""
llm.setup_gpus_per_worker(0).setup_cpus_per_worker(0).setup_num_workers(1)
params = {{
    "saas.api_key": {key!r},
    "saas.base_url": {standin.base_url("openai")!r},
    "saas.model": "echo",
}}
llm.deploy(
    model_path="",
    pretrained_model_type="saas/openai",
    udf_name={chat_name!r},
    infer_params=params,
)
print(json.dumps("deployed"))
""")

    ask = {
        "chat_name": chat_name,
        "content": "<_image_>/etc/hostname</_image_>",
        "system": "Be brief.",
    }
    reply = gateway.post("/openai/chat", json=ask)

    # skip_nontext_check: byzerllm's client would else have read that file and sent it upstream.
    assert reply.json() == "openai:<_image_>/etc/hostname</_image_>"
    [seen] = standin.requests(key)
    assert seen["body"]["messages"][0] == {"role": "system", "content": "Be brief."}

    def listed() -> bool:
        rows = gateway.get("/models").json().get("models", [])
        report = [
            (row["provider"], row["replicas"], row["state"])
            for row in rows
            if row["chat_name"] == chat_name
        ]
        return report == [("byzerllm", 1, "answering")]

    until(listed)  # the directory imports pyjava before it can tell what another program's actor is


def test_a_type_that_we_do_not_relay_is_deployed_through_stock_byzerllm_and_switched_back(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, chat_name: str, key: str
) -> None:
    deploy(
        "openai",
        chat_name=chat_name,
        model_type="saas/reasoning_openai",
        workers="2",
        options={"max_tokens": 77},
    )

    ask = {"chat_name": chat_name, "content": "hello"}
    assert gateway.post("/openai/chat", json={**ask, "thinking": "off"}).json() == "openai:hello"
    body = standin.requests(key)[-1]["body"]
    assert (body["max_tokens"], "thinking" in body) == (77, False)

    # It comes as a stream that has one piece.
    assert chat_stream(gateway, chat_name, "hello").words == "openai:hello"
    streamed = v1_stream(gateway, chat_name, "hello", stream_options={"include_usage": True})
    assert (streamed.words, streamed.code) == ("openai:hello", "")
    *_, ended, counted, done = events(streamed.body)
    assert (ended["choices"][0]["finish_reason"], done) == ("stop", "[DONE]")
    assert counted["usage"]["completion_tokens"] > 0
    assert {ended["model"], counted["model"]} == {chat_name}

    def listed() -> bool:
        rows = gateway.get("/models").json().get("models", [])
        report = [
            (row["model_type"], row["replicas"], row["state"])
            for row in rows
            if row["chat_name"] == chat_name
        ]
        return report == [("saas/reasoning_openai", 2, "answering")]

    until(listed)

    for row, code in (
        ("openai-insufficient_quota", "PAY_BILL"),
        ("openai-invalid_api_key-echo", "BAD_KEY"),
    ):
        standin.script(key, [f"refuse:{row}"])
        error = gateway.post("/openai/chat", json=ask).json()["error"]
        assert (error["code"], error["provider"]) == (code, "byzerllm")
        assert key not in json.dumps(error)
        assert chat_stream(gateway, chat_name, "hello").code == code

    standin.script(key, [])
    deploy("zhipu", chat_name=chat_name)
    assert gateway.post("/openai/chat", json=ask).json() == "zhipu:hello"


def test_what_stock_byzerllm_cannot_deploy_is_told_and_leaves_nothing_behind(
    gateway: httpx.Client, chat_name: str
) -> None:
    # Bedrock needs a package that is not installed.
    body = {"chat_name": chat_name, "api_key": "sk-x", "model_type": "saas/aws_bedrock"}
    reply = gateway.post("/openai/deploy", json=body)

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert "boto3" in reply.json()["error"]["message"]
    assert (
        gateway.post("/openai/chat", json={"chat_name": chat_name, "content": "x"}).status_code
        == 404
    )


def test_the_name_of_an_actor_that_is_not_a_chat_is_refused(
    gateway: httpx.Client, stock: Callable[[str], Any], chat_name: str
) -> None:
    stock(f"""
@ray.remote(num_cpus=0)
class Ledger:
    def total(self): return 7
ledger = Ledger.options(name={chat_name!r}, lifetime="detached").remote()
print(ray.get(ledger.total.remote()))
""")

    body = {"chat_name": chat_name, "api_key": "sk-x", "base_url": "http://127.0.0.1:9"}
    deployed = gateway.post("/openai/deploy", json=body)
    chatted = gateway.post("/openai/chat", json={"chat_name": chat_name, "content": "x"})
    undeployed = gateway.post("/openai/undeploy", json={"chat_name": chat_name})

    assert deployed.json()["error"]["message"].startswith("chat_name: ")
    assert "Ledger" in deployed.json()["error"]["message"]
    assert (deployed.status_code, chatted.status_code, undeployed.status_code) == (400, 404, 404)
    assert (
        stock(
            f"ledger = ray.get_actor({chat_name!r}); print(ray.get(ledger.total.remote()));"
            " ray.kill(ledger); print(7)"
        )
        == 7
    )
