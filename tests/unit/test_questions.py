"""How a question is put to a provider: options, thinking, and what it refuses."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.protocol import CHAT, Thinking
from gateway.providers.dialects import OPENAI
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.providers.questions import Question, QuestionRules, optional_fields
from gateway.providers.refused_fields import refused_field

PLAIN = Provider("plain", ("saas/plain",), "m", OPENAI)
THINKER = Provider(
    "thinker",
    ("saas/thinker",),
    "m",
    OPENAI,
    thinking=(
        ThinkingSwitch(models="always", off={}, on={}),
        ThinkingSwitch(off={"enable_thinking": False}, on={"enable_thinking": True}),
    ),
)
MESSAGES = [{"role": "user", "content": 'say "max_tokens": and "thinking":"on"'}]


def rules(
    provider: Provider = PLAIN,
    options: dict[str, Any] | None = None,
    thinking: Thinking = "",
    model: str = "m",
) -> QuestionRules:
    return QuestionRules(model, provider.traits(), options or {}, thinking)


def asked(one: QuestionRules, path: str = CHAT, plain: bool = False, **fields: Any) -> Any:
    """What the provider gets, but for the model and the messages."""
    body = orjson.dumps({"messages": MESSAGES, **fields})
    question = orjson.loads(one.shaped(Question(path, body, plain)))
    assert question.pop("model") == "m" or "always" in question
    assert question.pop("messages") == MESSAGES
    return question


def test_a_question_goes_on_as_it_came_where_nothing_must_be_done() -> None:
    body = b'{"messages":[],  "odd": 1e2, "max_tokens": 5}'
    assert rules().shaped(Question(CHAT, body, plain=True)) == b'{"model":"m",' + body[1:]


@pytest.mark.parametrize(
    ("options", "given", "sent"),
    [
        ({"temperature": 0.2}, {}, {"temperature": 0.2}),
        ({"temperature": 0.2}, {"temperature": 1}, {"temperature": 1}),
        ({"temperature": None}, {"temperature": 1, "top_p": 1}, {"top_p": 1}),
        ({"stop": ["x"], "user": None}, {"user": "u"}, {"stop": ["x"]}),
    ],
)
def test_options_stand_under_what_a_request_gives_and_null_is_never_sent(
    options: dict[str, Any], given: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert asked(rules(options=options), **given) == sent


def test_options_are_for_questions_and_for_nothing_else() -> None:
    body = b'{"input":"x"}'
    one = rules(options={"temperature": 0.2, "input": None})
    assert orjson.loads(one.shaped(Question("/embeddings", body))) == {"model": "m", "input": "x"}


@pytest.mark.parametrize(
    ("thinking", "plain", "given", "sent"),
    [
        ("", False, {}, {}),
        ("", True, {}, {"enable_thinking": False}),
        ("on", True, {}, {"enable_thinking": True}),
        ("off", False, {}, {"enable_thinking": False}),
        ("", True, {"thinking": "on"}, {"enable_thinking": True}),
        ("off", False, {"thinking": "on"}, {"enable_thinking": True}),
        ("", False, {"thinking": "off"}, {"enable_thinking": False}),
        ("", True, {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
        ("off", False, {"enable_thinking": True}, {"enable_thinking": True}),
        ("off", False, {"thinking": {"type": "auto"}}, {"thinking": {"type": "auto"}}),
    ],
)
def test_thinking_is_said_in_the_providers_words_unless_somebody_did(
    thinking: Thinking, plain: bool, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert asked(rules(THINKER, thinking=thinking), plain=plain, **given) == sent


def test_a_chats_options_may_say_it_in_the_providers_words_too() -> None:
    one = rules(THINKER, {"thinking_budget": 100})
    assert asked(one, plain=True) == {"thinking_budget": 100}


def test_the_first_switch_whose_models_match_is_the_models() -> None:
    one = rules(THINKER, model="always-thinks")
    body = orjson.dumps({"messages": MESSAGES})
    assert orjson.loads(one.shaped(Question(CHAT, body, plain=True))).keys() == {
        "model",
        "messages",
    }


def test_a_limit_has_the_name_that_the_provider_takes() -> None:
    one = QuestionRules("m", {**PLAIN.traits(), "limit_field": "max_completion_tokens"}, {})
    assert asked(one, max_tokens=5) == {"max_completion_tokens": 5}
    assert asked(one, max_completion_tokens=6) == {"max_completion_tokens": 6}


def test_a_refused_limit_is_tried_under_its_other_name_and_then_left_out() -> None:
    one = rules()
    one.learn(CHAT, "max_tokens")
    assert asked(one, max_tokens=5) == {"max_completion_tokens": 5}
    one.learn(CHAT, "max_completion_tokens")
    assert asked(one, max_tokens=5) == {}
    assert one.left_out == ["max_completion_tokens"]


def test_a_refused_field_is_left_out_where_it_was_refused() -> None:
    one = rules(options={"seed": 1})
    one.learn(CHAT, "seed")
    assert asked(one, seed=2, top_p=1) == {"top_p": 1}
    assert asked(one, "/completions", seed=2) == {"seed": 2}


REFUSALS: list[tuple[Any, str]] = [
    # OpenAI
    ({"error": {"code": "unsupported_parameter", "param": "max_tokens"}}, "max_tokens"),
    ({"error": {"code": "unsupported_value", "param": "temperature"}}, "temperature"),
    ({"error": {"code": "unknown_parameter", "param": "foo[0].bar"}}, "foo"),
    ({"error": {"code": None, "message": "Unrecognized request argument supplied: foo"}}, "foo"),
    # pydantic, in Mistral's and vLLM's
    (
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "foo"], "msg": "Extra inputs"}]},
        "foo",
    ),
    # Moonshot
    (
        {"error": {"message": "invalid temperature: only 1 is allowed for this model"}},
        "temperature",
    ),
    # Gemini
    ([{"error": {"code": 400, "message": 'Unknown name "foo": Cannot find field.'}}], "foo"),
    # Groq
    ({"error": {"message": "property 'foo' is unsupported"}}, "foo"),
    # Anthropic
    ({"error": {"message": "foo: Extra inputs are not permitted"}}, "foo"),
    # SiliconFlow
    (
        {
            "code": 20015,
            "message": "Value error, current model does not support parameter `foo`.",
            "data": None,
        },
        "foo",
    ),
    # OpenRouter
    (
        {"error": {"message": "Foo is mandatory for this endpoint and cannot be disabled."}},
        "foo",
    ),
    # xAI
    ({"error": "Argument not supported on this model: foo"}, "foo"),
    ({"error": {"message": "anything about stream_options"}}, "stream_options"),
    # a value that is wrong is the caller's to mend
    ({"error": {"code": "invalid_value", "param": "max_tokens", "message": "too large"}}, ""),
    ({"error": {"message": "temperature must be between 0 and 1"}}, ""),
    # without these the answer would be another one
    ({"error": {"code": "unsupported_parameter", "param": "tools"}}, ""),
    ({"error": {"message": "Unsupported parameter: messages"}}, ""),
    ("", ""),
]


@pytest.mark.parametrize(("body", "field"), REFUSALS)
def test_a_refusal_names_the_field(body: Any, field: str) -> None:
    question = dict.fromkeys(
        ["model", "messages", "tools", "temperature", "max_tokens", "foo", "stream_options"]
    )
    fields = optional_fields(orjson.dumps(question))
    assert refused_field(orjson.dumps(body), "", fields) == field
