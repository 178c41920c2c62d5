"""A hub in the thread that calls, as gunicorn's worker has one."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

from gateway.hub import Hub, install

T = TypeVar("T")
MOST_SECONDS = 20


def in_greenlets(*functions: Callable[[], T]) -> list[T]:
    """Run functions side by side, each in a greenlet, and return what they return, or raise what
    one raises."""
    outcomes: dict[int, T | Exception] = {}
    soon: SimpleQueue[Callable[[], None]] = SimpleQueue()
    deadline = time.monotonic() + MOST_SECONDS
    with ThreadPoolExecutor() as pool:
        hub = Hub(pool, soon.put)
        install(hub)

        def run(number: int, function: Callable[[], T]) -> None:
            try:
                outcomes[number] = function()
            except Exception as error:
                outcomes[number] = error

        for number, function in enumerate(functions):
            hub.spawn(run, number, function)
        while len(outcomes) < len(functions):
            assert time.monotonic() < deadline, "a greenlet never went on"
            if select.select([hub.fileno()], [], [], 0.01)[0]:
                hub.turn()
            while not soon.empty():
                soon.get()()
            hub.tick()
    return [_returned(outcomes[number]) for number in range(len(functions))]


def _returned(outcome: Any) -> Any:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def in_a_greenlet(function: Callable[[], T]) -> T:
    """Run one function so."""
    return in_greenlets(function)[0]


def directly(function: Callable[[], T]) -> T:
    """Run a function as it is."""
    return function()
