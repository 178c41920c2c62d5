"""How what is configured is put to work: actors are made, prepared, switched and ended."""

from __future__ import annotations

import asyncio
from typing import Any

import ray

from gateway.actors.configurations import Configurations
from gateway.actors.deploy_checks import STOCK_CLASS, check_actor
from gateway.actors.model_actor import ModelActor
from gateway.actors.replica_actors import (
    class_of,
    create_actor,
    end_actors,
    replicas_of,
    tell,
    within,
)
from gateway.actors.stock_models import deploy_stock
from gateway.errors import GatewayError
from gateway.protocol import Engine, ModelConfig, replica_name

DEPLOY_SECONDS = 120
"""For one deploy, the load of a large local model included."""


class Deployments:
    """Of the chats in `configs`, each by one caller at a time."""

    def __init__(self, configs: Configurations) -> None:
        self._configs = configs
        # Made once: each one is kept for ever by Ray's control store, and by every process that
        # looks up its actors.
        self._model_actor = ray.remote(ModelActor)

    def replicas(self, config: ModelConfig) -> list[Any]:
        """Return a chat's actors; those that there are none of are started, empty."""
        name = config["chat_name"]
        names = [replica_name(name, index) for index in range(config["workers"])]
        return [create_actor(self._model_actor, name, actor_name) for actor_name in names]

    async def deploy(self, name: str, config: ModelConfig, check: bool) -> None:
        """Have `config` answer for a chat, asked a question before if `check`; what was there
        answers until then. Raises GatewayError."""
        actor_class = await class_of(name)
        check_actor(name, actor_class)
        if config["engine"] == Engine.TASK:
            self._configs.keep(config)
            await end_actors(await replicas_of(name))  # of the chat that it was before
            return
        if config["engine"] == Engine.BYZERLLM:
            await self.deploy_stock(name, config)
            return
        if actor_class == STOCK_CLASS:
            await end_actors(await replicas_of(name))
        await self._deploy_replicas(name, config, check)

    async def deploy_stock(self, name: str, config: ModelConfig) -> None:
        """Have byzerllm run a model. Raises GatewayError; the chat is gone then."""
        await end_actors(await replicas_of(name))
        # The model's own process asks for its key here, so it must be known before.
        self._configs.keep(config)
        try:
            await within(DEPLOY_SECONDS, deploy_stock.remote({**config, "api_key": ""}))
        except GatewayError:
            self._configs.drop(name)
            await end_actors(await replicas_of(name))
            raise

    async def _deploy_replicas(self, name: str, config: ModelConfig, check: bool) -> None:
        running = [replica for replica in await replicas_of(name) if replica is not None]
        replicas = self.replicas(config)
        try:
            # One question is enough to know a key and a model.
            prepared = (
                replica.prepare.remote(config, check and not index)
                for index, replica in enumerate(replicas)
            )
            for failure in filter(None, await within(DEPLOY_SECONDS, *prepared)):
                raise GatewayError.from_dict(failure)
        except GatewayError:
            for replica in replicas[: len(running)]:
                replica.forget_prepared.remote()
            await end_actors(replicas[len(running) :])
            raise
        # From here on there is no way back: some have switched. One that does not begins anew, and
        # learns here what to run.
        self._configs.keep(config)
        await asyncio.gather(*(tell(replica, "switch") for replica in replicas))
        await end_actors(running[len(replicas) :])
