"""The board: one process at a time speaks to a channel, and what was told outlives each process."""

from __future__ import annotations

import pytest

from gateway.actors.notice_board import GATHER_SECONDS, MAX_CHANNELS, TURN_SECONDS, NoticeBoard
from gateway.store_protocol import Note
from tests.unit.stores import Clock

NEW: Note = {"revision": 0, "conditions": []}


def note(revision: int) -> Note:
    return {"revision": revision, "conditions": [["resting", f"chat-{revision}", "PAY_BILL", ""]]}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> NoticeBoard:
    board = NoticeBoard(clock)
    clock.now += GATHER_SECONDS
    return board


def mine(board: NoticeBoard, process: str, *channels: str) -> list[str]:
    return board.turn(process, dict.fromkeys(channels, NEW))["mine"]


def test_one_process_speaks_to_a_channel_as_long_as_it_is_heard(
    board: NoticeBoard, clock: Clock
) -> None:
    assert mine(board, "one", "a") == ["a"]
    for _ in range(10):
        clock.now += TURN_SECONDS / 4
        assert mine(board, "other", "a") == []
        assert mine(board, "one", "a") == ["a"]
    clock.now += TURN_SECONDS
    assert mine(board, "other", "a") == ["a"]
    assert mine(board, "one", "a") == []


def test_each_channel_has_a_turn_of_its_own(board: NoticeBoard) -> None:
    # Two gateways on one cluster, of which each tells other people.
    assert mine(board, "one", "a", "b") == ["a", "b"]
    assert mine(board, "other", "b", "c") == ["c"]


def test_the_newer_note_counts_whoever_shows_it(board: NoticeBoard) -> None:
    assert board.turn("one", {"a": note(2)})["notes"] == {"a": note(2)}
    assert board.turn("other", {"a": note(1)})["notes"] == {"a": note(2)}
    assert board.turn("other", {"a": note(3), "b": NEW})["notes"] == {"a": note(3), "b": NEW}
    assert board.turn("one", {"a": note(2)})["notes"] == {"a": note(3)}


def test_a_board_that_is_born_anew_listens_first(clock: Clock) -> None:
    board = NoticeBoard(clock)
    assert board.turn("fresh", {"a": NEW}) == {"mine": [], "notes": {"a": NEW}}
    clock.now += GATHER_SECONDS / 2
    assert board.turn("old", {"a": note(5)})["mine"] == []
    clock.now += GATHER_SECONDS / 2
    assert board.turn("fresh", {"a": NEW}) == {"mine": ["a"], "notes": {"a": note(5)}}


def test_the_board_is_bounded(board: NoticeBoard) -> None:
    for number in range(MAX_CHANNELS + 10):
        board.turn("one", {"kept": NEW, f"channel-{number}": note(1)})
    assert board.turn("one", {"channel-0": NEW})["notes"] == {"channel-0": NEW}
    assert board.turn("one", {"channel-50": NEW})["notes"] == {"channel-50": note(1)}

    many = {f"more-{number}": NEW for number in range(3 * MAX_CHANNELS)}
    assert board.turn("one", many)["notes"] == many
