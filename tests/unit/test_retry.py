"""A chat whose process in the cluster ends is asked once more, however long it had thought."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.cluster.channel import ChannelError
from gateway.cluster.retry import RESTART_SECONDS, Retry
from gateway.errors import Code, GatewayError


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def retry(clock: Clock) -> Retry:
    """Of a chat that has another replica."""
    chat = SimpleNamespace(close=lambda: None, has_another=lambda: True)
    table: Any = SimpleNamespace(known=lambda name: chat)
    connection: Any = SimpleNamespace(doubt=lambda: None)
    calls: Any = None
    return Retry(connection, calls, table, clock)


def asking(clock: Clock, *seconds_and_whether_sent: tuple[float, bool]) -> Callable[[], str]:
    """A question that fails so, one time after the other, and then is answered."""
    failures = iter(seconds_and_whether_sent)

    def ask() -> str:
        failure = next(failures, None)
        if failure is None:
            return "answer"
        seconds, sent = failure
        clock.seconds += seconds
        raise ChannelError("the connection was closed", sent=sent)

    return ask


@pytest.mark.parametrize("seconds", [0.1, RESTART_SECONDS + 1, 3000])
def test_the_time_that_a_model_took_to_think_is_none_of_the_retry(
    retry: Retry, clock: Clock, seconds: float
) -> None:
    assert retry.run("shop", asking(clock, (seconds, True))) == "answer"


def test_what_ends_two_processes_is_not_asked_a_third_time(retry: Retry, clock: Clock) -> None:
    with pytest.raises(GatewayError) as failed:
        retry.run("shop", asking(clock, (1, True), (1, True)))
    assert failed.value.code == Code.CLUSTER_DOWN
    assert "ended, twice" in failed.value.detail


def test_who_is_let_in_nowhere_tries_for_as_long_as_a_restart_may_take(
    retry: Retry, clock: Clock
) -> None:
    assert retry.run("shop", asking(clock, (1, False), (RESTART_SECONDS - 1, False))) == "answer"
    with pytest.raises(GatewayError) as failed:
        retry.run("shop", asking(clock, (1, False), (RESTART_SECONDS + 1, False)))
    assert "cannot be reached: the connection was closed" in failed.value.detail


def test_who_was_let_in_late_and_lost_its_process_is_asked_once_more(
    retry: Retry, clock: Clock
) -> None:
    assert retry.run("shop", asking(clock, (1, False), (RESTART_SECONDS + 60, True))) == "answer"
