"""Each of the gateway's errors is a class of its own in the official Python SDK, in a stream as in a whole reply."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from openai import (
    APIError,
    APIStatusError,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    OpenAI,
    PermissionDeniedError,
    RateLimitError,
    UnprocessableEntityError,
)
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk

from gateway.ray_head import RayHead
from tests.conftest import Deploy, Server
from tests.standin.client import StandIn
from tests.standin.refusals import DIALECTS, Dialect
from tests.test_openai_clients import says, words

PROVIDERS_ERRORS = [
    ("openai", "refuse:openai-insufficient_quota", APIStatusError, 402, "PAY_BILL"),
    ("zhipu", "refuse:zhipu-1113", APIStatusError, 402, "PAY_BILL"),
    ("tongwen", "refuse:tongwen-Arrearage", APIStatusError, 402, "PAY_BILL"),
    ("openai", "refuse:openai-context_length_exceeded", APIStatusError, 413, "TOO_LARGE"),
    ("openai", "refuse:openai-content_policy_violation", UnprocessableEntityError, 422, "CONTENT_BLOCKED"),
    ("openai", "refuse:openai-rate_limit_exceeded", RateLimitError, 429, "SLOW_DOWN"),
    ("zhipu", "refuse:zhipu-1302", RateLimitError, 429, "SLOW_DOWN"),
    ("openai", "refuse:openai-server_error", InternalServerError, 502, "PROVIDER_DOWN"),
    ("openai", "garbage", InternalServerError, 502, "PROVIDER_DOWN"),
    ("openai", "drop", InternalServerError, 502, "PROVIDER_DOWN"),
    ("openai", "refuse:openai-server_is_overloaded", InternalServerError, 503, "PROVIDER_BUSY"),
    ("openai", "hang", InternalServerError, 504, "TIMEOUT"),
]
PERMANENT = [
    ("openai", "refuse:openai-insufficient_quota", "PAY_BILL"),
    ("zhipu", "refuse:zhipu-1113", "PAY_BILL"),
    ("tongwen", "refuse:tongwen-Arrearage", "PAY_BILL"),
    ("openai", "refuse:openai-invalid_api_key", "BAD_KEY"),
    ("openai", "refuse:openai-model_not_found", "NO_SUCH_MODEL"),
    ("zhipu", "refuse:zhipu-1210", "BAD_UPSTREAM_REQUEST"),
]


@pytest.fixture(scope="module")
def names(gateway: httpx.Client) -> Iterator[Callable[[], str]]:
    """Chat names in turn, which each test deploys anew: a switch in place takes no start of a process."""
    two = ["openai-errors-1", "openai-errors-2"]
    yield itertools.cycle(two).__next__
    for name in two:
        gateway.post("/openai/undeploy", json={"chat_name": name})


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAI]:
    """The SDK as it comes, its two hidden retries included."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # a proxy of this machine's must not come between
    with OpenAI(base_url=f"{server.url}/v1", api_key="any") as client:
        yield client


@pytest.fixture
def impatient(client: OpenAI) -> OpenAI:
    """The same, without its retries: an error shows at once."""
    return client.with_options(max_retries=0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("provider", "behaviour", "kind", "status", "code"), PROVIDERS_ERRORS)
def test_the_sdk_raises_its_own_class_for_what_the_provider_refuses(
    impatient: OpenAI,
    deploy: Deploy,
    stream: bool,
    provider: Dialect,
    behaviour: str,
    kind: type[APIStatusError],
    status: int,
    code: str,
) -> None:
    name = deploy(provider, behaviour, timeout=1)

    with pytest.raises(kind) as raised:  # of a stream, too: it has not begun to speak
        impatient.chat.completions.create(model=name, messages=says("hi"), stream=stream)

    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["request_id"] == raised.value.request_id
    assert (raised.value.body["chat_name"], raised.value.body["provider"]) == (name, provider)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("provider", "behaviour", "code"), PERMANENT)
def test_what_only_the_operator_can_mend_is_asked_of_the_provider_once(
    client: OpenAI,
    deploy: Deploy,
    standin: StandIn,
    key: str,
    stream: bool,
    provider: Dialect,
    behaviour: str,
    code: str,
) -> None:
    with pytest.raises(APIStatusError) as raised:
        client.chat.completions.create(model=deploy(provider, behaviour), messages=says("hi"), stream=stream)

    assert raised.value.code == code
    assert standin.count(key) == 1


def test_what_passes_is_tried_again_by_the_sdk_itself(
    client: OpenAI, deploy: Deploy, standin: StandIn, key: str
) -> None:
    standin.script(key, ["refuse:openai-server_error", "refuse:openai-slow_down", "echo"])

    said = client.chat.completions.create(model=deploy(), messages=says("hi"))

    assert said.choices[0].message.content == "openai:hi"
    assert standin.count(key) == 3


@pytest.mark.parametrize(
    ("ask", "kind", "code", "param"),
    [
        ({"model": "no-such-chat"}, NotFoundError, "NOT_DEPLOYED", None),
        ({"model": "no such name"}, BadRequestError, "INVALID_REQUEST", "model"),
        ({"messages": []}, BadRequestError, "INVALID_REQUEST", "messages"),
        ({"extra_body": {"messages": "hi"}}, BadRequestError, "INVALID_REQUEST", "messages"),
        ({"extra_body": {"stream": "perhaps"}}, BadRequestError, "INVALID_REQUEST", "stream"),
    ],
)
def test_the_sdk_raises_its_own_class_for_what_was_asked_wrongly(
    client: OpenAI, deploy: Deploy, ask: dict[str, Any], kind: type[APIStatusError], code: str, param: str | None
) -> None:
    with pytest.raises(kind) as raised:
        client.chat.completions.create(**{"model": deploy(), "messages": says("hi"), **ask})

    assert (raised.value.code, raised.value.param) == (code, param)


@pytest.mark.parametrize("behaviour", ["error-mid", "drop-mid"])
@pytest.mark.parametrize("provider", DIALECTS)
def test_an_error_in_mid_stream_is_raised_after_the_words_that_came(
    client: OpenAI, deploy: Deploy, standin: StandIn, key: str, provider: Dialect, behaviour: str
) -> None:
    chunks: list[ChatCompletionChunk] = []
    with (
        client.chat.completions.create(model=deploy(provider, behaviour), messages=says("hi"), stream=True) as stream,
        pytest.raises(APIError) as raised,
    ):
        chunks.extend(stream)

    assert words(chunks) == "w0 w1 "
    assert raised.value.code == "PROVIDER_DOWN"
    assert not isinstance(raised.value, APIStatusError)
    assert standin.count(key) == 1


@pytest.mark.parametrize("behaviour", ["error-mid", "drop-mid"])
def test_an_error_in_the_middle_of_a_legacy_stream_is_raised_after_the_words_that_came(
    client: OpenAI, deploy: Deploy, behaviour: str
) -> None:
    chunks: list[Completion] = []
    with (
        client.completions.create(model=deploy(model_name=behaviour), prompt="hi", stream=True) as stream,
        pytest.raises(APIError) as raised,
    ):
        chunks.extend(stream)

    assert "".join(chunk.choices[0].text for chunk in chunks) == "w0 w1 "
    assert raised.value.code == "PROVIDER_DOWN"


def test_an_error_in_mid_stream_is_raised_in_an_event_loop_too(client: OpenAI, deploy: Deploy) -> None:
    name, said = deploy(model_name="error-mid"), []

    async def ask() -> None:
        async with (
            AsyncOpenAI(base_url=client.base_url, api_key="any") as asked,
            await asked.chat.completions.create(model=name, messages=says("hi"), stream=True) as stream,
        ):
            async for chunk in stream:
                said.append(words([chunk]))  # noqa: PERF401  # what came before the error is to be kept

    with pytest.raises(APIError) as raised:
        asyncio.run(ask())

    assert "".join(said) == "w0 w1 "
    assert raised.value.code == "PROVIDER_DOWN"


def test_the_sdks_api_key_is_the_gateways_token(
    client: OpenAI, deploy: Deploy, start_server: Callable[..., Server], ray_head: RayHead
) -> None:
    tokens = {"GATEWAY_TOKENS": "app:right-token:chat\nops:admins-token:admin", "WEB_CONCURRENCY": "1"}
    guarded = client.with_options(base_url=f"{start_server({**ray_head.environment, **tokens}).url}/v1")
    name = deploy()

    def ask(token: str) -> str | None:
        asked = guarded.with_options(api_key=token).chat.completions.create(model=name, messages=says("hi"))
        return asked.choices[0].message.content

    assert ask("right-token") == "openai:hi"
    with pytest.raises(AuthenticationError, match="needs a token"):
        ask("wrong-token")
    with pytest.raises(PermissionDeniedError, match="scope 'chat'"):
        ask("admins-token")
