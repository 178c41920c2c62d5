"""Which models a provider offers: asked once, for whoever is about to deploy, and kept nowhere."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path

from gateway.actors.model import open_model
from gateway.protocol import EMBEDDED, Engine, ModelConfig
from gateway.providers.model_names import MOST_NAMES


async def offered_models(config: ModelConfig, hop: str) -> list[str]:
    """Return the names of the models that a provider offers to the key of `config`. Raises
    GatewayError."""
    if config["engine"] == Engine.LLAMA_CPP:
        return await asyncio.to_thread(_files, config["models_folder"])
    model = await open_model(config, hop)
    try:
        return await model.accounts[0].upstream.offered()
    finally:
        await model.close(0)


def _files(folder: str) -> list[str]:
    """Return the models that this node has: the one that the gateway brings along, and the GGUF
    files below the operator's folder."""
    files = map(str, Path(folder).rglob("*.gguf")) if folder else iter(())
    return [EMBEDDED, *sorted(islice(files, MOST_NAMES))]
