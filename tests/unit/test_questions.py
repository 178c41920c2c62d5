"""How a question is put to a provider: options, thinking, and what it refuses."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.protocol import CHAT, Thinking
from gateway.providers.dialects import OPENAI
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.providers.questions import Question, QuestionRules, optional_fields
from gateway.providers.refused_fields import Mend, mend, structure_refused

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
    names = ["model", "messages", "tools", "temperature", "max_tokens", "foo", "stream_options"]
    assert asked_for(body, dict.fromkeys(names)).without == frozenset({field} - {""})


def asked_for(body: Any, fields: dict[str, Any]) -> Mend:
    """What a refusal asks of a question with these fields."""
    return mend(orjson.dumps(body), "", optional_fields(orjson.dumps(fields)))


def said(words: str) -> dict[str, Any]:
    return {"error": {"message": words, "type": "invalid_request_error"}}


BOTH = {"temperature": 0.5, "top_p": 0.9}
SPELLED: list[tuple[str, dict[str, Any], str]] = [
    # jsonschema's, with which some servers check
    ("Additional properties are not allowed ('seed' was unexpected)", {"seed": 1}, "seed"),
    (
        "Additional properties are not allowed ('top_k', 'seed' were unexpected)",
        {"seed": 1},
        "seed",
    ),
    ("参数 seed 不支持", {"seed": 1}, "seed"),
    ("该模型不支持参数 seed", {"seed": 1}, "seed"),
    ("不支持的参数：temperature", BOTH, "temperature"),
    ("未知参数: 'user'", {"user": "u"}, "user"),
    # inspect_ai#3721: Anthropic's newer models
    ("`temperature` is deprecated for this model.", BOTH, "temperature"),
    # litellm#36407, #7748, #33738: LiteLLM's own
    (
        "litellm.UnsupportedParamsError: mistral does not support parameters: ['reasoning_effort'],"
        " for model=m. To drop these, set `temperature`",
        {"reasoning_effort": "low", **BOTH},
        "reasoning_effort",
    ),
    (
        "gemini does not support parameters: {'frequency_penalty': 0.5}, for model=m.",
        {"frequency_penalty": 0.5},
        "frequency_penalty",
    ),
    # litellm#14056, grok2api#814, oh-my-pi#7454: xAI's
    (
        "Argument not supported on this model: frequencyPenalty",
        {"frequency_penalty": 0.5},
        "frequency_penalty",
    ),
    (
        "Model grok does not support parameter reasoningEffort.",
        {"reasoning_effort": "low"},
        "reasoning_effort",
    ),
    ("Model grok-4.6 does not support parameter stop.", {"stop": ["a"]}, "stop"),
    # openai-gemini#63, generative-ai#135: Gemini's
    (
        "Penalty is not enabled for models/gemini-2.5-flash",
        {"presence_penalty": 1},
        "presence_penalty",
    ),
    ("Logprobs is not enabled for models/gemini-2.5-pro", {"logprobs": True}, "logprobs"),
    # pluely#219: Groq's
    (
        "`reasoning_effort` must be one of `none` or `default`",
        {"reasoning_effort": "low"},
        "reasoning_effort",
    ),
    (
        "property 'store' is unsupported, did you mean 'stop'?",
        {"stop": "a", "store": True},
        "store",
    ),
    # agentscope#1099: Ollama's
    ('"Qwen3:latest" does not support thinking', {"reasoning_effort": "low"}, "reasoning_effort"),
    # garak#748: NVIDIA's
    (
        "body -> frequency_penalty\n  Extra inputs are not permitted (type=extra_forbidden)",
        {"frequency_penalty": 0.5},
        "frequency_penalty",
    ),
    # one-api#1141: Zhipu's
    ("temperature参数非法。请检查文档。", BOTH, "temperature"),
    # ragflow#11815, nanobot#2548: two at once
    ("`temperature` and `top_p` cannot both be specified for this model.", BOTH, "top_p"),
    (
        "max_tokens and max_completion_tokens cannot be set at the same time.",
        {"max_tokens": 1, "max_completion_tokens": 1},
        "max_tokens",
    ),
    # swarm#30
    (
        "'parallel_tool_calls' is only allowed when 'tools' are specified.",
        {"parallel_tool_calls": True},
        "parallel_tool_calls",
    ),
    # qwen-code#2054, langchain#29679: what says nothing
    ("[] is too short - 'tools'", {"tools": []}, "tools"),
    ("Extra parameters ['n'] are not allowed", {"n": 1}, "n"),
    ("Extra parameters ['n'] are not allowed", {"n": 2}, ""),
    # EchoBird#155, litellm#14225: the names of others
    ("messages[4].role: unknown variant `tool`, expected `user` or `assistant`", {"user": "u"}, ""),
    ("unknown field `thinking`, expected one of `store`, `stream_options`", {"store": True}, ""),
    # ogx#3559: vectors of another size
    ("Unrecognized request arguments supplied: dimensions", {"dimensions": 64}, ""),
    ("This model does not support images. A user may try another.", {"user": "u"}, ""),
    ("This model does not support images, whatever the temperature is", BOTH, ""),
]


INNOCENT: list[tuple[str, dict[str, Any]]] = [
    # within messages and tools, in another sentence, of another noun
    ("Unexpected role 'user' after role 'tool'", {"user": "u"}),
    ("Invalid schema for function 'w': In context=('properties', 'temperature')", BOTH),
    ("Unknown name \"format\" at 'tools[0].function_declarations[0].parameters'", {"format": "x"}),
    ("Unknown tool 'get_user'. Property 'user' is missing", {"user": "u"}),
    ("Unsupported content type 'image_url' in messages[0].content; temperature is 0.7", BOTH),
    ("Unsupported image type. max_tokens: 50 was given", {"max_tokens": 50}),
    ("Image format not supported", {"format": "x"}),
    ("Unsupported file: store not found", {"store": True}),
    ("repetition penalty is not supported", {"frequency_penalty": 1}),
    ("Too many requests at the same time; lower max_tokens", {"max_tokens": 50}),
    ("prompt and max_tokens cannot both exceed the context", {"max_tokens": 50}),
    ("该 user 不支持此模型", {"user": "u"}),
    ("参数错误：messages 不支持 user 之后的 seed", {"user": "u"}),
    # a limit whose value is wrong: without it the answer would cost more
    ("max_tokens 100000 is not allowed for this model (at most 64000)", {"max_tokens": 100_000}),
    ("max_tokens 参数非法：取值范围为 [1, 8192]", {"max_tokens": 9000}),
    ("不支持 max_tokens 大于 8192", {"max_tokens": 9000}),
    # what must not go without a word
    ("This provider does not support provider", {"provider": {"data_collection": "deny"}}),
    ("guided_json: Extra inputs are not permitted", {"guided_json": {}}),
]


@pytest.mark.parametrize(("words", "fields"), INNOCENT)
def test_a_field_that_is_only_named_stays(words: str, fields: dict[str, Any]) -> None:
    assert asked_for(said(words), fields).without == frozenset()


def test_what_the_caller_wrote_teaches_nothing() -> None:
    body = orjson.dumps(said("Invalid value: 'temperature is not supported'."))
    question = orjson.dumps({"effort": "temperature is not supported", "temperature": 1})

    assert mend(body, "", ["temperature"]).without == {"temperature"}
    assert mend(body, "", ["temperature"], question).without == frozenset()


def test_a_refused_switch_of_ours_is_no_field_of_the_callers() -> None:
    """OpenRouter's: "Reasoning is mandatory for this endpoint and cannot be disabled"."""
    one = rules(THINKER)
    assert asked(one, plain=True) == {"enable_thinking": False}
    one.learn(CHAT, "enable_thinking", given=False)
    assert asked(one, plain=True) == {}
    assert asked(one, enable_thinking=True) == {"enable_thinking": True}
    assert one.left_out == []


def test_names_that_callers_invent_are_learned_to_a_bound() -> None:
    one = rules()
    assert [one.learn(CHAT, f"f{number}") for number in range(100)].count(True) == 64


@pytest.mark.parametrize("name", ["_" * 400 + "a", "a" * 400, "(" * 60])
def test_no_name_makes_a_search_long(name: str) -> None:
    words = f"Unrecognized request argument supplied: {name[:-1]}b"
    assert asked_for(said(words), {name: 1}).without == frozenset()


def test_a_limit_of_null_is_none() -> None:
    one = QuestionRules("m", {**PLAIN.traits(), "limit_field": "max_completion_tokens"}, {})
    assert asked(one, max_tokens=5, max_completion_tokens=None) == {"max_completion_tokens": 5}
    one = rules(options={"max_tokens": 500})
    assert asked(one, max_completion_tokens=None) == {"max_tokens": 500}


@pytest.mark.parametrize(("words", "fields", "field"), SPELLED)
def test_a_field_is_found_in_each_providers_spelling(
    words: str, fields: dict[str, Any], field: str
) -> None:
    assert asked_for(said(words), fields).without == frozenset({field} - {""})


@pytest.mark.parametrize(
    ("body", "lasting"),
    [
        (said("Unsupported parameter: 'temperature' is not supported with this model."), True),
        (said("`temperature` and `top_p` cannot both be specified for this model."), False),
        (said("`temperature` may only be set to 1 when thinking is enabled"), False),
        (said("temperature values above 1 are not allowed"), False),
        (said("top_p must be one of 0.5, 1"), False),
        (said("当前模型不支持 top_p 大于 1"), False),
        (said("不支持 temperature 为 0"), False),
        (said("该模型不支持 temperature 与 top_p 同时使用"), False),
        ({"error": {"code": "unknown_parameter", "param": "top_p.exclude"}}, False),
        ({"error": {"code": "unsupported_value", "param": "temperature", "message": "No."}}, False),
        (
            {
                "error": {
                    "code": "unsupported_value",
                    "param": "temperature",
                    "message": "'temperature' does not support 0.2. Only the default (1) value is.",
                }
            },
            True,
        ),
    ],
)
def test_what_is_refused_beside_another_or_for_its_value_is_for_that_question_alone(
    body: Any, lasting: bool
) -> None:
    assert asked_for(body, BOTH).without
    assert asked_for(body, BOTH).lasting == lasting


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        # webmcp-tools#417, joplin#16451: OpenAI's
        ("use /v1/responses or set reasoning_effort to 'none'.", {"reasoning_effort": "none"}),
        # ragflow#8972, claude-code-router#948: DashScope's and ModelScope's
        (
            "parameter.enable_thinking must be set to false for non-streaming calls",
            {"enable_thinking": False},
        ),
        (
            "enable thinking can not be support when `stream=False`.",
            {"enable_thinking": False},
        ),
        # eino#994, DeepSeek-V3#1376, oh-my-pi#1077, presenton#184: not while it thinks
        ("tool_choice: required is not supported in thinking mode", {"enable_thinking": False}),
        ("Thinking mode does not support this tool_choice", {"enable_thinking": False}),
        (
            "tool_choice 'required' is incompatible with thinking enabled",
            {"enable_thinking": False},
        ),
        (
            "Json mode response is not supported when enable_thinking is true",
            {"enable_thinking": False},
        ),
    ],
)
def test_a_value_that_a_refusal_asks_for_is_given(words: str, sent: dict[str, Any]) -> None:
    one, question = rules(THINKER), Question(CHAT, orjson.dumps({"messages": MESSAGES}))
    again = orjson.loads(one.shaped(question, asked_for(said(words), {})))

    assert {name: value for name, value in again.items() if name in sent} == sent
    assert sent.keys() & asked(one).keys() == set(), "it is for that question alone"


@pytest.mark.parametrize(
    "words",
    [
        "Invalid schema for response_format",
        # ghidra-mcp#440, cookbook#1028, chatwise#141, llama.cpp#17572
        "The specified schema produces a constraint that has too many states for serving.",
        "JSON mode is not enabled for this model",
        "Json mode is not supported for this model.",
        "JSON schema conversion failed: not: ...",
    ],
)
def test_a_structure_that_is_refused_is_asked_for_in_words(words: str) -> None:
    assert structure_refused(orjson.dumps(said(words)))


def test_a_default_limit_gives_way_to_a_callers_under_the_other_name() -> None:
    one = rules(options={"max_tokens": 100, "temperature": 0.1})
    assert asked(one, max_completion_tokens=6) == {"max_completion_tokens": 6, "temperature": 0.1}


def test_a_limit_whose_usual_name_is_refused_is_tried_under_the_other() -> None:
    """Mistral's at Azure: pydantic-ai#6593."""
    one = QuestionRules("m", {**PLAIN.traits(), "limit_field": "max_completion_tokens"}, {})
    one.learn(CHAT, "max_completion_tokens")
    assert asked(one, max_tokens=5) == {"max_tokens": 5}
    assert asked(one, max_completion_tokens=5) == {"max_tokens": 5}
