"""The store of sessions, and the actor of both stores."""

from __future__ import annotations

import asyncio

import pytest
import ray

import gateway
from gateway.actors.session_store import (
    MAX_BYTES,
    MAX_SESSIONS,
    SESSION_SECONDS,
    SESSION_TURNS,
    Sessions,
)
from gateway.actors.store_actor import Store
from gateway.protocol import SESSION_CHARACTERS
from gateway.store_protocol import Caller
from tests.unit.stores import Clock, steps

APP, OTHER = "app", "other"
ONE: Caller = {"process": "a-process", "driver": "its driver", "store": "", "keep": 3600}
MEGABYTE = 1 << 20


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def test_a_session_keeps_its_last_turns(sessions: Sessions) -> None:
    key = APP, "1"
    for number in range(SESSION_TURNS + 5):
        sessions.remember(key, f"q{number}", f"a{number}")
    assert sessions.turns(key, reset=False) == [
        (f"q{n}", f"a{n}") for n in range(5, SESSION_TURNS + 5)
    ]
    assert sessions.turns((OTHER, "1"), reset=False) == []

    sessions.remember(key, "q" * SESSION_CHARACTERS, "long")
    assert len(sessions.turns(key, reset=False)) == 1

    assert sessions.turns(key, reset=True) == []
    assert sessions.turns(key, reset=False) == []
    assert (sessions.shares.count, sessions.shares.bytes) == (0, 0)


def test_a_repeat_that_was_answered_with_its_first_is_remembered_once(sessions: Sessions) -> None:
    key = APP, "1"
    for question in ("q", "q", "other", "q"):
        sessions.remember(key, question, "a")
    assert sessions.turns(key, reset=False) == [("q", "a"), ("other", "a"), ("q", "a")]


def test_a_session_is_forgotten_a_day_after_its_last_turn(sessions: Sessions, clock: Clock) -> None:
    sessions.remember((APP, "old"), "q", "a")
    sessions.remember((APP, "used"), "q", "a")
    clock.now += SESSION_SECONDS - 1
    sessions.remember((APP, "used"), "q2", "a2")
    clock.now += 2

    assert sessions.turns((APP, "old"), reset=False) == []
    assert len(sessions.turns((APP, "used"), reset=False)) == 2
    assert sessions.shares.count == 1


def test_sessions_are_bounded_in_bytes_and_the_caller_who_has_most_gives_way(
    sessions: Sessions,
) -> None:
    for number in range(100):
        sessions.remember((OTHER, str(number)), "q", "a")
    for number in range(100):
        sessions.remember((APP, str(number)), "问" * (MEGABYTE // 2), "a")

    assert sessions.shares.bytes <= MAX_BYTES
    assert all(sessions.turns((OTHER, str(number)), reset=False) for number in range(100))
    mine = [number for number in range(100) if sessions.turns((APP, str(number)), reset=False)]
    assert mine == list(range(37, 100))


def test_sessions_are_bounded_in_number_and_a_call_takes_no_longer_where_there_are_many(
    sessions: Sessions,
) -> None:
    sessions.remember((OTHER, "1"), "q", "a")
    for number in range(MAX_SESSIONS + 10):
        sessions.remember((APP, str(number)), "q", "a")

    assert sessions.shares.count == MAX_SESSIONS
    assert sessions.turns((OTHER, "1"), reset=False) == [("q", "a")]
    assert sessions.turns((APP, "10"), reset=False) == []
    assert sessions.turns((APP, "11"), reset=False) == [("q", "a")]
    assert steps(lambda: sessions.turns((APP, "5000"), reset=False)) < 60
    assert steps(lambda: sessions.remember((APP, "one more"), "q", "a")) < 150


# The actor, as Ray makes it, but without Ray.


def test_the_actor_tells_what_has_come_and_never_waits() -> None:
    async def talk() -> None:
        store = Store()
        assert await store.begin(ONE, (APP, "1"), "d", b"q") == "new"
        assert await store.news(ONE, [(APP, "1"), (APP, "2")]) == [((APP, "2"), "unknown", None)]
        assert await store.finish((APP, "1"), b"answer", False)
        assert await store.news(ONE, [(APP, "1")]) == [((APP, "1"), "here", b"answer")]
        assert (await store.beat(ONE, []))["given"] == []
        await store.remember(APP, "s", "q", "a")
        assert await store.turns(APP, "s", False) == [("q", "a")]

    asyncio.run(talk())


def test_what_is_sent_to_the_cluster_needs_no_code_there() -> None:
    ray.cloudpickle.register_pickle_by_value(gateway)
    try:
        assert b"gateway.actors.store_actor" in ray.cloudpickle.dumps(Store)
        copy = ray.cloudpickle.loads(ray.cloudpickle.dumps(Store))
    finally:
        ray.cloudpickle.unregister_pickle_by_value(gateway)
    assert asyncio.run(copy().begin(ONE, (APP, "1"), "d", b"q")) == "new"
