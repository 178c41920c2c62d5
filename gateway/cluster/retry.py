"""The retry on another replica: a chat whose process in the cluster ended is asked once more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import ray

from gateway.cluster.calls import Calls
from gateway.cluster.channel import ChannelError
from gateway.cluster.chat_table import ChatTable
from gateway.cluster.connection import AGAIN_SECONDS, Connection
from gateway.errors import Code, GatewayError
from gateway.hub import in_thread

RESTART_SECONDS = 10
"""How long a chat waits for a model actor that is being restarted."""

T = TypeVar("T")


class Retry:
    """Asks chats of `table`, again where that may help."""

    def __init__(
        self,
        connection: Connection,
        calls: Calls,
        table: ChatTable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._calls = calls
        self._table = table
        self._clock = clock

    def run(self, name: str, ask: Callable[[], T]) -> T:
        """Run `ask`. If the chat's model actor dies, run it once more: on another replica, or on
        the same one when it is back. Raises GatewayError.

        The provider may then have been asked twice, but a request that ends processes is not asked
        a third time. Who finds nobody there has not asked at all.
        """
        deadline: float | None = None  # a model may think for minutes before its process ends
        sent_before = forgotten = False
        while True:
            try:
                return ask()
            except (ChannelError, ray.exceptions.RayActorError) as error:
                self._connection.doubt()
                sent = not isinstance(error, ChannelError) or error.sent
                if sent and sent_before:
                    raise _given_up(name, "ended, twice") from error
                if deadline is None:
                    deadline = self._clock() + RESTART_SECONDS
                elif not sent:  # it lives, by what Ray says, and lets nobody in
                    if self._clock() > deadline:
                        raise _given_up(name, f"cannot be reached: {error}") from error
                    in_thread(time.sleep, AGAIN_SECONDS)
                sent_before |= sent
                in_thread(self._wait_for_a_replica, name)
            except GatewayError as error:
                # A replica that was retired while this process still knew it.
                stale = error.code == Code.NOT_DEPLOYED and self._table.known(name)
                if not stale or forgotten:
                    raise
                self._table.forget(name)
                forgotten = True

    def _wait_for_a_replica(self, name: str) -> None:
        """Wait until there is somebody to ask, unless there is. Raises GatewayError."""
        if chat := self._table.known(name):
            # What is open to other replicas on the same node may lead nowhere.
            chat.close()
            if chat.has_another():
                return
        try:
            self._calls.patiently(RESTART_SECONDS, lambda left: self._knock(name, left))
        except GatewayError:
            # Without Ray nobody knows of the others on that node, so they are asked, once.
            if chat is None or not chat.has_one_left():
                raise

    def _knock(self, name: str, seconds: float) -> None:
        """Wait for the replica that would be asked next. Raises what Ray says, or GatewayError."""
        with self._table.get(name).pick() as replica:
            try:
                self._connection.ask(replica.actor.stat.remote(), seconds)
            except ray.exceptions.ActorDiedError:
                self._table.forget(name)  # it will not come back; the chat may have others now


def _given_up(name: str, why: str) -> GatewayError:
    words = f"The chat's process in the cluster {why}."
    return GatewayError(Code.CLUSTER_DOWN, words, chat_name=name)
