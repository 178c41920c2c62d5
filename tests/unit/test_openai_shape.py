"""Replies and chunks that leave out what clients of OpenAI's insist on, or say it otherwise; judged
by the types of OpenAI's own SDK."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDelta

from gateway.protocol import CHAT, COMPLETIONS
from gateway.providers.dialects import OPENAI
from gateway.providers.openai_shape import OpenAIShape
from gateway.providers.reader import StreamReader
from gateway.providers.rendering import ForOpenAI
from gateway.providers.whole_replies import Reply, chat_reply
from tests.unit.shapes import event

HELLO = {"role": "assistant", "content": "hello"}


def reply(body: dict[str, Any], path: str = CHAT) -> dict[str, Any]:
    OpenAIShape(path, "shop", stream=False).give(body)
    return body


def answer(message: Any = HELLO, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"message": dict(message), **choice}]}


def finish_of(finish: Any) -> Any:
    return reply(answer(finish_reason=finish))["choices"][0]["finish_reason"]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"id": None, "created": None, "object": None, "usage": None},
        {"id": 7, "created": "2026-11-28T00:00:00Z", "object": "chat.completion.chunk"},
        {"created": 1718000000.25, "object": "", "model": ["m"]},
        {"usage": "12 tokens"},
        {"usage": {"prompt_tokens": "3", "completion_tokens": 2}},
        {"usage": {"prompt_tokens": -1, "completion_tokens": 2, "total_tokens": 1}},
        {"usage": {"prompt_tokens": 3.0, "completion_tokens": 2}},
        {"usage": {"input_tokens": 3, "output_tokens": 2}},
        {
            "usage": {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "total_tokens": 5,
                "prompt_tokens_details": [],
            }
        },
        {"created": 1e300},
        {"service_tier": "on_demand"},  # Groq's
        {"system_fingerprint": ["fp"]},
        {"choices": [{"message": HELLO, "logprobs": "none"}]},
        {"choices": [{"message": {**HELLO, "refusal": False, "audio": [], "annotations": {}}}]},
        {"choices": [{"message": {**HELLO, "tool_calls": [{}, None, "f"], "function_call": 7}}]},
        {"choices": [{"message": {**HELLO, "function_call": {}}}]},
    ],
)
def test_a_reply_is_what_typed_clients_take_whatever_it_leaves_out(odd: dict[str, Any]) -> None:
    whole = ChatCompletion.model_validate(reply({**answer(), **odd}), strict=True)

    assert whole.choices[0].message.content == "hello"
    assert (whole.model, whole.object) == ("shop", "chat.completion")
    assert whole.id
    assert whole.created > 0


def test_what_is_as_it_should_be_stays_so() -> None:
    body = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "shop",
        "choices": [{"index": 0, "message": HELLO, "finish_reason": "length", "logprobs": None}],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "total_tokens": 6,  # some count what they thought, too
            "prompt_tokens_details": {"cached_tokens": 1},
        },
        "service_tier": "default",
    }
    before = json.loads(json.dumps(body))
    assert reply(body) == before


def test_counts_that_cannot_be_believed_are_left_out_and_others_completed() -> None:
    assert "usage" not in reply({**answer(), "usage": {"prompt_tokens": "3"}})
    usage = reply({**answer(), "usage": {"input_tokens": 3, "output_tokens": 2}})["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (3, 2, 5)


@pytest.mark.parametrize(
    ("finish", "openais"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("", "stop"),
        (None, "stop"),
        ("eos_token", "stop"),
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("function_call", "function_call"),
        ("SAFETY", "content_filter"),
        ("sensitive", "content_filter"),
        (7, "stop"),
        (["stop"], "stop"),
        ({"type": "length"}, "stop"),
    ],
)
def test_a_finish_reason_is_one_of_openais(finish: Any, openais: str) -> None:
    assert finish_of(finish) == openais


@pytest.mark.parametrize("finish", [None, "stop", "STOP", "eos"])
def test_who_calls_a_tool_has_ended_for_its_sake(finish: Any) -> None:
    """Gemini says "stop": open-webui/computer#224."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = reply(answer({"content": None, "tool_calls": [call]}, finish_reason=finish))
    assert body["choices"][0]["finish_reason"] == "tool_calls"

    shape = OpenAIShape(CHAT, "shop", stream=True)
    chunks: list[dict[str, Any]] = [
        {"choices": [{"delta": {"tool_calls": [{"index": 0, **call}]}}]},
        {"choices": [{"delta": {}, "finish_reason": finish or "stop"}]},
    ]
    for chunk in chunks:
        shape.give(chunk)
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, "tool_calls"]


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ({"function": {"name": "f", "arguments": {"a": 1}}}, '{"a":1}'),
        ({"id": "", "type": None, "function": {"name": "f", "arguments": '{"a": 1}'}}, '{"a": 1}'),
        ({"id": None, "function": {"name": "f", "arguments": None}}, "{}"),
    ],
)
def test_a_call_has_an_id_and_its_arguments_are_a_text(
    call: dict[str, Any], arguments: str
) -> None:
    body = reply(answer({"content": None, "tool_calls": [call, call.copy()]}))
    ChatCompletion.model_validate(body, strict=True)

    for one in body["choices"][0]["message"]["tool_calls"]:
        assert one["id"]
        assert (one["type"], one["function"]["arguments"]) == ("function", arguments)


def test_the_chunks_of_a_stream_share_an_id_and_a_time() -> None:
    shape = OpenAIShape(CHAT, "shop", stream=True)
    chunks: list[dict[str, Any]] = [
        {"choices": [{"delta": {"role": "", "content": "hel"}, "finish_reason": ""}]},
        {"id": "", "created": 1.5, "choices": [{"index": None, "delta": {"content": "lo"}}]},
        {"choices": [{"delta": {}, "finish_reason": "eos"}], "usage": {"prompt_tokens": "many"}},
        {"choices": []},
    ]
    for chunk in chunks:
        shape.give(chunk)
    typed = [ChatCompletionChunk.model_validate(chunk, strict=True) for chunk in chunks]

    assert len({chunk.id for chunk in typed}) == 1
    assert [chunk.choices[0].finish_reason for chunk in typed[:3]] == [None, None, "stop"]
    assert typed[0].choices[0].delta.role is None
    assert {chunk.object for chunk in typed} == {"chat.completion.chunk"}


def test_a_call_in_a_stream_gets_its_id_where_it_begins_and_only_there() -> None:
    shape = OpenAIShape(CHAT, "shop", stream=True)
    begins = {"index": 0, "function": {"name": "f", "arguments": ""}}
    goes_on = {"index": 0, "function": {"arguments": "{}"}}
    for call in (begins, goes_on):
        shape.give({"choices": [{"delta": {"tool_calls": [call]}}]})

    assert begins["id"]
    assert "id" not in goes_on


@pytest.mark.parametrize(
    "indexes",
    [(None, None, None), (0, 0, 0), (0, 0, 1), (1, 1, 2), ("0", "0", "1")],
    ids=["none", "always the same", "as it should be", "from one", "texts"],
)
def test_calls_in_a_stream_are_told_apart_whatever_their_indexes(indexes: tuple[Any, ...]) -> None:
    pieces: list[dict[str, Any]] = [
        {"id": "a", "function": {"name": "f", "arguments": '{"x":'}},
        {"function": {"arguments": "1}"}},
        {"id": "b", "function": {"name": "g", "arguments": "{}"}},
    ]
    for piece, index in zip(pieces, indexes, strict=True):
        piece.update({} if index is None else {"index": index})
    deltas = [{"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]} for piece in pieces]
    stream = b"".join(
        map(event, [*deltas, {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}])
    )

    calls = [delta.tool_calls[0] for delta in streamed(stream)[:3] if delta.tool_calls]
    assert calls[0].index == calls[1].index != calls[2].index
    whole = chat_reply(OPENAI, stream)
    assert isinstance(whole, Reply)
    assert [call["function"] for call in whole.body["choices"][0]["message"]["tool_calls"]] == [
        {"name": "f", "arguments": '{"x":1}'},
        {"name": "g", "arguments": "{}"},
    ]


def calls_of(*deltas: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The names and the arguments of the calls that these deltas of a stream make."""
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"tool_calls": d}}]} for d in deltas]
    chunks.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    whole = chat_reply(OPENAI, b"".join(map(event, chunks)))
    assert isinstance(whole, Reply)
    calls = whole.body["choices"][0]["message"]["tool_calls"]
    return [(call["function"]["name"], call["function"]["arguments"]) for call in calls]


def call_of(name: str = "", arguments: str = "", **more: Any) -> dict[str, Any]:
    return {**more, "function": {**({"name": name} if name else {}), "arguments": arguments}}


@pytest.mark.parametrize(
    "deltas",
    [
        [[call_of("f", "1", index=0), call_of("g", "2", index=0)]],
        [[call_of("f", "1", index=0, id="")], [call_of("g", "2", index=0, id="")]],
        [[call_of("f", "1", id="same"), call_of("g", "2", id="same")]],
        [
            [call_of("f", "", id="a"), call_of("g", "", id="b")],
            [call_of(arguments="1", id="a")],
            [call_of(arguments="2", id="b")],
        ],
        [[call_of("f", "")], [call_of(arguments="1", index=0)], [call_of("g", "2", index=1)]],
        [[call_of("f", "", index=0)], [call_of("f", "1", index=0)], [call_of("g", "2", index=1)]],
        [[call_of("f", "", id="a")], [call_of("f", "1", id="a")], [call_of("g", "2", id="b")]],
    ],
    ids=[
        "one delta, one index",
        "one index, no ids",
        "one id",
        "no index, pieces by id",
        "an index later",
        "the name again",
        "the name and the id again",
    ],
)
def test_no_call_is_lost_in_another(deltas: list[list[dict[str, Any]]]) -> None:
    assert calls_of(*deltas) == [("f", "1"), ("g", "2")]


def test_one_tool_called_twice_under_one_index_is_two_calls() -> None:
    """Gemini's parallel calls have no ids."""
    calls = [[call_of("f", '{"x":1}', index=0)], [call_of("f", '{"y":2}', index=0)]]
    assert calls_of(*calls) == [("f", '{"x":1}'), ("f", '{"y":2}')]


@pytest.mark.parametrize(
    ("messages", "calls"),
    [
        (
            [[call_of("f", '{"x":1}', id="A")], [call_of("f", '{"y":2}', id="B")]],
            [("f", '{"x":1}'), ("f", '{"y":2}')],
        ),
        (
            [[call_of("f", '{"x":1}')], [call_of("g", '{"x":1}')]],
            [("f", '{"x":1}'), ("g", '{"x":1}')],
        ),
        ([[call_of("f", '{"x":', id="A")], [call_of("f", '{"x":1}', id="A")]], [("f", '{"x":1}')]),
    ],
    ids=["one after the other", "with the same arguments", "all so far"],
)
def test_calls_in_messages_are_told_apart(
    messages: list[list[dict[str, Any]]], calls: list[tuple[str, str]]
) -> None:
    chunks: list[Any] = [
        {"choices": [{"index": 0, "message": {"content": "", "tool_calls": one}}]}
        for one in messages
    ]
    chunks.append({"choices": [{"message": {"content": ""}, "finish_reason": "tool_calls"}]})
    whole = chat_reply(OPENAI, b"".join(map(event, [{"choices": [{"delta": {}}]}, *chunks])))
    assert isinstance(whole, Reply), whole
    made = whole.body["choices"][0]["message"]["tool_calls"]
    assert [(one["function"]["name"], one["function"]["arguments"]) for one in made] == calls


def streamed(stream: bytes) -> list[ChoiceDelta]:
    """The deltas that a typed client gets of a provider's stream."""
    reader, rendering = StreamReader(OPENAI), ForOpenAI(CHAT, "shop", include_usage=True)
    events = rendering.render([*reader.feed(stream), *reader.end()]) + rendering.end()
    if reader.refusal:
        return []
    chunks = [
        ChatCompletionChunk.model_validate(orjson.loads(data[len(b"data: ") :]), strict=True)
        for data in events.split(b"\n\n")
        if data.startswith(b"data: {")
    ]
    return [chunk.choices[0].delta for chunk in chunks if chunk.choices]


ODD = st.recursive(
    st.sampled_from(
        ("", "Ja", "stop", "null", "tool", 7, -3, 1.5, 1e300, 2**63, 2**70, True, None)
    ),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(("text", "name", "arguments", "id", "type", "function", "index")),
            inner,
            max_size=3,
        )
    ),
    max_leaves=4,
)


def odd(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object that may lack each of its fields, and have anything in it."""
    return st.fixed_dictionaries({}, optional={name: sane | ODD for name, sane in fields.items()})


FLAT = ODD.filter(lambda value: not isinstance(value, dict | list))
CALL = odd(id=ODD, type=ODD, index=st.integers(0, 2), function=odd(name=ODD, arguments=ODD))
TURN = st.builds(
    lambda turn, flat: {**turn, "audio": flat, "annotations": flat},
    odd(
        role=ODD,
        content=st.just("Ja"),
        refusal=ODD,
        function_call=odd(name=ODD, arguments=ODD),
        tool_calls=st.lists(CALL, max_size=2),
    ),
    FLAT,
)
CHOICE = st.builds(
    lambda choice, flat: {**choice, "logprobs": flat},
    odd(index=ODD, finish_reason=ODD, message=TURN, delta=TURN, text=ODD),
    FLAT,
)
BODY = odd(
    id=ODD,
    object=ODD,
    created=ODD,
    model=ODD,
    choices=st.lists(CHOICE, min_size=1, max_size=2),
    usage=odd(prompt_tokens=ODD, completion_tokens=ODD, total_tokens=ODD),
    service_tier=ODD,
    system_fingerprint=ODD,
)


@settings(max_examples=500)
@given(BODY, st.booleans())
def test_whatever_a_reply_holds_typed_clients_take_it_or_it_is_refused(
    body: dict[str, Any], legacy: bool
) -> None:
    answer_or_refusal = chat_reply(OPENAI, json.dumps(body).encode(), legacy=legacy)
    if isinstance(answer_or_refusal, Reply):
        path, kind = (COMPLETIONS, Completion) if legacy else (CHAT, ChatCompletion)
        shown = orjson.loads(orjson.dumps(reply(answer_or_refusal.body, path)))
        assert kind.model_validate(shown, strict=True).choices


@settings(max_examples=500)
@given(st.lists(BODY, min_size=1, max_size=3))
def test_whatever_chunks_hold_typed_clients_take_them_or_they_are_refused(
    bodies: list[dict[str, Any]],
) -> None:
    streamed(b"".join(map(event, bodies)))


def test_a_completion_has_a_text_though_its_provider_sends_a_message() -> None:
    body = reply(answer(finish_reason="eos_token"), COMPLETIONS)
    whole = Completion.model_validate(body, strict=True)
    assert (whole.choices[0].text, whole.object) == ("hello", "text_completion")
