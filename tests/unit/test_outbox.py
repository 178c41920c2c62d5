"""A channel: what it took is told once, what it did not take is told again, and seldom."""

from __future__ import annotations

import logging
import threading
from itertools import pairwise

import pytest

from gateway.notifications.outbox import BETWEEN_SECONDS, LONGEST_SECONDS, Outbox
from gateway.notifications.robots import TAKEN, Verdict
from gateway.notifications.sentences import Letter
from gateway.notify_targets import Target, parse
from gateway.store_protocol import Note
from tests.unit.notices import row, seen
from tests.unit.stores import Clock

URL = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=secret-7"
RESTS, ANSWERS = seen(row(code="PAY_BILL")), seen(row())


class Robot:
    """Takes messages, or says no; `letters` are all that it was sent."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.verdict = TAKEN
        self.open = threading.Event()
        self.open.set()

    def __call__(self, target: Target, letter: Letter) -> Verdict:
        self.letters.append(letter)
        assert self.open.wait(10)
        return self.verdict


class Channel:
    """An outbox whose time passes when it is told to, and what it has published."""

    def __init__(self) -> None:
        self.clock, self.robot = Clock(), Robot()
        self.published: list[Note] = []
        [target] = parse(URL)
        self.outbox = Outbox(
            target, "en", self.robot, lambda one: self.published.append(one.note()), self.clock
        )

    def tell(self, *looks: object, wait: bool = True) -> int:
        """How many messages there were when this was told."""
        earlier, later = (*looks, *looks)[:2]
        self.outbox.tell(earlier, later)  # type: ignore[arg-type]
        if wait and self.outbox._sending:
            self.outbox._sending.result(10)
        return len(self.robot.letters)


@pytest.fixture
def channel() -> Channel:
    return Channel()


def test_what_was_taken_is_told_once_and_noted_at_once(channel: Channel) -> None:
    assert channel.tell(RESTS) == 1
    assert channel.published == [
        {"revision": 1, "conditions": [["resting", "shop", "PAY_BILL", ""]]}
    ]
    channel.clock.now += 1000
    assert channel.tell(RESTS) == 1
    assert channel.tell(ANSWERS) == 2
    assert channel.outbox.note() == {"revision": 2, "conditions": []}


def test_between_two_messages_it_gathers(channel: Channel) -> None:
    channel.tell(RESTS)
    more = seen(*(row(f"chat-{one}", code="BAD_KEY") for one in range(5)), row())
    assert channel.tell(more) == 1
    channel.clock.now += BETWEEN_SECONDS
    assert channel.tell(more) == 2
    assert len(channel.robot.letters[1].sentences) == 6


def test_what_was_not_taken_is_told_again_with_growing_waits(
    channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    channel.robot.verdict = Verdict("it refuses with code 93000: the key is wrong")
    attempts = []
    for second in range(3000):
        count = len(channel.robot.letters)
        if channel.tell(RESTS) > count:
            attempts.append(second)
        channel.clock.now += 1
    waits = [later - earlier for earlier, later in pairwise(attempts)]
    assert waits[:6] == [10, 20, 40, 80, 160, LONGEST_SECONDS]
    assert set(waits[5:]) == {LONGEST_SECONDS}
    assert channel.published == []
    assert [one.message for one in caplog.records] == [
        "notify: wecom qyapi.weixin.qq.com: it refuses with code 93000: the key is wrong"
    ]

    channel.robot.verdict = TAKEN
    channel.clock.now += LONGEST_SECONDS
    channel.tell(RESTS)
    assert [len(one["conditions"]) for one in channel.published] == [1]
    assert "takes messages again" in caplog.messages[-1]
    assert "secret" not in caplog.text


def test_whoever_must_wait_long_is_left_alone_for_so_long(channel: Channel) -> None:
    channel.robot.verdict = Verdict("it was sent too much", 630)
    channel.tell(RESTS)
    channel.clock.now += 629
    assert channel.tell(RESTS) == 1
    channel.clock.now += 1
    assert channel.tell(RESTS) == 2


def test_another_reason_is_logged_anew(channel: Channel, caplog: pytest.LogCaptureFixture) -> None:
    for reason in ("one", "one", "other", "one"):
        channel.robot.verdict = Verdict(reason)
        channel.tell(RESTS)
        channel.clock.now += LONGEST_SECONDS
    assert [one.rpartition(" ")[2] for one in caplog.messages] == ["one", "other", "one"]


def test_nothing_more_is_sent_while_a_message_is_on_its_way(channel: Channel) -> None:
    channel.robot.open.clear()
    assert channel.tell(RESTS, wait=False) in (0, 1)
    channel.clock.now += 1000
    for _ in range(3):
        assert channel.tell(RESTS, wait=False) <= 1
    channel.robot.open.set()
    assert channel.tell(RESTS) == 1


def test_what_another_process_has_told_is_not_told_again(channel: Channel) -> None:
    rests = [["resting", "shop", "PAY_BILL", ""]]
    channel.outbox.learn({"revision": 7, "conditions": rests})
    assert channel.tell(RESTS) == 0
    channel.outbox.learn({"revision": 6, "conditions": []})
    assert channel.tell(RESTS) == 0
    assert channel.tell(ANSWERS) == 1
    assert channel.published == [{"revision": 8, "conditions": []}]


def test_what_is_over_in_silence_is_noted_and_not_sent(channel: Channel) -> None:
    channel.tell(RESTS)
    channel.clock.now += 100
    assert channel.tell(seen()) == 1
    assert channel.outbox.note() == {"revision": 2, "conditions": []}
