"""Which chat answers: the one that was asked, or the next of its chain. The chain is walked
once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from gateway.errors import Code, GatewayError

FALL_BACK_ON = {
    Code.PAY_BILL,
    Code.OVER_BUDGET,
    Code.BAD_KEY,
    Code.NO_SUCH_MODEL,
    Code.NEED_KEY,
    Code.SLOW_DOWN,
    Code.PROVIDER_BUSY,
    Code.PROVIDER_DOWN,
    Code.BAD_ANSWER,
    Code.TIMEOUT,
}
"""Never the caller's own faults, nor a content block: another provider must not be asked around
those."""

UNABLE = FALL_BACK_ON | {
    Code.NOT_DEPLOYED,
    Code.CLUSTER_DOWN,
    Code.GATEWAY_BUSY,
    Code.INTERNAL,
}
"""With these another chat of the chain says nothing of the request: the next one is asked."""

T = TypeVar("T")

Failures = list[tuple[str, Code]]
"""Chats that could not answer, and why."""


class Outcome(NamedTuple, Generic[T]):
    """An answer, the chat that gave it, and why that is not the chat that was asked (None: it
    is)."""

    answer: T
    served_by: str
    fell_back: Code | None


def first_to_answer(
    name: str,
    chain: Callable[[str], Iterable[str]],
    ask: Callable[[str], T],
    note: Callable[[Failures, str], None],
) -> Outcome[T]:
    """Ask chat `name`, and where it cannot answer, those of its chain in turn. `note` is told which
    could not, and who answered then ("": nobody). Raises GatewayError: the first one's, unless
    another said that the request itself is at fault."""
    try:
        return Outcome(ask(name), name, None)
    except GatewayError as error:
        if error.code not in FALL_BACK_ON:
            raise
        first = error
    failures, served_by = [(name, first.code)], ""
    try:
        for other in _known(chain, name):
            try:
                outcome = Outcome(ask(other), other, first.code)
            except GatewayError as error:
                if error.code not in UNABLE:
                    raise
                failures.append((other, error.code))
            else:
                served_by = other
                return outcome
    finally:
        note(failures, served_by)
    raise first


def _known(chain: Callable[[str], Iterable[str]], name: str) -> Iterable[str]:
    """Return a chat's chain; none where the cluster cannot tell: why the chat itself could not
    answer is what its caller must know."""
    try:
        return chain(name)
    except GatewayError:
        return ()
