"""The directory: one small detached actor that knows every chat's configuration and alone deploys
and undeploys.

State lives in memory, twice: here, and in each model actor; of a task, which has no actor, here and
in the gateway processes. Either one, killed, is refilled from the other. After the whole cluster
restarts, the keys are gone by design, and the chats that a gateway process still remembers say
NEED_KEY.

Since only this actor deploys, one chat name at a time, deploys of one name from many processes end
in one winner.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import ray

from gateway.actors.chat_rows import chat_row, stock_row, task_row
from gateway.actors.configurations import Configurations
from gateway.actors.deploy_checks import (
    STOCK_CLASS,
    check_chain,
    check_free,
    check_own_chain,
    check_task,
)
from gateway.actors.deployments import DEPLOY_SECONDS, Deployments
from gateway.actors.followers import Followers
from gateway.actors.joint_work import JointWork
from gateway.actors.model import has_its_key
from gateway.actors.model_actor import ModelActor
from gateway.actors.offered_models import offered_models
from gateway.actors.reach import STOCK_REACH, endpoints, reach
from gateway.actors.replica_actors import (
    ask_actor,
    ask_config,
    class_of,
    end_actors,
    replicas_of,
    tell,
)
from gateway.errors import Code, ErrorRecord, GatewayError
from gateway.protocol import (
    ChatRow,
    Chats,
    Engine,
    ModelConfig,
    Offered,
    PublicConfig,
    Reach,
    hop,
)

log = logging.getLogger(__name__)

AGAIN_SECONDS = 2
"""How often a replica that says nothing is asked again what it runs."""

STARTING_SECONDS = 5
"""So long who asks for a chat waits for its first deploy, which may take minutes."""

T = TypeVar("T")


class Directory:
    """Knows what is deployed. What goes wrong is returned as a record: None says that all went
    well."""

    def __init__(self) -> None:
        self._followers = Followers()
        self._configs = Configurations(self._followers.changed)
        self._deployments = Deployments(self._configs)
        # Each for as long as somebody has it or waits for it, since names come and go.
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._refilling = JointWork(self._refill)
        self._is_refilled = False
        self._under_way: set[asyncio.Task[Any]] = set()

    async def deploy(self, config: ModelConfig, check: bool = False) -> ErrorRecord | None:
        """Put `config` behind its chat name. What was there before answers until the new model is
        ready."""
        return await self._to_its_end(self._put(config, check))

    async def _put(self, config: ModelConfig, check: bool) -> ErrorRecord | None:
        await self._refilled()
        name = config["chat_name"]
        async with self._turn(name):
            before = self._configs.get(name)
            config = self._configs.completed(config)
            try:
                await check_chain(name, config["fallback"] or [], self._configs)
                await check_task(config, self._configs)
                await self._deployments.deploy(name, config, check)
            except GatewayError as error:
                error.chat_name, error.provider = name, config["provider"]
                return error.as_dict()
            if before and has_its_key(before):
                self._configs.set_aside(before, config["undo_seconds"])
        await self._followers.informed()
        return None

    async def undo(self, name: str) -> ErrorRecord | None:
        """Bring back what was behind a chat before its last deploy, if that was not too long
        ago."""
        before = self._configs.before(name)
        if before is None:
            detail = f"chat_name: there is nothing to undo for {name}; see GATEWAY_UNDO_SECONDS."
            detail_zh = f"chat_name：{name} 没有可撤销的部署（GATEWAY_UNDO_SECONDS）。"
            error = GatewayError(Code.INVALID_REQUEST, detail, detail_zh, param="chat_name")
            return error.as_dict()
        return await self.deploy(before)

    async def set_fallback(self, name: str, fallback: list[str]) -> ErrorRecord | None:
        """Change a chat's chain alone."""
        return await self._to_its_end(self._amend(name, fallback))

    async def _amend(self, name: str, fallback: list[str]) -> ErrorRecord | None:
        await self._refilled()
        async with self._turn(name):
            try:
                if name not in self._configs:
                    raise GatewayError(Code.NOT_DEPLOYED)
                check_own_chain(name, self._configs)
                await check_chain(name, fallback, self._configs)
            except GatewayError as error:
                error.chat_name = name
                return error.as_dict()
            generation = self._configs.next_generation()
            amended: ModelConfig = {
                **self._configs[name],
                "fallback": fallback,
                "generation": generation,
            }
            self._configs.keep(amended)
            if amended["engine"] != Engine.BYZERLLM:
                replicas = await replicas_of(name, amended["workers"])
                await asyncio.gather(
                    *(tell(replica, "amend", fallback, generation) for replica in replicas)
                )
        await self._followers.informed()
        return None

    async def undeploy(self, name: str) -> ErrorRecord | None:
        """Take a chat away; chats under way finish first, within `DRAIN_SECONDS`."""
        return await self._to_its_end(self._take(name))

    async def _take(self, name: str) -> ErrorRecord | None:
        await self._refilled()
        async with self._turn(name):
            actor_class = await class_of(name)
            ours = (STOCK_CLASS, ModelActor.__name__)
            if name not in self._configs and actor_class not in ours:
                return GatewayError(Code.NOT_DEPLOYED, chat_name=name).as_dict()
            try:
                check_free(name, self._configs)
            except GatewayError as error:
                error.chat_name = name
                return error.as_dict()
            self._configs.drop(name)
            self._configs.forget_before(name)
            await end_actors(await replicas_of(name))
        await self._followers.informed()
        return None

    async def find(self, name: str) -> Reach | None:
        """Return how to reach a chat, or None: there is none of that name."""
        await self._refilled()
        if name not in self._configs and (deploying := self._turns.get(name)):
            with suppress(TimeoutError):
                async with asyncio.timeout(STARTING_SECONDS), deploying:
                    pass  # it is there in a moment, perhaps
        if config := self._configs.get(name):
            # who asks for a task's chat knows of it already
            return None if config["engine"] == Engine.TASK else reach(config)
        return STOCK_REACH if await class_of(name) == STOCK_CLASS else None

    async def chats_with(self, path: str) -> list[str]:
        """Return the names of the chats that have an endpoint."""
        await self._refilled()
        return sorted(name for name, one in self._configs.items() if path in endpoints(one))

    async def config(self, name: str) -> ModelConfig | None:
        """Return a chat's whole configuration, for its own restarted replica."""
        await self._refilled()
        return self._configs.get(name)

    async def chats(self, born: str = "", revision: int = 0) -> Chats:
        """Return all our chats without their keys, unless nothing has changed since `revision` of
        the directory `born`. The gateway processes ask every two seconds, and `remember`."""
        await self._refilled()
        return self._configs.changes(born, revision, self._followers.revision)

    async def follow(self, process: str, born: str, revision: int) -> None:
        """Return when there is more to learn than the `revision` that a gateway process knows of
        the directory `born`, or after half a minute."""
        await self._followers.follow(process, revision if self._configs.is_of(born) else 0)

    async def remember(self, chats: Iterable[PublicConfig]) -> None:
        """Learn of the chats that a gateway process knew before this actor was born, and deploy
        those that need no key.

        In a cluster that went on meanwhile, a chat without an actor is one that was undeployed a
        moment ago.
        """
        await self._refilled()
        restarted = await asyncio.to_thread(
            lambda: ray.get_runtime_context().was_current_actor_reconstructed
        )
        for chat in chats:
            name = chat["chat_name"]
            config: ModelConfig = {**chat, "api_key": "", "egress_proxy": ""}
            if config["engine"] == Engine.TASK:
                self._configs.remember_task(config)
                continue
            if restarted and await class_of(name) is None:
                continue
            under_way = self._turn(name).locked()
            task = self._begun(self._bring_back(config))
            if not under_way:  # a first deploy may take minutes
                await task

    async def _bring_back(self, config: ModelConfig) -> None:
        """Know a chat again, unless it is known already, and start what it needs if it has its key.
        It takes seconds, for which other chats need not wait; who asks this one does."""
        name, is_stock = config["chat_name"], config["engine"] == Engine.BYZERLLM
        async with self._turn(name):
            if name in self._configs:
                return
            starts = has_its_key(config)
            replicas = self._deployments.replicas(config) if starts and not is_stock else []
            self._configs.keep(config)
        for replica in replicas:
            self._begun(ask_actor(replica, "status", DEPLOY_SECONDS))  # it asks here what to run
        if starts and is_stock:
            self._begun(self._restore_stock(name, config))

    async def _restore_stock(self, name: str, config: ModelConfig) -> None:
        async with self._turn(name):
            current = self._configs.get(name)
            if current is None or current["generation"] != config["generation"]:
                return  # it was deployed, or taken away, meanwhile
            try:
                await self._deployments.deploy_stock(name, config)
            except GatewayError as error:
                log.warning("%s was lost with its cluster: %s", name, error)

    async def models(self) -> list[ChatRow]:
        """Return every chat on the cluster, ours and other byzerllm programs', with its state."""
        await self._refilled()
        configs = list(self._configs.values())
        ours = [chat_row(config) for config in configs if config["engine"] != Engine.TASK]
        names = await asyncio.to_thread(ray.util.list_named_actors)
        others = [name for name in names if name not in self._configs]
        classes = await asyncio.gather(*map(class_of, others))
        stock = [name for name, kind in zip(others, classes, strict=True) if kind == STOCK_CLASS]
        rows = await asyncio.gather(*ours, *map(stock_row, stock))
        chats = {row["chat_name"]: row for row in rows}
        rows += [task_row(config, chats) for config in configs if config["engine"] == Engine.TASK]
        return sorted(rows, key=lambda row: row["chat_name"])

    async def offered(self, config: ModelConfig) -> Offered:
        """Return which models a provider offers to a key, which is kept no longer than this
        takes."""
        session = ray.get_runtime_context().get_session_name()
        try:
            return {"models": await offered_models(config, hop(session)), "error": None}
        except GatewayError as error:
            error.provider = config["provider"]
            return {"models": [], "error": error.as_dict()}

    def _begun(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Await what must not end half-way: whoever asks may give up, and Ray then cancels the
        call."""
        return await asyncio.shield(self._begun(work))

    def _turn(self, name: str) -> asyncio.Lock:
        """Return the lock by which what is done to a chat is done one after the other."""
        return self._turns.setdefault(name, asyncio.Lock())

    async def _refilled(self) -> None:
        """Wait for what a restarted directory learns from the model actors."""
        if not self._is_refilled:
            await self._refilling.join()

    async def _refill(self) -> None:
        running: dict[str, ModelConfig] = {}
        silent: list[str] = []
        for actor_name in await asyncio.to_thread(ray.util.list_named_actors):
            # Any replica will do: the first may have ended with the node that this actor was on.
            name = actor_name.partition("#")[0]
            if name not in running and await class_of(actor_name) == ModelActor.__name__:
                try:
                    config = await ask_config(actor_name)
                except TimeoutError:
                    silent.append(actor_name)
                else:
                    running |= {name: config} if config else {}
        self._configs.refill(running.values())
        self._is_refilled = True
        if silent:
            self._begun(self._hear_of(silent))

    async def _hear_of(self, silent: list[str]) -> None:
        """Ask replicas again that said nothing, until they do or are gone: of their chats' keys
        nobody else may know."""
        while silent:
            still: list[str] = []
            for actor_name in silent:
                # not while its chat is taken away
                async with self._turn(actor_name.partition("#")[0]):
                    try:
                        config = await ask_config(actor_name)
                    except TimeoutError:
                        still.append(actor_name)
                    else:
                        if config:
                            self._configs.complete(config)
            silent = still
            await asyncio.sleep(AGAIN_SECONDS)
