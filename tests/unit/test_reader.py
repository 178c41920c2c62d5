"""What is whole is delivered in OpenAI's shape, however oddly it was framed, and in whichever mode
it came."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.providers.dialects import OPENAI
from gateway.providers.usage import Usage
from gateway.providers.whole_replies import Reply, chat_reply
from tests.unit.shapes import (
    DONE,
    STREAM,
    WORDS,
    Heard,
    Json,
    choice_of,
    chunk,
    completion,
    event,
    heard,
    packed,
    whole,
)


def said(words: str, finish: str | None = None) -> Json:
    """A chunk that holds a message in place of a delta."""
    message = {"role": "assistant", "content": words}
    return {"object": "chat.completion.chunk", "choices": [choice_of("message", message, finish)]}


def typed(words: str, finish: str | None = None) -> Json:
    """A chunk of a legacy completion."""
    return {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "text": words, "finish_reason": finish}],
    }


def events(*chunks: Json) -> bytes:
    return b"".join(map(event, chunks))


ODDLY_FRAMED = {
    "as it should be": STREAM + DONE,
    "no end mark": STREAM,
    "CRLF": (STREAM + DONE).replace(b"\n", b"\r\n"),
    "CR": (STREAM + DONE).replace(b"\n", b"\r"),
    "mixed line ends": event(WORDS[0], b"\r\n\n")
    + event(WORDS[1], b"\n\r\n")
    + event(WORDS[2], b"\r\r")
    + DONE,
    "a byte order mark": b"\xef\xbb\xbf" + STREAM + DONE,
    "no line end at the end": STREAM.rstrip(),
    "single line ends": b"".join(event(part, b"\n") for part in WORDS) + DONE,
    "no blank after the colon": (STREAM + DONE).replace(b"data: ", b"data:"),
    "other fields": b"retry: 10\nid: 7\n: ping\n\n"
    + STREAM.replace(b"data:", b"event: message\nid: 1\ndata:")
    + DONE,
    "empty lines before it": b"\n\n\r\n" + STREAM + DONE,
    "data over several lines": b"".join(
        b"".join(
            b"data: " + line + b"\n" for line in json.dumps(part, indent=1).encode().split(b"\n")
        )
        + b"\n"
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
    "a whole reply, indented, after blank lines": b"\n\n"
    + json.dumps(completion(), indent=2).encode(),
    "a whole reply as the only event": event(completion()) + DONE,
    "a message in each chunk": events(
        said("The sky "), said("is "), said("blue."), said("", "stop")
    ),
    "all so far in each chunk": events(
        said(""), said("The "), said("The sky is "), said("The sky is blue.", "stop")
    ),
    "all so far, twice at the end": events(
        said("The sky"), said("The sky is blue."), said("The sky is blue.", "stop")
    ),
    "all so far, one of them twice on the way": events(
        said("The sky"), said("The sky is"), said("The sky is"), said("The sky is blue.", "stop")
    ),
    "a message in each chunk, and then the whole": events(
        said("The sky "), said("is "), said("blue."), said("The sky is blue.", "stop")
    ),
    "a text in each chunk": events(typed("The sky "), typed("is blue."), typed("", "stop")),
    "DashScope's own, with a message in each": events(
        {"output": said("The sky ", "null")}, {"output": said("is blue.", "stop")}
    ),
    "the whole message once more at the end": STREAM[: STREAM.rindex(b"data:")]
    + event(completion())
    + DONE,
}


@pytest.mark.parametrize("stream", ODDLY_FRAMED.values(), ids=ODDLY_FRAMED)
@pytest.mark.parametrize("words_only", [True, False])
def test_a_stream_is_delivered_however_it_is_framed(stream: bytes, words_only: bool) -> None:
    answer = heard(stream, words_only)

    assert (answer.text, answer.code) == ("The sky is blue.", "")
    assert all("message" not in choice for part in answer.chunks for choice in part["choices"])


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

    answer = Heard([stream[a:b] for a, b in itertools.pairwise(edges)])

    assert (answer.text, answer.code) == ("The sky is blue.", "")


def test_white_space_before_the_words_stays() -> None:
    answer = heard(event(chunk("\n\n")) + event(chunk(" ")) + STREAM + DONE)
    assert (answer.text, answer.code) == ("\n\n The sky is blue.", "")


def test_where_code_is_completed_white_space_is_an_answer() -> None:
    body = {"object": "text_completion", "choices": [{"text": "\n    ", "finish_reason": "stop"}]}
    assert isinstance(chat_reply(OPENAI, packed(body), legacy=True), Reply)


CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Kunming"}'},
}


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
    first = {
        "index": 0,
        "id": "a",
        "type": "function",
        "function": {"name": "f", "arguments": '{"x":'},
    }
    second = {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}
    rest = [
        {"index": 1, "function": {"arguments": "{}"}},
        {"index": 0, "function": {"arguments": "1}"}},
    ]
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
    "parts with a field of another name": completion([{"type": "text", "content": "blue"}]),
    "parts with thoughts": completion(
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "blue"},
        ]
    ),
    "output_text": completion([{"type": "output_text", "text": "blue", "annotations": []}]),
    "a delta in a whole reply": {"choices": [choice_of("delta", {"content": "blue"}, "stop")]},
    "a bare text in a choice": {"choices": [{"index": 0, "text": "blue", "finish_reason": "stop"}]},
    "a message that is a text": {
        "choices": [{"index": 0, "message": "blue", "finish_reason": "stop"}]
    },
    "an empty error beside": {**completion("blue"), "error": {"message": "", "code": None}},
    "a null error beside": {**completion("blue"), "error": None},
    "a code of success beside": {**completion("blue"), "code": 0, "message": "Success", "sid": "x"},
    "a status of success beside": {**completion("blue"), "code": 200, "msg": "ok", "success": True},
    "base_resp of success": {
        **completion("blue"),
        "base_resp": {"status_code": 0, "status_msg": ""},
    },
    "a filter that came late": completion("blue", "content_filter"),
    "a limit": completion("blue", "length"),
    "a reason that nobody knows": completion("blue", "eos"),
    "no reason": completion("blue", None),
    "a refusal of the model's own": completion(None, refusal="blue"),
    "an odd usage": {**completion("blue"), "usage": "many"},
    "a relay's envelope": {"code": 0, "message": "ok", "data": completion("blue")},
    "DashScope's own": {
        "output": {"choices": [choice_of("message", {"content": "blue"}, "stop")]},
        "usage": {"input_tokens": 1, "output_tokens": 2},
    },
    "an array of one": [completion("blue")],
    "a second choice that speaks": {
        "choices": [
            choice_of("message", {"content": ""}, "stop"),
            choice_of("message", {"content": "blue"}, "stop"),
        ]
    },
}


@pytest.mark.parametrize("body", SAYS_BLUE.values(), ids=SAYS_BLUE)
def test_the_words_of_a_whole_reply_are_found_wherever_they_stand(body: Json) -> None:
    reply, stream = whole(body), heard(packed(body), words_only=True)

    assert isinstance(reply, Reply), reply
    assert reply.text == "blue"
    assert (stream.text, stream.code) == ("blue", "")


@pytest.mark.parametrize(("number", "text"), [(4, "4"), (0, "0"), (1.5, "1.5")])
def test_a_number_is_an_answer(number: float, text: str) -> None:
    reply = whole(completion(number))

    assert isinstance(reply, Reply)
    assert reply.body["choices"][0]["message"]["content"] == reply.text == text
    assert heard(event(chunk(number)) + event(chunk(finish="stop"))).text == text


def test_content_in_parts_becomes_a_text_with_its_thoughts_beside_it() -> None:
    reply = whole(SAYS_BLUE["parts with thoughts"])

    assert isinstance(reply, Reply)
    assert reply.body["choices"][0]["message"] == {
        "role": "assistant",
        "content": "blue",
        "reasoning_content": "hm",
    }


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

    for answer in (reply, label):
        assert isinstance(answer, Reply), answer
        assert answer.text == text
        answer.text.encode()
    stream = heard(
        event(packed(chunk("MARK")).replace(b'"MARK"', content).replace(b"\n", b" "))
        + event(chunk(finish="stop"))
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
    "label",
    [
        "iso-8859-1",
        "windows-1252",
        "gb2312",
        "GBK",
        "big5",
        "us-ascii",
        "latin9",
        "binary",
        "utf8mb4",
        "",
    ],
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
def test_another_charset_is_read_by_its_label_or_its_bytes(
    charset: str, label: str, text: str
) -> None:
    reply = whole(packed(completion(text)).decode().encode(charset), label)

    assert isinstance(reply, Reply)
    assert reply.text == text
