"""A large body that is refused takes nobody's room."""

from __future__ import annotations

import io

import pytest

from gateway.byte_budget import ByteBudget
from gateway.errors import GatewayError
from gateway.web.large_body import LargeBody

SIZE = 100_000


def test_a_body_that_is_refused_holds_nothing_from_then_on() -> None:
    budget = ByteBudget(3 * SIZE)
    first, second, third = (LargeBody(budget) for _ in range(3))
    first.hold(SIZE)
    second.hold(SIZE)

    with pytest.raises(GatewayError, match="GATEWAY_BUSY"):
        second.hold(3 * SIZE)

    third.hold(2 * SIZE)  # though the second's refusal has not reached its client yet
    assert budget.used == 3 * SIZE


def test_a_body_in_chunks_that_is_refused_holds_nothing_while_the_rest_of_it_comes() -> None:
    budget = ByteBudget(3 * SIZE)
    first, second = LargeBody(budget), LargeBody(budget)
    first.hold(SIZE)
    used: list[int] = []

    class Chunks(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            used.append(budget.used)
            return super().read(size)

    with pytest.raises(GatewayError, match="GATEWAY_BUSY"):
        second.read(Chunks(b"x" * (5 * SIZE)), None)

    assert max(used) > 2 * SIZE
    assert used[-1] == SIZE
