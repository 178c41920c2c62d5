"""A client that openapi-python-client makes from /openapi.json deploys and chats, typed, without a
line of ours."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from tests.environment import clean_environment
from tests.server import Deploy, Server
from tests.standin.client import StandIn

NAME = "byzer_llm_gateway_client"
SECONDS = 120

Module = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def folder(gateway: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is, as its generator wrote it. It warns of nothing, as it does of what it
    cannot type."""
    here = tmp_path_factory.mktemp("client")
    (here / "openapi.json").write_bytes(gateway.get("/openapi.json").content)
    (here / "config.json").write_text(json.dumps({"post_hooks": []}))
    program = str(Path(sys.executable).with_name("openapi-python-client"))
    command = [
        program,
        "generate",
        "--path=openapi.json",
        "--meta=none",
        "--config=config.json",
        f"--output-path={NAME}",
    ]
    ended = subprocess.run(
        [*command, "--fail-on-warning"],
        cwd=here,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return here


@pytest.fixture
def module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Import one of the package's modules."""
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # a proxy of this machine's must not come between
    return lambda name: importlib.import_module(f"{NAME}.{name}")


@pytest.fixture
def client(module: Module, server: Server) -> Iterator[Any]:
    kind = module("client").AuthenticatedClient
    with kind(base_url=server.url, token="any", raise_on_unexpected_status=True) as client:
        yield client


def test_the_generated_client_deploys_chats_and_undeploys(
    module: Module, client: Any, deploy: Deploy, standin: StandIn, key: str, chat_name: str
) -> None:
    models, others = module("models"), [deploy(), deploy()]
    where = {"base_url": standin.base_url("zhipu"), "fallback": ",".join(others)}
    body = models.DeployRequest(chat_name=chat_name, api_key=key, model_name="echo", **where)

    done = module("api.zhipu.zhipu_deploy").sync(client=client, body=body)
    turns = [models.Turn(role=models.TurnRole("user"), content="I am Ann.")]
    ask = models.ChatRequest(chat_name=chat_name, content="你好", history=turns, temperature=0.5)
    answer = module("api.zhipu.zhipu_chat").sync(client=client, body=ask)
    listed = module("api.status.status_models").sync(client=client)
    gone = module("api.zhipu.zhipu_undeploy").sync(
        client=client, body=models.NamedRequest(chat_name=chat_name)
    )

    assert (done.ret, answer, gone.ret) == ("ok", "zhipu:你好", "ok")
    [row] = (row for row in listed.models if row.chat_name == chat_name)
    assert (row.provider, row.state, row.fallback) == ("zhipu", "answering", others)


def test_the_generated_client_chats_on_v1(module: Module, client: Any, deploy: Deploy) -> None:
    models = module("models")
    turn = models.CompletionRequestMessagesItem.from_dict({"role": "user", "content": "hi"})
    ask = models.CompletionRequest(model=(name := deploy("tongwen")), messages=[turn])

    answer = module("api.v1.v1_chat_completions").sync(client=client, body=ask)

    assert answer.model == name
    assert answer.additional_properties["choices"][0]["message"]["content"] == "tongwen:hi"


@pytest.mark.parametrize("front", ["openai.openai_chat", "v1.v1_chat_completions"])
def test_the_generated_client_types_an_error(
    module: Module, client: Any, deploy: Deploy, standin: StandIn, key: str, front: str
) -> None:
    models, name = module("models"), deploy(model_name="refuse:openai-insufficient_quota")
    if front.startswith("v1"):
        turn = models.CompletionRequestMessagesItem.from_dict({"role": "user", "content": "hi"})
        ask, kind = models.CompletionRequest(model=name, messages=[turn]), models.OpenAIError
    else:
        ask, kind = models.ChatRequest(chat_name=name, content="hi"), models.Error

    reply = module(f"api.{front}").sync_detailed(client=client, body=ask)

    assert reply.status_code == 402
    assert isinstance(reply.parsed, kind)
    assert reply.parsed.error.code == "PAY_BILL"
    assert standin.count(key) == 1


def test_each_example_is_what_its_schema_describes(gateway: httpx.Client) -> None:
    description = gateway.get("/openapi.json").json()
    assert [row["url"] for row in description["servers"]] == ["/"]
    bodies = [
        report["requestBody"]["content"]["application/json"]
        for row in description["paths"].values()
        for report in row.values()
        if "requestBody" in report
    ]

    wrong = [
        (example["value"], error.message)
        for body in bodies
        for example in body["examples"].values()
        for error in Draft202012Validator({**body["schema"], **description}).iter_errors(
            example["value"]
        )
    ]

    assert len(bodies) > 20
    assert wrong == []
