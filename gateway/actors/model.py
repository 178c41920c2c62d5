"""A model that is ready to answer: its configuration, its provider, whether it rests, and how much
it has to do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.actors.circuit_breaker import CircuitBreaker
from gateway.actors.local_model import load
from gateway.actors.upstream import Upstream
from gateway.errors import Code, GatewayError
from gateway.protocol import CHAT, Engine, ModelConfig
from gateway.providers import dialects


@dataclass(slots=True)
class Model:
    """A model ready to answer, and how many chats it is answering."""

    config: ModelConfig
    upstream: Upstream
    prefix: bytes
    breaker: CircuitBreaker
    local: Any = None
    in_flight: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self.idle.set()

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Around every question to the provider. Raises GatewayError at once while the model
        rests."""
        self.breaker.admit()
        try:
            with self.busy():
                yield
        except GatewayError as error:
            self.breaker.failed(error)
            raise
        self.breaker.succeeded()

    def named(self, body: bytes) -> bytes:
        """Return the request with its model: a body is serialized once, in the gateway, without
        it."""
        return self.prefix + body[1:]

    def has(self, path: str) -> None:
        """Raise GatewayError unless the provider has such an endpoint."""
        if path not in (CHAT, *self.config["endpoints"]):
            provider = self.config["provider"]
            raise GatewayError(
                Code.INVALID_REQUEST,
                f"model: its provider, {provider}, has no {path}.",
                f"model：其服务商 {provider} 没有 {path}。",
                param="model",
            )

    async def close(self, seconds: float) -> None:
        """Let the chats under way finish, for `seconds` at most, then close."""
        if self.in_flight:
            self.idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.idle.wait(), seconds)
        await self.upstream.close()
        self.local = None


async def open_model(config: ModelConfig, hop: str, untried: bool = False) -> Model:
    """Make a model ready. Raises GatewayError: it cannot be loaded. `hop` tells its provider which
    cluster asks.

    `untried`: it has not answered yet, and its file may be damaged.
    """
    base_url, api_key, local = config["base_url"], config["api_key"], None
    if config["engine"] == Engine.LLAMA_CPP:
        base_url, api_key, local = await asyncio.to_thread(
            load, config["model_name"], config["models_folder"], untried
        )
    upstream = Upstream(
        provider=config["provider"],
        base_url=base_url,
        api_key=api_key,
        dialect=dialects.BY_NAME[config["dialect"]],
        timeout=config["timeout"],
        trusted=config["trusted"],
        hop=hop,
    )
    prefix = b'{"model":%b,' % orjson.dumps(config["model_name"])
    return Model(config, upstream, prefix, CircuitBreaker(config["probe_seconds"]), local)


def has_its_key(config: ModelConfig) -> bool:
    """Return whether it can be opened; a restart of the cluster loses keys."""
    return config["engine"] == Engine.LLAMA_CPP or bool(config["api_key"])
