"""A chat's replicas: the actors that answer for it, which of them is asked, and the connections to
them."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import ray

from gateway.byte_budget import Full
from gateway.cluster.channel import Channel, ChannelError, ClientGone
from gateway.cluster.channels import Channels
from gateway.errors import (
    OUT_OF_FILES,
    Code,
    GatewayError,
    client_left,
    out_of_files,
    too_many_bytes,
)
from gateway.frames import Client, Failure, Head, Kind, Request

GRACE_SECONDS = 5
"""Beyond a chat's own timeout, which the model actor keeps, before this side gives up on the
actor."""

SHUN_SECONDS = 3
"""How often it is looked whether a replica whose process ended is back; a restart takes 2 s."""

REPEATS = 8
"""So many more chats than others may one replica have, for the sake of repeats that meet there."""


@dataclass(slots=True)
class Replica:
    """One of a chat's actors, and how many requests of this process it is answering.

    `lost`: its process ended or is cut off, and nobody has reached it since. `shunned_until`
    (monotonic seconds): it may still be restarting. `suspected_until`: another one on its node was
    lost, and it may have been the node.
    """

    actor: Any
    channels: Channels
    in_flight: int = 0
    lost: bool = False
    shunned_until: float = 0.0
    suspected_until: float = 0.0

    def preference(self, now: float, slack: int) -> tuple[bool, bool, int]:
        """Return what replicas are sorted by: the least of them is asked."""
        return self.shunned_until > now, self.suspected_until > now, self.in_flight // slack


@dataclass(slots=True)
class ReplicaSet:
    """A chat's replicas, and how they are asked; kept until a reply shows another
    generation, and so that it is `outdated`."""

    name: str
    generation: int
    engine: str
    timeout: float
    fallback: tuple[str, ...]
    replicas: list[Replica]
    provider: str = ""
    endpoints: frozenset[str] = frozenset()
    options: dict[str, Any] = field(default_factory=dict)
    outdated: bool = False
    turns: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def pick(self, near: int | None = None) -> Iterator[Replica]:
        """Give the replica with the least to do (as this process sees it), in turns among equals.

        The same `near` gives the same one, unless it has more to do than others: repeats shall meet
        there.
        """
        turn = (next(self.turns) if near is None else near) % len(self.replicas)
        now = time.monotonic()
        inside = self.replicas[turn:] + self.replicas[:turn]
        slack = 1 if near is None else REPEATS
        others = [replica for replica in inside if not replica.lost]
        if others and len(others) < len(inside):
            self._look_after_the_lost(now)
        replica = min(others or inside, key=lambda replica: replica.preference(now, slack))
        replica.in_flight += 1
        if replica.lost:  # as they all are: others need not find out, too, whether it is back
            replica.shunned_until = now + SHUN_SECONDS
        try:
            yield replica
        except (ChannelError, ray.exceptions.RayActorError):
            self._shun(replica)
            raise
        finally:
            replica.in_flight -= 1

    def has_one_left(self) -> bool:
        """Return whether there is a replica that was not lost, though maybe on a node that was."""
        return not all(one.lost for one in self.replicas)

    def _look_after_the_lost(self, now: float) -> None:
        """Find out which are back, in the background: on a node that is gone it takes seconds, for
        which no chat should wait that has others to ask."""
        for replica in self.replicas:
            if replica.lost and replica.shunned_until <= now:
                replica.shunned_until = now + SHUN_SECONDS
                with suppress(RuntimeError):  # there are too many threads; it is tried again
                    threading.Thread(target=self._look_after, args=(replica,), daemon=True).start()

    def _look_after(self, lost: Replica) -> None:
        try:
            lost.channels.give_back(lost.channels.take())
        except (ChannelError, GatewayError, OSError, ray.exceptions.RayError):
            self._shun(lost)
        else:
            lost.lost, lost.shunned_until = False, 0.0

    def has_another(self) -> bool:
        """Return whether there is a replica that was not lost, nor is on a node that may be."""
        now = time.monotonic()
        return any(not one.lost and one.suspected_until <= now for one in self.replicas)

    def _shun(self, lost: Replica) -> None:
        until = lost.shunned_until = time.monotonic() + SHUN_SECONDS
        lost.lost = True
        lost.channels.lost()
        for replica in self.replicas:
            if replica.channels.host == lost.channels.host:
                replica.suspected_until = until

    @contextmanager
    def channel(self, near: int | None = None) -> Iterator[Channel]:
        """Give a connection to the replica that is picked. Raises ChannelError, what Ray says, or
        GatewayError (TIMEOUT)."""
        with self.pick(near) as replica:
            try:
                channel = replica.channels.take()
            except OSError as error:
                if error.errno not in OUT_OF_FILES:
                    raise
                raise out_of_files() from error
            if replica.lost:
                replica.lost, replica.shunned_until = False, 0.0
            try:
                yield channel
            except TimeoutError:
                raise self.timed_out() from None
            except Full:
                raise too_many_bytes(self.name) from None
            except ClientGone:
                raise client_left(self.name) from None
            finally:
                if channel.ended:
                    replica.channels.give_back(channel)
                else:
                    channel.close()

    def begin(self, channel: Channel, request: Request, body: bytes, client: Client) -> Head:
        """Ask, and return who answers. Raises GatewayError, the actor's own."""
        channel.send(*request, body=body)
        kind, content = Kind.PIECE, b""
        while kind == Kind.PIECE:  # it thinks
            kind, content = channel.receive(client)
        if kind == Kind.ERROR:
            raise self._failed(content)
        head = Head.from_json(content)
        self.outdated |= head.generation != self.generation
        return head

    def _failed(self, content: bytes) -> GatewayError:
        if content:
            self.outdated |= Failure.from_json(content).generation != self.generation
        return failure(content, self.name)

    def close(self) -> None:
        """Hang up where nothing is under way."""
        for replica in self.replicas:
            replica.channels.close()

    def close_idle(self) -> None:
        """Hang up where nothing was under way for a while."""
        for replica in self.replicas:
            replica.channels.close_idle(time.monotonic())

    def end(self) -> None:
        """Hang up for good; what is under way does so when it ends."""
        for replica in self.replicas:
            replica.channels.lost()

    def timed_out(self) -> GatewayError:
        return GatewayError(
            Code.TIMEOUT,
            f"The chat's process in the cluster said nothing for {patience(self.timeout):g} s.",
            chat_name=self.name,
        )


def failure(content: bytes, chat_name: str) -> GatewayError:
    """Return the error of an actor's ERROR frame."""
    if content:
        return GatewayError.from_dict(Failure.from_json(content).error)
    words = "The model actor failed; its log says where."
    return GatewayError(Code.INTERNAL, words, chat_name=chat_name)


def patience(timeout: float) -> float:
    """Return how many seconds to wait for an actor: it keeps the chat's `timeout`, and this side
    waits a little longer."""
    return timeout + GRACE_SECONDS
