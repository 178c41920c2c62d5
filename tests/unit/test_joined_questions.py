"""A question that is asked again while the first is under way is asked once."""

from __future__ import annotations

import asyncio

import pytest

from gateway.actors.joined_questions import JoinedQuestions


class Provider:
    """Counts what it is asked, and answers when it may."""

    def __init__(self) -> None:
        self.asked: int = 0
        self.given_up: int = 0
        self.may_answer = asyncio.Event()

    def counts(self) -> tuple[int, int]:
        """How often it was asked, and how often given up."""
        return self.asked, self.given_up

    async def answer(self) -> bytes:
        self.asked += 1
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return b"hi"


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_repeats_are_answered_with_the_first() -> None:
    async def ask() -> None:
        provider, joined = Provider(), JoinedQuestions()
        repeats = [asyncio.create_task(joined.answer("q", provider.answer())) for _ in range(3)]
        other = asyncio.create_task(joined.answer("r", provider.answer()))
        await settle()
        assert provider.asked == 2

        provider.may_answer.set()
        first, other_first, again = (b"hi", False), (b"hi", False), (b"hi", True)
        assert await asyncio.gather(*repeats, other) == [first, again, again, other_first]
        assert await joined.answer("q", provider.answer()) == first
        assert provider.asked == 3, "what was answered is asked anew"

    asyncio.run(ask())


def test_a_question_is_given_up_when_the_last_who_waits_has_gone() -> None:
    async def ask() -> None:
        provider, joined = Provider(), JoinedQuestions()
        first = asyncio.create_task(joined.answer("q", provider.answer()))
        second = asyncio.create_task(joined.answer("q", provider.answer()))
        await settle()
        first.cancel()
        await settle()
        assert provider.counts() == (1, 0)
        second.cancel()
        await settle()
        assert provider.counts() == (1, 1)

    asyncio.run(ask())


def test_a_question_that_is_asked_anew_while_the_old_one_is_given_up_is_joined_too() -> None:
    async def ask() -> None:
        provider, joined = Provider(), JoinedQuestions()
        gone = asyncio.create_task(joined.answer("q", provider.answer()))
        await settle()
        gone.cancel()
        await asyncio.sleep(0)  # the old one is being cancelled
        anew = [asyncio.create_task(joined.answer("q", provider.answer())) for _ in range(2)]
        await settle()
        provider.may_answer.set()
        assert await asyncio.gather(*anew) == [(b"hi", False), (b"hi", True)]
        assert provider.counts() == (2, 1)
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(ask())


def test_an_answer_counts_for_whoever_has_it_first_though_not_for_who_asked_first() -> None:
    async def ask() -> None:
        provider, joined = Provider(), JoinedQuestions()
        first = asyncio.create_task(joined.answer("q", provider.answer()))
        await settle()
        repeat = asyncio.create_task(joined.answer("q", provider.answer()))
        await settle()
        first.cancel()
        provider.may_answer.set()
        assert await repeat == (b"hi", False)
        assert provider.counts() == (1, 0)

    asyncio.run(ask())
