"""How a provider's answer ends, and what it holds where it holds no words: finish reasons,
thoughts, wholeness."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.fronts import (
    CUT,
    FRONTS,
    STREAMS,
    WHOLE,
    Front,
    RawChat,
    assert_refused,
    chat,
    chat_stream,
    events,
    in_turn,
    of,
    v1,
    v1_stream,
)
from tests.standin.raw import (
    CLOSE,
    DONE,
    Reply,
    Script,
    by_mode,
    chunk,
    completion,
    event,
    opening,
    piece,
    slowly,
    streamed,
    whole,
)
from tests.waiting import until

every_front = pytest.mark.parametrize("front", FRONTS, ids=of)
every_stream = pytest.mark.parametrize("front", STREAMS, ids=of)


def ended(content: str | None, finish: str | None, **message: Any) -> Script:
    """A provider whose whole answer, or else its stream, has this content (and more in its message)
    and this end."""
    delta = {"role": "assistant", "content": content, **message}
    stream = slowly(event(chunk(delta=delta)), event(chunk(finish=finish)), DONE, seconds=0.05)
    return by_mode(whole(completion(content, finish, message=message)), stream)


REFUSALS = (
    ("openai", "content_filter", "CONTENT_BLOCKED"),
    ("openai", "error", "PROVIDER_DOWN"),
    ("openai", "sensitive", "CONTENT_BLOCKED"),
    ("openai", "insufficient_system_resource", "PROVIDER_BUSY"),
    ("zhipu", "sensitive", "CONTENT_BLOCKED"),
    ("zhipu", "network_error", "PROVIDER_DOWN"),
    ("zhipu", "model_context_window_exceeded", "TOO_LARGE"),
    ("zhipu", "content_filter", "CONTENT_BLOCKED"),
    ("tongwen", "content_filter", "CONTENT_BLOCKED"),
    ("tongwen", "a reason that nobody knows", "PROVIDER_DOWN"),
)


@in_turn("said", REFUSALS, each=2, words="-".join)
def test_a_finish_reason_without_words_is_a_refusal(
    raw_chat: RawChat, spare: str, front: Front, said: tuple[str, str, str]
) -> None:
    provider, finish, code = said
    raw_chat.deploy(ended("", finish), provider, fallback=spare)

    assert_refused(front, raw_chat.ask(front), code)


@every_front
@pytest.mark.parametrize(
    "finish", ["stop", "length", "end_turn", "eos", "tool_calls", "function_call"]
)
def test_words_are_an_answer_whatever_ends_them(
    raw_chat: RawChat, front: Front, finish: str
) -> None:
    raw_chat.deploy(ended("Ja, gern.", finish))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == ("Ja, gern.", "")


@every_stream
@pytest.mark.parametrize("finish", ["error", "network_error"])
def test_words_that_a_fault_cut_short_are_no_success(
    raw_chat: RawChat, front: Front, finish: str
) -> None:
    raw_chat.deploy(ended("Ja, ge", finish), "zhipu")

    outcome = raw_chat.ask(front)

    assert outcome.words == "Ja, ge"
    assert outcome.code == (CUT if front is chat_stream else "PROVIDER_DOWN")


@every_front
@pytest.mark.parametrize(
    "thoughts", [{}, {"reasoning_content": "Hm, hm."}, {"reasoning": "Hm."}], ids=str
)
def test_max_tokens_that_were_used_up_before_the_first_word_are_said(
    raw_chat: RawChat, spare: str, front: Front, thoughts: dict[str, str]
) -> None:
    raw_chat.deploy(ended("", "length", **thoughts), fallback=spare)
    for _ in range(6):
        outcome = raw_chat.ask(front)
        assert (outcome.words, outcome.code, outcome.fell_back) == ("", "TOO_LARGE", "")
        assert "max_tokens" in outcome.error["message"]
    assert len(raw_chat.raw.requests) == 6, "it rests"


@every_front
@pytest.mark.parametrize("content", ["", None])
@pytest.mark.parametrize(
    "thoughts", [{}, {"reasoning_content": "Hm, hm."}, {"reasoning": "Hm."}], ids=str
)
def test_thoughts_are_no_answer(
    raw_chat: RawChat, spare: str, front: Front, content: str | None, thoughts: dict[str, str]
) -> None:
    raw_chat.deploy(ended(content, "stop", **thoughts), fallback=spare)

    outcome = raw_chat.ask(front)

    if front is v1_stream and thoughts:  # they were shown already
        assert (outcome.words, outcome.code) == ("", "PROVIDER_DOWN")
        assert events(outcome.body)[0]["choices"][0]["delta"].items() >= thoughts.items()
    else:
        assert_refused(front, outcome, "PROVIDER_DOWN")


@every_front
def test_thoughts_before_an_answer_are_not_its_words(raw_chat: RawChat, front: Front) -> None:
    thought = event(chunk(delta={"reasoning_content": "Hm."}))
    stream = streamed(thought, event(chunk("Ja")), event(chunk(finish="stop")), DONE)
    raw_chat.deploy(by_mode(whole(completion("Ja", message={"reasoning_content": "Hm."})), stream))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == ("Ja", "")
    assert ("Hm." in outcome.body) == (front in (v1, v1_stream))


CALL = {
    "id": "call-3",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "春城"}'},
}
WORDLESS: tuple[dict[str, Any], ...] = (
    {"tool_calls": [{"index": 0, **CALL}]},
    {"function_call": CALL["function"]},
    {"refusal": "I would rather not."},
    {"audio": {"id": "a-1", "data": "UklGRg==", "transcript": "Ja"}},
)


@pytest.mark.parametrize("front", [v1, v1_stream], ids=of)
@pytest.mark.parametrize("message", WORDLESS, ids=lambda message: next(iter(message)))
def test_an_answer_on_v1_may_be_something_else_than_words(
    raw_chat: RawChat, front: Front, message: dict[str, Any]
) -> None:
    raw_chat.deploy(ended(None, "stop", **message))

    outcome = raw_chat.ask(front)

    assert outcome.code == ""
    assert next(iter(message)) in outcome.body


@pytest.mark.parametrize("front", [v1, v1_stream], ids=of)
def test_of_several_choices_one_with_words_is_enough(raw_chat: RawChat, front: Front) -> None:
    rows = [{"index": n, "finish_reason": "stop"} for n in (0, 1)]
    messages = ({"role": "assistant", "content": ""}, {"role": "assistant", "content": "Ja"})
    reply = {
        **completion(""),
        "choices": [{**r, "message": m} for r, m in zip(rows, messages, strict=True)],
    }
    deltas = {
        **chunk(),
        "choices": [{**r, "delta": m} for r, m in zip(rows, messages, strict=True)],
    }
    raw_chat.deploy(by_mode(whole(reply), streamed(event(deltas), DONE)))

    outcome = raw_chat.ask(front)

    assert outcome.code == ""
    assert '"Ja"' in outcome.body


WORD, END = event(chunk("Ja")), event(chunk(finish="stop"))
CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
WITH_LENGTH = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
    % len(WORD + END)
)
COMPLETE: dict[str, Reply] = {
    "without [DONE]": streamed(WORD, END),
    "without [DONE], until the connection's end": (CLOSED + WORD + END, CLOSE),
    "without [DONE], with a length": WITH_LENGTH + WORD + END,
    "finish in the last word's chunk": streamed(event(chunk("Ja", "stop"))),
    "usage after the finish": streamed(
        WORD, END, event({**chunk(), "choices": [], "usage": {"total_tokens": 3}})
    ),
    "without a finish, with [DONE]": streamed(WORD, DONE),
    "broken off after [DONE]": (opening() + piece(WORD + END + DONE), CLOSE),
    "more after [DONE]": streamed(WORD, END, DONE, b": so long\n\n", event(chunk("Nein"))),
}
INCOMPLETE: dict[str, Reply] = {
    "an end without a finish": streamed(WORD),
    "a connection's end without a finish": (CLOSED + WORD, CLOSE),
    "broken off after a word": (opening() + piece(WORD), 0.05, CLOSE),
    "broken off in an event": (opening() + piece(WORD + b"data: {"), 0.05, CLOSE),
    "ended in an event": streamed(WORD, b'data: {"choices": [{"del'),
    "shorter than its length": (WITH_LENGTH + WORD, 0.05, CLOSE),
}


@every_stream
@pytest.mark.parametrize("ends", COMPLETE)
def test_what_is_whole_is_delivered_however_often(
    raw_chat: RawChat, front: Front, ends: str
) -> None:
    raw_chat.deploy(COMPLETE[ends])
    for _ in range(6):
        outcome = raw_chat.ask(front)
        assert (outcome.words, outcome.code) == ("Ja", "")
    assert len(raw_chat.raw.requests) == 6
    assert raw_chat.state() == "answering"


@every_stream
@pytest.mark.parametrize("ends", INCOMPLETE)
def test_what_broke_off_is_never_taken_for_whole(
    raw_chat: RawChat, front: Front, ends: str
) -> None:
    raw_chat.deploy(INCOMPLETE[ends])

    outcome = raw_chat.ask(front)

    assert outcome.words == "Ja"
    assert outcome.code == (CUT if front is chat_stream else "PROVIDER_DOWN")


@every_stream
@pytest.mark.parametrize("body", [(), (DONE,), (b": one moment\n\n", DONE), (b"\n\n\n",)], ids=len)
def test_a_stream_of_nothing_is_an_error(
    raw_chat: RawChat, spare: str, front: Front, body: tuple[bytes, ...]
) -> None:
    raw_chat.deploy(streamed(*body), fallback=spare)

    assert_refused(front, raw_chat.ask(front), "PROVIDER_DOWN")


@pytest.mark.parametrize("front", WHOLE, ids=of)
@pytest.mark.parametrize(
    "body",
    [b"", b"\n\n", b"<html>not json", b'{"choices": [{"message": {"con', b"\x00\xff"],
    ids=repr,
)
def test_a_whole_reply_of_nothing_usable_is_an_error(
    raw_chat: RawChat, spare: str, front: Front, body: bytes
) -> None:
    raw_chat.deploy(whole(body), fallback=spare)

    assert_refused(front, raw_chat.ask(front), "PROVIDER_DOWN")


@every_front
def test_white_space_is_no_answer(raw_chat: RawChat, spare: str, front: Front) -> None:
    raw_chat.deploy(ended("\n\n ", "stop"), fallback=spare)

    assert_refused(front, raw_chat.ask(front), "PROVIDER_DOWN")


@pytest.mark.parametrize("front", [chat, chat_stream], ids=of)
def test_a_filter_that_cut_words_short_hides_none_of_them(raw_chat: RawChat, front: Front) -> None:
    raw_chat.deploy(ended("Ja, ge", "content_filter"))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) in [
        ("Ja, ge", ""),
        ("Ja, ge", CUT),
        ("", "CONTENT_BLOCKED"),
    ]


@pytest.mark.parametrize("front", [chat_stream, v1_stream], ids=of)
def test_a_stream_goes_on_to_its_end_after_a_switch_however_long_it_takes(
    raw_chat: RawChat, front: Front
) -> None:
    words = [f"{number} " for number in range(10)]
    pieces = [event(chunk(word)) for word in words]
    raw_chat.deploy(slowly(*pieces, event(chunk(finish="stop")), DONE, seconds=0.4), timeout=3)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(raw_chat.ask, front)
        until(lambda: bool(raw_chat.raw.requests))  # it has its script
        raw_chat.deploy(whole(completion("another")), timeout=1)

        assert under_way.result(30).words == "".join(words)
    assert raw_chat.ask(front).words == "another"
