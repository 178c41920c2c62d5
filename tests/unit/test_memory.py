"""The store of jobs and sessions: bounded, fair, and no slower when it is full."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import ray

import gateway
from gateway.memory import (
    FORGET_AT_ONCE,
    KEEP_SECONDS,
    LOST_SECONDS,
    MAX_ANSWERS,
    MAX_BYTES,
    MAX_SESSIONS,
    SESSION_CHARACTERS,
    SESSION_SECONDS,
    SESSION_TURNS,
    Jobs,
    Memory,
    Sessions,
)

APP, OTHER, RUNNER = "app", "other", "a-process"
MEGABYTE = 1 << 20


class Clock:
    """The seconds, which pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(clock: Clock) -> Jobs:
    return Jobs(clock)


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def begin(jobs: Jobs, owner: str, name: str, question: bytes = b"q", digest: str = "d") -> str:
    return jobs.begin((owner, name), digest, question, RUNNER)


def answer(jobs: Jobs, owner: str, name: str, result: bytes = b"a", question: bytes = b"q") -> None:
    assert begin(jobs, owner, name, question) == "new"
    jobs.finish((owner, name), result, failed=False)


def kept(jobs: Jobs, owner: str, names: range) -> list[int]:
    return [number for number in names if jobs.find((owner, str(number)))]


def steps(call: Callable[[], Any]) -> int:
    """How many lines of Python a call runs, those of each turn of a loop included."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


# Jobs.


def test_an_answer_is_begun_once_and_found_under_its_name_by_its_caller_alone(jobs: Jobs) -> None:
    assert begin(jobs, APP, "1") == "new"
    assert begin(jobs, APP, "1") == "known"
    assert begin(jobs, APP, "1", digest="another question") == "other"
    assert begin(jobs, OTHER, "1", digest="another question") == "new"

    jobs.finish((APP, "1"), b"answer", failed=False)

    job = jobs.find((APP, "1"))
    assert job
    assert (job.result, job.question) == (b"answer", b"q")
    assert begin(jobs, APP, "1") == "known"
    other = jobs.find((OTHER, "1"))
    assert other
    assert other.result is None


def test_a_failure_is_told_and_asked_anew(jobs: Jobs) -> None:
    begin(jobs, APP, "1")
    jobs.finish((APP, "1"), b"error", failed=True)

    job = jobs.find((APP, "1"))
    assert job
    assert job.result == b"error"
    assert begin(jobs, APP, "1", digest="another question") == "other"
    assert begin(jobs, APP, "1") == "new"
    assert jobs.shares.count == 1


def test_answers_are_forgotten_in_order_an_hour_after_they_came(jobs: Jobs, clock: Clock) -> None:
    for number in range(5):
        answer(jobs, APP, str(number))
        clock.now += 10

    clock.now += KEEP_SECONDS - 25
    assert kept(jobs, APP, range(5)) == [3, 4]
    assert jobs.shares.count == 2
    assert begin(jobs, APP, "0") == "new"
    clock.now += KEEP_SECONDS
    jobs.beat(RUNNER)
    assert kept(jobs, APP, range(5)) == [0]  # its process still asks for it
    clock.now += LOST_SECONDS + 1
    jobs.beat("another process")
    clock.now += KEEP_SECONDS
    assert kept(jobs, APP, range(5)) == []
    assert (jobs.shares.count, jobs.shares.bytes) == (0, 0)


def test_what_is_too_old_is_not_given_though_many_wait_to_be_forgotten(jobs: Jobs, clock: Clock) -> None:
    for number in range(10 * FORGET_AT_ONCE):
        answer(jobs, APP, str(number))
    clock.now += KEEP_SECONDS + 1

    last = str(10 * FORGET_AT_ONCE - 1)
    assert jobs.find((APP, last)) is None
    assert jobs.shares.count > 0
    assert begin(jobs, APP, last) == "new"


def test_the_process_that_says_nothing_has_ended(jobs: Jobs, clock: Clock) -> None:
    begin(jobs, APP, "1")
    job = jobs.find((APP, "1"))
    assert job
    for _ in range(10):
        clock.now += LOST_SECONDS - 1
        jobs.beat(RUNNER)
    assert not jobs.lost(job)
    clock.now += LOST_SECONDS + 1
    assert jobs.lost(job)
    jobs.beat("another process")
    assert jobs.lost(job)


def test_a_callers_large_answers_push_out_its_own_and_not_those_of_others(jobs: Jobs) -> None:
    for number in range(100):
        answer(jobs, OTHER, str(number), b"paid for")

    for number in range(200):
        answer(jobs, APP, str(number), b"x" * MEGABYTE)

    assert kept(jobs, OTHER, range(100)) == list(range(100))
    assert kept(jobs, APP, range(200)) == list(range(137, 200))
    assert jobs.shares.bytes <= MAX_BYTES


def test_a_callers_many_answers_leave_room_for_others(jobs: Jobs) -> None:
    for number in range(MAX_ANSWERS):
        answer(jobs, APP, str(number))
    assert begin(jobs, APP, "one more") == "full"

    for number in range(MAX_ANSWERS // 2):
        answer(jobs, OTHER, str(number))
    assert begin(jobs, OTHER, "more than others") == "full"

    assert len(kept(jobs, OTHER, range(MAX_ANSWERS))) == MAX_ANSWERS // 2
    assert kept(jobs, APP, range(MAX_ANSWERS)) == list(range(MAX_ANSWERS // 2, MAX_ANSWERS))


def test_a_large_question_of_one_who_has_little_makes_those_who_have_much_give_way(jobs: Jobs) -> None:
    for number in range(63):
        answer(jobs, APP, str(number), b"x" * MEGABYTE)

    assert begin(jobs, OTHER, "large", b"x" * MEGABYTE * 10) == "new"
    assert begin(jobs, OTHER, "too large", b"x" * MEGABYTE * 60) == "full"

    assert kept(jobs, APP, range(63)) == list(range(10, 63))


def test_nobody_gives_way_to_what_is_refused(jobs: Jobs) -> None:
    for number in range(60):
        answer(jobs, APP, str(number), b"x" * MEGABYTE)

    assert begin(jobs, OTHER, "nearly as much", b"x" * MEGABYTE * 40) == "new"
    assert begin(jobs, OTHER, "more", b"x" * MEGABYTE * 10) == "full"

    assert len(kept(jobs, APP, range(60))) == 23


def test_what_is_still_asked_for_is_not_pushed_out(jobs: Jobs) -> None:
    for number in range(60):
        begin(jobs, APP, str(number), b"x" * MEGABYTE)
    answer(jobs, APP, "60", b"x" * MEGABYTE * 10)

    assert kept(jobs, APP, range(61)) == list(range(60))
    assert begin(jobs, OTHER, "1", b"x" * MEGABYTE * 5) == "full"
    assert begin(jobs, OTHER, "2") == "new"


@pytest.mark.parametrize("much", [100, MAX_ANSWERS])
def test_a_call_takes_no_longer_where_there_is_much(jobs: Jobs, clock: Clock, much: int) -> None:
    for number in range(much):
        answer(jobs, f"app-{number % 10}", str(number))
        clock.now += KEEP_SECONDS / MAX_ANSWERS / 2
    key = "app-1", "11"

    assert steps(lambda: jobs.find(key)) < 60
    assert steps(lambda: begin(jobs, OTHER, "new")) < 400  # where it is full, it looks at each of eleven callers
    assert steps(lambda: jobs.finish((OTHER, "new"), b"answer", failed=False)) < 150
    clock.now += 2 * KEEP_SECONDS  # all of it is too old
    assert steps(lambda: jobs.find(key)) < 40 * FORGET_AT_ONCE


# Sessions.


def test_a_session_keeps_its_last_turns(sessions: Sessions) -> None:
    key = APP, "1"
    for number in range(SESSION_TURNS + 5):
        sessions.remember(key, f"q{number}", f"a{number}")
    assert sessions.turns(key, reset=False) == [(f"q{n}", f"a{n}") for n in range(5, SESSION_TURNS + 5)]
    assert sessions.turns((OTHER, "1"), reset=False) == []

    sessions.remember(key, "q" * SESSION_CHARACTERS, "long")
    assert len(sessions.turns(key, reset=False)) == 1

    assert sessions.turns(key, reset=True) == []
    assert sessions.turns(key, reset=False) == []
    assert (sessions.shares.count, sessions.shares.bytes) == (0, 0)


def test_a_session_is_forgotten_a_day_after_its_last_turn(sessions: Sessions, clock: Clock) -> None:
    sessions.remember((APP, "old"), "q", "a")
    sessions.remember((APP, "used"), "q", "a")
    clock.now += SESSION_SECONDS - 1
    sessions.remember((APP, "used"), "q2", "a2")
    clock.now += 2

    assert sessions.turns((APP, "old"), reset=False) == []
    assert len(sessions.turns((APP, "used"), reset=False)) == 2
    assert sessions.shares.count == 1


def test_sessions_are_bounded_in_bytes_and_the_caller_who_has_most_gives_way(sessions: Sessions) -> None:
    for number in range(100):
        sessions.remember((OTHER, str(number)), "q", "a")
    for number in range(100):
        sessions.remember((APP, str(number)), "问" * (MEGABYTE // 2), "a")

    assert sessions.shares.bytes <= MAX_BYTES
    assert all(sessions.turns((OTHER, str(number)), reset=False) for number in range(100))
    mine = [number for number in range(100) if sessions.turns((APP, str(number)), reset=False)]
    assert mine == list(range(37, 100))


def test_sessions_are_bounded_in_number_and_a_call_takes_no_longer_where_there_are_many(sessions: Sessions) -> None:
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


def test_the_actor_tells_an_answer_as_soon_as_it_is_there() -> None:
    async def talk() -> None:
        memory = Memory()
        assert await memory.begin(APP, "1", "d", b"q", RUNNER) == "new"
        assert await memory.wait(APP, "1", 0, RUNNER) == {"result": None}
        assert await memory.wait(APP, "2", 10, RUNNER) is None
        waiting = asyncio.create_task(memory.wait(APP, "1", 10, RUNNER))
        await asyncio.sleep(0)
        await memory.finish(APP, "1", b"answer", False)
        assert await asyncio.wait_for(waiting, 1) == {"result": b"answer"}
        await memory.remember(APP, "s", "q", "a")
        assert await memory.turns(APP, "s", False) == [("q", "a")]
        await memory.beat(RUNNER)

    asyncio.run(talk())


def test_what_is_sent_to_the_cluster_needs_no_code_there() -> None:
    ray.cloudpickle.register_pickle_by_value(gateway)
    try:
        assert b"gateway.memory" in ray.cloudpickle.dumps(Memory)
        copy = ray.cloudpickle.loads(ray.cloudpickle.dumps(Memory))
    finally:
        ray.cloudpickle.unregister_pickle_by_value(gateway)
    assert asyncio.run(copy().begin(APP, "1", "d", b"q", RUNNER)) == "new"
