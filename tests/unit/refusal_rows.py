"""Every refusal that the reader is tried on: what was sent, and who must act."""

from __future__ import annotations

from tests.unit.refusals_china import CHINA
from tests.unit.refusals_dialects import DIALECTS
from tests.unit.refusals_hosted import HOSTED
from tests.unit.refusals_reported import REPORTED
from tests.unit.refusals_west import WEST
from tests.unit.refusals_words import INNOCENT, WORDS
from tests.unit.rows import Row

REFUSALS: tuple[Row, ...] = (*CHINA, *WEST, *HOSTED, *DIALECTS, *REPORTED, *WORDS, *INNOCENT)

SAYS: dict[str, tuple[str, ...]] = {
    **{
        name: (name,)
        for name in (
            *("deepseek", "moonshot", "volcengine", "qianfan", "minimax", "siliconflow"),
            *("openrouter", "anthropic", "gemini", "azure"),
        )
    },
    "hunyuan": ("tokenhub", "hunyuan"),
    "custom": ("ollama", "vllm", "llama.cpp", "lmstudio", "new-api", "litellm", "sglang", "tgi"),
}
"""Whose rows are a provider's of ours."""


def rows_of(provider: str) -> list[Row]:
    """Return how a provider of ours says no."""
    return [row for row in REFUSALS if row.provider in SAYS[provider]]
