"""What gateway processes are told of a chat: how to reach it, and its configuration without
secrets."""

from __future__ import annotations

from typing import cast

from gateway.actors.model import has_its_key
from gateway.protocol import SECRETS, Engine, ModelConfig, PublicConfig, Reach

STOCK_REACH: Reach = {
    "engine": Engine.BYZERLLM.value,
    "provider": "byzerllm",
    "replicas": 1,
    "timeout": None,
    "generation": 0,
    "fallback": [],
    "options": {},
    "need_key": False,
    "endpoints": [],
}
"""How to reach a model that another program deployed."""


def reach(config: ModelConfig) -> Reach:
    """Return how to reach a chat that was deployed here."""
    return {
        "engine": config["engine"],
        "provider": config["provider"],
        "replicas": 1 if config["engine"] == Engine.BYZERLLM else config["workers"],
        "timeout": config["timeout"],
        "generation": config["generation"],
        "fallback": config["fallback"] or [],
        "options": config["options"] if config["engine"] == Engine.BYZERLLM else {},
        "need_key": not has_its_key(config),
        "endpoints": endpoints(config),
    }


def endpoints(config: ModelConfig) -> list[str]:
    """Return what a chat answers beside CHAT: only models at a provider do."""
    relayed = config["engine"] not in (Engine.BYZERLLM, Engine.TASK)
    return list(config["traits"]["endpoints"]) if relayed else []


def public(config: ModelConfig) -> PublicConfig:
    """Return a configuration without its secrets."""
    return cast(
        "PublicConfig", {name: value for name, value in config.items() if name not in SECRETS}
    )
