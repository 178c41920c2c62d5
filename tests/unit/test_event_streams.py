"""Streams of Responses and Messages: what is passed on, what is held back, and what ends them."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocol import MESSAGES, RESPONSES
from gateway.providers.dialects import OPENAI
from gateway.providers.event_streams import EventStreamReader, reply_of
from gateway.providers.refusals import Refusal
from gateway.providers.relayed import relayed_reply
from gateway.providers.usage import Usage

Json = dict[str, Any]

KINDS = (
    *("response.created", "response.output_item.added", "response.output_text.delta"),
    *("response.completed", "response.failed", "message_start", "content_block_start"),
    *("content_block_delta", "message_delta", "message_stop", "error"),
)
NAMES = st.sampled_from(
    [
        *("response", "message", "output", "content", "item", "content_block", "delta", "index"),
        *("usage", "input_tokens", "status", "stop_reason", "incomplete_details", "reason"),
        *("model", "text", "input", "partial_json", "error", "type", "role"),
    ]
)
"""Of fields that are looked at."""


def framed(*events: Json) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode())
        for event in events
    )


def response(status: str = "completed", **more: Any) -> Json:
    """A response whose words are "blue"."""
    part = {"type": "output_text", "text": "blue"}
    output = [{"type": "message", "content": [part]}] if status == "completed" else []
    return {"id": "r", "status": status, "model": "m-7", "error": None, "output": output, **more}


CREATED: Json = {"type": "response.created", "response": response("in_progress")}
WORD: Json = {"type": "response.output_text.delta", "delta": "blue"}
THOUGHT: Json = {"type": "response.reasoning_summary_text.delta", "delta": "hm"}
USAGE = {"input_tokens": 7, "output_tokens": 3}
COMPLETED: Json = {"type": "response.completed", "response": response(usage=USAGE)}
SPACE = response(output=[{"type": "message", "content": [{"type": "output_text", "text": "\n"}]}])
TOO_FAST = {"code": "rate_limit_exceeded", "message": "Slow down."}
FAILED: Json = {"type": "response.failed", "response": response("failed", error=TOO_FAST)}
ERROR: Json = {"type": "error", "code": "insufficient_quota", "message": "Pay.", "param": None}

START: Json = {
    "type": "message_start",
    "message": {
        **{"id": "m", "type": "message", "model": "m-7", "content": [], "stop_reason": None},
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1},
    },
}
BLOCK: Json = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "text", "text": ""},
}
TEXT: Json = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "text_delta", "text": "blue"},
}
PONDER: Json = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "thinking_delta", "thinking": "hm"},
}
BLOCK_STOP: Json = {"type": "content_block_stop", "index": 0}
DELTA: Json = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 3},
}
STOP: Json = {"type": "message_stop"}
BUSY: Json = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def read(path: str, raw: bytes, size: int = 1 << 16) -> tuple[EventStreamReader, bytes]:
    """A reader at the end of `raw`, which came in parts, and what it passed on."""
    reader = EventStreamReader(path, OPENAI, shown="my-chat")
    came = b""
    for at in range(0, len(raw), size):
        came += b"".join(piece.event for piece in reader.feed(raw[at : at + size]))
    return reader, came + b"".join(piece.event for piece in reader.end())


def renamed(raw: bytes) -> Any:
    """What is in the events, with the chat's name for the model's."""
    return [
        json.loads(line.removeprefix(b"data: ").replace(b"m-7", b"my-chat"))
        for line in raw.splitlines()
        if line.startswith(b"data: ")
    ]


GOOD = {
    "responses": (RESPONSES, framed(CREATED, WORD, COMPLETED)),
    "messages": (MESSAGES, framed(START, BLOCK, TEXT, BLOCK_STOP, DELTA, STOP)),
}


COUNTS = {"responses": Usage(7, 3), "messages": Usage(7, 3, cached=2)}


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
@pytest.mark.parametrize("name", GOOD)
def test_a_stream_is_passed_on_whole_and_its_tokens_are_counted(name: str, size: int) -> None:
    path, raw = GOOD[name]

    reader, came = read(path, raw, size)

    assert renamed(came) == renamed(raw)
    assert b"m-7" not in came
    assert (reader.done, reader.refusal, reader.usage) == (True, None, COUNTS[name])


def test_an_event_without_the_models_name_is_passed_on_byte_for_byte() -> None:
    odd = b'event: response.output_text.delta\ndata: { "delta" : "bl\\u00fce", "x": 1e400}\n\n'

    _, came = read(RESPONSES, framed(CREATED) + odd + framed(COMPLETED))

    assert odd in came


@pytest.mark.parametrize(
    ("path", "quiet", "loud"),
    [
        (RESPONSES, CREATED, WORD),
        (RESPONSES, {**WORD, "delta": "\n"}, WORD),
        (RESPONSES, CREATED, THOUGHT),
        (MESSAGES, START, TEXT),
        (MESSAGES, BLOCK, TEXT),
        (MESSAGES, BLOCK, PONDER),
    ],
)
def test_what_says_nothing_yet_is_no_word(path: str, quiet: Json, loud: Json) -> None:
    reader = EventStreamReader(path, OPENAI)

    reader.feed(framed(quiet))
    spoke_first = reader.spoke
    reader.feed(framed(loud))

    assert (spoke_first, reader.spoke) == (False, True)


REFUSED = {
    "responses, an error first": (RESPONSES, framed(ERROR), "PAY_BILL"),
    "responses, an error after its beginning": (RESPONSES, framed(CREATED, ERROR), "PAY_BILL"),
    "responses, failed": (RESPONSES, framed(CREATED, FAILED), "SLOW_DOWN"),
    "responses, failed in the middle": (RESPONSES, framed(CREATED, WORD, FAILED), "SLOW_DOWN"),
    "responses, cut": (RESPONSES, framed(CREATED, WORD), "PROVIDER_DOWN"),
    "responses, cut at once": (RESPONSES, framed(CREATED), "PROVIDER_DOWN"),
    "responses, nothing": (RESPONSES, b"", "PROVIDER_DOWN"),
    "responses, no words": (
        RESPONSES,
        framed(CREATED, {"type": "response.completed", "response": response(output=[])}),
        "PROVIDER_DOWN",
    ),
    "responses, thoughts alone": (
        RESPONSES,
        framed(
            CREATED,
            THOUGHT,
            {
                "type": "response.incomplete",
                "response": response(
                    "incomplete", incomplete_details={"reason": "max_output_tokens"}
                ),
            },
        ),
        "TOO_LARGE",
    ),
    "responses, JSON that is an error": (
        RESPONSES,
        json.dumps({"error": {"code": "insufficient_quota", "message": "Pay."}}).encode(),
        "PAY_BILL",
    ),
    "messages, an error first": (MESSAGES, framed(BUSY), "PROVIDER_BUSY"),
    "messages, an error after its beginning": (MESSAGES, framed(START, BUSY), "PROVIDER_BUSY"),
    "messages, an error in the middle": (
        MESSAGES,
        framed(START, BLOCK, TEXT, BUSY),
        "PROVIDER_BUSY",
    ),
    "messages, cut": (MESSAGES, framed(START, BLOCK, TEXT), "PROVIDER_DOWN"),
    "messages, thoughts alone": (
        MESSAGES,
        framed(
            START,
            BLOCK,
            PONDER,
            {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}},
            STOP,
        ),
        "TOO_LARGE",
    ),
    "messages, no words": (MESSAGES, framed(START, DELTA, STOP), "PROVIDER_DOWN"),
    "messages, white space": (
        MESSAGES,
        framed(START, BLOCK, {**TEXT, "delta": {"type": "text_delta", "text": " "}}, DELTA, STOP),
        "PROVIDER_DOWN",
    ),
    "responses, white space": (
        RESPONSES,
        framed(CREATED, {**WORD, "delta": "\n"}, {"type": "response.completed", "response": SPACE}),
        "PROVIDER_DOWN",
    ),
    "messages, refused by the model": (
        MESSAGES,
        framed(START, {"type": "message_delta", "delta": {"stop_reason": "refusal"}}, STOP),
        "CONTENT_BLOCKED",
    ),
    "messages, a web page": (MESSAGES, b"<html><title>Hi</title></html>", "PROVIDER_DOWN"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_whole_answer_is_a_refusal(name: str) -> None:
    path, raw, code = REFUSED[name]

    reader, came = read(path, raw)

    assert reader.refusal is not None
    assert (reader.refusal.code, reader.whole) == (code, False)
    assert reader.spoke == any(word in raw for word in (b"blue", b"hm"))
    assert not {b'"error"', b"failed"} & set(came.split()), came


WHOLE: dict[str, tuple[str, Json]] = {
    "a function's call": (
        RESPONSES,
        response(output=[{"type": "function_call", "name": "f", "arguments": "{}"}]),
    ),
    "words that are cut": (
        RESPONSES,
        response(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
        | {"output": response()["output"]},
    ),
    "a tool's use": (
        MESSAGES,
        {
            **{"type": "message", "model": "m-7", "stop_reason": "tool_use"},
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "blue"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            ],
        },
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_reply_where_a_stream_was_asked_for_becomes_one(name: str) -> None:
    path, body = WHOLE[name]

    reader, came = read(path, json.dumps(body).encode())
    again, _ = read(path, came.replace(b"my-chat", b"m-7"))

    assert (reader.refusal, reader.done) == (None, True)
    assert (again.refusal, again.done) == (None, True)
    assert b"my-chat" in came


def test_messages_that_end_after_their_reason_are_whole_and_get_the_last_event() -> None:
    reader, came = read(MESSAGES, framed(START, BLOCK, TEXT, BLOCK_STOP, DELTA))

    assert reader.refusal is None
    assert came.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_where_a_whole_reply_was_asked_for_becomes_one(name: str) -> None:
    path, body = WHOLE[name]
    _, raw = read(path, json.dumps(body).encode())

    reply = reply_of(path, OPENAI, raw)

    assert not isinstance(reply, Refusal)
    assert {**reply.body, "usage": {}} == {**body, "model": "my-chat", "usage": {}} | (
        {"stop_sequence": None} if path == MESSAGES else {}
    )


@pytest.mark.parametrize("items", [[], ["full"], ["empty"]], ids=str)
def test_a_response_that_is_empty_at_its_end_is_what_was_said_on_the_way(items: list[str]) -> None:
    part = {"type": "output_text", "text": "blue", "annotations": []}
    item = {"type": "message", "role": "assistant", "status": "completed", "content": [part]}
    done = [
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": item if which == "full" else {**item, "content": []},
        }
        for which in items
    ]
    delta = {"type": "response.output_text.delta", "output_index": 0}
    raw = framed(
        {"type": "response.created", "response": {"id": "r", "status": "in_progress"}},
        *({**delta, "delta": words} for words in ("bl", "ue")),
        *done,
        {"type": "response.completed", "response": {"id": "r", "output": [], "model": "m"}},
    )

    reply = reply_of(RESPONSES, OPENAI, raw)

    assert not isinstance(reply, Refusal)
    assert reply.body["output"] == [item]


@pytest.mark.parametrize("name", REFUSED)
def test_a_stream_that_is_no_answer_is_none_as_a_whole_reply_either(name: str) -> None:
    path, raw, code = REFUSED[name]

    reply = reply_of(path, OPENAI, raw)

    assert isinstance(reply, Refusal)
    assert reply.code == code


RANKED = {"results": [{"index": 0, "relevance_score": 0.5}]}
REPLIES: dict[str, tuple[str, Json, str]] = {
    "ranks": ("/rerank", RANKED, ""),
    "Voyage's ranks": ("/rerank", {"data": RANKED["results"]}, ""),
    "no ranks": ("/rerank", {"results": []}, "PROVIDER_DOWN"),
    "Zhipu's moderation": ("/moderations", {"result_list": [{"risk_level": "PASS"}]}, ""),
    "no moderation": ("/moderations", {"id": "x"}, "PROVIDER_DOWN"),
    "a picture": ("/images/generations", {"created": 1, "data": [{"url": "u"}]}, ""),
    "a picture in base64": ("/images/generations", {"data": [{"b64_json": "AA=="}]}, ""),
    # vercel/ai#19168, #19185: xAI's
    "a picture that is withheld": (
        "/images/generations",
        {"data": [{"url": "", "respect_moderation": False}]},
        "CONTENT_BLOCKED",
    ),
    "no picture": (
        "/images/generations",
        {"data": [{"url": None, "b64_json": None}]},
        "PROVIDER_DOWN",
    ),
    # Comfy-Org/ComfyUI#9952: Volcengine's
    "an error in place of a picture": (
        "/images/generations",
        {"data": [{"error": {"code": "OutputImageSensitiveContentDetected", "message": "No."}}]},
        "CONTENT_BLOCKED",
    ),
    "one of two pictures": (
        "/images/generations",
        {"data": [{"error": {"code": "InternalServiceError"}}, {"url": "u"}]},
        "",
    ),
    "an unpaid picture": (
        "/images/generations",
        {"error": {"code": "insufficient_quota", "message": "Pay."}, "data": []},
        "PAY_BILL",
    ),
    "tokens": ("/messages/count_tokens", {"input_tokens": 0}, ""),
    "no tokens": ("/messages/count_tokens", {"input_tokens": "many"}, "PROVIDER_DOWN"),
    "words": (RESPONSES, response(), ""),
    "in the background": (RESPONSES, response("queued", output=[]), ""),
    "failed": (RESPONSES, response("failed", error=TOO_FAST), "SLOW_DOWN"),
    "failed for no reason": (RESPONSES, response("failed"), "PROVIDER_DOWN"),
    "no output": (RESPONSES, response(output=[]), "PROVIDER_DOWN"),
    "chat's shape": (RESPONSES, {"choices": [{"message": {"content": "x"}}]}, "PROVIDER_DOWN"),
    "a message": (
        MESSAGES,
        {"type": "message", "content": [{"type": "text", "text": "x"}], "usage": USAGE},
        "",
    ),
    "a message cut off before its first word": (
        MESSAGES,
        {"type": "message", "content": None, "stop_reason": "max_tokens"},
        "TOO_LARGE",
    ),
    "a message of nothing": (MESSAGES, {"type": "message", "content": ""}, "PROVIDER_DOWN"),
    "an empty message": (
        MESSAGES,
        {"type": "message", "content": [{"type": "text", "text": ""}], "stop_reason": "end_turn"},
        "PROVIDER_DOWN",
    ),
    "a message of white space": (
        MESSAGES,
        {"type": "message", "content": [{"type": "text", "text": " \n"}]},
        "PROVIDER_DOWN",
    ),
    "output of white space": (
        RESPONSES,
        response(output=[{"type": "message", "content": [{"type": "output_text", "text": "\n"}]}]),
        "PROVIDER_DOWN",
    ),
    "Anthropic's error": (MESSAGES, BUSY, "PROVIDER_BUSY"),
}


@pytest.mark.parametrize("name", REPLIES)
def test_a_whole_reply_is_an_answer_or_says_why_not(name: str) -> None:
    path, body, code = REPLIES[name]

    reply = relayed_reply(path, OPENAI, json.dumps(body).encode())

    assert (reply.code if isinstance(reply, Refusal) else "") == code
    if not isinstance(reply, Refusal):
        assert reply.body == body


@pytest.mark.parametrize(
    "body",
    [
        [{"index": 0, "score": 0.5}],  # TEI's: OmniRoute#13733
        {"output": {"results": [{"index": 0, "relevance_score": 0.5}]}, "request_id": "r"},
        {"results": [{"index": 0, "score": 0.5}]},
    ],
    ids=["a bare list", "DashScope's own", "a score of another name"],
)
def test_ranks_have_one_frame(body: Any) -> None:
    reply = relayed_reply("/rerank", OPENAI, json.dumps(body).encode())

    assert not isinstance(reply, Refusal)
    assert reply.body["results"][0]["relevance_score"] == 0.5


def test_a_messages_stream_has_what_anthropics_sdks_insist_on() -> None:
    """pi#1983, #6567, mesh-llm#1911: no `event:` lines, no usage, [DONE] at the end."""
    start = {**START, "message": {key: START["message"][key] for key in ("type", "content")}}
    delta = {key: value for key, value in DELTA.items() if key != "usage"}
    events = (start, BLOCK, TEXT, BLOCK_STOP, delta)
    raw = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)

    reader, came = read(MESSAGES, raw + b"data: [DONE]\n\n")

    assert reader.refusal is None
    names = re.findall(rb"^event: (\S+)$", came, re.M)
    assert [name.decode() for name in names] == [
        *(event["type"] for event in events),
        "message_stop",
    ]
    assert b"[DONE]" not in came
    sent = [json.loads(line[6:]) for line in came.splitlines() if line.startswith(b"data: ")]
    assert sent[0]["message"]["usage"] == {"input_tokens": 0, "output_tokens": 0}
    assert sent[4]["usage"] == {"output_tokens": 0}


def test_a_whole_response_made_a_stream_speaks_in_deltas() -> None:
    """gemini-web2api#57: clients of deltas look at nothing else."""
    output = [
        *response()["output"],
        {"type": "function_call", "id": "f1", "name": "f", "arguments": "{}"},
    ]
    _, came = read(RESPONSES, json.dumps(response(output=output)).encode())

    sent = [json.loads(line[6:]) for line in came.splitlines() if line.startswith(b"data: ")]
    deltas = {event["type"]: event["delta"] for event in sent if "delta" in event}
    assert deltas == {
        "response.output_text.delta": "blue",
        "response.function_call_arguments.delta": "{}",
    }
    assert [event["sequence_number"] for event in sent] == list(range(len(sent)))
    assert sent[-1]["response"]["output"] == output


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "response.output_text.done", "output_index": 0, "text": "blue"}],
        [{"type": "response.content_part.done", "part": {"type": "output_text", "text": "blue"}}],
        [WORD, {"type": "response.output_text.done", "text": "blue"}],
    ],
)
def test_words_that_no_delta_says_are_an_answer(events: list[Json]) -> None:
    """agentgateway#3326, oh-my-pi#4692: and it ends with an event of another name."""
    raw = framed(CREATED, *events, {"type": "response.done", "response": response(output=[])})

    reader, came = read(RESPONSES, raw)
    reply = reply_of(RESPONSES, OPENAI, raw)

    assert (reader.refusal, reader.done) == (None, True)
    assert b'event: response.completed\ndata: {"type":"response.completed"' in came
    assert not isinstance(reply, Refusal)
    assert reply.body["output"][0]["content"][0]["text"] == "blue"


def test_calls_that_only_their_events_tell_are_not_lost() -> None:
    """sub2api#6629, new-api#4362."""
    call = {"type": "function_call", "id": "f1", "name": "f", "arguments": ""}
    place = {"output_index": 0, "item_id": "f1"}
    raw = framed(
        CREATED,
        {"type": "response.output_item.added", **place, "item": call},
        {"type": "response.function_call_arguments.delta", **place, "delta": '{"id"'},
        {"type": "response.function_call_arguments.delta", **place, "delta": ":1}"},
        {"type": "response.completed", "response": response(output=[])},
    )

    reply = reply_of(RESPONSES, OPENAI, raw)

    assert not isinstance(reply, Refusal)
    assert reply.body["output"] == [{**call, "arguments": '{"id":1}'}]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 1 << 70) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(NAMES, ANYTHING, max_size=5), max_size=6), st.sampled_from(KINDS))
@settings(max_examples=60)
def test_whatever_comes_is_passed_on_or_refused(bodies: list[Json], kind: str) -> None:
    for path in (RESPONSES, MESSAGES):
        kinds = itertools.cycle((kind, *KINDS))
        raw = framed(*({**body, "type": next(kinds)} for body in bodies))
        reader, _ = read(path, raw)
        assert reader.whole or reader.refusal
        for body in (raw, json.dumps({**(bodies or [{}])[0], "type": "message"}).encode()):
            reader, _ = read(path, body)
            assert reader.whole or reader.refusal
            assert reply_of(path, OPENAI, body)
