"""Each of the gateway's errors is a class of its own in the official Python SDK, in a stream as in
a whole reply."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
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

from gateway.commands.ray_head import RayHead
from gateway.errors import GatewayError
from gateway.web.foreign_errors import openai_shape, openai_status
from tests.openai_sdk import says, words
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.standin.refusals import DIALECTS, Dialect

PROVIDERS_ERRORS = [
    ("openai", "refuse:openai-insufficient_quota", APIStatusError, 402, "PAY_BILL"),
    ("zhipu", "refuse:zhipu-1113", APIStatusError, 402, "PAY_BILL"),
    ("tongwen", "refuse:tongwen-Arrearage", APIStatusError, 402, "PAY_BILL"),
    ("openai", "refuse:openai-context_length_exceeded", APIStatusError, 413, "TOO_LARGE"),
    (
        "openai",
        "refuse:openai-content_policy_violation",
        UnprocessableEntityError,
        422,
        "CONTENT_BLOCKED",
    ),
    ("openai", "refuse:openai-rate_limit_exceeded", RateLimitError, 429, "SLOW_DOWN"),
    ("zhipu", "refuse:zhipu-1302", RateLimitError, 429, "SLOW_DOWN"),
    ("openai", "refuse:openai-server_error", InternalServerError, 502, "PROVIDER_DOWN"),
    ("openai", "garbage", InternalServerError, 502, "PROVIDER_DOWN"),
    ("openai", "drop", InternalServerError, 502, "PROVIDER_DOWN"),
    ("openai", "refuse:openai-server_is_overloaded", InternalServerError, 503, "PROVIDER_BUSY"),
    ("openai", "hang", InternalServerError, 504, "TIMEOUT"),
]
PERMANENT = [
    ("openai", "refuse:openai-insufficient_quota", 402, "PAY_BILL"),
    ("zhipu", "refuse:zhipu-1113", 402, "PAY_BILL"),
    ("tongwen", "refuse:tongwen-Arrearage", 402, "PAY_BILL"),
    ("openai", "refuse:openai-invalid_api_key", 403, "BAD_KEY"),
    ("openai", "refuse:openai-model_not_found", 404, "NO_SUCH_MODEL"),
    ("zhipu", "refuse:zhipu-1210", 400, "BAD_UPSTREAM_REQUEST"),
]
TAKEN_FOR_A_REASON_TO_TRY_AGAIN = re.compile(
    "429|500|502|503|504|524|rate.?limit|too many"
    " requests|server.?error|unavailable|overloaded|try.*again|insufficient_quota",
    re.IGNORECASE,
)
"""In whatever an error holds: by opencode (packages/opencode/src/session/retry.ts), promptfoo
(isProviderResponseRateLimited), LiteLLM (exception_mapping_utils.py) and the AI SDK (the last, in
an event)."""


@pytest.fixture(scope="module")
def names(gateway: httpx.Client) -> Iterator[Callable[[], str]]:
    """In place of the shared `names`: two in turn, which each test deploys anew, since a switch in
    place takes no start of a process."""
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
    name = deploy(provider, behaviour, timeout=1 if behaviour == "hang" else 5)

    with pytest.raises(kind) as raised:  # of a stream, too: it has not begun to speak
        impatient.chat.completions.create(model=name, messages=says("hi"), stream=stream)

    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["request_id"] == raised.value.request_id
    assert (raised.value.body["chat_name"], raised.value.body["provider"]) == (name, provider)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("provider", "behaviour", "status", "code"), PERMANENT)
def test_what_only_the_operator_can_mend_is_asked_of_the_provider_once(
    client: OpenAI,
    deploy: Deploy,
    standin: StandIn,
    key: str,
    stream: bool,
    provider: Dialect,
    behaviour: str,
    status: int,
    code: str,
) -> None:
    with pytest.raises(APIStatusError) as raised:
        client.chat.completions.create(
            model=deploy(provider, behaviour), messages=says("hi"), stream=stream
        )

    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert raised.value.type in ("invalid_request_error", "not_found_error")
    assert standin.count(key) == 1


@pytest.mark.parametrize(
    ("provider", "behaviour", "code"), [(row[0], row[1], row[3]) for row in PERMANENT]
)
def test_the_other_front_keeps_its_statuses(
    gateway: httpx.Client, deploy: Deploy, provider: Dialect, behaviour: str, code: str
) -> None:
    reply = gateway.post(
        f"/{provider}/chat", json={"chat_name": deploy(provider, behaviour), "content": "hi"}
    )

    assert (reply.status_code, reply.json()["error"]["code"]) == (
        402 if code == "PAY_BILL" else 502,
        code,
    )
    assert reply.json()["error"]["provider_status"]


def test_most_clients_show_the_message_only_so_the_providers_words_are_in_it(
    impatient: OpenAI, deploy: Deploy
) -> None:
    with pytest.raises(APIStatusError) as raised:
        impatient.chat.completions.create(
            model=deploy("zhipu", "refuse:zhipu-1113"), messages=says("hi")
        )

    error: Any = raised.value.body
    assert error["provider_message"] == "余额不足或无可用资源包,请充值。"
    assert error["message"].endswith(f" The provider says: {error['provider_message']}")
    assert error["message_zh"].endswith(f" 服务商返回：{error['provider_message']}")


WORDS = (
    "HTTP 429 from upstream, request id 021750214290502: pay 500.00 at https://example.com/e/429,"
    " tel. 42900"
)


@pytest.mark.parametrize("code", ["PAY_BILL", "BAD_KEY", "NO_SUCH_MODEL", "BAD_UPSTREAM_REQUEST"])
def test_nothing_in_an_error_that_lasts_looks_like_a_reason_to_try_again(code: str) -> None:
    error = GatewayError(
        code, provider="zhipu", provider_status=429, provider_code="429", provider_message=WORDS
    )

    answer = json.dumps(openai_shape(error, "abcdefghijklmnop"), ensure_ascii=False)

    assert TAKEN_FOR_A_REASON_TO_TRY_AGAIN.findall(answer) == []
    assert "HTTP [number] from upstream" in answer
    assert 400 <= openai_status(error) < 408  # a 408, 409 or 429 is tried again


def test_an_error_that_passes_holds_what_the_provider_said_as_it_was() -> None:
    error = GatewayError(
        "SLOW_DOWN", provider_status=429, provider_code="429", provider_message=WORDS
    )

    answer = openai_shape(error, "abc")["error"]

    assert (answer["provider_code"], answer["provider_message"]) == ("429", WORDS)
    assert "provider_status" not in answer


def test_no_id_of_a_request_looks_like_a_status(gateway: httpx.Client) -> None:
    ids = {gateway.get("/healthz").headers["X-Request-Id"] for _ in range(20)}

    assert len(ids) == 20
    assert all(re.fullmatch("[a-p]{16}", name) for name in ids)


def test_what_passes_is_tried_again_by_the_sdk_itself(
    client: OpenAI, deploy: Deploy, standin: StandIn, key: str
) -> None:
    standin.script(key, ["refuse:openai-server_error", "refuse:openai-slow_down", "echo"])

    answer = client.chat.completions.create(model=deploy(), messages=says("hi"))

    assert answer.choices[0].message.content == "openai:hi"
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
    client: OpenAI,
    deploy: Deploy,
    ask: dict[str, Any],
    kind: type[APIStatusError],
    code: str,
    param: str | None,
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
        client.chat.completions.create(
            model=deploy(provider, behaviour), messages=says("hi"), stream=True
        ) as stream,
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
        client.completions.create(
            model=deploy(model_name=behaviour), prompt="hi", stream=True
        ) as stream,
        pytest.raises(APIError) as raised,
    ):
        chunks.extend(stream)

    assert "".join(chunk.choices[0].text for chunk in chunks) == "w0 w1 "
    assert raised.value.code == "PROVIDER_DOWN"


def test_an_error_in_mid_stream_is_raised_in_an_event_loop_too(
    client: OpenAI, deploy: Deploy
) -> None:
    name, answer = deploy(model_name="error-mid"), []

    async def ask() -> None:
        async with (
            AsyncOpenAI(base_url=client.base_url, api_key="any") as asked,
            await asked.chat.completions.create(
                model=name, messages=says("hi"), stream=True
            ) as stream,
        ):
            async for chunk in stream:
                answer.append(words([chunk]))  # noqa: PERF401  # what came before the error is to be kept

    with pytest.raises(APIError) as raised:
        asyncio.run(ask())

    assert "".join(answer) == "w0 w1 "
    assert raised.value.code == "PROVIDER_DOWN"


def test_the_sdks_api_key_is_the_gateways_token(
    client: OpenAI, deploy: Deploy, start_server: Callable[..., Server], ray_head: RayHead
) -> None:
    tokens = {
        "GATEWAY_TOKENS": "app:right-token:chat\nops:admins-token:admin",
        "WEB_CONCURRENCY": "1",
    }
    guarded = client.with_options(
        base_url=f"{start_server({**ray_head.environment, **tokens}).url}/v1"
    )
    name = deploy()

    def ask(token: str) -> str | None:
        asked = guarded.with_options(api_key=token).chat.completions.create(
            model=name, messages=says("hi")
        )
        return asked.choices[0].message.content

    assert ask("right-token") == "openai:hi"
    with pytest.raises(AuthenticationError, match="needs a token"):
        ask("wrong-token")
    with pytest.raises(PermissionDeniedError, match="scope 'chat'"):
        ask("admins-token")
