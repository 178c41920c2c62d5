"""Replies and chunks that leave out what clients of OpenAI's insist on, or say it otherwise; judged
by the types of OpenAI's own SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.protocol import CHAT, COMPLETIONS
from gateway.providers.openai_shape import OpenAIShape

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
    ],
)
def test_a_finish_reason_is_one_of_openais(finish: Any, openais: str) -> None:
    assert finish_of(finish) == openais


def test_who_calls_a_tool_and_gives_no_reason_has_ended_for_its_sake() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = reply(answer({"content": None, "tool_calls": [call]}))
    assert body["choices"][0]["finish_reason"] == "tool_calls"


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


def test_a_completion_has_a_text_though_its_provider_sends_a_message() -> None:
    body = reply(answer(finish_reason="eos_token"), COMPLETIONS)
    whole = Completion.model_validate(body, strict=True)
    assert (whole.choices[0].text, whole.object) == ("hello", "text_completion")
