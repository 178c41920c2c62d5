"""What /v1 relays beside chats, as its own clients ask for it: the openai and the anthropic SDK,
and Vercel's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from anthropic import Anthropic
from anthropic.types import MessageParam
from openai import OpenAI

from tests.environment import TOP, clean_environment
from tests.runtimes import SECONDS, needed, npm_installed
from tests.server import Deploy, Server
from tests.standin.client import StandIn

CLIENTS = TOP / "tests" / "clients"
ASKED: MessageParam = {"role": "user", "content": "Tell me about the sea."}


@pytest.fixture
def sdk(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAI]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Anthropic]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Anthropic(base_url=server.url, api_key="any", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("provider", ["openai", "tongwen"])
def test_the_openai_sdk_gets_a_response(sdk: OpenAI, deploy: Deploy, provider: str) -> None:
    name = deploy(provider)

    answer = sdk.responses.with_raw_response.create(model=name, input="Tell me about the sea.")

    response = answer.parse()
    assert response.output_text == f"{provider}:Tell me about the sea."
    assert (response.model, response.status) == (name, "completed")
    assert answer.headers["X-Provider-Model"] == "echo"


def test_the_openai_sdk_streams_a_response(sdk: OpenAI, deploy: Deploy) -> None:
    name = deploy()

    with sdk.responses.stream(model=name, input="Tell me about the sea.") as stream:
        kinds = [event.type for event in stream]
        response = stream.get_final_response()

    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds.count("response.output_text.delta") == 5
    assert (response.output_text, response.model) == ("openai:Tell me about the sea.", name)
    assert response.usage
    assert (response.usage.input_tokens, response.usage.output_tokens) == (7, 3)


def test_the_openai_sdk_gets_a_picture_and_a_moderation(sdk: OpenAI, deploy: Deploy) -> None:
    name = deploy()

    picture = sdk.images.generate(model=name, prompt="The sea.")
    well, ill = (sdk.moderations.create(model=name, input=words) for words in ("well", "ill"))

    assert picture.data
    assert picture.data[0].url == "https://images.example/1.png"
    assert "model" not in picture.to_dict()
    assert (well.results[0].flagged, ill.results[0].flagged) == (False, True)
    assert well.model == name


@pytest.mark.parametrize("provider", ["zhipu", "tongwen"])
def test_the_anthropic_sdk_gets_a_message(
    claude: Anthropic, deploy: Deploy, standin: StandIn, key: str, provider: str
) -> None:
    name = deploy(provider)

    message = claude.messages.create(model=name, max_tokens=99, messages=[ASKED])

    assert message.content[0].to_dict()["text"] == f"{provider}:Tell me about the sea."
    assert (message.model, message.stop_reason) == (name, "end_turn")
    [request] = standin.requests(key)
    assert request["path"].endswith("/anthropic/v1/messages")
    assert request["body"] == {"model": "echo", "max_tokens": 99, "messages": [ASKED]}
    headers = {name.lower(): value for name, value in request["headers"].items()}
    assert headers["authorization"] == f"Bearer {key}"
    assert headers["anthropic-version"] == "2023-06-01"
    assert "x-api-key" not in headers


def test_the_anthropic_sdk_streams_a_message(claude: Anthropic, deploy: Deploy) -> None:
    name = deploy("zhipu")

    with claude.messages.stream(model=name, max_tokens=99, messages=[ASKED]) as stream:
        words = list(stream.text_stream)
        message = stream.get_final_message()

    assert words == ["zhipu:Tell ", "me ", "about ", "the ", "sea."]
    assert message.model == name
    assert (message.usage.input_tokens, message.usage.output_tokens) == (7, 3)


def test_the_anthropic_sdk_counts_tokens_and_its_betas_reach_the_provider(
    claude: Anthropic, deploy: Deploy, standin: StandIn, key: str
) -> None:
    name = deploy("zhipu")

    count = claude.messages.count_tokens(model=name, messages=[ASKED])
    claude.beta.messages.create(
        model=name,
        max_tokens=9,
        messages=[{"role": "user", "content": "hi"}],
        betas=["context-1m-2025-08-07"],
    )

    assert count.input_tokens > 0
    first, second = standin.requests(key)
    assert first["path"] == "/api/anthropic/v1/messages/count_tokens"
    betas = {name.lower(): value for name, value in second["headers"].items()}
    assert betas["anthropic-beta"] == "context-1m-2025-08-07"


@pytest.mark.parametrize(("provider", "path"), [("zhipu", "rerank"), ("tongwen", "reranks")])
def test_texts_are_ranked(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str, provider: str, path: str
) -> None:
    body = {"model": deploy(provider), "query": "sea", "documents": ["a", "b"]}

    reply = gateway.post("/v1/rerank", json=body)

    assert reply.status_code == 200, reply.text
    assert [row["index"] for row in reply.json()["results"]] == [0, 1]
    assert "model" not in reply.json()
    assert standin.requests(key)[0]["path"].endswith(f"/{path}")


def test_a_refusal_is_each_sdks_own_error(sdk: OpenAI, claude: Anthropic, deploy: Deploy) -> None:
    unpaid = deploy("zhipu", "refuse:zhipu-1113")
    blocked = deploy("openai", "refuse:openai-content_policy_violation")

    with pytest.raises(anthropic.APIStatusError) as raised:
        claude.messages.create(model=unpaid, max_tokens=9, messages=[ASKED])
    with pytest.raises(openai.UnprocessableEntityError, match=r"policy|safety"):
        sdk.images.generate(model=blocked, prompt="The sea.")

    assert raised.value.status_code == 402
    assert isinstance(raised.value.body, dict)
    assert "Pay the bill" in raised.value.body["error"]["message"]


def test_a_path_that_the_provider_lacks_says_which_chats_have_it(
    gateway: httpx.Client, sdk: OpenAI, claude: Anthropic, deploy: Deploy
) -> None:
    zhipu, openai_s = deploy("zhipu"), deploy("openai")

    with pytest.raises(openai.BadRequestError) as raised:
        sdk.responses.create(model=zhipu, input="hi")
    with pytest.raises(openai.BadRequestError) as streamed:
        sdk.responses.create(model=zhipu, input="hi", stream=True)
    with pytest.raises(anthropic.BadRequestError) as other:
        claude.messages.create(model=openai_s, max_tokens=9, messages=[ASKED])

    for error in (raised, streamed):
        assert error.value.param == "model"
        assert "model: its provider, zhipu, has no /responses; chats that have it: " in str(error)
        assert openai_s in error.value.message
        assert zhipu not in error.value.message.partition("that have it")[2]
    assert zhipu in str(other.value.body)


def test_usage_and_requests_are_counted_as_for_chats(
    gateway: httpx.Client, claude: Anthropic, deploy: Deploy
) -> None:
    name = deploy("zhipu")

    claude.messages.create(model=name, max_tokens=99, messages=[ASKED])
    with claude.messages.stream(model=name, max_tokens=99, messages=[ASKED]) as stream:
        stream.until_done()

    lines = gateway.get("/metrics").text.splitlines()
    counts = [line.rpartition(" ")[::2] for line in lines if f'chat="{name}"' in line]
    answers = [count for row, count in counts if 'code="OK"' in row and "/v1/messages" in row]
    tokens = [count for row, count in counts if row.startswith("gateway_tokens_total")]
    assert answers == ["2.0"], counts
    assert sorted(tokens) == ["14.0", "6.0"], counts


# Vercel's AI SDK, whose default for OpenAI is Responses.


AiCall = Callable[[str, str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def ai_client() -> Path:
    """tests/clients/ai-sdk/ai.mjs, beside its packages."""
    needed("node")
    return npm_installed(CLIENTS / "ai-sdk") / "ai.mjs"


@pytest.fixture
def ai(server: Server, ai_client: Path) -> AiCall:
    """Let the AI SDK make one of ai.mjs's calls, by a provider's protocol, for a chat's name."""

    def call(protocol: str, what: str, name: str) -> dict[str, Any]:
        ended = subprocess.run(
            ["node", str(ai_client), server.url, protocol, what, name],
            env={**clean_environment(), "no_proxy": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        answer: dict[str, Any] = json.loads(ended.stdout)
        return answer

    return call


PROTOCOLS = pytest.mark.parametrize(
    ("protocol", "provider"), [("openai", "openai"), ("anthropic", "zhipu")]
)


@PROTOCOLS
def test_the_ai_sdk_gets_an_answer_whole_and_streamed(
    ai: AiCall, deploy: Deploy, protocol: str, provider: str
) -> None:
    name, words = deploy(provider), f"{provider}:Tell me about the sea."

    assert ai(protocol, "whole", name) == {"text": words, "model": name, "input": 7, "output": 3}
    streamed = ai(protocol, "stream", name)
    assert "".join(streamed.pop("pieces")) == words
    assert streamed == {"input": 7, "output": 3}


@PROTOCOLS
@pytest.mark.parametrize("call", ["whole", "stream"])
def test_the_ai_sdk_raises_that_the_bill_is_unpaid(
    ai: AiCall, deploy: Deploy, protocol: str, provider: str, call: str
) -> None:
    row = {"openai": "openai-insufficient_quota", "zhipu": "zhipu-1113"}[provider]

    answer = ai(protocol, call, deploy(provider, f"refuse:{row}"))

    assert (answer["raised"], answer["status"]) == ("AI_APICallError", 402)
    assert "Pay the bill" in answer["message"]
