"""What a provider's success holds: an answer, whole and in OpenAI's shape, or a refusal. Never neither."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import OPENAI
from gateway.reader import Reply, StreamReader, chat_reply, other_reply
from gateway.refusals import Refusal
from gateway.usage import Usage, usage_in
from tests.unit.finish_rows import FINISHES, Finish
from tests.unit.usage_rows import USAGES
from tests.unit.usage_rows import Usage as UsageRow

Json = dict[str, Any]
GOOD_ENDS = ("stop", "length", "tool_calls", "end_turn")


def completion(content: Any = "The sky is blue.", finish: str | None = "stop", **message: Any) -> Json:
    said = {"role": "assistant", "content": content, **message}
    return {
        "id": "r1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [_choice("message", said, finish)],
    }


def chunk(content: Any = None, finish: str | None = None, **delta: Any) -> Json:
    said = {**({} if content is None else {"content": content}), **delta}
    return {
        "id": "r1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [_choice("delta", said, finish)],
    }


def _choice(name: str, said: Json, finish: str | None) -> Json:
    return {"index": 0, name: said, "finish_reason": finish}


def packed(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()


def event(value: Any, end: bytes = b"\n\n") -> bytes:
    return b"data: " + packed(value) + end


DONE = event(b"[DONE]")
WORDS = [chunk("The sky "), chunk("is blue."), chunk(finish="stop")]
STREAM = b"".join(map(event, WORDS))


def whole(body: Any, label: str = "") -> Reply | Refusal:
    return chat_reply(OPENAI, packed(body), label)


class Heard:
    """What a stream made of its bytes, cut into `pieces`."""

    def __init__(self, pieces: Iterable[bytes], words_only: bool = False, label: str = "") -> None:
        self.reader = StreamReader(OPENAI, label, words_only=words_only)
        self.chunks: list[Json] = []
        self.text = ""
        for piece in pieces:
            self._take(self.reader.feed(piece))
        self._take(self.reader.end())
        self.refusal = self.reader.refusal

    def _take(self, pieces: Iterable[Any]) -> None:
        for piece in pieces:
            self.chunks.append(piece.chunk)
            self.text += piece.text

    @property
    def code(self) -> str:
        return self.refusal.code if self.refusal else ""


def heard(stream: bytes, words_only: bool = False) -> Heard:
    return Heard([stream], words_only)


# What is whole is delivered, however oddly it is framed.

ODDLY_FRAMED = {
    "as it should be": STREAM + DONE,
    "no end mark": STREAM,
    "CRLF": (STREAM + DONE).replace(b"\n", b"\r\n"),
    "CR": (STREAM + DONE).replace(b"\n", b"\r"),
    "mixed line ends": event(WORDS[0], b"\r\n\n") + event(WORDS[1], b"\n\r\n") + event(WORDS[2], b"\r\r") + DONE,
    "a byte order mark": b"\xef\xbb\xbf" + STREAM + DONE,
    "no line end at the end": STREAM.rstrip(),
    "single line ends": b"".join(event(part, b"\n") for part in WORDS) + DONE,
    "no blank after the colon": (STREAM + DONE).replace(b"data: ", b"data:"),
    "other fields": b"retry: 10\nid: 7\n: ping\n\n" + STREAM.replace(b"data:", b"event: message\nid: 1\ndata:") + DONE,
    "empty lines before it": b"\n\n\r\n" + STREAM + DONE,
    "data over several lines": b"".join(
        b"".join(b"data: " + line + b"\n" for line in json.dumps(part, indent=1).encode().split(b"\n")) + b"\n"
        for part in WORDS
    ),
    "JSON lines": b"".join(packed(part) + b"\n" for part in WORDS),
    "two documents in one event": event(packed(WORDS[0]) + packed(WORDS[1])) + event(WORDS[2]),
    "JSON in strings": b"".join(event(json.dumps(part)) for part in WORDS),
    "words that are no JSON between": event(b"ping")
    + event(WORDS[0])
    + event(b"[PING]")
    + event(WORDS[1])
    + event(WORDS[2]),
    "an end mark in quotes": STREAM + event(b'"[DONE]"'),
    "whatever follows the end mark": STREAM + DONE + event({"error": {"message": "too late"}}),
    "a whole reply": packed(completion()),
    "a whole reply, indented, after blank lines": b"\n\n" + json.dumps(completion(), indent=2).encode(),
    "a whole reply as the only event": event(completion()) + DONE,
    "the whole message once more at the end": STREAM[: STREAM.rindex(b"data:")] + event(completion()) + DONE,
}


@pytest.mark.parametrize("stream", ODDLY_FRAMED.values(), ids=ODDLY_FRAMED)
@pytest.mark.parametrize("words_only", [True, False])
def test_a_stream_is_delivered_however_it_is_framed(stream: bytes, words_only: bool) -> None:
    said = heard(stream, words_only)

    assert (said.text, said.code) == ("The sky is blue.", "")
    assert all("message" not in choice for part in said.chunks for choice in part["choices"])


@pytest.mark.parametrize("stream", ODDLY_FRAMED.values(), ids=ODDLY_FRAMED)
def test_a_stream_instead_of_a_whole_reply_is_made_one(stream: bytes) -> None:
    reply = whole(stream)

    assert isinstance(reply, Reply), reply
    assert reply.text == "The sky is blue."
    assert reply.body["object"] == "chat.completion"
    [choice] = reply.body["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("The sky is blue.", "stop")
    assert "delta" not in choice


@settings(max_examples=300)
@given(st.sampled_from(list(ODDLY_FRAMED.values())), st.lists(st.integers(0, 1200), max_size=6))
def test_where_the_bytes_are_cut_makes_no_difference(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]

    said = Heard([stream[a:b] for a, b in itertools.pairwise(edges)])

    assert (said.text, said.code) == ("The sky is blue.", "")


CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Kunming"}'}}


def test_calls_of_tools_and_thoughts_survive_from_one_mode_to_the_other() -> None:
    reply = completion(None, "tool_calls", reasoning_content="Which city?", tool_calls=[CALL])
    stream = heard(packed({**reply, "usage": {"prompt_tokens": 5, "completion_tokens": 6}}))

    assert (stream.code, stream.reader.usage) == ("", Usage(5, 6))
    back = whole(b"".join(map(event, stream.chunks)) + DONE)
    assert isinstance(back, Reply)
    message = back.body["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("Which city?", None)
    assert message["tool_calls"] == [{"index": 0, **CALL}]
    assert back.usage == Usage(5, 6)


def test_a_tools_arguments_that_come_in_pieces_are_put_together_by_their_index() -> None:
    first = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":'}}
    second = {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}
    rest = [{"index": 1, "function": {"arguments": "{}"}}, {"index": 0, "function": {"arguments": "1}"}}]
    reply = whole(
        b"".join(event(chunk(tool_calls=calls)) for calls in ([first], [second], rest))
        + event(chunk(finish="tool_calls"))
    )

    assert isinstance(reply, Reply)
    calls = reply.body["choices"][0]["message"]["tool_calls"]
    assert [call["function"] for call in calls] == [
        {"name": "f", "arguments": '{"x":1}'},
        {"name": "g", "arguments": "{}"},
    ]


SAYS_BLUE = {
    "a text": completion("blue"),
    "parts": completion([{"type": "text", "text": "bl"}, {"type": "text", "text": "ue"}]),
    "a part": completion({"type": "text", "text": "blue"}),
    "parts that are texts": completion(["bl", "ue"]),
    "parts with thoughts": completion(
        [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "blue"}]
    ),
    "output_text": completion([{"type": "output_text", "text": "blue", "annotations": []}]),
    "a delta in a whole reply": {"choices": [_choice("delta", {"content": "blue"}, "stop")]},
    "a bare text in a choice": {"choices": [{"index": 0, "text": "blue", "finish_reason": "stop"}]},
    "a message that is a text": {"choices": [{"index": 0, "message": "blue", "finish_reason": "stop"}]},
    "an empty error beside": {**completion("blue"), "error": {"message": "", "code": None}},
    "a null error beside": {**completion("blue"), "error": None},
    "a code of success beside": {**completion("blue"), "code": 0, "message": "Success", "sid": "x"},
    "a status of success beside": {**completion("blue"), "code": 200, "msg": "ok", "success": True},
    "base_resp of success": {**completion("blue"), "base_resp": {"status_code": 0, "status_msg": ""}},
    "a filter that came late": completion("blue", "content_filter"),
    "a limit": completion("blue", "length"),
    "a reason that nobody knows": completion("blue", "eos"),
    "no reason": completion("blue", None),
    "a refusal of the model's own": completion(None, refusal="blue"),
    "an odd usage": {**completion("blue"), "usage": "many"},
    "a second choice that speaks": {
        "choices": [_choice("message", {"content": ""}, "stop"), _choice("message", {"content": "blue"}, "stop")]
    },
}


@pytest.mark.parametrize("body", SAYS_BLUE.values(), ids=SAYS_BLUE)
def test_the_words_of_a_whole_reply_are_found_wherever_they_stand(body: Json) -> None:
    reply, stream = whole(body), heard(packed(body), words_only=True)

    assert isinstance(reply, Reply), reply
    assert reply.text == "blue"
    assert (stream.text, stream.code) == ("blue", "")


def test_content_in_parts_becomes_a_text_with_its_thoughts_beside_it() -> None:
    reply = whole(SAYS_BLUE["parts with thoughts"])

    assert isinstance(reply, Reply)
    assert reply.body["choices"][0]["message"] == {"role": "assistant", "content": "blue", "reasoning_content": "hm"}


STRICT = {
    "half a surrogate": (rb'"one \ud83d two"', "one \ufffd two"),
    "the other half": (rb'"one \ude00 two"', "one \ufffd two"),
    "a whole pair": (rb'"one \ud83d\ude00 two"', "one 😀 two"),
    "an escaped backslash before it": (rb'"one \\ud83d two"', r"one \ud83d two"),
    "a byte that is no UTF-8": (b'"one \xff two"', "one \ufffd two"),
    "a character cut in two": (b'"one \xe5\xa4 two"', "one \ufffd two"),
    "raw control characters": (b'"one\n\t\x01two"', "one\n\t\x01two"),
    "NUL": (rb'"\u0000one"', "\0one"),
}


@pytest.mark.parametrize(("content", "text"), STRICT.values(), ids=STRICT)
def test_one_bad_character_costs_no_more_than_itself(content: bytes, text: str) -> None:
    marked = packed(completion("MARK")).replace(b'"MARK"', content)
    reply, label = whole(marked), whole(marked, "utf-8")

    for said in (reply, label):
        assert isinstance(said, Reply), said
        assert said.text == text
        said.text.encode()
    stream = heard(
        event(packed(chunk("MARK")).replace(b'"MARK"', content).replace(b"\n", b" ")) + event(chunk(finish="stop"))
    )
    assert (stream.text, stream.code) == (text.replace("\n", " "), "")


AROUND = {
    "a byte order mark": b"\xef\xbb\xbf%b",
    "blank lines": b"\r\n\n  %b\n\n",
    "NULs": b"\0\0%b\0",
    "a comment": b"%b<!-- served by proxy -->",
    "another document": b'%b{"took": 3}',
    "a warning": b"<br />Notice: Undefined index: x in <b>relay.php</b><br />%b",
    "a prefix against scripts": b")]}',\n%b",
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_what_stands_around_the_json_costs_nothing(around: bytes) -> None:
    reply = whole(around.replace(b"%b", packed(completion("blue"))))

    assert isinstance(reply, Reply), reply
    assert reply.text == "blue"


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" * 40])
def test_a_number_that_is_none_costs_no_answer(number: bytes) -> None:
    reply = whole(packed(completion("blue"))[:-1] + b', "logprob": ' + number + b"}")

    assert isinstance(reply, Reply)
    assert reply.text == "blue"


@pytest.mark.parametrize(
    "label", ["iso-8859-1", "windows-1252", "gb2312", "GBK", "big5", "us-ascii", "latin9", "binary", "utf8mb4", ""]
)
def test_utf8_is_read_as_such_whatever_its_label_says(label: str) -> None:
    reply = whole(packed(completion("天空是蓝色的。")), label)

    assert isinstance(reply, Reply)
    assert reply.text == "天空是蓝色的。"


@pytest.mark.parametrize(
    ("charset", "label", "text"),
    [
        *(("gbk", label, "天空的目录。") for label in ("gbk", "gb2312", "GB18030", "utf-8", "")),
        ("big5", "big5", "天空是藍色的。"),
        ("shift_jis", "Shift_JIS", "空は青い。"),
        ("utf-16", "utf-16", "天空"),
        ("utf-16-le", "", "天空"),
        ("iso-8859-1", "iso-8859-1", "naïve café"),
    ],
)
def test_another_charset_is_read_by_its_label_or_its_bytes(charset: str, label: str, text: str) -> None:
    reply = whole(packed(completion(text)).decode().encode(charset), label)

    assert isinstance(reply, Reply)
    assert reply.text == text


# A success without an answer is none.

FAILS = {
    "error, an object": (
        {"error": {"message": "Insufficient Balance", "type": "unknown_error", "code": "x"}},
        "PAY_BILL",
    ),
    "error, a text": ({"error": "model not found"}, "NO_SUCH_MODEL"),
    "error, true": ({"error": True, "message": "rate limit exceeded"}, "SLOW_DOWN"),
    "error, a list": ({"error": [{"message": "server overloaded"}]}, "PROVIDER_BUSY"),
    "error, a text with a code beside": ({"error": "No", "code": "insufficient_quota"}, "PAY_BILL"),
    "error beside empty choices": ({"choices": [], "error": {"code": 429, "message": "slow"}}, "SLOW_DOWN"),
    "error beside words": ({**completion("The sk", None), "error": {"code": 502, "message": "broke"}}, "PROVIDER_DOWN"),
    "error in a choice": (
        {
            "choices": [
                {"error": {"code": 503, "message": "no"}, "message": {"content": "The"}, "finish_reason": "error"}
            ]
        },
        "PROVIDER_BUSY",
    ),
    "a flat code and message": ({"code": "Arrearage", "message": "Access denied, please pay"}, "PAY_BILL"),
    "code, msg, success": ({"code": 401, "msg": "expired", "success": False}, "BAD_KEY"),
    "success alone": ({"success": "false"}, "PROVIDER_DOWN"),
    "error_type, error_message": (
        {"error_type": "AuthenticationError", "error_message": "incorrect api key"},
        "BAD_KEY",
    ),
    "error_code, error_msg": ({"error_code": 17, "error_msg": "请充值"}, "PAY_BILL"),
    "object error": ({"object": "error", "message": "maximum context length is 10", "code": 40303}, "TOO_LARGE"),
    "type error": ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "PROVIDER_BUSY"),
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
    "a list": ([{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid"}}], "BAD_KEY"),
    "a page": (b"<!DOCTYPE html><html><title>Welcome</title></html>", "PROVIDER_DOWN"),
    "a text": (b"upstream connect error", "PROVIDER_DOWN"),
    "nothing": (b"", "PROVIDER_DOWN"),
    "an empty object": ({}, "PROVIDER_DOWN"),
    "no choices": ({"choices": []}, "PROVIDER_DOWN"),
    "choices that are none": ({"choices": 7}, "PROVIDER_DOWN"),
    "choices of nothing": ({"choices": [None]}, "PROVIDER_DOWN"),
    "a choice without a message": ({"choices": [{"index": 0}]}, "PROVIDER_DOWN"),
    "a choice that was filtered": ({"choices": [{"index": 0, "finish_reason": "content_filter"}]}, "CONTENT_BLOCKED"),
    "no words": (completion(""), "PROVIDER_DOWN"),
    "null": (completion(None), "PROVIDER_DOWN"),
    "parts without words": (completion([{"type": "text", "text": ""}]), "PROVIDER_DOWN"),
    "thoughts only": (completion("", reasoning_content="The sky..."), "PROVIDER_DOWN"),
    "parts of thoughts only": (completion([{"type": "thinking", "thinking": "hm"}]), "PROVIDER_DOWN"),
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
        raw = (b"event: error\n" if form == "named event" else b"") + event(raw.replace(b"\n", b" ")) + DONE
    said = heard(raw, words_only)

    assert said.refusal
    if form != "named event":  # whose name alone says that it is an error
        assert said.code == code
    assert not (said.reader.answered and words_only and not said.text)


@pytest.mark.parametrize(
    ("body", "code"), [row for row in FAILS.values() if isinstance(row[0], dict) and "error" in row[0]]
)
def test_after_the_first_word_it_ends_the_stream_with_an_error(body: Any, code: str) -> None:
    said = heard(event(chunk("The sky ")) + event(body) + event(chunk("is blue.")) + DONE)

    assert said.code == code
    assert said.text.startswith("The sky ")
    assert "blue" not in said.text


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
    assert (heard(event(chunk("The sky")) + event(chunk(finish=reason)) + DONE).code == row.code) == (
        broken or not row.code
    )


BREAKS_OFF = {
    "before its finish": event(WORDS[0]) + event(WORDS[1]),
    "within an event": STREAM[: STREAM.index(b"is blue")],
    "with nothing": b"",
    "with a comment": b": OPENROUTER PROCESSING\n\n",
    "with the end mark only": DONE,
    "with a role only": event(chunk("", role="assistant")),
    "with a role and the end mark": event(chunk("", role="assistant")) + DONE,
    "with usage only": event({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}) + DONE,
    "with JSON that cannot be read": event(WORDS[0]) + event(b'{"choices": [{"delta"') + event(WORDS[2]) + DONE,
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


def test_thoughts_are_seen_by_those_who_read_chunks_but_are_no_answer() -> None:
    stream = event(chunk(reasoning_content="hm")) + event(chunk(finish="stop")) + DONE
    chunks, text = heard(stream), heard(stream, words_only=True)

    assert (chunks.reader.spoke, chunks.code) == (True, "PROVIDER_DOWN")
    assert (text.reader.spoke, text.code) == (False, "PROVIDER_DOWN")


@pytest.mark.parametrize("row", USAGES, ids=lambda row: row.provider)
def test_of_usage_only_what_can_be_believed_counts(row: UsageRow) -> None:
    total = Usage()
    for piece in row.pieces:
        total = total.most(usage_in(piece))
    assert total == Usage(row.tokens_in, row.tokens_out)

    said = heard(event(chunk("blue")) + b"".join(map(event, row.pieces)) + event(chunk(finish="stop")) + DONE)
    assert (said.text, said.code, said.reader.usage) == ("blue", "", total)


def test_embeddings_need_data() -> None:
    body = {"object": "list", "data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 3}}
    reply = other_reply(OPENAI, packed(body))

    assert isinstance(reply, Reply)
    assert (reply.body, reply.usage) == (body, Usage(3, None))
    nothings: list[Any] = [{"data": []}, {}, {"error": "no"}, b"<html>", []]
    for nothing in nothings:
        assert isinstance(other_reply(OPENAI, packed(nothing)), Refusal)


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
MIXTURES = st.lists(st.one_of(st.sampled_from(PARTS), st.binary(max_size=20)), max_size=8).map(b"".join)


@settings(max_examples=800)
@given(
    MIXTURES, st.lists(st.integers(0, 3000), max_size=5), st.booleans(), st.sampled_from(["", "gbk", "latin-1", "x"])
)
def test_whatever_comes_there_are_words_or_a_refusal(
    stream: bytes, cuts: list[int], words_only: bool, label: str
) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    said = Heard([stream[a:b] for a, b in itertools.pairwise(edges)], words_only, label)
    reply = chat_reply(OPENAI, stream, label)

    assert said.refusal or said.text or (not words_only and said.reader.answered)
    assert isinstance(reply, Refusal) or reply.text or any("tool_calls" in json.dumps(c) for c in reply.body["choices"])
    said.text.encode()
    json.dumps(said.chunks, ensure_ascii=False).encode()


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
