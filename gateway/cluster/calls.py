"""Calls to the cluster's own actors: its directory, its store of jobs and sessions, its ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import ray

from gateway.actors.ledger_actor import Ledger
from gateway.actors.store_actor import Store
from gateway.cluster.connection import AGAIN_SECONDS, Connection, shared_actor
from gateway.errors import Code, GatewayError
from gateway.hub import in_thread
from gateway.protocol import LEDGER, STORE

T = TypeVar("T")

READY_SECONDS = 2


class Calls:
    """By the `connection` of this process. All raise GatewayError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._actors: dict[str, Any] = {}
        self._directory: Any = None

    def ready(self) -> None:
        """Raise GatewayError unless the cluster answers within `READY_SECONDS`."""
        self.tell_directory(READY_SECONDS, "chats", *self._connection.chats.seen)

    def tell_directory(self, seconds: float, method: str, *arguments: Any) -> Any:
        """Return what the directory says."""
        return in_thread(self._tell_directory, seconds, method, *arguments)

    def _tell_directory(self, seconds: float, method: str, *arguments: Any) -> Any:
        try:
            with self._connection.using_ray():
                return self._ask(self._connection.directory, seconds, method, *arguments)
        except ray.exceptions.RayActorError as error:
            self._connection.doubt()
            raise GatewayError(
                Code.CLUSTER_DOWN, "The directory actor is being restarted."
            ) from error

    def ask_directory(self, seconds: float, method: str, *arguments: Any) -> Any:
        """Like `tell_directory`, for questions: asked again, within `seconds`, while the directory
        is restarted."""
        return self.patiently(
            seconds, lambda left: self._ask(self._connection.directory, left, method, *arguments)
        )

    def ask_store(self, seconds: float, method: str, *arguments: Any) -> Any:
        """Ask the store of jobs and sessions, which is made when it is first asked."""
        try:
            return self._ask_actor(Store, STORE, seconds, method, *arguments)
        except GatewayError as error:
            if error.code != Code.TIMEOUT:
                raise
            words = f"The store of jobs and sessions did not answer within {seconds:.0f} s."
            words_zh = f"任务与会话存储在 {seconds:.0f} 秒内没有响应。"
            raise GatewayError(Code.CLUSTER_DOWN, words, words_zh) from error

    def ask_ledger(self, seconds: float, method: str, *arguments: Any) -> Any:
        """Ask the ledger, which keeps its book in a folder of the head's machine."""
        return self._ask_actor(Ledger, LEDGER, seconds, method, *arguments)

    def patiently(self, seconds: float, ask: Callable[[float], T]) -> T:
        """Ask an actor, given the seconds that are left, again and again until it is there."""
        answer: T = in_thread(self._patiently, seconds, ask)
        return answer

    def _ask_actor(
        self, kind: type, name: str, seconds: float, method: str, *arguments: Any
    ) -> Any:
        def ask(left: float) -> Any:
            try:
                return self._ask(self._actor(kind, name), left, method, *arguments)
            except ray.exceptions.ActorDiedError:  # for good: another takes its name
                self._actors.pop(name, None)
                return self._ask(self._actor(kind, name), left, method, *arguments)

        return self.patiently(seconds, ask)

    def _actor(self, kind: type, name: str) -> Any:
        """Return one of the cluster's own actors, which is made when it is first asked."""
        if self._directory is not self._connection.directory:  # handles of another cluster are void
            self._directory, self._actors = self._connection.directory, {}
        if name not in self._actors:
            self._actors[name] = shared_actor(kind, name)
        return self._actors[name]

    def _ask(self, actor: Any, seconds: float, method: str, *arguments: Any) -> Any:
        return self._connection.ask(getattr(actor, method).remote(*arguments), seconds)

    def _patiently(self, seconds: float, ask: Callable[[float], T]) -> T:
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self._connection.using_ray():
                    return ask(deadline - time.monotonic())
            except ray.exceptions.RayActorError as error:
                self._connection.doubt()
                if isinstance(error, ray.exceptions.ActorDiedError) or time.monotonic() > deadline:
                    raise GatewayError(
                        Code.CLUSTER_DOWN, "A process in the cluster ended."
                    ) from error
                time.sleep(AGAIN_SECONDS)
