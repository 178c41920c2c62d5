"""How a provider's words are wrapped: a stream's lines, the other mode's reply, lists of parts, odd
choices."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.fronts import FRONTS, STREAMS, WHOLE, Front, RawChat, events, in_turn, of, v1, v1_stream
from tests.standin.raw import DONE, by_mode, chunk, completion, event, slowly, streamed, whole

every_front = pytest.mark.parametrize("front", FRONTS, ids=of)
every_stream = pytest.mark.parametrize("front", STREAMS, ids=of)

WORDS = "Frühling 春眠"
CHUNKS = (chunk("Früh"), chunk("ling "), chunk("春眠"), chunk(finish="stop"))
JSON = tuple(json.dumps(one, ensure_ascii=False).encode() for one in CHUNKS)
EVENTS = tuple(map(event, JSON))


def lines(*ends: str, before: str = "", data: str = "data: ") -> bytes:
    """The stream, each event in its own of these line ends, after these lines."""
    rows = zip((*JSON, b"[DONE]"), ends * 5, strict=False)
    return b"".join(f"{before}{data}".encode() + row + end.encode() for row, end in rows)


def in_lines(data: Any) -> bytes:
    """An event whose JSON stands on several `data` lines."""
    return (
        b"".join(b"data: %b\n" % line.encode() for line in json.dumps(data, indent=1).split("\n"))
        + b"\n"
    )


SNOWMAN = event(json.dumps(chunk("☃"), ensure_ascii=False).encode())
FRAMES: dict[str, tuple[bytes, ...]] = {
    "LF": (lines("\n\n"),),
    "CRLF": (lines("\r\n\r\n"),),
    "CR": (lines("\r\r"),),
    "each in its own": (lines("\n\n", "\r\n\r\n", "\r\r"),),
    "mixed within an event": (lines("\r\n\n", "\n\r\n", "\r\r\n", "\n\r"),),
    "a byte order mark": (b"\xef\xbb\xbf" + lines("\n\n"),),
    "no space": (lines("\n\n", data="data:"),),
    "two spaces": (lines("\n\n", data="data:  "),),
    "comments": (lines("\n\n", before=": still here\n\n"),),
    "comments between lines": (lines("\n\n", before=":\n: PROCESSING\n"),),
    "all fields": (lines("\n\n", before="event: message\nid: 9\nretry: 1500\n"),),
    "fields that nobody knows": (lines("\n\n", before="event\nmood: fine\nno colon\n"),),
    "empty data": (lines("\n\n", before="data:\n\ndata\n\n"),),
    "several data lines": (*map(in_lines, CHUNKS), DONE),
    "single line ends": (lines("\n"),),
    "single CRLFs": (lines("\r\n"),),
    "no blank line at the end": (*EVENTS[:-1], b"data: " + JSON[-1] + b"\n"),
    "no line end at the end": (*EVENTS[:-1], b"data: " + JSON[-1]),
    "[DONE] without a line end": (*EVENTS, b"data: [DONE]"),
    "[DONE] amid spaces": (*EVENTS, b"data:  [DONE] \n\n"),
    "a name for [DONE]": (*EVENTS, b"event: done\ndata: [DONE]\n\n"),
}


@in_turn("frame", FRAMES, STREAMS)
def test_a_stream_is_read_by_its_lines(raw_chat: RawChat, front: Front, frame: str) -> None:
    raw_chat.deploy(streamed(*FRAMES[frame]))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == (WORDS, "")


CUTS: dict[str, tuple[bytes, bytes]] = {
    "within CRLF": (lines("\r\n\r\n"), b"\r"),
    "between line ends": (lines("\r\n\r\n"), b"\r\n"),
    "within a character": (lines("\n\n"), "春".encode()[:1]),
    "within a name": (lines("\n\n"), b"da"),
    "within a mark": (b"\xef\xbb\xbf" + lines("\n\n"), b"\xef\xbb"),
}


@every_stream
@pytest.mark.parametrize("cut", CUTS)
def test_a_stream_may_be_cut_anywhere(raw_chat: RawChat, front: Front, cut: str) -> None:
    data, last = CUTS[cut]
    place = data.index(last) + len(last)
    raw_chat.deploy(slowly(data[:place], data[place:]))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == (WORDS, "")


LABELS = (
    "application/json",
    "text/event-stream",
    "text/plain; charset=utf-8",
    "application/octet-stream",
)
CALLS = [
    {
        "id": "call-4",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "春城"}'},
    },
    {"id": "call-5", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
]
COUNTS = {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}


@every_stream
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("before", [b"", b"\r\n\n", b"\xef\xbb\xbf"], ids=repr)
def test_json_where_a_stream_was_asked_becomes_one(
    raw_chat: RawChat, front: Front, label: str, before: bytes
) -> None:
    body = before + json.dumps(completion(WORDS), ensure_ascii=False).encode()
    raw_chat.deploy(whole(body, content_type=label))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == (WORDS, "")


@pytest.mark.parametrize("front", WHOLE, ids=of)
@pytest.mark.parametrize("label", LABELS)
def test_a_stream_where_json_was_asked_becomes_that(
    raw_chat: RawChat, front: Front, label: str
) -> None:
    raw_chat.deploy(streamed(b": a moment\n\n", *EVENTS, DONE, content_type=label))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == (WORDS, "")


@pytest.mark.parametrize("front", WHOLE, ids=of)
@pytest.mark.parametrize(
    "rest", [(), (event({"error": {"code": 503, "message": "Full"}}), DONE)], ids=["end", "error"]
)
def test_a_stream_that_broke_off_is_no_whole_answer(
    raw_chat: RawChat, front: Front, rest: tuple[bytes, ...]
) -> None:
    raw_chat.deploy(streamed(EVENTS[0], *rest))

    assert raw_chat.ask(front).code == ("PROVIDER_BUSY" if rest else "PROVIDER_DOWN")


def test_thoughts_calls_and_counts_of_json_are_streamed_on_v1(raw_chat: RawChat) -> None:
    message = {"reasoning_content": "Hm.", "tool_calls": CALLS}
    raw_chat.deploy(whole(completion(None, "tool_calls", message=message, usage=COUNTS)))

    outcome = raw_chat.ask(v1_stream, stream_options={"include_usage": True})

    assert outcome.code == ""
    *chunks, last, done = events(outcome.body)
    choices = [choice for one in chunks for choice in one["choices"]]
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls") or ()]
    assert {one["object"] for one in (*chunks, last)} == {"chat.completion.chunk"}
    assert "".join(choice["delta"].get("reasoning_content") or "" for choice in choices) == "Hm."
    assert calls == [{"index": index, **call} for index, call in enumerate(CALLS)]
    assert choices[-1]["finish_reason"] == "tool_calls"
    assert (last["choices"], last["usage"], done) == ([], COUNTS, "[DONE]")


def test_thoughts_calls_and_counts_of_a_stream_are_whole_on_v1(raw_chat: RawChat) -> None:
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "reasoning_content": part} for part in ("H", "m.")
    ]
    for index, call in enumerate(CALLS):
        function: Any = call["function"]
        parts = function["arguments"][:5], function["arguments"][5:]
        first = {**call, "function": {**function, "arguments": parts[0]}}
        rest = {"function": {"arguments": parts[1]}}
        deltas += [{"tool_calls": [{"index": index, **part}]} for part in (first, rest)]
    chunks = [chunk(delta=delta) for delta in deltas]
    usage = {**chunk(), "choices": [], "usage": COUNTS}
    raw_chat.deploy(streamed(*map(event, (*chunks, chunk(finish="tool_calls"), usage)), DONE))

    outcome = raw_chat.ask(v1)

    reply = json.loads(outcome.body)
    [choice] = reply["choices"]
    assert (reply["object"], reply["usage"]) == ("chat.completion", COUNTS)
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["reasoning_content"] == "Hm."
    assert [
        {k: v for k, v in call.items() if k != "index"} for call in choice["message"]["tool_calls"]
    ] == CALLS


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
PARTS: dict[str, list[Any]] = {
    "text": [{"type": "text", "text": "Früh"}, {"type": "text", "text": "ling 春眠"}],
    "thoughts first": [THOUGHT, {"type": "text", "text": WORDS}],
    "bare texts": ["Früh", "ling 春眠"],
    "without a type": [{"text": WORDS}],
    "output_text": [{"type": "output_text", "text": WORDS, "annotations": []}],
    "odd ones between": [
        None,
        3,
        {"type": "text", "text": WORDS},
        {"type": "image_url"},
        {"type": "text"},
    ],
}


@pytest.mark.parametrize(
    "front", [front for front in FRONTS if front not in (v1, v1_stream)], ids=of
)
@pytest.mark.parametrize("parts", PARTS)
def test_content_may_be_a_list_of_parts(raw_chat: RawChat, front: Front, parts: str) -> None:
    stream = [event(chunk([part])) for part in PARTS[parts]]
    raw_chat.deploy(
        by_mode(
            whole(completion(PARTS[parts])), streamed(*stream, event(chunk(finish="stop")), DONE)
        )
    )

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == (WORDS, "")


@pytest.mark.parametrize("front", [v1, v1_stream], ids=of)
def test_a_list_of_parts_is_an_answer_on_v1(raw_chat: RawChat, front: Front) -> None:
    stream = streamed(event(chunk(PARTS["text"])), event(chunk(finish="stop")), DONE)
    raw_chat.deploy(by_mode(whole(completion(PARTS["text"])), stream))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == (WORDS, "")


CHOICES: dict[str, dict[str, Any]] = {
    "delta": {"delta": {"content": WORDS}},
    "message": {"message": {"content": WORDS}},
    "text": {"text": WORDS},
    "null beside": {"message": None, "delta": None, "text": WORDS},
    "text beside a delta": {"delta": {}, "text": WORDS},
}


@every_front
@pytest.mark.parametrize("shape", CHOICES)
def test_a_choice_may_hold_its_words_elsewhere(raw_chat: RawChat, front: Front, shape: str) -> None:
    reply = {**completion(""), "choices": [{"index": 0, "finish_reason": "stop", **CHOICES[shape]}]}
    raw_chat.deploy(by_mode(whole(reply), streamed(event(reply), DONE)))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == (WORDS, "")


@every_stream
def test_a_last_chunk_that_repeats_the_whole_answer_is_not_added(
    raw_chat: RawChat, front: Front
) -> None:
    last = {**completion(WORDS), "usage": COUNTS}
    raw_chat.deploy(streamed(*EVENTS[:3], event(last), DONE))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == (WORDS, "")


@pytest.mark.parametrize("front", [v1, v1_stream], ids=of)
def test_typed_clients_find_all_that_they_insist_on(raw_chat: RawChat, front: Front) -> None:
    """Judged by the types of OpenAI's own SDK."""
    bare: Any = {"choices": [{"message": {"content": WORDS}, "finish_reason": "eos_token"}]}
    chunks = ({"choices": [{"delta": {"role": None, "content": WORDS}, "finish_reason": ""}]}, bare)
    raw_chat.deploy(by_mode(whole(bare), streamed(*map(event, chunks), DONE)))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == (WORDS, "")
    if front is v1:
        reply = ChatCompletion.model_validate_json(outcome.body, strict=True)
        assert (reply.model, reply.choices[0].finish_reason) == (raw_chat.name, "stop")
    else:
        typed = [ChatCompletionChunk.model_validate(one) for one in events(outcome.body)[:-1]]
        assert len({(one.id, one.created, one.model) for one in typed}) == 1
        assert [one.choices[0].finish_reason for one in typed] == [None, "stop"]
