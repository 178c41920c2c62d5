"""A chat with several keys rests only when all of them do."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from tests.fronts import FALLING_BACK, SPARE, Front, RawChat, chat, good, of
from tests.standin.raw import Reply, Request, Script, whole

GOOD = good("Ja")
KEYS = [f"sk-of-several-{number:02}" for number in range(10)]
UNPAID = {
    "error": {"message": "unpaid", "type": "insufficient_quota", "code": "insufficient_quota"}
}
TOO_FAST = {"error": {"message": "too fast", "code": "rate_limit_exceeded"}}
BLOCKED = {"error": {"message": "no", "code": "content_policy_violation"}}


def key_of(request: Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


def refusing(keys: list[str], body: dict[str, Any], status: str = "429 No") -> Script:
    """A provider that answers the other keys."""

    def script(request: Request) -> Reply:
        return whole(body, status) if key_of(request) in keys else GOOD(request)

    return script


@pytest.mark.parametrize("front", FALLING_BACK, ids=of)
def test_a_chat_with_ten_keys_of_which_nine_are_unpaid_answers_without_a_failed_request(
    raw_chat: RawChat, front: Front
) -> None:
    raw_chat.deploy(refusing(KEYS[:9], UNPAID), api_key=",".join(KEYS))

    outcomes = [raw_chat.ask(front) for _ in range(20)]

    assert {(outcome.words, outcome.code, outcome.fell_back) for outcome in outcomes} == {
        ("Ja", "", "")
    }
    assert Counter(map(key_of, raw_chat.raw.requests)) == {
        **dict.fromkeys(KEYS[:9], 1),
        KEYS[9]: 20,
    }
    one = raw_chat.row()
    assert (one["state"], one["keys"]) == ("answering", {"count": 10, "resting": {"PAY_BILL": 9}})
    assert "sk-of-several" not in raw_chat.http.get("/models").text


@pytest.mark.parametrize("front", FALLING_BACK, ids=of)
def test_when_all_its_keys_are_unpaid_the_chat_rests_and_another_answers(
    raw_chat: RawChat, spare: str, front: Front
) -> None:
    raw_chat.deploy(refusing(KEYS, UNPAID), api_key=KEYS[:3], fallback=[spare])

    for _ in range(3):
        outcome = raw_chat.ask(front)
        assert (outcome.words, outcome.fell_back) == (SPARE, "PAY_BILL")

    assert len(raw_chat.raw.requests) == 3
    assert raw_chat.row()["resting"]["code"] == "PAY_BILL"


def test_if_one_of_them_is_only_too_fast_that_is_told(raw_chat: RawChat) -> None:
    def script(request: Request) -> Reply:
        body = TOO_FAST if key_of(request) == KEYS[1] else UNPAID
        return whole(body, "429 No\r\nRetry-After: 30")

    raw_chat.deploy(script, api_key=KEYS[:3])

    for least in (30, 20):  # the second is told how much is left of it
        outcome = raw_chat.ask(chat)
        assert outcome.code == "SLOW_DOWN"
        assert outcome.retry_after
        assert least <= outcome.retry_after <= 30
    assert raw_chat.row()["keys"] == {"count": 3, "resting": {"PAY_BILL": 2, "SLOW_DOWN": 1}}


def test_what_is_said_of_the_question_is_asked_of_no_other_key(raw_chat: RawChat) -> None:
    raw_chat.deploy(refusing(KEYS, BLOCKED, "400 Bad"), api_key=KEYS[:3])
    assert raw_chat.ask(chat).code == "CONTENT_BLOCKED"
    assert len(raw_chat.raw.requests) == 1


def test_the_key_with_the_least_to_do_is_asked(raw_chat: RawChat) -> None:
    held = threading.Barrier(6, timeout=30)

    def script(request: Request) -> Reply:
        held.wait()
        return GOOD(request)

    raw_chat.deploy(script, api_key=KEYS[:3])
    threads = [
        threading.Thread(target=raw_chat.ask, args=(chat, f"question {number}"))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Counter(map(key_of, raw_chat.raw.requests)) == dict.fromkeys(KEYS[:3], 2)


def test_the_same_key_twice_is_one(raw_chat: RawChat) -> None:
    raw_chat.deploy(GOOD, api_key=f" {KEYS[0]} ,{KEYS[1]}, {KEYS[0]},")
    assert raw_chat.row()["keys"]["count"] == 2


def test_a_check_is_passed_by_the_key_that_answers(raw_chat: RawChat) -> None:
    raw_chat.deploy(refusing(KEYS[:1], UNPAID), api_key=KEYS[:2], check=True)
    assert raw_chat.ask(chat).words == "Ja"
