"""Greenlets that wait: on real sockets, with a real thread pool."""

from __future__ import annotations

import contextvars
import gc
import select
import socket
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress

import pytest

from gateway import hub
from gateway.hub import Wake
from tests.greenlets import in_a_greenlet, in_greenlets
from tests.waiting import until

LONG = 10.0


def here() -> hub.Hub:
    own = hub.current()
    assert own
    return own


def test_one_that_waits_lets_others_go_on() -> None:
    told, teller = socket.socketpair()
    order = []

    def first() -> None:
        here().watch(told.fileno())
        order.append("first waits")
        assert here().wait(told.fileno(), LONG) is Wake.READY
        order.append("first goes on")

    def second() -> None:
        order.append("second works")
        teller.sendall(b"!")

    with told, teller:
        in_greenlets(first, second)
    assert order == ["first waits", "second works", "first goes on"]


def test_what_came_while_nobody_waited_is_not_missed() -> None:
    told, teller = socket.socketpair()

    def wait_late() -> list[Wake]:
        here().watch(told.fileno())
        teller.sendall(b"!")
        hub.in_thread(time.sleep, 0.1)
        first = here().wait(told.fileno(), LONG)
        told.recv(1)
        teller.sendall(b"?")
        return [first, here().wait(told.fileno(), LONG)]

    with told, teller:
        assert in_a_greenlet(wait_late) == [Wake.READY, Wake.READY]


def test_an_end_that_came_with_the_last_bytes_is_told_again() -> None:
    told, teller = socket.socketpair()

    def read_all() -> bytes:
        here().watch(told.fileno())
        teller.sendall(b"last words")
        teller.close()
        here().wait(told.fileno(), LONG)
        read = told.recv(100)
        assert here().wait(told.fileno(), LONG) is Wake.READY
        return read + told.recv(100)

    with told:
        assert in_a_greenlet(read_all) == b"last words"


def test_a_number_that_belonged_to_another_socket_begins_anew() -> None:
    def reuse() -> Wake:
        old, other = socket.socketpair()
        number = old.fileno()
        here().watch(number)
        other.close()
        hub.in_thread(time.sleep, 0.1)
        old.close()
        new, far = socket.socketpair()
        with new, far:
            assert number in (new.fileno(), far.fileno())
            here().watch(number)
            return here().wait(number, 0.1)

    assert in_a_greenlet(reuse) is Wake.LATE


def test_a_wait_ends_with_its_time_or_with_its_client() -> None:
    silent, other = socket.socketpair()
    client, gone = socket.socketpair()

    def wait(seconds: float, client: socket.socket | None) -> Callable[[], Wake]:
        def run() -> Wake:
            number = silent.fileno() if client is None else other.fileno()
            here().watch(number)
            return here().wait(number, seconds, client, look_after=0.1)

        return run

    threading.Timer(0.2, gone.close).start()
    started = time.monotonic()
    with silent, other, client:
        assert in_greenlets(wait(0.3, None), wait(LONG, client)) == [Wake.LATE, Wake.GONE]
    assert 0.3 < time.monotonic() - started < LONG


def test_a_socket_that_is_not_watched_is_waited_for_once() -> None:
    full, other = socket.socketpair()
    full.setblocking(False)

    def fill() -> tuple[Wake, Wake]:
        with suppress(BlockingIOError):
            while True:
                full.send(b"x" * 65536)
        late = here().wait_once(full.fileno(), select.EPOLLOUT, 0.1)
        threading.Thread(target=other.recv, args=(1 << 24,)).start()
        return late, here().wait_once(full.fileno(), select.EPOLLOUT, LONG)

    with full, other:
        assert in_a_greenlet(fill) == (Wake.LATE, Wake.READY)


def test_what_would_hold_others_up_runs_in_a_thread_in_the_same_context() -> None:
    word = contextvars.ContextVar("word", default="")
    threads = []

    def slow() -> str:
        word.set("mine")
        threads.append(threading.get_ident())

        def work() -> str:
            time.sleep(0.2)
            threads.append(threading.get_ident())
            assert hub.current() is None
            return word.get()

        return hub.in_thread(work)

    def quick() -> str:
        threads.append(0)
        return word.get()

    assert in_greenlets(slow, quick) == ["mine", ""]
    assert threads[1] == 0, "the quick one did not wait"
    assert threads[0] == threading.get_ident() != threads[2]


def test_what_a_thread_raises_is_raised() -> None:
    def fail() -> None:
        raise KeyError("a reason")

    with pytest.raises(KeyError, match="a reason"):
        in_a_greenlet(lambda: hub.in_thread(fail))


def test_what_a_thread_raises_is_gone_when_it_has_been_handled() -> None:
    """It may have the last word on something, which must not wait for the garbage collector."""

    class OfThreadError(Exception):
        def __init__(self) -> None:
            raised.append(weakref.ref(self))

    raised: list[weakref.ref[OfThreadError]] = []

    def fail() -> None:
        raise OfThreadError

    def handle() -> None:
        with suppress(OfThreadError):
            hub.in_thread(fail)

    gc.disable()
    try:
        in_a_greenlet(handle)
        until(lambda: raised[0]() is None, 5)
    finally:
        gc.enable()


def test_without_a_hub_all_is_done_where_it_is_called() -> None:
    assert hub.current() is None
    assert hub.in_thread(threading.get_ident) == threading.get_ident()
