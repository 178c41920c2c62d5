"""The bytes beat the label: JSON that is not quite JSON, charsets, gzip, marks in a model's words,
odd counts."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest

from tests.fronts import (
    FRONTS,
    STREAMS,
    WHOLE,
    Front,
    RawChat,
    chat,
    chat_stream,
    compare,
    events,
    in_turn,
    of,
    v1,
    v1_stream,
)
from tests.standin.raw import (
    DONE,
    Script,
    by_mode,
    chunk,
    completion,
    event,
    slowly,
    streamed,
    whole,
)

every_front = pytest.mark.parametrize("front", FRONTS, ids=of)
END = event(chunk(finish="stop"))


def said(content: bytes, before: bytes = b"", after: bytes = b"") -> Script:
    """A provider whose JSON string of an answer is these bytes, and whose JSON stands between
    these."""

    def filled(data: dict[str, Any]) -> bytes:
        return before + json.dumps(data).encode().replace(b"FILL", content) + after

    return by_mode(
        whole(filled(completion("FILL"))), streamed(event(filled(chunk("FILL"))), END, DONE)
    )


FAULTS: dict[str, tuple[bytes, str]] = {
    "the first half of a surrogate pair": (rb"eins \ud83d zwei", "eins \ufffd zwei"),
    "the second half": (rb"eins \ude00 zwei", "eins \ufffd zwei"),
    "halves in the wrong order": (rb"eins \ude00\ud83d zwei", "eins \ufffd\ufffd zwei"),
    "a whole pair": (rb"eins \ud83d\ude00 zwei", "eins \U0001f600 zwei"),
    "half a character": (b"eins \xe6\x98 zwei", "eins \ufffd zwei"),
    "a stray byte": (b"eins \xfa zwei", "eins \ufffd zwei"),
    "a tab": (b"eins \t zwei", "eins \t zwei"),
    "a control character": (b"eins \x1b zwei", "eins \x1b zwei"),
}


def near(words: str, expected: str) -> bool:
    """Whether all but what was faulty arrived, the fault as itself or as U+FFFD or not at all."""
    fault = expected.removeprefix("eins ").removesuffix(" zwei")
    rest = words.removeprefix("eins ").removesuffix(" zwei")
    return (
        words.startswith("eins ")
        and words.endswith(" zwei")
        and rest in (fault, "\ufffd", "\ufffd\ufffd", "")
    )


@in_turn("fault", FAULTS, each=2)
def test_a_faulty_character_costs_that_character_at_most(
    raw_chat: RawChat, front: Front, fault: str
) -> None:
    content, expected = FAULTS[fault]
    raw_chat.deploy(said(content))

    outcome = raw_chat.ask(front)

    assert outcome.code == ""
    assert near(outcome.words, expected), outcome.words


@pytest.mark.parametrize("front", WHOLE, ids=of)
@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=repr)
def test_a_raw_line_end_in_a_whole_answer_is_one(
    raw_chat: RawChat, front: Front, end: bytes
) -> None:
    raw_chat.deploy(said(b"eins" + end + b"zwei"))

    assert raw_chat.ask(front).words.split() == ["eins", "zwei"]


AROUND: dict[str, tuple[bytes, bytes]] = {
    "a byte order mark": (b"\xef\xbb\xbf", b""),
    "line ends before": (b"\r\n \n\t", b""),
    "a comment after": (b"", b"\n<!-- served by node 4 -->"),
    "NULs after": (b"", b"\x00\x00"),
    "another object after": (b"", b' {"trace": 1}'),
    "a brace after": (b"", b"}"),
}


@in_turn("around", AROUND, each=2)
def test_what_stands_around_the_json_costs_nothing(
    raw_chat: RawChat, front: Front, around: str
) -> None:
    before, after = AROUND[around]
    if front in STREAMS:
        before, after = before.strip(), after.strip()  # a line end would end the line
    raw_chat.deploy(said(b"Ja", before, after))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == ("Ja", "")


@every_front
@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "123456789012345678901234567890"])
def test_numbers_that_json_lacks_cost_nothing(raw_chat: RawChat, front: Front, number: str) -> None:
    odd = {"logprobs": "FILL", "cost": "FILL"}

    def filled(data: dict[str, Any]) -> bytes:
        return json.dumps({**data, **odd}).encode().replace(b'"FILL"', number.encode())

    raw_chat.deploy(
        by_mode(whole(filled(completion("Ja"))), streamed(event(filled(chunk("Ja"))), END, DONE))
    )

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == ("Ja", "")
    assert "NaN" not in outcome.body, "a strict parser could not read it"
    assert "Infinity" not in outcome.body


WORDS = "Grüße, 你好 €"
UTF8 = json.dumps(completion(WORDS), ensure_ascii=False).encode()
LABELS = (
    "iso-8859-1",
    "windows-1252",
    "gb2312",
    "GBK",
    "big5",
    "us-ascii",
    "utf8mb4",
    "binary",
    '"utf-8"',
    "",
)


@in_turn("label", LABELS, each=2)
def test_utf_8_is_read_as_that_whatever_it_is_called(
    raw_chat: RawChat, front: Front, label: str
) -> None:
    stream = streamed(
        event(json.dumps(chunk(WORDS), ensure_ascii=False).encode()),
        END,
        DONE,
        content_type=f"text/event-stream;charset={label}",
    )
    raw_chat.deploy(by_mode(whole(UTF8, content_type=f"application/json; charset={label}"), stream))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == (WORDS, "")


@pytest.mark.parametrize("front", WHOLE, ids=of)
@pytest.mark.parametrize(
    ("charset", "words"), [("gbk", "你好, 世界"), ("gb18030", "你好 €"), ("iso-8859-1", "Grüße")]
)
def test_a_label_that_is_true_is_believed(
    raw_chat: RawChat, front: Front, charset: str, words: str
) -> None:
    body = json.dumps(completion(words), ensure_ascii=False).encode(charset)
    raw_chat.deploy(whole(body, content_type=f"application/json; charset={charset}"))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == (words, "")


@pytest.mark.parametrize("label", [label for label in LABELS if label])
@pytest.mark.parametrize("form", [False, True])
def test_a_callers_utf_8_is_read_as_that_whatever_it_is_called(
    raw_chat: RawChat, gateway: httpx.Client, label: str, form: bool
) -> None:
    raw_chat.deploy(whole(completion("Ja")))
    fields = {"chat_name": raw_chat.name, "content": WORDS}
    body = json.dumps(fields, ensure_ascii=False).encode()
    kind = "application/json"
    if form:
        body, kind = (
            "&".join(f"{k}={v}" for k, v in fields.items()).encode(),
            "application/x-www-form-urlencoded",
        )

    reply = gateway.post(
        "/openai/chat", content=body, headers={"Content-Type": f"{kind}; charset={label}"}
    )

    assert reply.json() == "Ja"
    assert raw_chat.raw.requests[-1].json["messages"][-1]["content"] == WORDS


BODIES: dict[str, tuple[str, Any]] = {
    "gzip, labelled": ("gzip", gzip.compress),
    "plain, labelled gzip": ("gzip", bytes),
    "plain, labelled deflate": ("deflate", bytes),
    "plain, labelled br": ("br", bytes),
    "plain, labelled something": ("x-none", bytes),
    "plain, labelled identity": ("identity", bytes),
    "gzip, not labelled": ("", gzip.compress),
    "gzip, labelled identity": ("identity", gzip.compress),
    "deflate, labelled": ("deflate", zlib.compress),
}


@in_turn("how", BODIES, each=2)
def test_the_bytes_say_whether_they_are_compressed(
    raw_chat: RawChat, front: Front, how: str
) -> None:
    label, packed = BODIES[how]
    headers = [f"Content-Encoding: {label}"] if label else []
    stream = b"".join([event(chunk(WORDS)), END, DONE])
    raw_chat.deploy(
        by_mode(
            whole(packed(UTF8), headers=headers),
            whole(packed(stream), content_type=None, headers=headers),
        )
    )

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == (WORDS, "")


MARKS = ("\x00", "\x01", "\x02", "\x1e", "\ufeff", "\x00\x00", "data: ", "\n\n")
FORGED = (
    '{"error": {"code": "PAY_BILL"}}',
    '{"prompt_tokens": 3, "completion_tokens": 987654}',
    "null",
    "[DONE]",
)


@in_turn("mark", MARKS, each=2, words=repr)
def test_a_models_words_are_never_a_mark_of_ours(
    raw_chat: RawChat, front: Front, mark: str
) -> None:
    words = ["Ja", *(mark + forged for forged in FORGED), mark]
    stream = slowly(*(event(chunk(word)) for word in words), END, DONE, seconds=0.02)
    raw_chat.deploy(by_mode(whole(completion("".join(words[1:]))), stream))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == ("".join(words if front in STREAMS else words[1:]), "")
    assert raw_chat.state() == "answering"
    assert "987654" not in raw_chat.http.get("/metrics").text


def counted(http: httpx.Client, name: str) -> int:
    """The tokens that the gateway counted for a chat, in and out."""
    lines = [
        line
        for line in http.get("/metrics").text.splitlines()
        if line.startswith("gateway_tokens_total")
    ]
    return sum(int(float(line.split()[-1])) for line in lines if f'"{name}"' in line)


@pytest.mark.parametrize("front", [chat, v1, compare, chat_stream, v1_stream], ids=of)
@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2}, 5),
        ({"input_tokens": 3, "output_tokens": 2}, 5),
        ({"prompt_tokens": 3, "completion_tokens": -7}, 3),
        ({"prompt_tokens": "?", "completion_tokens": 2}, 2),
    ],
    ids=["OpenAI's", "other names", "one is negative", "one is a text"],
)
def test_what_is_sane_is_counted(
    raw_chat: RawChat, front: Front, usage: dict[str, Any], tokens: int
) -> None:
    stream = streamed(event(chunk("Ja")), event(chunk(finish="stop", usage=usage)), DONE)
    raw_chat.deploy(by_mode(whole(completion("Ja", usage=usage)), stream))
    before = counted(raw_chat.http, raw_chat.name)

    raw_chat.ask(front)

    assert counted(raw_chat.http, raw_chat.name) - before == tokens


@pytest.mark.parametrize("front", [chat_stream, v1_stream], ids=of)
@pytest.mark.parametrize("last", [(3, 2), ("?", None), (None, None)], ids=str)
def test_of_running_totals_the_last_sane_one_is_counted(
    raw_chat: RawChat, front: Front, last: tuple[Any, Any]
) -> None:
    totals = [(3, 1), (3, 2), last]
    usages = [{"prompt_tokens": came, "completion_tokens": went} for came, went in totals]
    raw_chat.deploy(
        streamed(
            event(chunk("Ja")), *(event(chunk("", usage=usage)) for usage in usages), END, DONE
        )
    )
    before = counted(raw_chat.http, raw_chat.name)

    raw_chat.ask(front)

    assert counted(raw_chat.http, raw_chat.name) - before == 5


COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
USAGE: dict[str, Any] = {
    "negative": {"prompt_tokens": -1, "completion_tokens": -5, "total_tokens": -6},
    "texts": {"prompt_tokens": "3", "completion_tokens": "many", "total_tokens": ""},
    "fractions": {"prompt_tokens": 3.5, "completion_tokens": 2.0, "total_tokens": 5.5},
    "nulls": {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
    "truths": {"prompt_tokens": True, "completion_tokens": False},
    "huge": {"prompt_tokens": 10**30, "completion_tokens": 10**18, "total_tokens": 10**30},
    "nested": {"prompt_tokens": {"n": 3}, "completion_tokens": [2], "total_tokens": {}},
    "empty": {},
    "a list": [3, 2, 5],
    "a text": "5 tokens",
    "a number": 5,
    "true": True,
    "null": None,
}


@in_turn("usage", USAGE, each=2)
def test_usage_never_costs_an_answer(raw_chat: RawChat, front: Front, usage: str) -> None:
    last = event(chunk(finish="stop", usage=USAGE[usage]))
    also = event({**chunk(), "choices": [], "usage": USAGE[usage]})
    stream = streamed(event(chunk("Ja", usage=USAGE[usage])), last, also, DONE)
    raw_chat.deploy(by_mode(whole(completion("Ja", usage=USAGE[usage])), stream))
    options: dict[str, Any] = (
        {"stream_options": {"include_usage": True}} if front is v1_stream else {}
    )

    before = counted(raw_chat.http, raw_chat.name)

    outcome = raw_chat.ask(front, **options)

    assert (outcome.words, outcome.code) == ("Ja", "")
    assert counted(raw_chat.http, raw_chat.name) - before < 10**9, "nobody can use so many"
    if front is v1_stream:
        counts = events(outcome.body)[-2]["usage"]
        assert {type(counts[kind]) for kind in COUNTS} == {int}
        assert min(counts[kind] for kind in COUNTS) >= 0
