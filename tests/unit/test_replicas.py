"""Which replica is asked: one that was lost is asked by no chat that has another, until it lets
somebody in."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.cluster.channel import ChannelError
from gateway.cluster.channels import Channels
from gateway.cluster.replicas import SHUN_SECONDS, Replica, ReplicaSet
from gateway.protocol import Address
from tests.waiting import until

PATIENCE = 10.0


def cut_off() -> Address:
    raise ChannelError("it does not answer", sent=False)


def route(*finders: Callable[[], Address]) -> ReplicaSet:
    """A chat whose replicas are numbered."""
    replicas = [Replica(number, Channels(find, PATIENCE)) for number, find in enumerate(finders)]
    return ReplicaSet("a-chat", 1, "relay", 60.0, (), replicas)


def picked(chat: ReplicaSet, count: int) -> Counter[int]:
    """How often each replica is picked by so many chats at once."""
    with ExitStack() as under_way:
        return Counter(under_way.enter_context(chat.pick()).actor for _ in range(count))


def test_no_chat_waits_for_a_replica_that_was_lost_if_there_are_others(tmp_path: Path) -> None:
    looked = []

    def slowly_cut_off() -> Address:
        looked.append(time.monotonic())
        if len(looked) > 1:
            time.sleep(SHUN_SECONDS)
        return cut_off()

    chat = route(slowly_cut_off, cut_off)
    with pytest.raises(ChannelError), chat.channel(near=0):
        pass
    assert picked(chat, 10) == {1: 10}

    time.sleep(SHUN_SECONDS)

    assert picked(chat, 10) == {1: 10}
    until(lambda: len(looked) == 2, 5)  # once, in the background
    assert picked(chat, 10) == {1: 10}
    assert len(looked) == 2


def test_where_all_were_lost_one_chat_in_three_seconds_tries_each() -> None:
    chat = route(cut_off, cut_off)
    for near in (0, 1):
        with pytest.raises(ChannelError), chat.channel(near):
            pass
    time.sleep(SHUN_SECONDS)
    with ExitStack() as under_way:
        first, second = (under_way.enter_context(chat.pick(near=0)).actor for _ in range(2))
    assert {first, second} == {0, 1}


def test_a_replica_that_lets_somebody_in_has_its_share_again(tmp_path: Path) -> None:
    path = tmp_path / "door"
    address: list[Address] = []

    def find() -> Address:
        return address[0] if address else cut_off()

    chat = route(find, cut_off)
    with pytest.raises(ChannelError), chat.channel(near=0):
        pass
    time.sleep(SHUN_SECONDS)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()
        address.append({"path": str(path), "user": str(os.geteuid()), "secret": "secret"})
        picked(chat, 1)
        until(lambda: not chat.replicas[0].lost, 5)

    assert picked(chat, 10) == {0: 5, 1: 5}
    chat.end()
