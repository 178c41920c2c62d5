"""A reader of the log who stalls stalls no request, and what is dropped is counted and said."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from gateway.web.line_writer import MOST_LINES, LineWriter
from tests.environment import TOP

LINE = b'{"number": %d, "words": "' + b"x" * 300 + b'"}\n'


class Pipe:
    """A pipe that is read when it is told to."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        self.dropped = 0
        self._lock = threading.Lock()

    def count_dropped(self, count: int) -> None:
        with self._lock:
            self.dropped += count

    def lines(self) -> Iterator[bytes]:
        """What comes until there is nothing for a while."""
        rest = b""
        os.set_blocking(self.read_end, False)
        deadline = time.monotonic() + 0.5
        while True:
            late = time.monotonic() > deadline
            try:
                rest += os.read(self.read_end, 1 << 16)
            except BlockingIOError:
                if late:  # by a look of its own: this process may have stood still meanwhile
                    break
                time.sleep(0.01)
                continue
            deadline = time.monotonic() + 0.5
            *whole, rest = rest.split(b"\n")
            yield from (line + b"\n" for line in whole)
        assert not rest


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    for end in (pipe.read_end, pipe.write_end):
        os.close(end)


def test_lines_come_whole_and_in_order(pipe: Pipe) -> None:
    writer = LineWriter(pipe.write_end, pipe.count_dropped)
    for number in range(1000):
        writer.write(LINE % number)

    assert list(pipe.lines()) == [LINE % number for number in range(1000)]
    assert pipe.dropped == 0


def test_the_lines_of_several_writers_do_not_mix(pipe: Pipe) -> None:
    writers = [LineWriter(pipe.write_end, pipe.count_dropped) for _ in range(4)]
    for number in range(2000):
        writers[number % 4].write(LINE % number)
    long = b"y" * 10_000 + b"\n"

    assert sorted(pipe.lines()) == sorted(LINE % number for number in range(2000))
    writers[0].write(long)
    assert list(pipe.lines()) == [long]


def test_nobody_waits_for_a_reader_who_stalls_and_what_is_dropped_is_counted_and_said(
    pipe: Pipe, caplog: pytest.LogCaptureFixture
) -> None:
    writer = LineWriter(pipe.write_end, pipe.count_dropped)
    slowest = 0.0
    for number in range(3 * MOST_LINES):
        began = time.thread_time()
        writer.write(LINE % number)
        slowest = max(slowest, time.thread_time() - began)
    assert pipe.dropped >= MOST_LINES
    assert slowest < 0.5

    with caplog.at_level(logging.WARNING):
        lines = list(pipe.lines())

    assert len(lines) + pipe.dropped == 3 * MOST_LINES
    assert lines == sorted(lines, key=lambda line: int(line[11 : line.index(b",")]))
    answer = [record.message for record in caplog.records if "dropped" in record.message]
    assert answer == [
        f"{pipe.dropped} lines about requests were dropped: nobody read standard output"
    ]
    writer.write(LINE % 7)
    assert list(pipe.lines()) == [LINE % 7]


def test_a_reader_who_has_gone_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    pipe = Pipe()
    os.close(pipe.read_end)
    with caplog.at_level(logging.WARNING):
        writer = LineWriter(pipe.write_end, pipe.count_dropped)
        for number in range(100):
            writer.write(LINE % number)
        writer.flush(10)
    os.close(pipe.write_end)

    assert pipe.dropped == 100
    assert "100 lines" in caplog.text


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.write_end, False)
    writer = LineWriter(pipe.write_end, pipe.count_dropped)
    for number in range(1000):
        writer.write(LINE % number)

    assert list(pipe.lines()) == [LINE % number for number in range(1000)]


@pytest.mark.parametrize("read", [True, False])
def test_a_process_writes_its_last_lines_before_it_ends_but_not_for_ever(read: bool) -> None:
    code = (
        "from gateway.web.line_writer import *; w = LineWriter(1, print)\nfor n in range(5000):"
        " w.write(b'x' * 99 + b'\\n')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=TOP, stdout=subprocess.PIPE)
    if read:
        assert process.communicate(timeout=30)[0].count(b"\n") == 5000
    assert process.wait(30) == 0
    assert process.stdout
    process.stdout.close()
