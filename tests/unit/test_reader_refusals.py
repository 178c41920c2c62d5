"""A success without an answer is none: it is a refusal, with the code of who must act. Never
neither."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.providers.dialects import OPENAI
from gateway.providers.reader import StreamReader
from gateway.providers.refusals import Refusal
from gateway.providers.relayed import relayed_reply
from gateway.providers.usage import Usage, usage_in
from gateway.providers.whole_replies import Reply, chat_reply
from tests.unit.finish_rows import FINISHES, Finish
from tests.unit.shapes import (
    DONE,
    STREAM,
    WORDS,
    Heard,
    chunk,
    completion,
    event,
    heard,
    packed,
    whole,
)
from tests.unit.usage_rows import USAGES
from tests.unit.usage_rows import Usage as UsageRow

FAILS = {
    "error, an object": (
        {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "x"}},
        "PAY_BILL",
    ),
    "error, a text": ({"error": "model not found"}, "NO_SUCH_MODEL"),
    "error, true": ({"error": True, "message": "rate limit exceeded"}, "SLOW_DOWN"),
    "error, a list": ({"error": [{"message": "server overloaded"}]}, "PROVIDER_BUSY"),
    "error, a text with a code beside": ({"error": "No", "code": "insufficient_quota"}, "PAY_BILL"),
    "error beside empty choices": (
        {"choices": [], "error": {"code": 429, "message": "slow"}},
        "SLOW_DOWN",
    ),
    "error beside words": (
        {**completion("The sk", None), "error": {"code": 502, "message": "broke"}},
        "PROVIDER_DOWN",
    ),
    "error in a choice": (
        {
            "choices": [
                {
                    "error": {"code": 503, "message": "no"},
                    "message": {"content": "The"},
                    "finish_reason": "error",
                }
            ]
        },
        "PROVIDER_BUSY",
    ),
    "a flat code and message": (
        {"code": "Arrearage", "message": "Access denied, please pay"},
        "PAY_BILL",
    ),
    "code, msg, success": ({"code": 401, "msg": "expired", "success": False}, "BAD_KEY"),
    "a relay's server_error, whose words know better": (
        {"error": {"type": "server_error", "message": "Insufficient account funds"}},
        "PAY_BILL",
    ),
    "a bad request, said by its type alone": (
        {"error": {"type": "invalid_request_error", "message": "temperature: too high"}},
        "BAD_UPSTREAM_REQUEST",
    ),
    "a status before the words": (
        {"code": "Oh", "message": "<400> InternalError.Algo: temperature: too high"},
        "BAD_UPSTREAM_REQUEST",
    ),
    "a thought in the words, and no word": (
        completion("<think>\nhm\n</think>\n\n"),
        "PROVIDER_DOWN",
    ),
    "a thought in the words, cut off": (completion("<think>\nhm", "length"), "TOO_LARGE"),
    "success alone": ({"success": "false"}, "PROVIDER_DOWN"),
    "error_type, error_message": (
        {"error_type": "AuthenticationError", "error_message": "incorrect api key"},
        "BAD_KEY",
    ),
    "error_code, error_msg": ({"error_code": 17, "error_msg": "请充值"}, "PAY_BILL"),
    "object error": (
        {"object": "error", "message": "maximum context length is 10", "code": 40303},
        "TOO_LARGE",
    ),
    "type error": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        "PROVIDER_BUSY",
    ),
    "base_resp": (
        {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        "PAY_BILL",
    ),
    "header": ({"header": {"code": 10013, "message": "内容违规"}}, "CONTENT_BLOCKED"),
    "Response.Error": (
        {"Response": {"Error": {"Code": "ResourceUnavailable.InArrears", "Message": "欠费"}}},
        "PAY_BILL",
    ),
    "detail": ({"detail": "Invalid API key"}, "BAD_KEY"),
    "a numeric code": ({"code": 504, "message": "late"}, "TIMEOUT"),
    "JSON in a string": (json.dumps({"error": {"code": 402, "message": "x"}}), "PAY_BILL"),
    "a list": (
        [{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid"}}],
        "BAD_KEY",
    ),
    "a page": (b"<!DOCTYPE html><html><title>Welcome</title></html>", "PROVIDER_DOWN"),
    "a text": (b"upstream connect error", "PROVIDER_DOWN"),
    "nothing": (b"", "PROVIDER_DOWN"),
    "an empty object": ({}, "PROVIDER_DOWN"),
    "no choices": ({"choices": []}, "PROVIDER_DOWN"),
    "choices that are none": ({"choices": 7}, "PROVIDER_DOWN"),
    "choices of nothing": ({"choices": [None]}, "PROVIDER_DOWN"),
    "a choice without a message": ({"choices": [{"index": 0}]}, "PROVIDER_DOWN"),
    "a choice that was filtered": (
        {"choices": [{"index": 0, "finish_reason": "content_filter"}]},
        "CONTENT_BLOCKED",
    ),
    "no words": (completion(""), "PROVIDER_DOWN"),
    "null": (completion(None), "PROVIDER_DOWN"),
    "white space": (completion(" \n\t\u3000"), "PROVIDER_DOWN"),
    "white space that was cut off": (completion("\n", "length"), "TOO_LARGE"),
    "parts without words": (completion([{"type": "text", "text": ""}]), "PROVIDER_DOWN"),
    "thoughts only": (completion("", reasoning_content="The sky..."), "PROVIDER_DOWN"),
    "parts of thoughts only": (
        completion([{"type": "thinking", "thinking": "hm"}]),
        "PROVIDER_DOWN",
    ),
    "cut off before a word": (completion("", "length"), "TOO_LARGE"),
    "cut off in its thoughts": (completion(None, "max_tokens", reasoning="The"), "TOO_LARGE"),
    "half a document": (packed(completion())[:-20], "PROVIDER_DOWN"),
}


@pytest.mark.parametrize(("body", "code"), FAILS.values(), ids=FAILS)
def test_a_success_without_an_answer_is_a_refusal(body: Any, code: str) -> None:
    reply = whole(body)

    assert isinstance(reply, Refusal), reply
    assert (reply.code, reply.detail.isascii()) == (code, True)


@pytest.mark.parametrize(("body", "code"), FAILS.values(), ids=FAILS)
@pytest.mark.parametrize("form", ["document", "event", "named event"])
@pytest.mark.parametrize("words_only", [True, False])
def test_in_a_stream_it_is_the_same(body: Any, code: str, form: str, words_only: bool) -> None:
    raw = packed(body)
    if form != "document":
        raw = (
            (b"event: error\n" if form == "named event" else b"")
            + event(raw.replace(b"\n", b" "))
            + DONE
        )
    answer = heard(raw, words_only)

    assert answer.refusal
    if form != "named event":  # whose name alone says that it is an error
        assert answer.code == code
    assert not (answer.reader.answered and words_only and not answer.text)


@pytest.mark.parametrize(
    ("body", "code"),
    [row for row in FAILS.values() if isinstance(row[0], dict) and "error" in row[0]],
)
def test_after_the_first_word_it_ends_the_stream_with_an_error(body: Any, code: str) -> None:
    answer = heard(event(chunk("The sky ")) + event(body) + event(chunk("is blue.")) + DONE)

    assert answer.code == code
    assert answer.text.startswith("The sky ")
    assert "blue" not in answer.text


@pytest.mark.parametrize("row", FINISHES, ids=lambda row: f"{row.provider}-{row.reason}")
def test_each_finish_reason_means_the_same_whole_and_streamed(row: Finish) -> None:
    reason = None if row.reason is None else str(row.reason)
    empty, spoken = whole(completion("", reason)), whole(completion("The sky", reason))
    stream = heard(event(chunk("", reason)) + DONE)

    assert isinstance(empty, Refusal)
    assert stream.code == empty.code
    if row.code:
        assert empty.code == row.code
    broken = row.code in ("PROVIDER_DOWN", "PROVIDER_BUSY")
    assert isinstance(spoken, Refusal) == broken
    assert (
        heard(event(chunk("The sky")) + event(chunk(finish=reason)) + DONE).code == row.code
    ) == (broken or not row.code)


BREAKS_OFF = {
    "before its finish": event(WORDS[0]) + event(WORDS[1]),
    "within an event": STREAM[: STREAM.index(b"is blue")],
    "with nothing": b"",
    "with a comment": b": OPENROUTER PROCESSING\n\n",
    "with the end mark only": DONE,
    "with a role only": event(chunk("", role="assistant")),
    "with a role and the end mark": event(chunk("", role="assistant")) + DONE,
    "with usage only": event({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}})
    + DONE,
    "with JSON that cannot be read": event(WORDS[0])
    + event(b'{"choices": [{"delta"')
    + event(WORDS[2])
    + DONE,
    "with an error's words": event(WORDS[0]) + b"Internal Server Error\n",
    "with one choice of two": event(
        {
            "choices": [
                {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"},
                {"index": 1, "delta": {"content": "b"}},
            ]
        }
    ),
}


@pytest.mark.parametrize("stream", BREAKS_OFF.values(), ids=BREAKS_OFF)
def test_a_stream_that_breaks_off_is_never_a_success(stream: bytes) -> None:
    assert heard(stream).code == "PROVIDER_DOWN"
    assert heard(stream, words_only=True).code == "PROVIDER_DOWN"
    assert isinstance(whole(stream), Refusal)


def test_an_error_on_a_line_of_its_own_is_heard_after_a_chunk_that_says_nothing() -> None:
    """llama.cpp's: ggml-org/llama.cpp#14566."""
    error = b'error: {"code":400,"message":"the request exceeds the available context size"}\n\n'

    assert heard(event(chunk(role="assistant")) + error).code == "TOO_LARGE"
    assert heard(event(chunk(role="assistant")) + error + DONE).code == "TOO_LARGE"


def test_thoughts_are_seen_by_those_who_read_chunks_but_are_no_answer() -> None:
    stream = event(chunk(reasoning_content="hm")) + event(chunk(finish="stop")) + DONE
    chunks, text = heard(stream), heard(stream, words_only=True)

    assert (chunks.reader.spoke, chunks.code) == (True, "PROVIDER_DOWN")
    assert (text.reader.spoke, text.code) == (False, "PROVIDER_DOWN")


@pytest.mark.parametrize("words_only", [False, True])
def test_thoughts_in_the_words_of_a_stream_are_no_answer_either(words_only: bool) -> None:
    def thinks(*pieces: str, finish: str = "stop") -> Heard:
        stream = b"".join(event(chunk(piece)) for piece in pieces)
        return heard(stream + event(chunk(finish=finish)) + DONE, words_only=words_only)

    assert thinks("\n<think>", "hm", "</th", "ink>", "\n").code == "PROVIDER_DOWN"
    assert thinks("<think>", "hm", finish="length").code == "TOO_LARGE"
    assert thinks("<think>", "hm").reader.spoke, "they are passed on as they come"
    assert not thinks("<think>hm</think>").reader.spoke, "a whole reply can fall back still"
    for pieces in (["<think>", "hm", "</think>", " blue"], ["<think>hm</th", "ink>blue"]):
        answer = thinks(*pieces)
        assert (answer.text, answer.code) == ("".join(pieces), "")
    assert thinks("<", "think> is a tag").code == ""


def test_an_answer_beside_a_thought_in_the_words_is_one() -> None:
    def answered(*chunks: dict[str, Any], legacy: bool = False) -> bool:
        reader = StreamReader(OPENAI, legacy=legacy)
        for one in chunks:
            reader.feed(event({"choices": [{"index": 0, **one}]}))
        reader.feed(DONE)
        reader.end()
        return reader.answered and reader.refusal is None

    call = [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]
    opening, end = {"delta": {"content": "<think>hm"}}, {"delta": {}, "finish_reason": "stop"}
    assert answered(opening, {"delta": {"content": "</think>", "tool_calls": call}}, end)
    assert answered({"delta": {"content": "<think>hm</think>", "tool_calls": call}}, end)

    other = {"index": 1, "delta": {"content": "Paris"}, "finish_reason": "stop"}
    assert answered(opening, other, {"delta": {"content": " hm"}, "finish_reason": "length"})

    tag, rest = {"text": "<think>"}, {"text": "a = 1", "finish_reason": "stop"}
    assert answered(tag, rest, legacy=True), "where code is completed a tag is code"


@pytest.mark.parametrize(
    ("counts", "cached"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 4}}, 4),  # OpenAI, Zhipu, DashScope
        ({"input_tokens_details": {"cached_tokens": 4}}, 4),  # OpenAI's Responses
        ({"cached_tokens": 4}, 4),  # Moonshot
        ({"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5}, 4),  # DeepSeek
        ({"cache_read_input_tokens": 4}, 4),  # Anthropic
        ({"prompt_tokens_details": None, "cached_tokens": "4"}, None),
        ({"prompt_tokens_details": {"cached_tokens": -1}}, None),
        ({}, None),
    ],
)
def test_tokens_that_a_cache_had_are_found_where_providers_say_them(
    counts: dict[str, Any], cached: int | None
) -> None:
    usage = usage_in({"usage": {"prompt_tokens": 9, "completion_tokens": 1, **counts}})
    assert usage == Usage(9, 1, cached)


@pytest.mark.parametrize("row", USAGES, ids=lambda row: row.provider)
def test_of_usage_only_what_can_be_believed_counts(row: UsageRow) -> None:
    total = Usage()
    for piece in row.pieces:
        total = total.most(usage_in(piece))
    assert total[:2] == (row.tokens_in, row.tokens_out)

    answer = heard(
        event(chunk("blue")) + b"".join(map(event, row.pieces)) + event(chunk(finish="stop")) + DONE
    )
    assert (answer.text, answer.code, answer.reader.usage) == ("blue", "", total)


def test_embeddings_need_data() -> None:
    body = {
        "object": "list",
        "data": [{"index": 0, "embedding": [0.5], "object": "embedding"}],
        "model": "m",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    reply = relayed_reply("/embeddings", OPENAI, packed(body))

    assert isinstance(reply, Reply)
    assert (reply.body, reply.usage) == (body, Usage(3, None))
    nothings: list[Any] = [{"data": []}, {}, {"error": "no"}, b"<html>", []]
    for nothing in nothings:
        assert isinstance(relayed_reply("/embeddings", OPENAI, packed(nothing)), Refusal)


PARTS = [
    *(event(part) for part in WORDS),
    *(event(body) for body, _ in FAILS.values()),
    *(packed(body) for body, _ in FAILS.values()),
    *(
        DONE,
        b"\n",
        b"\r\n",
        b"data:",
        b": ping\n",
        b"event: error\n",
        b"\xef\xbb\xbf",
        b"\0",
        b"{",
        b'{"choices":[{"delta":{"content":"x"',
    ),
]
MIXTURES = st.lists(st.one_of(st.sampled_from(PARTS), st.binary(max_size=20)), max_size=8).map(
    b"".join
)


@settings(max_examples=800)
@given(
    MIXTURES,
    st.lists(st.integers(0, 3000), max_size=5),
    st.booleans(),
    st.sampled_from(["", "gbk", "latin-1", "x"]),
)
def test_whatever_comes_there_are_words_or_a_refusal(
    stream: bytes, cuts: list[int], words_only: bool, label: str
) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    answer = Heard([stream[a:b] for a, b in itertools.pairwise(edges)], words_only, label)
    reply = chat_reply(OPENAI, stream, label)

    assert answer.refusal or answer.text or (not words_only and answer.reader.answered)
    assert (
        isinstance(reply, Refusal)
        or reply.text
        or any("tool_calls" in json.dumps(c) for c in reply.body["choices"])
    )
    answer.text.encode()
    json.dumps(answer.chunks, ensure_ascii=False).encode()


HOSTILE = {
    "documents without end": b"{}" * 2_000_000,
    "nests": b'{"a":' * 200_000,
    "lists": b"[" * 500_000,
    "an event without end": b"data: " + b"x" * 9_000_000,
    "blank lines": b"\n" * 2_000_000,
    "comments": b": ping\n\n" * 200_000,
    "empty events": b"data: {}\n\n" * 50_000,
    "brackets in lines": b'data: {"a": [\n' + b"data: {},\n" * 100_000,
}


@pytest.mark.parametrize("stream", HOSTILE.values(), ids=HOSTILE)
def test_what_is_made_to_keep_a_reader_busy_is_refused(stream: bytes) -> None:
    assert isinstance(whole(stream), Refusal)
    reader = StreamReader(OPENAI)
    with contextlib.suppress(ValueError):
        for at in range(0, len(stream), 1000):
            reader.feed(stream[at : at + 1000])
        reader.end()
        assert reader.refusal
    assert not reader.answered
