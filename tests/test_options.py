"""A chat's options, its thinking, and the fields that its provider does not take."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fronts import FRONTS, Front, RawChat, chat, chat_stream, good, of, v1, v1_stream
from tests.standin.raw import Reply, Request, Script, whole

GOOD = good("Ja")
OFF = {"thinking": {"type": "disabled"}}


def asked(raw_chat: RawChat) -> dict[str, Any]:
    """The fields of the provider's last question, but for those that every question has."""
    fields: dict[str, Any] = raw_chat.raw.requests[-1].json
    usual = ("model", "messages", "stream", "stream_options")
    return {name: value for name, value in fields.items() if name not in usual}


@pytest.mark.parametrize("front", FRONTS, ids=of)
def test_options_stand_under_what_a_request_gives_and_null_is_never_sent(
    raw_chat: RawChat, front: Front
) -> None:
    options = {"temperature": 0.25, "seed": 7, "max_tokens": None, "extra_body": {"top_k": 3}}
    raw_chat.deploy(GOOD, options=options)

    assert raw_chat.ask(front, temperature=0.5, max_tokens=9).words == "Ja"

    assert asked(raw_chat) == {"temperature": 0.5, "seed": 7, "top_k": 3}
    assert raw_chat.row()["options"] == {
        "temperature": 0.25,
        "seed": 7,
        "max_tokens": None,
        "top_k": 3,
    }


def test_options_may_come_from_a_form(raw_chat: RawChat) -> None:
    raw_chat.deploy(GOOD, options='{"seed": 7}')
    raw_chat.ask(chat)
    assert asked(raw_chat) == {"seed": 7}


ZHIPU = {"provider": "zhipu", "model_name": "glm-5.3"}


@pytest.mark.parametrize("front", FRONTS, ids=of)
@pytest.mark.parametrize(
    ("deployed", "request_thinks", "for_words", "for_v1"),
    [
        ({}, None, OFF, {}),
        ({"thinking": "on"}, None, {"thinking": {"type": "enabled"}}, None),
        ({"reply": {"thinking": "off"}}, None, OFF, OFF),
        ({"thinking": "on"}, "off", OFF, OFF),
        ({"options": {"reasoning_effort": "low"}}, None, {"reasoning_effort": "low"}, None),
    ],
    ids=["nothing", "on", "off", "request", "own words"],
)
def test_who_reads_only_words_waits_for_no_thoughts_unless_somebody_wants_them(
    raw_chat: RawChat,
    front: Front,
    deployed: dict[str, Any],
    request_thinks: str | None,
    for_words: dict[str, Any],
    for_v1: dict[str, Any] | None,
) -> None:
    raw_chat.deploy(GOOD, **ZHIPU, **deployed)

    raw_chat.ask(front, **({"thinking": request_thinks} if request_thinks else {}))

    v1_alike = for_words if for_v1 is None else for_v1
    assert asked(raw_chat) == (v1_alike if front in (v1, v1_stream) else for_words)


@pytest.mark.parametrize("value", ["off", False, "false", 0])
def test_the_old_programs_word_for_it_is_understood(raw_chat: RawChat, value: Any) -> None:
    raw_chat.deploy(GOOD, provider="tongwen", thinking="on")
    assert raw_chat.ask(chat, enable_thinking=value).words == "Ja"
    assert asked(raw_chat) == {"enable_thinking": False}


def test_on_v1_the_providers_own_words_go_through(raw_chat: RawChat) -> None:
    raw_chat.deploy(GOOD, provider="zhipu", model_name="glm-5.3", thinking="off")
    raw_chat.ask(v1, thinking={"type": "enabled"})
    assert asked(raw_chat) == {"thinking": {"type": "enabled"}}


def refuses(*names: str) -> Script:
    """A provider whose model takes none of these fields, and says so as OpenAI does."""

    def script(request: Request) -> Reply:
        refused = [name for name in names if name in request.json]
        if not refused:
            return GOOD(request)
        error = {
            "message": f"Unsupported parameter: '{refused[0]}' is not supported with this model.",
            "type": "invalid_request_error",
            "param": refused[0],
            "code": "unsupported_parameter",
        }
        return whole({"error": error}, "400 Bad Request")

    return script


@pytest.mark.parametrize("front", [chat, chat_stream, v1, v1_stream], ids=of)
def test_a_field_that_is_refused_by_name_is_left_out_from_then_on(
    raw_chat: RawChat, front: Front
) -> None:
    raw_chat.deploy(refuses("temperature", "top_p"))

    for _ in range(2):
        assert raw_chat.ask(front, temperature=0.5, top_p=0.9, max_tokens=9).words == "Ja"

    assert len(raw_chat.raw.requests) == 4  # two refusals, then none
    assert asked(raw_chat) == {"max_tokens": 9}
    assert raw_chat.row()["left_out"] == ["temperature", "top_p"]
    raw_chat.deploy(GOOD)
    assert raw_chat.row()["left_out"] == []


def test_a_limit_that_is_refused_gets_the_name_that_is_wanted(raw_chat: RawChat) -> None:
    raw_chat.deploy(refuses("max_tokens"))
    assert raw_chat.ask(chat, max_tokens=9).words == "Ja"
    assert asked(raw_chat) == {"max_completion_tokens": 9}
    assert raw_chat.row()["left_out"] == []


@pytest.mark.parametrize("front", [chat, chat_stream, v1, v1_stream], ids=of)
def test_what_is_refused_beside_another_is_left_out_of_that_question_alone(
    raw_chat: RawChat, front: Front
) -> None:
    """Anthropic's newer models take one of the two: ragflow#11815."""

    def script(request: Request) -> Reply:
        if {"temperature", "top_p"} <= request.json.keys():
            words = "`temperature` and `top_p` cannot both be specified for this model."
            return whole({"error": {"message": words}}, "400 Bad Request")
        return GOOD(request)

    raw_chat.deploy(script)

    assert raw_chat.ask(front, temperature=0.5, top_p=0.9).words == "Ja"
    assert asked(raw_chat) == {"temperature": 0.5}
    assert raw_chat.ask(front, top_p=0.9).words == "Ja"
    assert asked(raw_chat) == {"top_p": 0.9}
    assert raw_chat.row()["left_out"] == []


def test_a_tool_that_must_be_called_is_called_without_thoughts(raw_chat: RawChat) -> None:
    """DeepSeek's and Moonshot's refuse it while they think: oh-my-pi#1077."""

    def script(request: Request) -> Reply:
        if request.json.get("thinking") != {"type": "disabled"}:
            words = "Thinking mode does not support this tool_choice"
            return whole({"error": {"message": words}}, "400 Bad Request")
        return GOOD(request)

    raw_chat.deploy(script, provider="zhipu", model_name="glm-5.3")
    tools = [{"type": "function", "function": {"name": "f"}}]

    assert raw_chat.ask(v1, tools=tools, tool_choice="required").words == "Ja"
    assert asked(raw_chat) == {
        "tools": tools,
        "tool_choice": "required",
        "thinking": {"type": "disabled"},
    }


def test_what_an_answer_hangs_on_is_not_left_out(raw_chat: RawChat) -> None:
    raw_chat.deploy(refuses("tools"))
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert raw_chat.ask(v1, tools=tools).code == "BAD_UPSTREAM_REQUEST"
    assert len(raw_chat.raw.requests) == 1


def test_a_provider_that_refuses_whatever_it_is_asked_is_not_asked_for_ever(
    raw_chat: RawChat,
) -> None:
    def script(request: Request) -> Reply:
        optional = sorted(request.json.keys() - {"model", "messages", "stream"})
        return refuses(*optional, "model")(request)

    raw_chat.deploy(script)
    fields: dict[str, Any] = {f"f{number}": number for number in range(20)}
    assert raw_chat.ask(v1, **fields).code == "BAD_UPSTREAM_REQUEST"
    assert len(raw_chat.raw.requests) == 7
