"""How a chat crosses the cluster: a real listener in an event loop of its own, and real connections
to it."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from copy import copy
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
import uvloop

from gateway.actors.listener import Listener
from gateway.byte_budget import ByteBudget, Full
from gateway.channel import frame
from gateway.cluster.channel import Channel, ChannelError, ClientGone
from gateway.cluster.channels import IDLE_SECONDS, Channels
from gateway.frames import Kind
from gateway.protocol import Address
from gateway.tls import CUT_SECONDS
from tests.greenlets import directly, in_a_greenlet
from tests.other_user import TAKES_THE_SOCKET, another_user, open_folder

T = TypeVar("T")
PATIENCE = 10.0
PROMPT = b"a-prompt-nobody-else-should-read"
MEGABYTE = b"x" * (1 << 20)


class Actor:
    """The actor's end. Its answers are what they are asked to be; `cancelled` counts those that
    were given up.

    `far`: who asks is on another node. `room`: bytes of large questions at once.
    """

    def __init__(
        self, folder: Path, loop: asyncio.AbstractEventLoop, far: bool = False, room: int = 1 << 40
    ) -> None:
        self.folder, self._loop, self._far = folder, loop, far
        self.cancelled = 0
        self.budget = ByteBudget(room)
        self.listener = Listener(
            self._answer, "an-actor", self.budget, lambda: frame(Kind.ERROR, b'"busy"')
        )
        self._thread = threading.Thread(target=loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, call: Awaitable[T]) -> T:
        """Await in the actor's own loop."""

        async def awaited() -> T:
            return await call

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(PATIENCE)

    def address(self) -> Address:
        if self._far:
            return self.run(self.listener.far_address("127.0.0.1"))
        return self.run(self.listener.address(str(self.folder)))

    def close(self) -> None:
        """Close the listener, where it lives."""

        async def close() -> None:
            self.listener.close()

        self.run(close())

    def connections(self) -> int:
        """How many are in."""
        address = self.address()
        if "host" in address:
            where = address["host"], address["port"]
            return sum(
                end.laddr == where for end in psutil.Process().net_connections("tcp") if end.raddr
            )
        path = address["path"]
        ends = [end for end in psutil.Process().net_connections("unix") if str(end.laddr) == path]
        return len(ends) - (self.folder / "an-actor").exists()

    def stop(self) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    async def _answer(self, what: str, *more: Any) -> AsyncGenerator[bytes, None]:
        *words, body = more
        if what == "sleep":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        yield frame(Kind.HEAD, " ".join(words).encode())
        if what == "fail":
            raise ValueError(body)
        yield frame(Kind.PIECE, body) + frame(Kind.END, b"[1,2]")


@pytest.fixture(params=["uvloop", "asyncio", "uvloop, far", "asyncio, far"])
def actor(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Actor]:
    """Ray's loop is uvloop's where that is installed."""
    loop = uvloop.new_event_loop() if "uvloop" in request.param else asyncio.new_event_loop()
    actor = Actor(tmp_path, loop, "far" in request.param)
    yield actor
    actor.stop()
    loop.close()


Run = Callable[[Callable[[], Any]], Any]


@pytest.fixture(params=[directly, in_a_greenlet], ids=["thread", "greenlet"])
def run(request: pytest.FixtureRequest) -> Run:
    """Where whoever asks waits."""
    how: Run = request.param
    return how


def ask(channel: Channel, *what: str, body: bytes = b"hi") -> list[tuple[Kind, bytes]]:
    """Every frame of an answer."""
    channel.send(*what, body=body)
    frames = []
    while not channel.ended:
        frames.append(channel.receive())
    return frames


def until(condition: Any, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_answer_is_its_frames_and_a_connection_carries_many(actor: Actor, run: Run) -> None:
    channel = Channel(actor.address(), PATIENCE)

    def ask_thrice() -> None:
        assert ask(channel, "echo", "a", "b") == [
            (Kind.HEAD, b"a b"),
            (Kind.PIECE, b"hi"),
            (Kind.END, b"[1,2]"),
        ]
        assert ask(channel, "echo", "c", body=MEGABYTE * 5)[1] == (Kind.PIECE, MEGABYTE * 5)
        assert ask(channel, "echo", "d", body=b"")[1] == (Kind.PIECE, b"")

    run(ask_thrice)
    assert actor.connections() == 1
    channel.close()


@pytest.mark.parametrize("secret", ["", "0" * 64, "1" * 4096])
def test_who_does_not_know_the_secret_is_not_answered(actor: Actor, secret: str) -> None:
    address = copy(actor.address())
    address["secret"] = secret
    channel = Channel(address, PATIENCE)

    with pytest.raises(ChannelError):
        ask(channel, "echo")
    channel.close()
    until(lambda: not actor.connections())


def test_nobody_there_is_told_before_anything_was_sent(actor: Actor) -> None:
    path = str(actor.folder / "nobody")
    with pytest.raises(ChannelError) as report:
        Channel({"path": path, "user": str(os.geteuid()), "secret": "x"}, PATIENCE)
    assert not report.value.sent


def test_a_socket_that_another_user_put_in_the_actors_place_is_told_nothing(actor: Actor) -> None:
    with open_folder() as folder:
        address = actor.run(actor.listener.address(str(folder)))
        with another_user(TAKES_THE_SOCKET, address["path"]) as thief:
            assert thief.stdout
            assert thief.stdout.readline() == "listening\n"

            with pytest.raises(ChannelError, match="another user") as report:
                Channel(address, PATIENCE)

            assert not report.value.sent
            assert thief.communicate("stop\n", PATIENCE)[0] == "0\n"
        channel = Channel(address, PATIENCE)
        assert ask(channel, "echo", "ours")[0] == (Kind.HEAD, b"ours")
        channel.close()


def test_a_fault_of_ours_is_an_empty_error_frame_and_quotes_nothing(
    actor: Actor, capfd: pytest.CaptureFixture[str]
) -> None:
    channel = Channel(actor.address(), PATIENCE)

    assert ask(channel, "fail", "f", body=PROMPT) == [(Kind.HEAD, b"f"), (Kind.ERROR, b"")]
    assert ask(channel, "echo", "goes on")[0] == (Kind.HEAD, b"goes on")
    channel.close()
    log = capfd.readouterr().err
    assert "ValueError" in log
    assert PROMPT.decode() not in log


def test_silence_has_a_limit_and_hanging_up_ends_the_work(actor: Actor, run: Run) -> None:
    channel = Channel(actor.address(), patience=1.2)
    channel.send("sleep", body=b"")
    started = time.monotonic()

    with pytest.raises(TimeoutError):
        run(channel.receive)

    assert 1 < time.monotonic() - started < 5
    assert not channel.ended
    channel.close()
    until(lambda: actor.cancelled == 1)


def test_a_client_that_hangs_up_is_seen_meanwhile(actor: Actor, run: Run) -> None:
    client, far = socket.socketpair()
    channel = Channel(actor.address(), PATIENCE)
    channel.send("sleep", body=b"")
    threading.Timer(0.3, far.close).start()
    started = time.monotonic()

    with client, pytest.raises(ClientGone):
        run(lambda: channel.receive(client))

    assert time.monotonic() - started < 5
    channel.close()


def test_a_reader_that_stalls_slows_the_speaker_down_and_loses_nothing(
    actor: Actor, run: Run
) -> None:
    channel = Channel(actor.address(), PATIENCE)
    channel.send("echo", "slow", body=MEGABYTE * 20)
    time.sleep(0.5)

    def receive_all() -> None:
        assert channel.receive() == (Kind.HEAD, b"slow")
        assert channel.receive() == (Kind.PIECE, MEGABYTE * 20)
        assert channel.receive() == (Kind.END, b"[1,2]")

    run(receive_all)
    channel.close()


def test_a_reader_that_stalls_for_long_is_not_taken_for_a_node_that_is_cut_off(
    tmp_path: Path,
) -> None:
    loop = uvloop.new_event_loop()
    actor = Actor(tmp_path, loop, far=True)
    channel = Channel(actor.address(), PATIENCE)
    channel.send("echo", "slow", body=MEGABYTE * 20)
    time.sleep(CUT_SECONDS + 2)

    assert [channel.receive()[0] for _ in range(3)] == [Kind.HEAD, Kind.PIECE, Kind.END]
    channel.close()
    actor.stop()
    loop.close()


# What is kept open.


def busy(channels: Channels, count: int) -> None:
    """So many chats at once, each to its end."""
    taken = [channels.take() for _ in range(count)]
    for channel in taken:
        ask(channel, "echo")
        channels.give_back(channel)


def test_connections_that_are_not_needed_are_closed_and_those_in_use_stay(actor: Actor) -> None:
    channels = Channels(actor.address, PATIENCE)
    busy(channels, 20)
    flood = time.monotonic()
    assert actor.connections() == 20

    channels.close_idle(flood + IDLE_SECONDS / 2)
    assert actor.connections() == 20
    channels.close_idle(flood + IDLE_SECONDS + 1)
    until(lambda: not actor.connections())
    busy(channels, 1)
    assert actor.connections() == 1
    channels.close()


def test_the_last_used_is_taken_first_so_that_the_others_grow_idle(actor: Actor) -> None:
    channels = Channels(actor.address, PATIENCE)
    busy(channels, 5)
    flood = time.monotonic()
    time.sleep(0.05)
    for _ in range(10):
        busy(channels, 2)

    channels.close_idle(flood + IDLE_SECONDS + 0.01)

    until(lambda: actor.connections() == 2)
    channels.close()


def test_what_was_under_way_when_its_chat_was_taken_away_is_closed_at_its_end(actor: Actor) -> None:
    channels = Channels(actor.address, PATIENCE)
    busy(channels, 3)
    channel = channels.take()
    channel.send("echo", body=b"")
    channels.lost()
    until(lambda: actor.connections() == 1)

    while not channel.ended:
        channel.receive()
    channels.give_back(channel)

    until(lambda: not actor.connections())


def test_an_actor_that_retires_leaves_no_file_and_ends_what_is_under_way(actor: Actor) -> None:
    channel = Channel(actor.address(), PATIENCE)
    ask(channel, "echo")
    actor.close()

    assert list(actor.folder.iterdir()) == []
    assert ask(channel, "echo", "on")[0] == (Kind.HEAD, b"on")
    channel.close()
    again = Channel(actor.address(), PATIENCE)  # it was deployed again before it was ended
    assert ask(again, "echo", "again")[0] == (Kind.HEAD, b"again")
    again.close()


def test_the_file_of_a_process_that_was_killed_is_replaced(actor: Actor) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(actor.folder / "an-actor"))

    channel = Channel(actor.address(), PATIENCE)

    assert ask(channel, "echo", "new")[0] == (Kind.HEAD, b"new")
    assert len(list(actor.folder.iterdir())) == 1
    channel.close()


# How many bytes may be held.


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Actor]:
    """An actor that has room for two megabytes of questions."""
    loop = uvloop.new_event_loop()
    actor = Actor(tmp_path, loop, room=2 << 20)
    yield actor
    actor.stop()
    loop.close()


def test_a_large_request_beyond_the_budget_is_dropped_and_refused_and_small_ones_go_on(
    small: Actor,
) -> None:
    first, second = Channel(small.address(), PATIENCE), Channel(small.address(), PATIENCE)
    first.send("sleep", body=MEGABYTE)
    until(lambda: small.budget.used > 1 << 20)

    assert ask(second, "echo", body=MEGABYTE * 8) == [(Kind.ERROR, b'"busy"')]
    assert ask(second, "echo", body=b"small")[1] == (Kind.PIECE, b"small")
    assert small.budget.used < 2 << 20

    first.close()
    until(lambda: not small.budget.used)
    assert ask(second, "echo", body=MEGABYTE * 8)[1] == (Kind.PIECE, MEGABYTE * 8)
    until(lambda: not small.budget.used)
    second.close()


def test_half_a_request_gives_its_bytes_back_when_its_connection_ends(small: Actor) -> None:
    address = small.run(small.listener.address(str(small.folder)))
    secret = address["secret"]
    with socket.socket(socket.AF_UNIX) as half:
        half.connect(address["path"])
        half.sendall(
            frame(Kind.REQUEST, secret.encode()) + frame(Kind.REQUEST, MEGABYTE)[: 1 << 19]
        )
        until(lambda: small.budget.used)

    until(lambda: not small.budget.used)


def test_an_answer_beyond_the_budget_is_not_kept(actor: Actor) -> None:
    budget = ByteBudget(2 << 20)
    first, second = (
        Channel(actor.address(), PATIENCE, budget=budget),
        Channel(actor.address(), PATIENCE, budget=budget),
    )
    first.send("echo", body=MEGABYTE)
    assert [first.receive()[0], first.receive()[0]] == [Kind.HEAD, Kind.PIECE]
    second.send("echo", body=MEGABYTE)
    second.receive()

    with pytest.raises(Full):
        second.receive()

    assert not second.ended
    second.close()
    first.receive()
    assert not budget.used
    first.close()
