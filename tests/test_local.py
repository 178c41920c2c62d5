"""The local model: a real answer when no provider is left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from gateway.protocol import EMBEDDED
from tests.gguf_files import GGUF, with_number
from tests.processes import actor_processes
from tests.server import Server


def test_the_embedded_model_answers_in_words(gateway: httpx.Client, local_chat: str) -> None:
    ask = {"chat_name": local_chat, "content": "Say hello.", "temperature": 0, "max_tokens": 20}
    reply = gateway.post("/local/chat", json=ask)

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
    assert gateway.post(
        "/local/deploy", json={"chat_name": chat_name, "model_name": str(other)}
    ).json() == {"ret": "ok"}

    reply = gateway.post(
        "/local/chat", json={"chat_name": chat_name, "content": "Hi", "max_tokens": 5}
    )

    assert reply.status_code == 200
    assert isinstance(reply.json(), str)


@pytest.fixture
def own_chat(gateway: httpx.Client, chat_name: str) -> str:
    """The embedded model under a name of this test's own."""
    assert gateway.post("/local/deploy", json={"chat_name": chat_name}).status_code == 200
    return chat_name


NO_MODELS = [
    "no-such-model",
    "/nowhere/model.gguf",
    __file__,
    "/etc",
    "relative.gguf",
    "/dev/zero",
    "/etc/shadow",
    "fifo",
]


def test_what_is_no_model_is_refused_in_the_same_words(
    gateway: httpx.Client, own_chat: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    texts = set()
    for model_name in [*NO_MODELS, str(tmp_path / "fifo")]:
        reply = gateway.post(
            "/local/deploy", json={"chat_name": own_chat, "model_name": model_name}
        )

        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "INVALID_REQUEST")
        error = reply.json()["error"]
        texts.add((error["message"] + error["message_zh"]).replace(repr(model_name), "IT"))
    [text] = texts
    assert text.startswith("model_name: cannot load IT.")


def test_what_is_no_model_leaves_no_chat_behind(gateway: httpx.Client, chat_name: str) -> None:
    assert (
        gateway.post(
            "/local/deploy", json={"chat_name": chat_name, "model_name": __file__}
        ).status_code
        == 400
    )
    assert gateway.post("/local/undeploy", json={"chat_name": chat_name}).status_code == 404


@pytest.mark.parametrize("key", ["llama.block_count", "llama.context_length"])
def test_a_damaged_file_disturbs_nobody(
    gateway: httpx.Client, ray_head: RayHead, own_chat: str, tmp_path: Path, key: str
) -> None:
    # llama.cpp ends its process over the first while it loads it, and over the second when it is
    # asked.
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(with_number(key, 0))
    before = model_actors(ray_head)
    ask = {
        "chat_name": own_chat,
        "content": "Count to a hundred.",
        "stream": True,
        "max_tokens": 400,
    }

    with gateway.stream("POST", "/local/chat", json=ask) as answer, ThreadPoolExecutor(1) as pool:
        words = answer.iter_text()
        assert next(words)
        deploy = {"chat_name": own_chat, "model_name": str(damaged), "check": True}
        reply = pool.submit(
            lambda: httpx.post(f"{gateway.base_url}/local/deploy", json=deploy, timeout=200)
        ).result()
        next(words, "")  # it goes on, if it has not ended by now

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert f"llama.cpp cannot load '{damaged}'" in reply.json()["error"]["message"]
    assert model_actors(ray_head) == before
    chat = {"chat_name": own_chat, "content": "Hi", "max_tokens": 5}
    assert gateway.post("/local/chat", json=chat).status_code == 200
    damaged.unlink()


def model_actors(head: RayHead) -> set[int]:
    return {process.pid for process in actor_processes(head, "ModelActor")}


def test_only_files_below_gateway_models_are_loaded(
    start_server: Callable[..., Server], ray_head: RayHead, chat_name: str, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(GGUF, models / "model.gguf")
    (models / "escape.gguf").symlink_to(GGUF)
    server = start_server(
        {**ray_head.environment, "WEB_CONCURRENCY": "1", "GATEWAY_MODELS": str(models)}
    )

    def deploy(name: str) -> httpx.Response:
        return server.http.post("/local/deploy", json={"chat_name": chat_name, "model_name": name})

    refusals = {
        deploy(name).json()["error"]["message"].replace(repr(name), "IT")
        for name in (
            str(GGUF),
            str(models / "escape.gguf"),
            f"{models}/../models/no-such.gguf",
            "/etc/passwd",
        )
    }
    assert len(refusals) == 1
    assert "GATEWAY_MODELS" in refusals.pop()
    assert deploy(str(models / "model.gguf")).json() == {"ret": "ok"}
    assert deploy(EMBEDDED).json() == {"ret": "ok"}
    (models / "model.gguf").unlink()  # pytest would keep its 100 MB
    server.stop()


def test_a_base_url_makes_no_sense_for_it(gateway: httpx.Client, chat_name: str) -> None:
    reply = gateway.post(
        "/local/deploy", json={"chat_name": chat_name, "base_url": "http://127.0.0.1:1"}
    )

    assert reply.json()["error"]["message"].startswith("base_url: ")
