"""Connections to a provider: which die and are asked again, odd servers, what is sent, what typed
clients send."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from tests.fronts import (
    CUT,
    FRONTS,
    WHOLE,
    Front,
    RawChat,
    assert_refused,
    chat,
    compare,
    compare_stream,
    events,
    good,
    in_turn,
    of,
    v1_stream,
)
from tests.standin.raw import (
    CLOSE,
    DONE,
    LAST,
    RESET,
    End,
    Reply,
    Request,
    by_mode,
    chunk,
    completion,
    event,
    opening,
    piece,
    streamed,
    whole,
)

every_front = pytest.mark.parametrize("front", FRONTS, ids=of)
every_end = pytest.mark.parametrize("end", [CLOSE, RESET])
GOOD = good("Ja")


@every_front
@every_end
def test_a_kept_connection_that_is_dead_costs_nothing(
    raw_chat: RawChat, front: Front, end: End
) -> None:
    # It dies in the moment in which it is asked: nobody can know before.
    raw_chat.deploy(lambda request: GOOD(request) if request.number == 1 else (end,))
    for _ in range(3):
        outcome = raw_chat.ask(front)
        assert (outcome.words, outcome.code) == ("Ja", "")

    asked = [(request.connection, request.number) for request in raw_chat.raw.requests]
    assert asked == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]


@every_end
def test_a_kept_connection_that_died_meanwhile_costs_nothing(raw_chat: RawChat, end: End) -> None:
    answered = threading.Event()

    def script(request: Request) -> Reply:
        answered.set()
        reply = GOOD(request)
        return (reply, end) if isinstance(reply, bytes) else reply

    raw_chat.deploy(script)
    for _ in range(3):
        assert raw_chat.ask(chat).words == "Ja"
        assert answered.wait(1)
    assert [request.number for request in raw_chat.raw.requests] == [1, 1, 1]


@every_front
@every_end
def test_a_new_connection_that_dies_is_asked_once(
    raw_chat: RawChat, spare: str, front: Front, end: End
) -> None:
    # The question may have been worked at, and paid for.
    raw_chat.deploy((0.05, end), fallback=spare)

    assert_refused(front, raw_chat.ask(front), "PROVIDER_DOWN")
    assert len(raw_chat.raw.requests) == 1


@every_front
@every_end
def test_a_kept_connection_that_dies_after_a_byte_is_asked_once(
    raw_chat: RawChat, front: Front, end: End
) -> None:
    raw_chat.deploy(
        lambda request: (
            GOOD(request) if request.number == 1 else (b"HTTP/1.1 200 OK\r\nContent", 0.05, end)
        )
    )
    assert raw_chat.ask(front).words == "Ja"

    assert raw_chat.ask(front).code == "PROVIDER_DOWN"
    assert len(raw_chat.raw.requests) == 2


@every_front
def test_a_new_connection_that_dies_in_turn_is_not_asked_again(
    raw_chat: RawChat, front: Front
) -> None:
    raw_chat.deploy(lambda request: GOOD(request) if len(raw_chat.raw.requests) == 1 else (CLOSE,))
    assert raw_chat.ask(front).words == "Ja"

    assert raw_chat.ask(front).code == "PROVIDER_DOWN"
    assert [(request.connection, request.number) for request in raw_chat.raw.requests] == [
        (1, 1),
        (1, 2),
        (2, 1),
    ]


@every_front
@pytest.mark.parametrize(
    "headers",
    [[f"Set-Cookie: c={'x' * 30_000}"], [f"X-{n}: {'y' * 300}" for n in range(200)]],
    ids=len,
)
def test_large_headers_cost_nothing(raw_chat: RawChat, front: Front, headers: list[str]) -> None:
    stream = opening(headers=headers) + piece(event(chunk("Ja", "stop")) + DONE) + LAST
    raw_chat.deploy(by_mode(whole(completion("Ja"), headers=headers), stream))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == ("Ja", "")


JSON = whole(completion("Ja"))
BODY = JSON.partition(b"\r\n\r\n")[2]
ODD: dict[str, Reply] = {
    "HTTP/1.0, until the end": (b"HTTP/1.0 200 OK\r\n\r\n" + BODY, CLOSE),
    "no reason": b"HTTP/1.1 200\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "100 before": b"HTTP/1.1 100 Continue\r\n\r\n" + JSON,
    "102 and 103 before": (
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n" + JSON
    ),
    "no type": whole(completion("Ja"), content_type=None),
    "a byte at a time": [bytes([byte]) for byte in JSON],
    "line ends while it works": (opening(), *(piece(b"\n"), 0.05) * 3, piece(BODY) + LAST),
}


@pytest.mark.parametrize("front", WHOLE, ids=of)
@pytest.mark.parametrize("reply", ODD)
def test_an_old_servers_reply_is_delivered(raw_chat: RawChat, front: Front, reply: str) -> None:
    raw_chat.deploy(ODD[reply])

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == ("Ja", "")


BROKEN: dict[str, Reply] = {
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", 0.02, CLOSE),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-", 0.02, CLOSE),
    "a length that is none": (b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", 0.02, CLOSE),
    "broken chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 0.02, CLOSE),
    "half a body": (JSON[:-5], 0.02, CLOSE),
    "no byte": (CLOSE,),
    "no byte, reset": (RESET,),
}
CLASSES = (
    "Error",
    "Exception",
    "Payload",
    "BadStatusLine",
    "BadHttp",
    "aiohttp",
    "Traceback",
    "[Errno",
)


@in_turn("how", BROKEN, each=2)
def test_an_error_says_what_happened_in_words(raw_chat: RawChat, front: Front, how: str) -> None:
    raw_chat.deploy(BROKEN[how])

    outcome = raw_chat.ask(front)

    assert outcome.code == "PROVIDER_DOWN"
    assert not [name for name in CLASSES if name in outcome.error["message"]], outcome.error[
        "message"
    ]


def test_a_provider_that_is_not_there_is_down_in_words(raw_chat: RawChat) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        raw_chat.deploy(GOOD, base_url=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        outcome = raw_chat.ask(chat)

    assert outcome.code == "PROVIDER_DOWN"
    assert not [name for name in CLASSES if name in outcome.error["message"]], outcome.error[
        "message"
    ]


def test_the_gateway_names_itself(raw_chat: RawChat) -> None:
    raw_chat.deploy(GOOD)
    raw_chat.ask(chat)

    agent = raw_chat.raw.requests[-1].headers["user-agent"].lower()
    assert "gateway" in agent
    assert "aiohttp" not in agent


REFUSED = {
    "error": {
        "message": "Unrecognized request argument supplied: stream_options",
        "type": "invalid_request_error",
    }
}


@pytest.mark.parametrize("front", [v1_stream, compare_stream], ids=of)
@pytest.mark.parametrize("status", ["400 Bad Request", "422 Unprocessable"])
def test_a_provider_that_refuses_stream_options_is_asked_without_them(
    raw_chat: RawChat, front: Front, status: str
) -> None:
    def script(request: Request) -> Reply:
        return whole(REFUSED, status) if "stream_options" in request.json else GOOD(request)

    raw_chat.deploy(script)
    options: dict[str, Any] = (
        {"stream_options": {"include_usage": True}} if front is v1_stream else {}
    )

    outcome = raw_chat.ask(front, **options)

    assert (outcome.words, outcome.code) == ("Ja", "")
    if front is v1_stream:
        assert len(raw_chat.raw.requests) == 2
        assert events(outcome.body)[-2]["usage"]["estimated"] is True


def test_stream_options_are_given_up_once_only(raw_chat: RawChat) -> None:
    raw_chat.deploy(whole(REFUSED, "400 Bad Request"))

    assert (
        raw_chat.ask(v1_stream, stream_options={"include_usage": True}).code
        == "BAD_UPSTREAM_REQUEST"
    )
    assert len(raw_chat.raw.requests) == 2


def test_a_refusal_that_does_not_name_stream_options_is_one(raw_chat: RawChat) -> None:
    raw_chat.deploy(whole({"error": {"message": "top_k is unknown"}}, "400 Bad Request"))

    assert (
        raw_chat.ask(v1_stream, stream_options={"include_usage": True}).code
        == "BAD_UPSTREAM_REQUEST"
    )
    assert len(raw_chat.raw.requests) == 1


NULLS: dict[str, Any] = dict.fromkeys(
    (
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "temperature",
        "max_tokens",
        "stop",
        "user",
        "n",
        "seed",
    )
)


@pytest.mark.parametrize(
    ("options", "streams"),
    [
        (NULLS, False),
        ({"stream": "false"}, False),
        ({"stream": False, "stream_options": None}, False),
        ({"stream": "true"}, True),
        ({"stream": True, "stream_options": None}, True),
        ({"stream": True, "stream_options": {"include_usage": None}}, True),
        ({"stream": True, "stream_options": {}}, True),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_typed_clients_send_means_one_thing_here_and_at_the_provider(
    raw_chat: RawChat, options: dict[str, Any], streams: bool
) -> None:
    raw_chat.deploy(GOOD)
    question = {"model": raw_chat.name, "messages": [{"role": "user", "content": "hi"}], **options}

    reply = raw_chat.http.post("/v1/chat/completions", json=question)

    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"].startswith("text/event-stream") == streams
    [request] = raw_chat.raw.requests
    assert request.json.get("stream") in ([True] if streams else [False, None])


@pytest.mark.parametrize("front", FRONTS, ids=of)
def test_an_endless_reply_has_an_end(raw_chat: RawChat, front: Front) -> None:
    raw_chat.deploy((opening(), *(piece(b": still here\n\n"), 0.2) * 60), timeout=1)

    started = time.monotonic()
    outcome = raw_chat.ask(front)

    assert outcome.code in ("TIMEOUT", "PROVIDER_DOWN")
    assert time.monotonic() - started < 8


def test_a_stream_whose_end_is_odd_keeps_no_one_waiting(raw_chat: RawChat) -> None:
    usage = event({**chunk(), "choices": [], "usage": [{"completion_tokens": {}}]})
    raw_chat.deploy(streamed(event(chunk("Ja", "stop")), usage, DONE))

    started = time.monotonic()
    outcomes = [raw_chat.ask(front) for front in (compare_stream, compare, v1_stream)]

    assert {outcome.words for outcome in outcomes} == {"Ja"}
    assert CUT not in {outcome.code for outcome in outcomes}
    assert time.monotonic() - started < 5
