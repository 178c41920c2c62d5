"""What /v1 relays beside chats where a provider fails: what falls back, what ends a stream, and
what the chat rests with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.fronts import RawChat
from tests.server import Deploy
from tests.standin.client import StandIn
from tests.standin.raw import (
    CLOSE,
    RawProvider,
    Reply,
    Step,
    event,
    opening,
    piece,
    streamed,
    whole,
)

Json = dict[str, Any]

MESSAGE: Json = {"model": "", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
RESPONSE: Json = {"model": "", "input": "hi"}
ASKED = {"/v1/messages": MESSAGE, "/v1/responses": RESPONSE}
PROVIDERS = {"/v1/messages": "zhipu", "/v1/responses": "openai"}

UNPAID = {"error": {"code": "insufficient_quota", "message": "Pay."}}
UNPAID_ZHIPU = {"error": {"code": "1113", "message": "余额不足"}}


def named(data: Json) -> bytes:
    return event(data, data["type"])


CREATED = named(
    {"type": "response.created", "response": {"id": "r", "status": "in_progress", "model": "m-7"}}
)
WORD = named({"type": "response.output_text.delta", "delta": "blue"})
PART = {"type": "output_text", "text": "blue"}
WHOLE_RESPONSE: Json = {
    **{"id": "r", "status": "completed", "model": "m-7"},
    "output": [{"type": "message", "content": [PART]}],
}
COMPLETED = named({"type": "response.completed", "response": WHOLE_RESPONSE})
START = named(
    {
        "type": "message_start",
        "message": {
            **{"type": "message", "model": "m-7", "content": []},
            "usage": {"input_tokens": 3, "output_tokens": 1},
        },
    }
)
DELTA = {"type": "text_delta", "text": "blue"}
TEXT = named({"type": "content_block_delta", "index": 0, "delta": DELTA})
END = named(
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 2},
    }
)
STOP = named({"type": "message_stop"})
WHOLE_MESSAGE: Json = {
    **{"type": "message", "model": "m-7", "stop_reason": "end_turn"},
    "content": [{"type": "text", "text": "blue"}],
}
FAILED = named({"type": "error", "code": "server_error", "message": "Oh.", "param": None})
BUSY = named({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})

BEGUN = {"/v1/messages": (START, TEXT), "/v1/responses": (CREATED, WORD)}
GOOD = {
    "/v1/messages": (*BEGUN["/v1/messages"], END, STOP),
    "/v1/responses": (*BEGUN["/v1/responses"], COMPLETED),
}
ERRORS = {"/v1/messages": BUSY, "/v1/responses": FAILED}
ANSWERS = {"/v1/messages": WHOLE_MESSAGE, "/v1/responses": WHOLE_RESPONSE}
PATHS = sorted(ASKED)

paths = pytest.mark.parametrize("path", PATHS)


def post(chat: RawChat, path: str, **more: Any) -> httpx.Response:
    return chat.http.post(path, json={**ASKED[path], "model": chat.name, **more})


def events(text: str) -> list[tuple[str, Json]]:
    rows = [block.split("\n") for block in text.split("\n\n") if block]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in rows
    ]


def deployed(chat: RawChat, path: str, reply: Reply, **more: Any) -> None:
    chat.deploy(reply, PROVIDERS[path], **more)


@pytest.fixture(scope="module")
def helper(gateway: httpx.Client) -> Iterator[RawChat]:
    """A chat to fall back on, which answers on every path."""
    with RawProvider() as provider:
        yield (chat := RawChat(gateway, "relay-helper", provider))
        with suppress(httpx.HTTPError):
            gateway.post("/openai/undeploy", json={"chat_name": chat.name})


@paths
def test_a_good_stream_is_passed_on_and_only_the_models_name_becomes_the_chats(
    raw_chat: RawChat, path: str
) -> None:
    deployed(raw_chat, path, streamed(*GOOD[path]))

    reply = post(raw_chat, path, stream=True)

    assert reply.headers["Content-Type"].startswith("text/event-stream")
    assert reply.headers["X-Provider-Model"] == "m-7"
    expected = b"".join(GOOD[path]).decode().replace("m-7", raw_chat.name)
    assert events(reply.text) == events(expected)


@paths
@pytest.mark.parametrize("begun", [0, 1], ids=["first", "after its beginning"])
def test_an_error_before_the_first_word_is_a_refusal_with_its_code(
    raw_chat: RawChat, path: str, begun: int
) -> None:
    deployed(raw_chat, path, streamed(*BEGUN[path][:begun], ERRORS[path]))

    reply = post(raw_chat, path, stream=True)

    busy = path == "/v1/messages"
    assert reply.status_code == (503 if busy else 502), reply.text
    error = reply.json()
    assert ("Overloaded" if busy else "Oh.") in error["error"]["message"]
    assert (error.get("type") == "error") == busy


@paths
@pytest.mark.parametrize("stream", [False, True])
def test_whoever_cannot_answer_is_replaced_by_a_chat_that_has_the_path(
    raw_chat: RawChat, helper: RawChat, deploy: Deploy, path: str, stream: bool
) -> None:
    deployed(helper, path, streamed(*GOOD[path]) if stream else whole(ANSWERS[path]))
    without = deploy("openai" if path == "/v1/messages" else "zhipu")
    unpaid = UNPAID_ZHIPU if path == "/v1/messages" else UNPAID
    deployed(raw_chat, path, whole(unpaid, "429 Too Many"), fallback=[without, helper.name])

    reply = post(raw_chat, path, stream=stream)

    assert reply.status_code == 200, reply.text
    assert (reply.headers["X-Served-By"], reply.headers["X-Fell-Back"]) == (
        helper.name,
        "PAY_BILL",
    )
    assert f'"{raw_chat.name}"' in reply.text
    assert "m-7" not in reply.text
    assert raw_chat.state() == "resting"


VECTOR = {"data": [{"embedding": [0.5, -1.0]}]}


@pytest.mark.parametrize(
    ("model", "served"), [("acme/Embed-1", True), ("embed-2", False)], ids=["same", "another"]
)
def test_vectors_come_from_the_same_model_only(
    raw_chat: RawChat, helper: RawChat, model: str, served: bool
) -> None:
    helper.deploy(whole(VECTOR), model_name=model)
    raw_chat.deploy(whole(UNPAID, "429 Too Many"), model_name="embed-1", fallback=[helper.name])

    reply = raw_chat.http.post("/v1/embeddings", json={"model": raw_chat.name, "input": "hi"})

    if served:
        assert reply.headers["X-Served-By"] == helper.name
        assert reply.json()["data"][0]["embedding"] == VECTOR["data"][0]["embedding"]
    else:
        assert (reply.status_code, reply.json()["error"]["code"]) == (402, "PAY_BILL")
        assert helper.raw.requests == []


@paths
def test_an_error_in_mid_stream_ends_it_as_the_protocol_has_it(
    raw_chat: RawChat, path: str
) -> None:
    deployed(raw_chat, path, streamed(*BEGUN[path], ERRORS[path]))

    reply = post(raw_chat, path, stream=True)

    *_, (word, _), (name, last) = events(reply.text)
    assert word in ("content_block_delta", "response.output_text.delta")
    assert (name, last["type"]) == ("error", "error")
    if path == "/v1/messages":
        assert "Overloaded" in last["error"]["message"]
        assert last["error"]["type"] == "api_error"
    else:
        assert (last["code"], last["param"]) == ("PROVIDER_DOWN", None)
        assert "Oh." in last["message"]


@paths
@pytest.mark.parametrize("proper", [True, False], ids=["ended", "hung up"])
def test_a_cut_stream_ends_with_an_error_and_counts_as_a_failure(
    raw_chat: RawChat, path: str, proper: bool
) -> None:
    pieces: list[Step] = [opening(), *map(piece, BEGUN[path]), CLOSE]
    deployed(raw_chat, path, streamed(*BEGUN[path]) if proper else pieces)

    replies = [post(raw_chat, path, stream=True) for _ in range(5)]

    for reply in replies:
        name, last = events(reply.text)[-1]
        assert (name, last["type"]) == ("error", "error")
        assert not {"response.completed", "message_stop"} & {kind for kind, _ in events(reply.text)}
    assert raw_chat.state() == "resting"


@paths
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_inside_a_200_is_an_error(raw_chat: RawChat, path: str, stream: bool) -> None:
    deployed(raw_chat, path, whole(UNPAID_ZHIPU if path == "/v1/messages" else UNPAID))

    reply = post(raw_chat, path, stream=stream)

    assert reply.status_code == 402
    assert raw_chat.state() == "resting"


@pytest.mark.parametrize(
    ("path", "question", "nothing", "answer"),
    [
        (
            "rerank",
            {"query": "x", "documents": ["y"]},
            {"results": []},
            {"results": [{"index": 0}]},
        ),
        ("moderations", {"input": "x"}, {"id": "x"}, {"result_list": [{"risk_level": "PASS"}]}),
        ("images/generations", {"prompt": "x"}, {"data": []}, {"data": [{"url": "u"}]}),
    ],
)
def test_a_reply_is_passed_on_as_it_came_and_an_empty_one_is_a_failure(
    raw_chat: RawChat, path: str, question: Json, nothing: Json, answer: Json
) -> None:
    raw_chat.deploy(
        lambda request: whole(nothing if request.json.get("user") == "ill" else answer), "zhipu"
    )

    body = {"model": raw_chat.name, **question}
    ill = raw_chat.http.post(f"/v1/{path}", json={**body, "user": "ill"})
    well = raw_chat.http.post(f"/v1/{path}", json=body)

    assert (ill.status_code, ill.json()["error"]["code"]) == (502, "PROVIDER_DOWN")
    assert (well.status_code, well.json()) == (200, answer)


@paths
@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed"])
def test_a_path_that_is_not_there_after_all_is_said(
    raw_chat: RawChat, path: str, status: str
) -> None:
    deployed(raw_chat, path, whole(b"", status))

    reply = post(raw_chat, path)

    assert reply.status_code == 400
    assert "no such address" in reply.text


def test_of_several_keys_the_unpaid_one_rests_and_no_request_fails(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str
) -> None:
    standin.script(f"{key}-unpaid", ["refuse:zhipu-1113"])
    name = deploy("zhipu", api_key=f"{key}-unpaid,{key}")

    replies = [gateway.post("/v1/messages", json={**MESSAGE, "model": name}) for _ in range(4)]

    assert [reply.status_code for reply in replies] == [200] * 4
    assert standin.count(f"{key}-unpaid") == 1
    assert standin.count(key) == 4


def test_what_is_learnt_of_one_path_is_not_held_against_another(raw_chat: RawChat) -> None:
    def script(request: Any) -> bytes:
        if "top_n" in request.json:
            words = "Unknown parameter: 'top_n'."
            error = {"code": "unknown_parameter", "param": "top_n", "message": words}
            return whole({"error": error}, "400 Bad Request")
        return whole({"results": [{"index": 0}]} if "query" in request.json else WHOLE_MESSAGE)

    raw_chat.deploy(script, "zhipu", options={"temperature": 0.5})

    body = {"model": raw_chat.name, "query": "x", "documents": ["y"], "top_n": 1}
    ranked = raw_chat.http.post("/v1/rerank", json=body)
    message = post(raw_chat, "/v1/messages")

    assert (ranked.status_code, message.status_code) == (200, 200)
    assert [sorted(request.json) for request in raw_chat.raw.requests] == [
        ["documents", "model", "query", "top_n"],
        ["documents", "model", "query"],
        ["max_tokens", "messages", "model"],
    ]
