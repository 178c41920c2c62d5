"""How a gateway process reaches a chat: its route, the replicas to choose from, and a stream that
has begun."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
import ray

from gateway.byte_budget import Full
from gateway.channel import Channel, ChannelError, Channels, ClientGone, Kind
from gateway.errors import OUT_OF_FILES, Code, GatewayError, out_of_files, too_many_bytes

GRACE_SECONDS = 5
"""Beyond a chat's own timeout, which the model actor keeps, before this side gives up on the
actor."""

SHUN_SECONDS = 3
"""How long a replica whose process ended is passed over, if there are others; a restart takes about
2 s."""

REPEATS = 8
"""So many more chats than others may one replica have, for the sake of repeats that meet there."""

Client = socket.socket | None
"""The connection of the client that an answer is for, to see whether it has hung up; None: it
cannot be seen."""


class Spent(NamedTuple):
    """What an answer took: the provider's seconds, to the whole of it or to a stream's first word,
    and its tokens as the provider counts them; None: it did not say."""

    provider: str
    seconds: float
    tokens_in: int | None = None
    tokens_out: int | None = None

    def with_tokens(self, end: bytes) -> Spent:
        """Return the same with the tokens that an answer's last frame tells."""
        tokens_in, tokens_out = orjson.loads(end)
        return self._replace(tokens_in=tokens_in, tokens_out=tokens_out)


class Relayed(NamedTuple):
    """An answer in one piece, who gave it by the provider's name for it, and what it took."""

    content: bytes
    model: str
    spent: Spent


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
        """The least is asked."""
        return self.shunned_until > now, self.suspected_until > now, self.in_flight // slack


@dataclass(slots=True)
class Route:
    """How to reach a chat; kept until a reply shows another generation."""

    name: str
    generation: int
    engine: str
    timeout: float
    fallback: tuple[str, ...]
    reply: dict[str, Any]
    replicas: list[Replica]
    turns: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def pick(self, near: int | None = None) -> Iterator[Replica]:
        """The replica with the least to do (as this process sees it), in turns among equals.

        The same `near` gives the same one, unless it has more to do than others: repeats shall meet
        there.
        """
        turn, now = (
            (next(self.turns) if near is None else near) % len(self.replicas),
            time.monotonic(),
        )
        inside = self.replicas[turn:] + self.replicas[:turn]
        slack = 1 if near is None else REPEATS
        replica = min(inside, key=lambda replica: replica.preference(now, slack))
        replica.in_flight += 1
        if replica.lost:
            # this chat finds out whether it is back, and others need not
            replica.shunned_until = now + SHUN_SECONDS
        try:
            yield replica
        except (ChannelError, ray.exceptions.RayActorError):
            self._shun(replica)
            raise
        finally:
            replica.in_flight -= 1

    def _shun(self, lost: Replica) -> None:
        until = lost.shunned_until = time.monotonic() + SHUN_SECONDS
        lost.lost = True
        lost.channels.lost()
        for replica in self.replicas:
            if replica.channels.host == lost.channels.host:
                replica.suspected_until = until

    @contextmanager
    def channel(self, near: int | None = None) -> Iterator[Channel]:
        """A connection to the replica that is picked. Raises ChannelError, what Ray says, or
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
                words = "The client hung up before its answer came.", "客户端在得到回答之前已断开。"
                raise GatewayError(Code.INVALID_REQUEST, *words, chat_name=self.name) from None
            finally:
                if channel.ended:
                    replica.channels.give_back(channel)
                else:
                    channel.close()

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

    def failed(self, content: bytes) -> GatewayError:
        """Return the error of a frame of the actor's."""
        if not content:
            return GatewayError(
                Code.INTERNAL, "The model actor failed; its log says where.", chat_name=self.name
            )
        return GatewayError(**orjson.loads(content)["error"])

    def timed_out(self) -> GatewayError:
        return GatewayError(
            Code.TIMEOUT,
            f"The chat's process in the cluster said nothing for {patience(self.timeout):g} s.",
            chat_name=self.name,
        )


def patience(timeout: float) -> float:
    """Seconds: the actor keeps the chat's timeout, and this side waits a little longer."""
    return timeout + GRACE_SECONDS


class Stream:
    """A stream that has begun to speak; `model` is what the provider calls who does. Close it,
    whatever happens.

    `spent` is without tokens until it has `ended`, which it has not where its client left before.
    """

    def __init__(
        self, route: Route, channel: Channel, client: Client, head: dict[str, Any], held: ExitStack
    ) -> None:
        self.model: str = head["model"]
        self.spent = Spent(head["provider"], head["seconds"])
        self.ended = False
        self._route = route
        self._channel = channel
        self._client = client
        self._held = held

    def pieces(self) -> Iterator[bytes]:
        """Yield what comes, as it comes, until the end or until the client has gone. Raises
        GatewayError."""
        while True:
            try:
                kind, content = self._channel.receive(self._client)
            except ClientGone:
                return
            except Full:
                raise too_many_bytes(self._route.name) from None
            except (ChannelError, TimeoutError) as error:
                detail = "The chat's process in the cluster ended in mid-stream."
                raise GatewayError(Code.CLUSTER_DOWN, detail, chat_name=self._route.name) from error
            if kind != Kind.PIECE:
                break
            if content:
                yield content
        if kind == Kind.ERROR:
            raise self._route.failed(content)
        self.spent = self.spent.with_tokens(content)
        self.ended = True

    def close(self) -> None:
        """End it here and at the provider; a stream that has ended already is let go."""
        self._held.close()
