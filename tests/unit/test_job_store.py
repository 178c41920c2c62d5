"""The store of jobs: bounded, fair, no slower when it is full, and sure of who asks for what."""

from __future__ import annotations

import pytest

from gateway.actors.job_store import (
    FORGET_AT_ONCE,
    GATHER_SECONDS,
    LOST_SECONDS,
    MAX_ANSWERS,
    MAX_BYTES,
    NEWS_BYTES,
    Jobs,
)
from gateway.store_protocol import Begun, Caller
from tests.unit.stores import Clock, steps

APP, OTHER = "app", "other"
KEEP_SECONDS = 3600
MEGABYTE = 1 << 20

ONE: Caller = {
    "process": "a-process",
    "driver": "driver of a-process",
    "store": "",
    "keep": KEEP_SECONDS,
}
OTHER_ONE: Caller = {**ONE, "process": "another", "driver": "driver of another"}
THIRD: Caller = {**ONE, "process": "third", "driver": "driver of third"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(clock: Clock) -> Jobs:
    return Jobs(clock)


def begin(jobs: Jobs, owner: str, name: str, question: bytes = b"q", digest: str = "d") -> Begun:
    return jobs.begin(ONE, (owner, name), digest, question)


def answer(jobs: Jobs, owner: str, name: str, result: bytes = b"a", question: bytes = b"q") -> None:
    assert begin(jobs, owner, name, question) == "new"
    jobs.finish((owner, name), result, failed=False)


def kept(jobs: Jobs, owner: str, names: range) -> list[int]:
    return [number for number in names if jobs.find((owner, str(number)))]


def test_an_answer_that_its_caller_has_makes_room(jobs: Jobs) -> None:
    for number in range(MAX_ANSWERS):
        answer(jobs, APP, str(number))
    assert begin(jobs, APP, "one more") == "full"
    jobs.forget((OTHER, "1"))
    assert begin(jobs, APP, "one more") == "full"
    jobs.forget((APP, "1"))
    assert begin(jobs, APP, "one more") == "new"
    jobs.forget((APP, "one more"))  # it is under way
    assert begin(jobs, APP, "one more") == "known"


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
    assert kept(jobs, APP, range(5)) == [0]  # its process still asks for it
    clock.now += LOST_SECONDS + 1
    jobs.bury(set())
    clock.now += KEEP_SECONDS
    assert kept(jobs, APP, range(5)) == []
    assert (jobs.shares.count, jobs.shares.bytes) == (0, 0)


def test_what_is_too_old_is_not_given_though_many_wait_to_be_forgotten(
    jobs: Jobs, clock: Clock
) -> None:
    for number in range(10 * FORGET_AT_ONCE):
        answer(jobs, APP, str(number))
    clock.now += KEEP_SECONDS + 1

    last = str(10 * FORGET_AT_ONCE - 1)
    assert jobs.find((APP, last)) is None
    assert jobs.shares.count > 0
    assert begin(jobs, APP, last) == "new"


def test_a_job_is_taken_over_only_when_its_process_is_known_to_have_ended(
    jobs: Jobs, clock: Clock
) -> None:
    assert begin(jobs, APP, "1") == "new"
    jobs.bury(set())
    clock.now += 1000 * LOST_SECONDS  # it is stalled, and Ray says that it is there
    jobs.bury({"driver of a-process"})
    assert jobs.news(OTHER_ONE, [(APP, "1")]) == []
    assert jobs.beat(OTHER_ONE, [])["given"] == []

    jobs.bury(set())
    for _ in range(3):  # whoever comes first has it
        assert jobs.news(OTHER_ONE, [(APP, "1")]) == []
        assert jobs.news(THIRD, [(APP, "1")]) == []

    assert jobs.beat(THIRD, [])["given"] == []
    assert jobs.beat(OTHER_ONE, [])["given"] == [((APP, "1"), "d", b"q", 1)]
    assert jobs.beat(OTHER_ONE, [(APP, "1")])["given"] == []


def test_a_process_that_connects_to_ray_anew_keeps_its_jobs(jobs: Jobs, clock: Clock) -> None:
    assert begin(jobs, APP, "1") == "new"
    clock.now += LOST_SECONDS - 1
    jobs.bury(set())
    jobs.news(OTHER_ONE, [(APP, "1")])
    jobs.beat({**ONE, "driver": "another"}, [(APP, "1")])
    clock.now += LOST_SECONDS + 1
    jobs.bury({"another"})
    jobs.news(OTHER_ONE, [(APP, "1")])
    jobs.bury(set())
    jobs.beat(ONE, [(APP, "1")])  # it was only cut off, and nobody has asked meanwhile
    jobs.news(OTHER_ONE, [(APP, "1")])

    assert jobs.beat(OTHER_ONE, [])["given"] == []


def test_what_has_ended_two_processes_is_counted(jobs: Jobs, clock: Clock) -> None:
    begin(jobs, APP, "1")
    for lost, heir in enumerate((OTHER_ONE, THIRD), 1):
        clock.now += LOST_SECONDS + 1
        jobs.bury(set())
        jobs.news(heir, [(APP, "1")])
        assert jobs.beat(heir, [])["given"] == [((APP, "1"), "d", b"q", lost)]


def test_a_job_that_its_own_process_does_not_know_is_given_to_it(jobs: Jobs) -> None:
    begin(jobs, APP, "1")  # whose reply was lost
    assert jobs.beat(ONE, [])["given"] == [((APP, "1"), "d", b"q", 0)]


def test_of_two_processes_that_came_to_ask_the_first_answer_stays(jobs: Jobs, clock: Clock) -> None:
    begin(jobs, APP, "1")
    clock.now += LOST_SECONDS + 1
    jobs.bury(set())
    jobs.news(OTHER_ONE, [(APP, "1")])

    assert jobs.finish((APP, "1"), b"first", failed=False)
    assert jobs.finish((APP, "1"), b"second", failed=False)
    assert jobs.finish((APP, "1"), b"failed", failed=True)
    assert jobs.news(OTHER_ONE, [(APP, "1")]) == [((APP, "1"), "here", b"first")]
    assert jobs.beat(OTHER_ONE, [])["given"] == []


def test_an_answer_that_comes_late_is_kept_though_its_process_was_forgotten(
    jobs: Jobs, clock: Clock
) -> None:
    begin(jobs, APP, "1")
    clock.now += LOST_SECONDS + 1
    jobs.bury(set())
    jobs.news(OTHER_ONE, [(APP, "1")])
    jobs.finish((APP, "1"), b"failed", failed=True)
    clock.now += LOST_SECONDS + 1
    jobs.beat(THIRD, [])  # those who have nothing to do are forgotten

    assert jobs.finish((APP, "1"), b"late", failed=False, digest="d")
    assert jobs.news(THIRD, [(APP, "1")]) == [((APP, "1"), "here", b"late")]


def test_an_answer_to_another_question_of_the_same_name_is_dropped(jobs: Jobs) -> None:
    answer(jobs, APP, "1")
    jobs.forget((APP, "1"))
    assert begin(jobs, APP, "1", digest="another") == "new"
    assert jobs.finish((APP, "1"), b"late", failed=False, digest="d")
    assert jobs.news(ONE, [(APP, "1")]) == []


def test_news_is_told_in_pieces(jobs: Jobs) -> None:
    keys = [(APP, str(number)) for number in range(6)]
    for _, name in keys:
        answer(jobs, APP, name, b"x" * (NEWS_BYTES // 3 + 1))
    first = [key for key, _, _ in jobs.news(ONE, keys)]
    assert first == keys[:3]


def test_a_store_that_follows_another_asks_nobody_anew_before_it_knows_what_is_being_asked(
    clock: Clock,
) -> None:
    jobs = Jobs(clock, follows=True)
    assert begin(jobs, APP, "1") == "early"
    assert jobs.news(OTHER_ONE, [(APP, "1")]) == []
    heard = jobs.beat(ONE, [(APP, "1")])
    assert heard == {"store": jobs.name, "given": [], "unknown": [(APP, "1")]}
    assert jobs.begin(ONE, (APP, "1"), "d", b"q", again=True) == "new"

    assert jobs.begin(OTHER_ONE, (APP, "1"), "d", b"q") == "known"
    clock.now += GATHER_SECONDS + 1
    assert jobs.begin(OTHER_ONE, (APP, "2"), "d", b"q") == "new"
    assert jobs.finish((APP, "3"), b"answer", failed=False) is False


@pytest.mark.parametrize("told", [False, True])
def test_names_from_before_a_restart_are_lost_and_no_callers_fault(
    clock: Clock, told: bool
) -> None:
    jobs = Jobs(clock, follows=not told)
    clock.now += GATHER_SECONDS + 1
    if told:  # as after a restart of the whole cluster, by a process that was there before
        assert jobs.news(OTHER_ONE, [(APP, "1")]) == [((APP, "1"), "unknown", None)]
        jobs.beat({**ONE, "store": "another"}, [])
    assert jobs.news(OTHER_ONE, [(APP, "1")]) == [((APP, "1"), "lost", None)]
    clock.now += KEEP_SECONDS
    assert jobs.news(OTHER_ONE, [(APP, "1")]) == [((APP, "1"), "unknown", None)]


def test_each_answer_is_kept_for_as_long_as_its_process_keeps_answers(
    jobs: Jobs, clock: Clock
) -> None:
    assert jobs.begin({**OTHER_ONE, "keep": 24 * 3600}, (APP, "1"), "d", b"q") == "new"
    jobs.finish((APP, "1"), b"answer", failed=False)
    clock.now += 24 * 3600 - 1
    assert jobs.find((APP, "1"))
    clock.now += 2
    assert jobs.find((APP, "1")) is None


def test_processes_that_have_nothing_to_do_are_forgotten(jobs: Jobs, clock: Clock) -> None:
    before = steps(lambda: jobs.beat({**ONE, "process": "0"}, []))
    for number in range(1000):
        jobs.beat({**ONE, "process": str(number)}, [])
        clock.now += LOST_SECONDS
    assert steps(lambda: jobs.beat({**ONE, "process": "new"}, [])) < 2 * before


def test_a_days_jobs_are_kept_and_then_forgotten(jobs: Jobs, clock: Clock) -> None:
    """24 hours of a job each ten seconds, kept for an hour: no more than an hour's are there at any
    time."""
    for number in range(24 * 360):
        answer(jobs, APP, str(number), b"x" * 1000)
        clock.now += 10
        assert jobs.shares.count <= 361
    assert kept(jobs, APP, range(24 * 360 - 400, 24 * 360))[0] == 24 * 360 - 360
    clock.now += KEEP_SECONDS
    for number in range(10):
        assert jobs.find((APP, str(number))) is None
    assert (jobs.shares.count, jobs.shares.bytes) == (0, 0)


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


def test_a_large_question_of_one_who_has_little_makes_those_who_have_much_give_way(
    jobs: Jobs,
) -> None:
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
    # where it is full, it looks at each of eleven callers
    assert steps(lambda: begin(jobs, OTHER, "new")) < 400
    assert steps(lambda: jobs.finish((OTHER, "new"), b"answer", failed=False)) < 150
    clock.now += 2 * KEEP_SECONDS  # all of it is too old
    assert steps(lambda: jobs.find(key)) < 40 * FORGET_AT_ONCE
