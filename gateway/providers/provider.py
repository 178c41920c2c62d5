"""A provider is a value: what is to be known of it, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol import Engine
from gateway.providers.dialects import Dialect

STOCK_MODEL_TYPES = frozenset(
    {
        "saas/aws_bedrock",
        "saas/azure_openai",
        "saas/baichuan",
        "saas/claude",
        "saas/minimax",
        "saas/openai_response",
        "saas/openrouter",
        "saas/pangu",
        "saas/qianfan",
        "saas/reasoning_openai",
        "saas/siliconflow",
        "saas/sparkdesk",
    }
)
"""byzerllm 0.1.223's own chat models that we do not relay. An allow-list: stock byzerllm imports
what it is told."""


@dataclass(frozen=True)
class Provider:
    """A provider's name in the URLs, what it accepts, and how it says no.

    `model_types` are relayed, the first being the default; `base_url` and `model_name` are
    defaults; `endpoints` are what /v1 relays beside /chat/completions.
    """

    name: str
    model_types: tuple[str, ...]
    model_name: str
    dialect: Dialect
    base_url: str = ""
    engine: Engine = Engine.RELAY
    needs_key: bool = True
    endpoints: tuple[str, ...] = ("/embeddings",)
