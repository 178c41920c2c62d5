"""The jobs of gateway processes, with the store itself, which is called as in the cluster but
without Ray."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from gateway.actors.job_store import LOST_SECONDS
from gateway.actors.store_actor import Store
from gateway.errors import Code, GatewayError
from gateway.store_protocol import Key
from gateway.web.job_runner import Runner, span, span_zh
from tests.unit.stores import Clock
from tests.waiting import until

KEY: Key = ("app", "order-42")
OTHER_KEY: Key = ("app", "order-43")
MOST = 100
PATIENCE = 60


class Cluster:
    """A store in an event loop of its own, which can be ended; the processes that are there, and
    what they pay for."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.drivers: set[str] = set()
        self.up = True
        self.calls: Counter[str] = Counter()
        self.paid: Counter[bytes] = Counter()
        self.go = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.memory = self._new(follows=False)

    def _new(self, follows: bool) -> Store:
        return Store(lambda: frozenset(self.drivers), lambda: follows, self.clock)

    def restart_store(self) -> None:
        self.memory = self._new(follows=True)

    def stop(self) -> None:
        self.go.set()
        asyncio.run_coroutine_threadsafe(self._cancel(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _cancel(self) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def call(self, method: str, *arguments: Any) -> Any:
        self.calls[method] += 1
        if not self.up:
            raise GatewayError(Code.CLUSTER_DOWN, "gone")
        return asyncio.run_coroutine_threadsafe(
            getattr(self.memory, method)(*arguments), self._loop
        ).result(PATIENCE)

    def answer(self, owner: str, question: bytes, lost: int) -> tuple[bytes, bool]:
        """Pays, and takes until `go` is set."""
        if lost > 1:
            return b"ended twice", True
        self.paid[question] += 1
        self.go.wait(PATIENCE)
        return b"answer to " + question, question == b"fails"


class Process:
    """A gateway process: a runner that can be stalled or ended, so that it says and hears
    nothing."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._calling = threading.Lock()
        self.ended = False
        cluster.drivers.add(name)
        self.runner = Runner(self._call, lambda: name, cluster.answer, 3600, MOST)

    def _call(self, method: str, *arguments: Any) -> Any:
        self._goes_on.wait(PATIENCE)
        with self._calling:
            if self.ended:  # its threads go on here, and reach nobody
                raise GatewayError(Code.CLUSTER_DOWN)
            return self._cluster.call(method, *arguments)

    def stall(self) -> None:
        self._goes_on.clear()

    def go_on(self) -> None:
        self._goes_on.set()

    def end(self) -> None:
        """End the process, with no call of its own under way that would be heard later."""
        with self._calling:
            self.ended = True
        self._cluster.drivers.discard(self._name)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture
def process(cluster: Cluster) -> Iterator[Callable[[str], Process]]:
    made: list[Process] = []

    def new(name: str) -> Process:
        made.append(Process(cluster, name))
        return made[-1]

    yield new
    for one in made:
        one.end()
        one.go_on()


def begin(process: Process, key: Key = KEY, question: bytes = b"q") -> str:
    return process.runner.begin(key, "digest of " + question.decode(), question)


def code(call: Callable[[], Any]) -> tuple[Code, int]:
    with pytest.raises(GatewayError) as caught:
        call()
    return caught.value.code, caught.value.status


def test_many_who_wait_hold_no_call_and_are_all_told(
    cluster: Cluster, process: Callable[[str], Process]
) -> None:
    asks, waits = process("asks"), process("waits")
    assert begin(asks) == "new"
    assert begin(waits) == "known"
    with ThreadPoolExecutor(MOST * 2) as pool:
        report = [
            pool.submit(one.runner.wait, KEY, None) for one in (asks, waits) for _ in range(MOST)
        ]
        until(lambda: cluster.calls["news"] >= MOST + 5, PATIENCE)
        assert begin(waits, OTHER_KEY) == "new"  # nobody is behind them
        before = cluster.calls["news"]
        cluster.go.set()
        assert {one.result(PATIENCE) for one in report} == {b"answer to q"}
    assert cluster.calls["news"] - before < MOST  # one call told all of a process
    assert waits.runner.wait(KEY, 0) == b"answer to q"
    assert cluster.paid == {b"q": 2}


def test_those_who_wait_are_bounded_and_beyond_that_the_gateway_is_busy(
    process: Callable[[str], Process],
) -> None:
    waits = process("waits").runner.waits
    places = [waits.place() for _ in range(MOST)]
    for place in places:
        place.__enter__()
    with pytest.raises(GatewayError) as caught, waits.place():
        pass
    assert caught.value.code == Code.GATEWAY_BUSY

    places[0].__exit__(None, None, None)
    with waits.place():
        pass


def test_a_stalled_process_keeps_its_job_and_nobody_pays_twice(
    cluster: Cluster, process: Callable[[str], Process]
) -> None:
    stalled, other = process("stalled"), process("other")
    begin(stalled)
    until(lambda: cluster.paid[b"q"] == 1, PATIENCE)
    stalled.stall()
    cluster.clock.now += 100 * LOST_SECONDS

    assert other.runner.wait(KEY, 3) is None
    cluster.go.set()
    stalled.go_on()

    assert other.runner.wait(KEY, PATIENCE) == b"answer to q"
    assert cluster.paid == {b"q": 1}


def test_the_job_of_a_process_that_ended_is_taken_over_by_one_alone(
    cluster: Cluster, process: Callable[[str], Process]
) -> None:
    gone, *others = process("gone"), process("second"), process("third")
    begin(gone)
    until(lambda: cluster.paid[b"q"] == 1, PATIENCE)
    gone.end()
    cluster.clock.now += LOST_SECONDS + 1
    with ThreadPoolExecutor(20) as pool:
        report = [
            pool.submit(others[number % 2].runner.wait, KEY, PATIENCE) for number in range(20)
        ]
        until(lambda: cluster.paid[b"q"] == 2, PATIENCE)
        cluster.go.set()
        assert {one.result(PATIENCE) for one in report} == {b"answer to q"}
    assert cluster.paid == {b"q": 2}


def has_answer_or_was_paid_twice(cluster: Cluster, heir: Process) -> bool:
    return heir.runner.wait(KEY, 3) is not None or cluster.paid[b"q"] == 2


def test_what_ends_two_processes_is_not_asked_again_and_still_ends(
    cluster: Cluster, process: Callable[[str], Process]
) -> None:
    first, second, third = process("first"), process("second"), process("third")
    begin(first)
    for times, (ends, heir) in enumerate(((first, second), (second, third)), 1):
        until(lambda times=times: cluster.paid[b"q"] == times, PATIENCE)  # type: ignore[misc]
        ends.end()
        cluster.clock.now += LOST_SECONDS + 1
        heir.runner.wait(KEY, 0)  # looks only; the store notes who shall ask
        until(partial(has_answer_or_was_paid_twice, cluster, heir), PATIENCE)

    assert third.runner.wait(KEY, PATIENCE) == b"ended twice"
    assert cluster.paid == {b"q": 2}


def test_a_store_that_is_restarted_hears_what_is_under_way_and_nobody_pays_twice(
    cluster: Cluster, process: Callable[[str], Process]
) -> None:
    asks, other = process("asks"), process("other")
    begin(asks)
    other.runner.wait(KEY, 0)
    until(lambda: cluster.calls["beat"] >= 2, PATIENCE)
    cluster.restart_store()

    assert begin(other) == "known"
    with ThreadPoolExecutor(1) as pool:
        report = pool.submit(other.runner.wait, KEY, PATIENCE)
        cluster.go.set()
        assert report.result(PATIENCE) == b"answer to q"
    assert cluster.paid == {b"q": 1}


def test_an_answer_is_held_until_a_store_takes_it(
    cluster: Cluster, process: Callable[[str], Process]
) -> None:
    asks, other = process("asks"), process("other")
    begin(asks)
    until(lambda: cluster.paid[b"q"] == 1, PATIENCE)
    cluster.up = False
    cluster.go.set()

    assert asks.runner.wait(KEY, PATIENCE) == b"answer to q"
    assert asks.runner.begin(KEY, "digest of q", b"q") == "known"
    assert code(lambda: other.runner.wait(KEY, PATIENCE)) == (Code.CLUSTER_DOWN, 503)
    cluster.restart_store()
    cluster.up = True

    assert other.runner.wait(KEY, PATIENCE) == b"answer to q"
    assert cluster.paid == {b"q": 1}


def test_what_a_store_lost_is_never_its_callers_fault(
    cluster: Cluster, process: Callable[[str], Process]
) -> None:
    asks = process("asks")
    cluster.go.set()
    begin(asks)
    assert asks.runner.wait(KEY, PATIENCE) == b"answer to q"
    assert code(lambda: asks.runner.wait(OTHER_KEY, 0)) == (Code.INVALID_REQUEST, 404)
    cluster.restart_store()
    cluster.clock.now += 10

    assert code(lambda: asks.runner.wait(KEY, 0)) == (Code.CLUSTER_DOWN, 503)
    assert begin(asks) == "new"
    assert asks.runner.wait(KEY, PATIENCE) == b"answer to q"
    cluster.clock.now += 3601
    assert code(lambda: asks.runner.wait(OTHER_KEY, 0)) == (Code.INVALID_REQUEST, 404)


def test_a_failure_is_told_and_may_be_asked_anew_at_once(
    cluster: Cluster, process: Callable[[str], Process]
) -> None:
    asks = process("asks")
    cluster.go.set()
    for _ in range(20):
        assert begin(asks, question=b"fails") == "new"
        assert asks.runner.wait(KEY, PATIENCE) == b"answer to fails"


def test_a_store_that_does_not_answer_keeps_nobody_waiting(
    cluster: Cluster, process: Callable[[str], Process]
) -> None:
    asks, other = process("asks"), process("other")
    begin(asks)
    begin(other)
    with ThreadPoolExecutor(2) as pool:
        here, there = (pool.submit(one.runner.wait, KEY, PATIENCE) for one in (asks, other))
        until(lambda: cluster.calls["news"] > 3, PATIENCE)
        cluster.up = False
        assert code(lambda: there.result(PATIENCE))[0] == Code.CLUSTER_DOWN
        cluster.go.set()  # who asks needs no store for it
        assert here.result(PATIENCE) == b"answer to q"


@pytest.mark.parametrize(
    ("seconds", "words", "words_zh"),
    [
        (3600, "an hour", "一小时"),
        (7200, "2 hours", " 2 小时"),
        (86400, "a day", "一天"),
        (5400, "90 minutes", " 90 分钟"),
        (61, "61 s", " 61 秒"),
    ],
)
def test_a_time_as_people_say_it(seconds: int, words: str, words_zh: str) -> None:
    assert (span(seconds), span_zh(seconds)) == (words, words_zh)
