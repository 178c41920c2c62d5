"""What lasts for a time does so although the machine's clock jumps an hour; only what people read
has its time."""

from __future__ import annotations

import ast
import time

import pytest

from gateway.actors.circuit_breaker import CircuitBreaker
from gateway.errors import Code, GatewayError
from tests.environment import TOP
from tests.unit.stores import Clock

TOLD_TO_PEOPLE = {
    "gateway/actors/circuit_breaker.py": 2,  # since when a chat rests, and until when
    "gateway/actors/balance_watch.py": 1,  # when a balance was said
    "gateway/actors/ledger_book.py": 2,  # when a process handed over; what a damaged file is called
    "gateway/actors/ledger_rests.py": 1,  # how long what people are told is kept
    "gateway/web/ledger.py": 2,  # when a chat could not answer, and when it did
    "gateway/web/usage.py": 1,  # which days are meant
    "gateway/actors/meters.py": 1,  # since when a budget is spent
    "gateway/actors/configurations.py": 1,  # since when a chat is deployed
    "gateway/web/access_log.py": 1,  # when a request was answered
    "gateway/cluster/answer.py": 1,  # `created` on /v1
    "gateway/providers/openai_shape.py": 1,  # the same, where a provider left it out
    "gateway/actors/upstream_errors.py": 1,  # beside the provider's Date
    "gateway/notifications/delivery.py": 1,  # when a robot's message is signed
    "gateway/commands/doctor_probes.py": 1,  # the doctor compares clocks
    "deploy/keyholder.py": 2,  # whether a file's time, or a chat's, is of a clock that was ahead
}
"""How often each file asks for the time of day; no file does that decides by it."""


def asked_time_of_day(path: str) -> int:
    nodes = ast.walk(ast.parse((TOP / path).read_text()))
    names = [ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)]
    return sum(
        name in ("time.time", "datetime.now", "datetime.utcnow", "time.time_ns") for name in names
    )


def test_nothing_is_timed_by_a_clock_that_may_be_set() -> None:
    files = [*(TOP / "gateway").rglob("*.py"), *TOP.glob("*.py"), TOP / "deploy" / "keyholder.py"]
    counts = {
        str(path.relative_to(TOP)): asked_time_of_day(str(path.relative_to(TOP))) for path in files
    }
    assert {path: count for path, count in counts.items() if count} == TOLD_TO_PEOPLE


@pytest.mark.parametrize(
    ("code", "retry_after", "seconds"), [("SLOW_DOWN", 30.0, 30), ("PAY_BILL", None, 60)]
)
def test_a_chat_rests_for_its_time(code: str, retry_after: float | None, seconds: int) -> None:
    clock = Clock()
    breaker = CircuitBreaker(60, clock)
    breaker.failed(GatewayError(code, retry_after=retry_after), None)
    clock.now += seconds - 1
    with pytest.raises(GatewayError) as caught:
        breaker.admit()
    assert caught.value.retry_after == (1 if retry_after else None)
    resting = breaker.resting()
    assert resting
    assert abs(resting["until"] - time.time() - 1) < 60
    assert abs(resting["since"] - time.time()) < 60
    clock.now += 1
    assert (breaker.resting() is None) == (code == Code.SLOW_DOWN)
    breaker.admit()  # this one may ask
