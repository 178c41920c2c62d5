"""What the values in llm_*.py say: each of its own, and what each model is told about thinking."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest
from flask import Flask

from gateway import settings
from gateway.actors.model import has_its_key
from gateway.protocol import CHAT
from gateway.providers.provider import STOCK_MODEL_TYPES
from gateway.providers.questions import Question, QuestionRules
from gateway.web.contract import DeployRequest
from gateway.web.provider_views import model_config
from tests.providers import PROVIDERS

DISABLED, ENABLED = {"thinking": {"type": "disabled"}}, {"thinking": {"type": "enabled"}}
NO_FIELD, FIELD = {"enable_thinking": False}, {"enable_thinking": True}
Fields = dict[str, Any]

THINKING: list[tuple[str, str, Fields, Fields]] = [
    ("zhipu", "glm-4.7", DISABLED, ENABLED),
    ("zhipu", "glm-4-plus", {}, {}),
    ("tongwen", "qwen3.7-plus", NO_FIELD, FIELD),
    ("tongwen", "qwq-plus", {}, {}),
    ("openai", "gpt-4.1", {}, {}),
    ("deepseek", "deepseek-v4-flash", DISABLED, ENABLED),
    ("moonshot", "kimi-k2.6", DISABLED, ENABLED),
    ("moonshot", "kimi-k2.7-code", {}, {}),
    ("moonshot", "kimi-k3", {}, {}),
    ("volcengine", "doubao-seed-2-0-lite-260215", DISABLED, ENABLED),
    ("volcengine", "doubao-seed-1-6-thinking-250715", {}, {}),
    ("volcengine", "ep-20260101-abcde", {}, {}),
    ("qianfan", "ernie-5.1", {}, {}),
    ("qianfan", "ernie-5.0-thinking-latest", NO_FIELD, FIELD),
    ("qianfan", "qwen3-32b", NO_FIELD, FIELD),
    ("qianfan", "qwen3-30b-a3b-instruct-2507", {}, {}),
    ("qianfan", "deepseek-v3.2", DISABLED, ENABLED),
    ("hunyuan", "hy3-preview", DISABLED, ENABLED),
    ("hunyuan", "glm-5.1", DISABLED, ENABLED),
    ("hunyuan", "minimax-m2.7", {}, {}),
    (
        "minimax",
        "MiniMax-M3",
        {**DISABLED, "reasoning_split": True},
        {"thinking": {"type": "adaptive"}, "reasoning_split": True},
    ),
    ("minimax", "MiniMax-M2.7", {"reasoning_split": True}, {"reasoning_split": True}),
    ("siliconflow", "deepseek-ai/DeepSeek-V4-Flash", NO_FIELD, FIELD),
    ("siliconflow", "Pro/moonshotai/Kimi-K2.6", NO_FIELD, FIELD),
    ("siliconflow", "Qwen/Qwen2.5-VL-32B-Instruct", {}, {}),
    ("siliconflow", "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", {}, {}),
    (
        "openrouter",
        "deepseek/deepseek-v4-flash",
        {"reasoning": {"enabled": False}},
        {"reasoning": {"enabled": True}},
    ),
    (
        "anthropic",
        "claude-haiku-4-5-20251001",
        {},
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    ),
    (
        "anthropic",
        "claude-sonnet-4-20250514",
        {},
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    ),
    ("anthropic", "claude-haiku-5-5", DISABLED, {"thinking": {"type": "adaptive"}}),
    ("anthropic", "claude-opus-4-8", DISABLED, {"thinking": {"type": "adaptive"}}),
    ("anthropic", "claude-3-haiku-20240307", {}, {}),
    ("gemini", "gemini-2.5-flash", {"reasoning_effort": "none"}, {"reasoning_effort": "medium"}),
    ("gemini", "gemini-2.5-pro", {}, {}),
    (
        "gemini",
        "gemini-3.1-flash-lite",
        {"reasoning_effort": "minimal"},
        {"reasoning_effort": "medium"},
    ),
    ("gemini", "gemini-3.1-pro-preview", {}, {}),
    ("gemini", "gemini-3.8-flash", {}, {}),
    ("gemini", "gemini-flash-latest", {}, {}),
    ("azure", "gpt-4.1", {}, {}),
    ("custom", "qwen3:8b", {}, {}),
    ("local", "SmolLM2-135M", {}, {}),
]


def asked(provider: str, model: str, **given: Any) -> Any:
    """What a question to /<provider>/chat tells the model beside its name."""
    rules = QuestionRules(model, PROVIDERS[provider].traits(), {})
    fields = orjson.loads(
        rules.shaped(Question(CHAT, orjson.dumps({"messages": [], **given}), plain=True))
    )
    return {name: fields[name] for name in fields.keys() - {"model", "messages"}}


@pytest.mark.parametrize("row", THINKING, ids=lambda row: f"{row[0]}-{row[1]}")
def test_each_model_is_told_in_its_providers_words_whether_to_think(
    row: tuple[str, str, Fields, Fields],
) -> None:
    provider, model, off, on = row
    assert asked(provider, model) == off
    assert asked(provider, model, thinking="on") == on


def test_every_switch_of_every_provider_is_tried() -> None:
    assert {row[0] for row in THINKING} == set(PROVIDERS)
    tried = [off for _, _, off, _ in THINKING]
    for provider in PROVIDERS.values():
        assert all(dict(switch.off) in tried for switch in provider.thinking), provider.name


def test_a_limit_has_the_name_that_each_provider_takes() -> None:
    renamed = {name for name in PROVIDERS if "max_tokens" not in asked(name, "m", max_tokens=5)}
    assert renamed == {"openai", "azure", "moonshot", "minimax"}


def test_each_provider_is_one_of_its_own() -> None:
    types = Counter(kind for one in PROVIDERS.values() for kind in one.model_types)
    assert max(types.values()) == 1
    relayed = {"azure_openai", "claude", "minimax", "openrouter", "qianfan", "siliconflow"}
    assert {f"saas/{name}" for name in relayed} == types.keys() & STOCK_MODEL_TYPES
    for one in PROVIDERS.values():
        assert one.base_url or one.base_url_example or one.name == "local"
        assert one.base_url.startswith("https://") or not one.base_url
        assert not one.base_url.endswith("/")


@pytest.mark.parametrize(
    ("provider", "key", "returns"),
    [("custom", "", True), ("custom", "sk-relay-1", False), ("deepseek", "sk-1", False)],
)
def test_what_comes_back_by_itself_when_a_restart_has_lost_all_keys(
    provider: str, key: str, returns: bool
) -> None:
    app = Flask(__name__)
    app.extensions.update(settings=settings.load({}), providers=PROVIDERS)
    base_url = "http://127.0.0.1:11434/v1"
    order = DeployRequest.model_validate(
        {"chat_name": "c", "api_key": key, "base_url": base_url, "model_name": "m"}
    )
    with app.app_context():
        config = model_config(PROVIDERS[provider], order)

    assert has_its_key(config)
    assert has_its_key({**config, "api_key": ""}) is returns
