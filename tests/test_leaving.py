"""Whoever leaves before an answer is whole is paid for no longer, unless somebody else waits for
the same answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.fronts import Front, RawChat, chat, chat_stream, good, of, v1, v1_stream
from tests.standin.raw import HANG, completion, opening, piece, whole
from tests.waiting import until


def leaving(raw_chat: RawChat, front: Front, content: str = "hi") -> None:
    """Ask, and hang up after two seconds."""
    with (
        httpx.Client(base_url=raw_chat.http.base_url, timeout=2, trust_env=False) as http,
        pytest.raises(httpx.ReadTimeout),
    ):
        front(http, raw_chat.name, content)


@pytest.mark.parametrize("front", [chat, v1, chat_stream, v1_stream], ids=of)
@pytest.mark.parametrize("begun", [False, True])
def test_who_leaves_ends_the_providers_request(
    raw_chat: RawChat, front: Front, begun: bool
) -> None:
    half = opening(content_type="application/json") + piece(b'{"choices": [')
    raw_chat.deploy((half, HANG) if begun else (HANG,), timeout=20)

    leaving(raw_chat, front)

    [request] = raw_chat.raw.requests
    assert request.left.wait(20)


def test_who_leaves_takes_nobodys_answer_away(raw_chat: RawChat) -> None:
    raw_chat.deploy(lambda request: (4, whole(completion("Ja"))), timeout=20)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(leaving, raw_chat, chat, "a question of two")
        until(lambda: bool(raw_chat.raw.requests))
        second = pool.submit(raw_chat.ask, chat, "a question of two")
        first.result()

        assert second.result().words == "Ja"
    assert len(raw_chat.raw.requests) == 1


def test_the_last_who_leaves_ends_a_question_of_several(raw_chat: RawChat) -> None:
    raw_chat.deploy((HANG,), timeout=20)

    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(lambda _: leaving(raw_chat, chat, "a question of two"), range(2)):
            pass

    assert all(request.left.wait(20) for request in raw_chat.raw.requests)


def test_who_left_is_no_failure_of_the_provider(raw_chat: RawChat) -> None:
    raw_chat.deploy(
        lambda request: (HANG,) if b"patience" in request.body else good("Ja")(request), timeout=20
    )
    for _ in range(5):
        leaving(raw_chat, v1, "patience")

    assert raw_chat.ask(chat).words == "Ja"
