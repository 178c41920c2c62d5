"""When a chat rests, and which request finds out whether that is over."""

from __future__ import annotations

import pytest

from gateway.actors.circuit_breaker import FAILURES, PROBED_SECONDS, CircuitBreaker, Probe
from gateway.errors import Code, GatewayError
from tests.unit.stores import Clock

PROBE_SECONDS = 60


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(PROBE_SECONDS, clock)


def rest(breaker: CircuitBreaker, clock: Clock, code: Code) -> Probe:
    """Have it rest with an error, and let the next request be the probe."""
    breaker.failed(GatewayError(code, retry_after=2.0), None)
    clock.now += 2.0 if code == Code.SLOW_DOWN else PROBE_SECONDS
    probe = breaker.admit()
    assert probe
    return probe


def turned_away(breaker: CircuitBreaker) -> Code | None:
    try:
        breaker.admit()
    except GatewayError as error:
        return error.code
    return None


@pytest.mark.parametrize("code", [Code.SLOW_DOWN, Code.PAY_BILL])
def test_a_probe_that_is_answered_ends_the_rest(
    breaker: CircuitBreaker, clock: Clock, code: Code
) -> None:
    probe = rest(breaker, clock, code)
    assert turned_away(breaker) == code, "those beside the probe are turned away"
    breaker.succeeded(probe)
    assert turned_away(breaker) is None


@pytest.mark.parametrize("code", [Code.SLOW_DOWN, Code.PAY_BILL])
def test_where_the_probes_client_leaves_the_next_request_is_the_probe(
    breaker: CircuitBreaker, clock: Clock, code: Code
) -> None:
    breaker.given_up(rest(breaker, clock, code))
    assert breaker.admit()


@pytest.mark.parametrize("code", [Code.SLOW_DOWN, Code.PAY_BILL])
def test_what_was_under_way_before_tells_nothing_of_a_rest(
    breaker: CircuitBreaker, clock: Clock, code: Code
) -> None:
    before = breaker.admit()
    breaker.failed(GatewayError(code, retry_after=2.0), None)
    breaker.succeeded(before)
    breaker.given_up(before)
    breaker.failed(GatewayError(Code.INVALID_REQUEST), before)
    assert turned_away(breaker) == code


def test_where_a_limits_probe_thinks_for_long_another_is_let_through(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    first = rest(breaker, clock, Code.SLOW_DOWN)
    clock.now += PROBED_SECONDS - 1
    assert turned_away(breaker) == Code.SLOW_DOWN
    clock.now += 1
    second = breaker.admit()
    breaker.given_up(first)
    assert turned_away(breaker) == Code.SLOW_DOWN
    breaker.succeeded(second)
    assert turned_away(breaker) is None


def test_an_unpaid_bills_probe_is_the_only_one_for_its_time(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    rest(breaker, clock, Code.PAY_BILL)
    clock.now += PROBE_SECONDS - 1
    assert turned_away(breaker) == Code.PAY_BILL


def test_a_probe_finds_out_once(breaker: CircuitBreaker, clock: Clock) -> None:
    probe = rest(breaker, clock, Code.PAY_BILL)
    breaker.succeeded(probe)  # a stream, which goes on
    breaker.failed(GatewayError(Code.BAD_KEY), None)
    breaker.given_up(probe)
    breaker.succeeded(probe)
    assert turned_away(breaker) == Code.BAD_KEY


def test_a_provider_that_cannot_be_reached_has_not_been_paid(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    breaker.failed(GatewayError(Code.TIMEOUT), rest(breaker, clock, Code.PAY_BILL))
    assert turned_away(breaker) == Code.PAY_BILL
    resting = breaker.resting()
    assert resting
    assert resting["code"] == Code.PAY_BILL


def test_a_limit_is_over_by_itself_though_its_probe_could_not_reach_the_provider(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    breaker.failed(GatewayError(Code.TIMEOUT), rest(breaker, clock, Code.SLOW_DOWN))
    assert turned_away(breaker) is None


def test_another_refusal_of_a_probe_ends_a_rest(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.failed(GatewayError(Code.BAD_UPSTREAM_REQUEST), rest(breaker, clock, Code.PAY_BILL))
    assert turned_away(breaker) is None


def test_streams_that_break_off_after_their_first_word_are_failures(
    breaker: CircuitBreaker,
) -> None:
    for _ in range(FAILURES):
        assert turned_away(breaker) is None
        breaker.spoke(None)
        breaker.failed(GatewayError(Code.PROVIDER_DOWN), None)
    assert turned_away(breaker) == Code.PROVIDER_DOWN


def test_a_provider_that_was_down_is_up_with_any_answer(breaker: CircuitBreaker) -> None:
    for _ in range(FAILURES):
        assert turned_away(breaker) is None
        breaker.failed(GatewayError(Code.PROVIDER_DOWN), None)
    assert turned_away(breaker) == Code.PROVIDER_DOWN
    breaker.succeeded(None)
    assert turned_away(breaker) is None
