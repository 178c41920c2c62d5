"""Zhipu's own Python SDK, pointed at the gateway by its base URL only: it keeps Zhipu's path,
/api/paas/v4."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from zhipuai import ZhipuAI
from zhipuai.core._errors import APIStatusError

from tests.server import CALLER, Deploy, Server
from tests.waiting import until

SAYS = [{"role": "user", "content": "你好"}]


@pytest.fixture(scope="module")
def names(gateway: httpx.Client) -> Iterator[Callable[[], str]]:
    """In place of the shared `names`: two in turn, which each test deploys anew, since a switch in
    place takes no start of a process."""
    two = ["zhipuai-a", "zhipuai-b"]
    yield itertools.cycle(two).__next__
    for name in two:
        gateway.post("/openai/undeploy", json={"chat_name": name})


@pytest.fixture(params=["/api/paas/v4", "/api/paas/v4/", "/v1"])
def client(
    request: pytest.FixtureRequest, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The SDK as it comes, its hidden retries included."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # a proxy of this machine's must not come between
    with ZhipuAI(api_key="id.secret", base_url=server.url + request.param) as client:
        yield client


@pytest.mark.parametrize("provider", ["zhipu", "tongwen"])
def test_zhipus_sdk_chats_and_streams_and_embeds(
    client: Any, deploy: Deploy, provider: Any
) -> None:
    name = deploy(provider)

    whole = client.chat.completions.create(model=name, messages=SAYS)
    chunks = list(client.chat.completions.create(model=name, messages=SAYS, stream=True))
    vectors = client.embeddings.create(model=name, input=["一", "二"])

    assert (whole.choices[0].message.content, whole.model) == (f"{provider}:你好", name)
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        == f"{provider}:你好"
    )
    assert len(vectors.data) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_zhipus_sdk_meets_an_unpaid_chat_once(
    client: Any, server: Server, deploy: Deploy, stream: bool
) -> None:
    name = deploy("zhipu", "refuse:zhipu-1113")
    before = server.chats(name)

    with pytest.raises(APIStatusError) as raised:
        client.chat.completions.create(model=name, messages=SAYS, stream=stream)

    assert raised.value.status_code == 402
    assert "余额不足或无可用资源包,请充值。" in str(raised.value)
    until(lambda: server.chats(name) > before)  # its line is written when the reply has gone
    assert server.chats(name) == before + 1


def test_zhipus_sdks_api_key_is_the_gateways_token(
    guarded: Server, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    with ZhipuAI(api_key=CALLER, base_url=f"{guarded.url}/v1") as client:
        answer = client.chat.completions.create(model=deploy("zhipu"), messages=SAYS)

    assert answer.choices[0].message.content == "zhipu:你好"
