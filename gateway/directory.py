"""The directory: one small detached actor that knows every chat's configuration and alone deploys
and undeploys.

State lives in memory, twice: here, and in each model actor. Either one, killed, is refilled from
the other. After the whole cluster restarts, the keys are gone by design, and the chats that a
gateway process still remembers say NEED_KEY.

Since only this actor deploys, one chat name at a time, deploys of one name from many processes end
in one winner.
"""

from __future__ import annotations

import asyncio
import time
import uuid
import weakref
from collections.abc import Iterable
from typing import Any, cast

import ray

from gateway.actors import (
    STATUS_SECONDS,
    ask_actor,
    class_of,
    create_actor,
    end_actors,
    get_actor,
    replica_name,
    replicas_of,
    within,
)
from gateway.errors import Code, GatewayError
from gateway.model import ModelConfig, has_its_key
from gateway.model_actor import ModelActor
from gateway.stock import deploy_stock

DEPLOY_SECONDS = 120
"""For one deploy, the load of a large local model included."""

STOCK_CLASS = "UDFMaster"
"""The class of the actor that stock byzerllm names after a model."""


class Directory:
    """Knows what is deployed. Replies are plain data: {"error": ...} where something went wrong."""

    def __init__(self) -> None:
        self._configs: dict[str, ModelConfig] = {}
        self._before: dict[str, tuple[ModelConfig, float]] = {}
        self._generation = 0
        # Made once: each one is kept for ever by Ray's control store, and by every process that
        # looks up its actors.
        self._model_actor = ray.remote(ModelActor)
        self._born = uuid.uuid4().hex
        # Each for as long as somebody has it or waits for it, since names come and go.
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._refilling: asyncio.Task[None] | None = None
        self._starting: set[asyncio.Task[Any]] = set()

    async def deploy(self, config: ModelConfig, check: bool = False) -> dict[str, Any]:
        """Put `config` behind its chat name. What was there before answers until the new model is
        ready."""
        await self._refilled()
        name = config["chat_name"]
        async with self._turn(name):
            before = self._configs.get(name)
            chain = (
                (before["fallback"] if before else [])
                if config["fallback"] is None
                else config["fallback"]
            )
            reply = (
                (before["reply"] if before else {}) if config["reply"] is None else config["reply"]
            )
            config = {
                **config,
                "fallback": chain,
                "reply": reply,
                "generation": self._next_generation(),
                "since": time.time(),
            }
            try:
                await self._check_chain(name, chain or [])
                await self._deploy(name, config, check)
            except GatewayError as error:
                error.chat_name, error.provider = name, config["provider"]
                return {"error": error.as_dict()}
            if before and has_its_key(before):
                self._before[name] = before, time.monotonic() + config["undo_seconds"]
        return {}

    async def undo(self, name: str) -> dict[str, Any]:
        """Bring back what was behind a chat before its last deploy, if that was not too long
        ago."""
        self._forget_expired()
        if name not in self._before:
            detail = f"chat_name: there is nothing to undo for {name}; see GATEWAY_UNDO_SECONDS."
            detail_zh = f"chat_name：{name} 没有可撤销的部署（GATEWAY_UNDO_SECONDS）。"
            return {
                "error": (
                    GatewayError(
                        Code.INVALID_REQUEST, detail, detail_zh, param="chat_name"
                    ).as_dict()
                )
            }
        return await self.deploy(self._before[name][0])

    async def set_fallback(self, name: str, fallback: list[str]) -> dict[str, Any]:
        """Change a chat's chain alone."""
        await self._refilled()
        async with self._turn(name):
            try:
                if name not in self._configs:
                    raise GatewayError(Code.NOT_DEPLOYED)
                await self._check_chain(name, fallback)
            except GatewayError as error:
                error.chat_name = name
                return {"error": error.as_dict()}
            generation = self._next_generation()
            config = self._configs[name] = {
                **self._configs[name],
                "fallback": fallback,
                "generation": generation,
            }
            if config["engine"] != "byzerllm":
                replicas = await replicas_of(name, config["workers"])
                await asyncio.gather(
                    *(
                        ask_actor(replica, "amend", STATUS_SECONDS, fallback, generation)
                        for replica in replicas
                    )
                )
        return {}

    async def undeploy(self, name: str) -> dict[str, Any]:
        """Take a chat away; chats under way finish first, within `DRAIN_SECONDS`."""
        await self._refilled()
        async with self._turn(name):
            actor_class = await class_of(name)
            if name not in self._configs and actor_class not in (STOCK_CLASS, ModelActor.__name__):
                return {"error": GatewayError(Code.NOT_DEPLOYED, chat_name=name).as_dict()}
            self._configs.pop(name, None)
            self._before.pop(name, None)
            await end_actors(await replicas_of(name))
        return {}

    async def find(self, name: str) -> dict[str, Any] | None:
        """How to reach a chat: {"engine", "replicas", "timeout", "generation", "provider"}, or
        None: there is none."""
        await self._refilled()
        if name not in self._configs and (deploying := self._turns.get(name)):
            async with deploying:
                pass  # it is there in a moment, perhaps
        if config := self._configs.get(name):
            replicas = config["workers"] if config["engine"] != "byzerllm" else 1
            return {**_public(config), "replicas": replicas, "need_key": not has_its_key(config)}
        if await class_of(name) == STOCK_CLASS:
            return {
                "engine": "byzerllm",
                "provider": "byzerllm",
                "replicas": 1,
                "timeout": None,
                "generation": 0,
                "fallback": [],
                "reply": {},
            }
        return None

    async def config(self, name: str) -> ModelConfig | None:
        """A chat's whole configuration, for its own restarted replica."""
        return self._configs.get(name)

    async def known(self) -> tuple[str, list[dict[str, Any]]]:
        """This actor's birth mark, and all our chats without their keys: what the gateway processes
        `remember`."""
        await self._refilled()
        self._forget_expired()
        return self._born, [_public(config) for config in self._configs.values()]

    async def remember(self, known: Iterable[dict[str, Any]]) -> None:
        """Chats that a gateway process knew before this actor was born: deploy those that need no
        key.

        In a cluster that went on meanwhile, a chat without an actor is one that was undeployed a
        moment ago.
        """
        await self._refilled()
        restarted = await asyncio.to_thread(
            lambda: ray.get_runtime_context().was_current_actor_reconstructed
        )
        for public in known:
            name = public["chat_name"]
            if name in self._configs or (restarted and await class_of(name) is None):
                continue
            config = cast(ModelConfig, {**public, "api_key": ""})
            if config["engine"] == "llama.cpp":
                # It takes seconds, for which other chats need not wait.
                task = asyncio.create_task(self.deploy(config))
                self._starting.add(task)
                task.add_done_callback(self._starting.discard)
            else:
                self._configs[name] = config

    async def models(self) -> list[dict[str, Any]]:
        """Every chat on the cluster, ours and other byzerllm programs', with its state."""
        await self._refilled()
        ours = [self._describe(config) for config in list(self._configs.values())]
        names = await asyncio.to_thread(ray.util.list_named_actors)
        others = [name for name in names if name not in self._configs]
        classes = await asyncio.gather(*map(class_of, others))
        theirs = [
            name
            for name, actor_class in zip(others, classes, strict=True)
            if actor_class == STOCK_CLASS
        ]
        return sorted(
            await asyncio.gather(*ours, *map(_describe_stock, theirs)),
            key=lambda chat: chat["chat_name"],
        )

    def _turn(self, name: str) -> asyncio.Lock:
        """What is done to a chat is done one after the other."""
        return self._turns.setdefault(name, asyncio.Lock())

    def _forget_expired(self) -> None:
        """No key is kept for longer than it can be of use; the gateway processes ask every 2 s what
        is `known`."""
        now = time.monotonic()
        self._before = {name: kept for name, kept in self._before.items() if kept[1] > now}

    def _next_generation(self) -> int:
        self._generation += 1
        return self._generation

    async def _check_chain(self, name: str, fallback: list[str]) -> None:
        """Raise GatewayError for a chain that holds the chat itself, a chat twice, or one that is
        not deployed."""
        for place, other in enumerate(fallback):
            if other == name or other in fallback[:place]:
                why, why_zh = (
                    f"{other} stands there twice, or is the chat itself",
                    f"{other} 重复，或就是该对话本身",
                )
            elif other not in self._configs and await class_of(other) != STOCK_CLASS:
                why, why_zh = f"no chat named {other} is deployed", f"没有部署名为 {other} 的对话"
            else:
                continue
            raise GatewayError(
                Code.INVALID_REQUEST, f"fallback: {why}.", f"fallback：{why_zh}。", param="fallback"
            )

    async def _deploy(self, name: str, config: ModelConfig, check: bool) -> None:
        actor_class = await class_of(name)
        if actor_class not in (None, STOCK_CLASS, ModelActor.__name__):
            raise GatewayError(
                Code.INVALID_REQUEST,
                f"chat_name: {name!r} is the name of another program's actor ({actor_class})."
                " Choose another name.",
                f"chat_name：{name!r} 已被其他程序的 actor（{actor_class}）占用。请换一个名称。",
            )
        if config["engine"] == "byzerllm":
            await end_actors(await replicas_of(name))
            # The model's own process asks for its key here, so it must be known before.
            self._configs[name] = config
            try:
                await within(DEPLOY_SECONDS, deploy_stock.remote({**config, "api_key": ""}))
            except GatewayError:
                del self._configs[name]
                await end_actors(await replicas_of(name))
                raise
            return
        if actor_class == STOCK_CLASS:
            await end_actors(await replicas_of(name))
        await self._deploy_replicas(name, config, check)

    async def _deploy_replicas(self, name: str, config: ModelConfig, check: bool) -> None:
        running = [replica for replica in await replicas_of(name) if replica is not None]
        names = [replica_name(name, index) for index in range(config["workers"])]
        replicas = [create_actor(self._model_actor, name, actor_name) for actor_name in names]
        try:
            # One question is enough to know a key and a model.
            ready = (
                replica.prepare.remote(config, check and not index)
                for index, replica in enumerate(replicas)
            )
            said = await within(DEPLOY_SECONDS, *ready)
            if failed := next(filter(None, said), None):
                raise GatewayError(**failed)
            await within(STATUS_SECONDS * 5, *(replica.switch.remote() for replica in replicas))
        except GatewayError:
            for replica in replicas[: len(running)]:
                replica.forget_prepared.remote()
            await end_actors(replicas[len(running) :])
            raise
        self._configs[name] = config
        await end_actors(running[len(replicas) :])

    async def _describe(self, config: ModelConfig) -> dict[str, Any]:
        name = config["chat_name"]
        if config["engine"] == "byzerllm":
            stock = await _describe_stock(name)
            return {**_shown(config), "replicas": stock["replicas"], "state": stock["state"]}
        said = [
            await ask_actor(replica, "status")
            for replica in await replicas_of(name, config["workers"])
        ]
        alive = [status for status in said if status]
        resting = next((status["resting"] for status in alive if status["resting"]), None)
        state = "resting" if resting else "answering" if alive else "starting"
        state = state if has_its_key(config) else "need_key"
        told = {
            "replicas": len(alive),
            "state": state,
            "in_flight": sum(status["in_flight"] for status in alive),
        }
        return {**_shown(config), **told, "resting": resting}

    async def _refilled(self) -> None:
        """Wait for what a restarted directory learns from the model actors; each call joins the
        same task."""
        if self._refilling is None:
            self._refilling = asyncio.create_task(self._refill())
        # Who asks may give up, and Ray then cancels the call; what all wait for must not be
        # cancelled with it.
        await asyncio.shield(self._refilling)

    async def _refill(self) -> None:
        for actor_name in await asyncio.to_thread(ray.util.list_named_actors):
            # Any replica will do: the first may have ended with the node that this actor was on.
            name = actor_name.partition("#")[0]
            if name not in self._configs and await class_of(actor_name) == ModelActor.__name__:
                config = await ask_actor(await get_actor(actor_name), "config")
                if config:
                    self._configs[name] = config
                    self._generation = max(self._generation, config["generation"])


async def _describe_stock(name: str) -> dict[str, Any]:
    stat = await ask_actor(await get_actor(name), "stat")
    return {
        "chat_name": name,
        "provider": "byzerllm",
        "model_type": None,
        "model_name": None,
        "host": None,
        "replicas": stat["total_workers"] if stat else 0,
        "state": (
            "answering" if stat and all(w["ready"] for w in stat["worker_state"]) else "starting"
        ),
        "since": None,
        "created": 0,
        "fallback": [],
        "reply": {},
        "resting": None,
    }


def _public(config: ModelConfig) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "api_key"}


def _shown(config: ModelConfig) -> dict[str, Any]:
    """What GET /models tells of a chat; `since` is ISO 8601 in UTC."""
    host = config["base_url"].split("://")[-1].split("/")[0]
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(config["since"]))
    told = {
        "chat_name": config["chat_name"],
        "provider": config["provider"],
        "model_type": config["model_type"],
    }
    return {
        **told,
        "model_name": config["model_name"],
        "host": host or None,
        "since": since,
        "created": int(config["since"]),
        "fallback": config["fallback"],
        "reply": config["reply"],
    }
