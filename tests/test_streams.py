"""Streams: from the first token on, whole and in order, and gone at the provider when their client
is gone."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead
from tests.processes import actor_process
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.streamed import ask, events, words
from tests.waiting import until

pytestmark = pytest.mark.reuses_chats


@pytest.mark.parametrize("provider", ["openai", "zhipu", "tongwen"])
def test_a_stream_comes_as_the_provider_sends_it_under_the_chats_name(
    gateway: httpx.Client, deploy: Deploy, provider: str
) -> None:
    name = deploy(provider, "stream:10:1")

    arrived: list[float] = []
    with gateway.stream("POST", "/v1/chat/completions", json=ask(name)) as reply:
        text = ""
        for piece in reply.iter_text():
            arrived.append(time.monotonic())
            text += piece

    assert reply.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["X-Served-By"] == name
    assert reply.headers["X-Provider-Model"] == "stream:10:1"
    assert words(text) == "".join(f"w{n} " for n in range(10)).strip()
    assert events(text)[-1] == "[DONE]"
    assert {event["model"] for event in events(text) if isinstance(event, dict)} == {name}
    assert arrived[-1] - arrived[0] > 0.4, "it came all at once"


@pytest.mark.parametrize("behaviour", ["echo", "usage-always", "usage-never"])
@pytest.mark.parametrize("provider", ["openai", "zhipu", "tongwen"])
@pytest.mark.parametrize("include_usage", [True, False])
def test_usage_comes_last_and_only_if_asked_whatever_the_provider_does(
    gateway: httpx.Client, deploy: Deploy, provider: str, behaviour: str, include_usage: bool
) -> None:
    name = deploy(provider, behaviour)

    text = gateway.post(
        "/v1/chat/completions", json=ask(name, stream_options={"include_usage": include_usage})
    ).text

    *chunks, last, done = events(text)
    assert done == "[DONE]"
    assert isinstance(last, dict)
    counts = [chunk["usage"] for chunk in chunks if isinstance(chunk, dict) and chunk.get("usage")]
    assert counts == []
    if include_usage:
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] > 0
        assert last["usage"].get("estimated", False) == (behaviour == "usage-never")
    else:
        assert last["choices"]
        assert "usage" not in last


@pytest.mark.parametrize(
    ("behaviour", "status", "on_v1", "code"),
    [
        ("refuse:openai-insufficient_quota", 402, 402, "PAY_BILL"),
        ("refuse:openai-invalid_api_key", 502, 403, "BAD_KEY"),
        ("drop", 502, 502, "PROVIDER_DOWN"),
        ("garbage", 502, 502, "PROVIDER_DOWN"),
        ("hang", 504, 504, "TIMEOUT"),
    ],
)
def test_an_error_before_the_first_token_is_a_proper_status(
    gateway: httpx.Client, deploy: Deploy, behaviour: str, status: int, on_v1: int, code: str
) -> None:
    name = deploy(model_name=behaviour, timeout=2)

    reply = gateway.post("/v1/chat/completions", json=ask(name))
    plain = gateway.post("/openai/chat", json={"chat_name": name, "content": "hi", "stream": True})

    assert (reply.status_code, reply.json()["error"]["code"]) == (on_v1, code)
    assert (plain.status_code, plain.json()["error"]["code"]) == (status, code)
    assert (reply.headers.get("x-should-retry") == "false") == (code in ("PAY_BILL", "BAD_KEY"))


@pytest.mark.parametrize("behaviour", ["error-mid", "drop-mid"])
@pytest.mark.parametrize("provider", ["openai", "zhipu", "tongwen"])
def test_an_error_in_mid_stream_is_an_error_event_and_no_done(
    gateway: httpx.Client, deploy: Deploy, provider: str, behaviour: str
) -> None:
    text = gateway.post("/v1/chat/completions", json=ask(deploy(provider, behaviour))).text

    *chunks, last = events(text)
    assert words(text).split() == ["w0", "w1"]
    assert isinstance(last, dict)
    assert last["error"]["code"] in ("PROVIDER_DOWN", "SLOW_DOWN", "PROVIDER_BUSY")
    assert last["error"]["request_id"]
    assert "[DONE]" not in chunks
    assert "event: error" in text


def test_a_chat_streams_bare_text_for_a_client_that_can_read_it(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    reply = gateway.post(
        "/openai/chat", json={"chat_name": deploy(), "content": "你好 吗", "stream": True}
    )

    assert reply.text == "openai:你好 吗"
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_text_that_breaks_off_is_not_mistaken_for_a_whole_one(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    chat = {"chat_name": deploy(model_name="drop-mid"), "content": "hi", "stream": True}
    with pytest.raises(httpx.RemoteProtocolError):
        gateway.post("/openai/chat", json=chat)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/openai/chat"])
def test_a_client_that_goes_away_before_the_first_word_ends_the_providers_request(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str, path: str
) -> None:
    name = deploy(model_name="hang")
    body = (
        ask(name)
        if path.startswith("/v1")
        else {"chat_name": name, "content": "hi", "stream": True}
    )
    with pytest.raises(httpx.ReadTimeout):
        gateway.post(path, json=body, timeout=2)

    assert standin.count(key) == 1
    until(lambda: standin.open(key) == 0, 20)


@pytest.mark.parametrize("silent", [True, False])
def test_a_client_that_goes_away_ends_the_providers_request_within_a_second(
    server: Server, deploy: Deploy, standin: StandIn, key: str, silent: bool
) -> None:
    # Silent: a provider that says two words and then nothing, so that nothing is written to the
    # client any more.
    name = deploy(model_name="stream:2:60" if silent else "stream:4000:60")
    body = json.dumps(ask(name)).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length:"
        f" {len(body)}\r\n\r\n".encode()
    )

    def leave() -> float:
        """Hang up, and return after how many seconds the provider's request has ended."""
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
            client.sendall(head + body)
            if not silent:
                assert client.recv(100).startswith(b"HTTP/1.1 200")
            until(lambda: standin.open(key) == 1, 20)
        left = time.monotonic()
        until(lambda: standin.open(key) == 0, 10)
        return time.monotonic() - left

    # One of three: what a full machine does to one of them says nothing.
    assert any(leave() < (3 if silent else 1) for _ in range(3))


def test_64_streams_at_once_are_whole_and_in_order(server: Server, deploy: Deploy) -> None:
    name = deploy(model_name="stream:20:1")
    expected = "".join(f"w{n} " for n in range(20)).strip()

    def stream(_: int) -> str:
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
            return client.post("/v1/chat/completions", json=ask(name)).text

    with ThreadPoolExecutor(64) as pool:
        texts = list(pool.map(stream, range(64)))

    assert {words(text) for text in texts} == {expected}
    assert {events(text)[-1] for text in texts if isinstance(events(text)[-1], str)} == {"[DONE]"}


def test_a_slow_reader_costs_bounded_memory(
    server: Server, deploy: Deploy, ray_head: RayHead, new_name: str
) -> None:
    name = deploy(
        model_name="big:30000000", chat_name=new_name
    )  # one long word, faster than anyone reads
    actor = actor_process(ray_head, "ModelActor")
    workers = psutil.Process(server.process.pid).children()
    before = sum(p.memory_info().rss for p in [actor, *workers])
    body = json.dumps(ask(name)).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length:"
        f" {len(body)}\r\n\r\n".encode()
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(head + body)
        client.recv(100)
        most = 0
        for _ in range(30):  # three seconds in which it reads nothing
            most = max(most, sum(p.memory_info().rss for p in [actor, *workers]) - before)
            time.sleep(0.1)
    assert most < 150_000_000


def test_an_actor_that_dies_in_mid_stream_ends_it_with_an_error(
    gateway: httpx.Client, deploy: Deploy, ray_head: RayHead, new_name: str
) -> None:
    name = deploy(model_name="stream:100:8", chat_name=new_name)
    text = ""
    with gateway.stream("POST", "/v1/chat/completions", json=ask(name)) as reply:
        for piece in reply.iter_text():
            if not text:
                actor_process(ray_head, "ModelActor").kill()
            text += piece

    last = events(text)[-1]
    assert isinstance(last, dict)
    assert last["error"]["code"] == "CLUSTER_DOWN"
    again = gateway.post("/v1/chat/completions", json=ask(name))
    assert again.status_code == 200
    assert events(again.text)[-1] == "[DONE]"


def test_a_raw_reply_comes_back_as_it_came_but_for_the_models_name(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str
) -> None:
    sent = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "look"}]}],
        "seed": 7,
        "stop": ["x"],
        "response_format": {"type": "json_object"},
        "enable_thinking": False,
        "no_such_field": {"kept": [1, 2.5, None, "你"]},
    }
    reply = gateway.post("/v1/chat/completions", json={"model": deploy("zhipu", "think"), **sent})

    assert standin.requests(key)[-1]["body"] == {"model": "think", **sent}
    answer = reply.json()
    assert answer["choices"][0]["message"]["reasoning_content"]
    assert answer["request_id"]
    assert answer["usage"]["total_tokens"] > 0
    assert reply.headers["X-Provider-Model"] == "think"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "a b", "messages": [{"role": "user", "content": "x"}]}, "model"),
        ({"model": "x", "messages": []}, "messages"),
        ({"model": "x", "messages": "hi"}, "messages"),
        ({"model": "x", "messages": [{"role": "user"}], "stream": "maybe"}, "stream"),
    ],
)
def test_errors_on_v1_have_openais_shape_and_ours_in_it(
    gateway: httpx.Client, body: dict[str, Any], param: str
) -> None:
    reply = gateway.post("/v1/chat/completions", json=body)

    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["type"]) == (
        400,
        "INVALID_REQUEST",
        "invalid_request_error",
    )
    assert error["param"] == param
    assert error["message_zh"]
    assert error["request_id"] == reply.headers["X-Request-Id"]


def test_no_route_under_v1_answers_with_html(gateway: httpx.Client) -> None:
    reply = gateway.get("/v1/nonsense")
    assert (reply.status_code, reply.json()["error"]["type"]) == (404, "invalid_request_error")


def test_an_endpoint_that_the_provider_lacks_is_a_clear_error(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    reply = gateway.post("/v1/completions", json={"model": deploy("zhipu"), "prompt": "x"})

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "model")
    assert "/completions" in reply.json()["error"]["message"]
