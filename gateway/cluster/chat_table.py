"""The chats that a gateway process has reached, and how each is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import ray

from gateway.byte_budget import ByteBudget
from gateway.cluster.calls import Calls
from gateway.cluster.channel import ChannelError
from gateway.cluster.channels import Channels
from gateway.cluster.connection import AGAIN_SECONDS, Connection
from gateway.cluster.replicas import Replica, ReplicaSet, patience
from gateway.errors import Code, GatewayError, lacking
from gateway.hub import in_thread
from gateway.protocol import CHAT, NAMESPACE, Address, Engine, PublicConfig, Reach, replica_name

ASK_SECONDS = 10
ADDRESS_SECONDS = 3
"""How long a model actor may take to say where it lets chats in; on a node that is cut off it never
will."""

WITH_REPLICAS = frozenset({Engine.RELAY, Engine.LLAMA_CPP})
"""Whose chats are asked beside Ray, on connections of ours."""

STOCK_TIMEOUT_SECONDS = 120
"""Of a chat with a model that another program deployed; ours have a timeout each."""


class ChatTable:
    """How each chat is reached, as far as it is known here; the directory knows the rest.

    `answers` is the budget for large answers, and `on_forget` is told the name of each chat that is
    dropped.
    """

    def __init__(
        self,
        connection: Connection,
        calls: Calls,
        answers: ByteBudget,
        on_forget: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._calls = calls
        self._answers = answers
        self._on_forget = on_forget
        self._chats: dict[str, ReplicaSet] = {}
        self._exploring = False
        self._seen: tuple[str, int] | None = None
        self._in_vain: set[str] = set()

    def known(self, name: str) -> ReplicaSet | None:
        """Return how a chat is reached, if that is known here and still true."""
        chat = self._chats.get(name)
        if chat and chat.outdated:
            self.forget(name)
            return None
        return chat

    def get(self, name: str, seconds: float = ASK_SECONDS) -> ReplicaSet:
        """Return how a chat is reached, asking the directory if need be. Raises GatewayError."""
        if chat := self.known(name):
            return chat
        try:
            return in_thread(self._look_up, name, seconds)
        except GatewayError:
            # Who looked at the same time may have been sooner than the loss of the cluster.
            if chat := self.known(name):
                return chat
            raise

    def chain(self, name: str, path: str = CHAT) -> tuple[str, ...]:
        """Return the chats that answer in a chat's place when it cannot: those of its chain that
        have the endpoint `path`. Raises GatewayError."""
        if chat := self.known(name):
            chain = chat.fallback
        else:
            reach = in_thread(self._find, name, ASK_SECONDS)
            chain = tuple(reach["fallback"]) if reach else ()
        return chain if path == CHAT else tuple(one for one in chain if self._may_have(one, path))

    def require(self, name: str, path: str) -> None:
        """Raise GatewayError unless a chat has the endpoint `path`, naming the chats that do."""
        if path == CHAT or path in (chat := self.get(name)).endpoints:
            return
        names: list[str] = self._calls.ask_directory(ASK_SECONDS, "chats_with", path)
        raise lacking(path, chat.provider, names)

    def _may_have(self, name: str, path: str) -> bool:
        """Return whether a chat has an endpoint. What is wrong with the chat itself is said when it
        is asked."""
        try:
            return path in self.get(name).endpoints
        except GatewayError:
            return True

    def forget(self, name: str) -> None:
        """Drop what is known of a chat; what is under way goes on."""
        if chat := self._chats.pop(name, None):
            chat.end()
        self._on_forget(name)

    def forget_all(self) -> None:
        """Drop what is known of all chats: their handles are void."""
        self._seen = None
        for name in list(self._chats):
            self.forget(name)

    def watch(self, configs: list[PublicConfig]) -> None:
        """Keep to what is deployed: no connection to a chat that is none of `configs` any more, nor
        one that nobody needs. How the others are reached is found out in the background, so that
        they answer while the cluster's head is away, though nobody asked them before."""
        self._tidy(configs)
        seen = self._connection.chats.seen
        if seen != self._seen:
            self._seen, self._in_vain = seen, set()
        names = [config["chat_name"] for config in configs if config["engine"] in WITH_REPLICAS]
        names = [one for one in names if one not in self._in_vain and not self._is_located(one)]
        if names and not self._exploring:
            self._exploring = True
            explore = threading.Thread(
                target=self._explore, args=(names, self._in_vain), daemon=True
            )
            try:
                explore.start()
            except RuntimeError:  # there are too many threads; it is tried again
                self._exploring = False

    def _is_located(self, name: str) -> bool:
        """Return whether it is known here where a chat's replicas are. One that was lost is looked
        after where it is asked."""
        chat = self.known(name)
        return chat is not None and all(
            replica.lost or replica.channels.located for replica in chat.replicas
        )

    def _explore(self, names: list[str], in_vain: set[str]) -> None:
        """Find out where the replicas of chats are. What fails is tried again by the next watch,
        unless that is `in_vain` until more is deployed; whoever asks the chat is told why."""
        try:
            for name in names:
                try:
                    chat = self.get(name, ADDRESS_SECONDS)
                except GatewayError as error:
                    if error.code in (Code.NEED_KEY, Code.NOT_DEPLOYED):
                        in_vain.add(name)
                    continue
                except ray.exceptions.RayError:
                    continue
                for replica in chat.replicas:
                    with suppress(ChannelError, GatewayError, OSError, ray.exceptions.RayError):
                        replica.channels.locate()
        finally:
            self._exploring = False

    def _tidy(self, configs: list[PublicConfig]) -> None:
        generations = {config["chat_name"]: config["generation"] for config in configs}
        for name, chat in list(self._chats.items()):
            if generations.get(name, 0) == chat.generation:  # 0: another program deployed it
                chat.close_idle()
            else:
                self.forget(name)

    def _find(self, name: str, seconds: float) -> Reach | None:
        """Ask the directory for a chat. One that was restarted knows none, until it is told which
        there were. Raises GatewayError."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            reach: Reach | None = self._calls.ask_directory(left, "find", name)
            config = self._connection.chats.get(name)
            if reach or config is None or config["engine"] == Engine.TASK or left < AGAIN_SECONDS:
                return reach
            self._connection.doubt()
            time.sleep(AGAIN_SECONDS)

    def _look_up(self, name: str, seconds: float) -> ReplicaSet:
        reach = self._find(name, seconds)
        if reach is None:
            raise GatewayError(Code.NOT_DEPLOYED, chat_name=name)
        if reach["need_key"]:
            raise GatewayError(Code.NEED_KEY, chat_name=name, provider=reach["provider"])
        try:
            names = [replica_name(name, index) for index in range(reach["replicas"])]
            with self._connection.using_ray():
                actors = [ray.get_actor(one, NAMESPACE) for one in names]
        except ValueError:
            raise GatewayError(Code.NOT_DEPLOYED, chat_name=name) from None
        timeout = reach["timeout"] or STOCK_TIMEOUT_SECONDS
        chat = self._chats[name] = ReplicaSet(
            name=name,
            generation=reach["generation"],
            engine=reach["engine"],
            timeout=timeout,
            fallback=tuple(reach["fallback"]),
            options=reach["options"],
            replicas=[self._replica(actor, timeout) for actor in actors],
            provider=reach["provider"],
            endpoints=frozenset(reach["endpoints"]),
        )
        return chat

    def _replica(self, actor: Any, timeout: float) -> Replica:
        address = partial(self._address, actor, self._connection.directory)
        return Replica(actor, Channels(address, patience(timeout), self._answers))

    def _address(self, actor: Any, cluster: Any) -> Address:
        """Return where a model actor lets this process in, while it is connected to its `cluster`.
        Raises ChannelError, or GatewayError."""
        try:
            with self._connection.using_ray():
                if self._connection.directory is not cluster:
                    raise ChannelError("it was in a cluster that is gone", sent=False)
                address: Address = self._connection.ask(
                    actor.address.remote(*self._connection.place()), ADDRESS_SECONDS
                )
        except ray.exceptions.RayActorError as error:
            raise ChannelError("it has ended, or is being started", sent=False) from error
        except ray.exceptions.RayTaskError as error:
            words = f"The chat's node lets no other one in ({error.cause}). Install"
            words = f"{words} requirements.txt there, too."
            raise GatewayError(Code.CLUSTER_DOWN, words) from error
        except GatewayError as error:
            if error.code not in (Code.TIMEOUT, Code.CLUSTER_DOWN):
                raise
            # others may be reached without Ray, by connections that are there
            words = "it does not answer: its node, or the cluster's head, may be away"
            raise ChannelError(words, sent=False) from error
        return address
