"""The official Python SDK talks to /v1 as it talks to OpenAI: only its base URL and the model's
name differ.

What it raises is in test_openai_errors.py; other clients are in test_other_clients.py.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import struct
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI
from openai.types.chat import (
    ChatCompletionFunctionToolParam,
)
from pydantic import BaseModel

from tests.openai_sdk import says, words
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.standin.refusals import DIALECTS, Dialect

WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {"type": "object", "properties": {}},
    },
}


@pytest.fixture(scope="module")
def names(gateway: httpx.Client) -> Iterator[Callable[[], str]]:
    """In place of the shared `names`: two in turn, which each test deploys anew, since a switch in
    place takes no start of a process."""
    two = ["openai-sdk-1", "openai-sdk-2"]
    yield itertools.cycle(two).__next__
    for name in two:
        gateway.post("/openai/undeploy", json={"chat_name": name})


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAI]:
    """The SDK as it comes, its two hidden retries included."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # a proxy of this machine's must not come between
    with OpenAI(base_url=f"{server.url}/v1", api_key="any") as client:
        yield client


def asynchronous(client: OpenAI) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=client.base_url, api_key="any")


def test_the_local_model_answers_a_chat(client: OpenAI, local_chat: str) -> None:
    answer = client.chat.completions.create(
        model=local_chat, messages=says("Tell me about the sea."), max_tokens=20, temperature=0
    )

    assert len((answer.choices[0].message.content or "").split()) > 1
    assert answer.model == local_chat
    assert answer.usage
    assert 0 < answer.usage.completion_tokens <= 20


def test_the_local_model_streams_its_words(client: OpenAI, local_chat: str) -> None:
    with client.chat.completions.create(
        model=local_chat,
        messages=says("Tell me about the sea."),
        max_tokens=20,
        temperature=0,
        stream=True,
    ) as stream:
        chunks = list(stream)

    assert len(words(chunks).split()) > 1
    assert sum(bool(words([chunk])) for chunk in chunks) > 1, "it came in one piece"
    assert {chunk.model for chunk in chunks} == {local_chat}
    assert chunks[-1].choices[0].finish_reason


def test_chats_at_once_in_one_event_loop_each_get_their_own_answer(
    client: OpenAI, deploy: Deploy
) -> None:
    name = deploy(model_name="echo")

    async def ask_all() -> list[str | None]:
        async with asynchronous(client) as asked:
            chats = [
                asked.chat.completions.create(model=name, messages=says(str(number)))
                for number in range(20)
            ]
            return [answer.choices[0].message.content for answer in await asyncio.gather(*chats)]

    assert asyncio.run(ask_all()) == [f"openai:{number}" for number in range(20)]


def test_streams_at_once_in_one_event_loop_each_get_their_own_words(
    client: OpenAI, deploy: Deploy
) -> None:
    name = deploy("zhipu")

    async def ask(asked: AsyncOpenAI, content: str) -> str:
        async with await asked.chat.completions.create(
            model=name, messages=says(content), stream=True
        ) as stream:
            return words([chunk async for chunk in stream])

    async def ask_all() -> list[str]:
        async with asynchronous(client) as asked:
            return await asyncio.gather(
                *(ask(asked, f"{number} and so on") for number in range(20))
            )

    assert asyncio.run(ask_all()) == [f"zhipu:{number} and so on" for number in range(20)]


@pytest.mark.parametrize("stream", [True, False])
def test_the_headers_say_who_really_answered(client: OpenAI, deploy: Deploy, stream: bool) -> None:
    name = deploy("zhipu", "glm-4.7")

    with client.chat.completions.with_streaming_response.create(
        model=name, messages=says("hi"), stream=stream
    ) as reply:
        assert (reply.headers["X-Served-By"], reply.headers["X-Provider-Model"]) == (
            name,
            "glm-4.7",
        )


@pytest.mark.parametrize(
    ("provider", "behaviour"),
    [
        ("openai", "echo"),
        ("zhipu", "echo"),
        ("tongwen", "usage-always"),
        ("tongwen", "usage-never"),
    ],
)
def test_a_stream_tells_its_usage_if_asked_and_only_then(
    client: OpenAI, deploy: Deploy, provider: Dialect, behaviour: str
) -> None:
    name = deploy(provider, behaviour)

    silent = list(client.chat.completions.create(model=name, messages=says("a b c"), stream=True))
    *report, last = client.chat.completions.create(
        model=name, messages=says("a b c"), stream=True, stream_options={"include_usage": True}
    )

    assert words(silent) == words(report) == f"{provider}:a b c"
    assert [chunk.usage for chunk in silent + report] == [None] * len(silent + report)
    assert last.choices == []
    assert last.usage
    assert last.usage.completion_tokens > 0
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens


@pytest.mark.parametrize("provider", DIALECTS)
def test_a_tool_is_called_and_its_result_answered(
    client: OpenAI, deploy: Deploy, standin: StandIn, key: str, provider: Dialect
) -> None:
    name, messages = deploy(provider), says("What weather?")

    asked = client.chat.completions.create(model=name, messages=messages, tools=[WEATHER]).choices[
        0
    ]
    assert asked.finish_reason == "tool_calls"
    [call] = asked.message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("weather", "{}")

    called: Any = asked.message.model_dump(exclude_none=True)
    messages += [called, {"role": "tool", "tool_call_id": call.id, "content": "Rain."}]
    answer = client.chat.completions.create(model=name, messages=messages, tools=[WEATHER])
    assert answer.choices[0].message.content == f"{provider}:What weather?"

    first, second = (request["body"] for request in standin.requests(key))
    assert first == {"model": "echo", "messages": messages[:1], "tools": [WEATHER]}
    assert second == {"model": "echo", "messages": messages, "tools": [WEATHER]}


@pytest.mark.parametrize("provider", DIALECTS)
def test_the_sdk_puts_a_streamed_tool_call_together(
    client: OpenAI, deploy: Deploy, provider: Dialect
) -> None:
    with client.chat.completions.stream(
        model=deploy(provider), messages=says("What weather?"), tools=[WEATHER]
    ) as stream:
        choice = stream.get_final_completion().choices[0]

    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls or []
    assert (call.function.name, call.function.arguments) == ("weather", "{}")


def test_what_the_sdk_sends_arrives_at_the_provider_but_for_its_model(
    client: OpenAI, deploy: Deploy, standin: StandIn, key: str
) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    sent: dict[str, Any] = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "你好"}, picture]}],
        "response_format": {"type": "json_object"},
        "seed": 7,
        "stop": ["\n", "END"],
        "reasoning_effort": "low",
        "parallel_tool_calls": False,
    }
    extras = {
        "enable_thinking": False,
        "thinking": {"type": "disabled"},
        "of_tomorrow": [None, {"a": 1.5}],
    }

    client.chat.completions.create(model=deploy(model_name="gpt-4.1"), extra_body=extras, **sent)

    [arrived] = standin.requests(key)
    assert arrived["body"] == {"model": "gpt-4.1", **sent, **extras}


@pytest.mark.parametrize("stream", [None, "false", 0, "0", True, "true", 1, "True"])
def test_what_we_take_stream_for_is_what_the_provider_gets(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str, stream: Any
) -> None:
    reply = gateway.post(
        "/v1/chat/completions", json={"model": deploy(), "messages": says("hi"), "stream": stream}
    )

    streams = str(stream).lower() in ("true", "1")
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"].startswith(
        "text/event-stream" if streams else "application/json"
    )
    [arrived] = standin.requests(key)
    # a stream always tells what it took: the ledger wants to know
    counted = {"stream_options": {"include_usage": True}} if streams else {}
    expected = {"model": "echo", "messages": says("hi"), "stream": streams, **counted}
    assert arrived["body"] == expected
    assert isinstance(arrived["body"]["stream"], bool)


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_typed_client_leaves_null_goes_through(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str, stream: bool
) -> None:
    nulls = dict.fromkeys(
        ("temperature", "max_tokens", "tools", "stop", "user", "response_format", "stream_options")
    )
    sent = {"messages": says("hi"), "stream": stream, **nulls}

    reply = gateway.post("/v1/chat/completions", json={"model": deploy(), **sent})

    assert reply.status_code == 200, reply.text
    [arrived] = standin.requests(key)
    counted = {"stream_options": {"include_usage": True}} if stream else {}
    assert arrived["body"] == {"model": "echo", **sent, **counted}


def test_no_usage_is_told_where_include_usage_is_null(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    sent = {"messages": says("hi"), "stream": True, "stream_options": {"include_usage": None}}

    reply = gateway.post(
        "/v1/chat/completions", json={"model": deploy(model_name="usage-always"), **sent}
    )

    assert reply.status_code == 200, reply.text
    assert reply.text.endswith("data: [DONE]\n\n")
    assert '"usage"' not in reply.text


@pytest.mark.parametrize("stream", [None, False, "false", 0])
def test_embeddings_come_whole_however_that_is_said(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str, stream: Any
) -> None:
    sent = {"input": ["a"], "dimensions": None, "user": None, "encoding_format": None}

    reply = gateway.post("/v1/embeddings", json={"model": deploy(), **sent, "stream": stream})

    assert reply.status_code == 200, reply.text
    [arrived] = standin.requests(key)
    assert arrived["body"] == {"model": "echo", **sent, "stream": False}


def test_embeddings_cannot_be_streamed(gateway: httpx.Client, deploy: Deploy) -> None:
    reply = gateway.post("/v1/embeddings", json={"model": deploy(), "input": "a", "stream": True})

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "stream")


def test_a_structured_answer_is_parsed_into_its_class(
    client: OpenAI, deploy: Deploy, standin: StandIn, key: str
) -> None:
    class Town(BaseModel):
        name: str
        people: int

    name = deploy(model_name='say:{"name": "杭州", "people": 12520000}')
    answer = client.chat.completions.parse(
        model=name, messages=says("Where?"), response_format=Town
    )

    assert answer.choices[0].message.parsed == Town(name="杭州", people=12520000)
    [arrived] = standin.requests(key)
    assert arrived["body"]["response_format"]["json_schema"]["name"] == "Town"


def test_reasoning_comes_back_whole_and_streamed(client: OpenAI, deploy: Deploy) -> None:
    name = deploy("zhipu", "think")

    whole = client.chat.completions.create(model=name, messages=says("hi")).choices[0].message
    chunks = list(client.chat.completions.create(model=name, messages=says("hi"), stream=True))

    assert whole.to_dict() == {
        "role": "assistant",
        "content": "zhipu:hi",
        "reasoning_content": "Let me think. ",
    }
    deltas = [choice.delta.to_dict() for chunk in chunks for choice in chunk.choices]
    assert "".join(str(delta.get("reasoning_content", "")) for delta in deltas) == "Let me think. "
    assert words(chunks) == "zhipu:hi"


@pytest.mark.parametrize("provider", ["openai", "zhipu"])
def test_embeddings_are_the_same_in_both_encodings(
    client: OpenAI, deploy: Deploy, provider: Dialect
) -> None:
    name, texts = deploy(provider), ["one", "二", "three"]

    # it asks for base64, and decodes
    as_the_sdk_likes = client.embeddings.create(model=name, input=texts)
    as_floats = client.embeddings.create(model=name, input=texts, encoding_format="float")
    as_base64 = client.embeddings.create(model=name, input=texts, encoding_format="base64")

    vectors = [row.embedding for row in as_floats.data]
    assert [len(vector) for vector in vectors] == [8, 8, 8]
    assert [row.embedding for row in as_the_sdk_likes.data] == vectors
    packed: list[Any] = [row.embedding for row in as_base64.data]
    assert [list(struct.unpack("<8f", base64.b64decode(text))) for text in packed] == vectors
    assert as_floats.model == name


def test_the_models_are_the_chats(client: OpenAI, deploy: Deploy) -> None:
    names = {deploy("openai"), deploy("zhipu")}

    assert names <= {model.id for model in client.models.list()}
    for name in names:
        assert client.models.retrieve(name).to_dict().keys() == {
            "id",
            "object",
            "created",
            "owned_by",
        }
    assert {client.models.retrieve(name).owned_by for name in names} == {"openai", "zhipu"}
    with pytest.raises(NotFoundError):
        client.models.retrieve("no-such-chat")


@pytest.mark.parametrize("behaviour", ["echo", "usage-always", "usage-never"])
def test_the_legacy_completions_are_answered_whole_and_streamed(
    client: OpenAI, deploy: Deploy, behaviour: str
) -> None:
    name = deploy(model_name=behaviour)

    whole = client.completions.create(model=name, prompt="a b c")
    *chunks, last = client.completions.create(
        model=name, prompt="a b c", stream=True, stream_options={"include_usage": True}
    )

    assert (whole.choices[0].text, whole.model) == ("openai:a b c", name)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "openai:a b c"
    assert last.usage
    assert last.usage.completion_tokens > 0


def test_a_provider_without_the_legacy_completions_says_so(client: OpenAI, deploy: Deploy) -> None:
    with pytest.raises(BadRequestError, match=r"zhipu, has no /completions") as raised:
        client.completions.create(model=deploy("zhipu"), prompt="a")

    assert raised.value.code == "INVALID_REQUEST"
