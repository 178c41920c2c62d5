"""Questions that are asked again while the first is under way are answered with it. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Hashable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Joined:
    """An answer under way, how many wait for it, and whether one of them has it."""

    task: asyncio.Task[bytes]
    waiting: int = 0
    given: bool = False


class JoinedQuestions:
    """The questions under way in one event loop, each asked once."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, Joined] = {}

    async def answer(
        self, question: Hashable, answer: Coroutine[Any, Any, bytes]
    ) -> tuple[bytes, bool]:
        """Await `answer`, or that of the same question under way, and return whether somebody else
        has it already. It is given up when nobody waits for it. Raises what the answer raises."""
        joined = self._under_way.get(question)
        if joined is None:
            joined = self._under_way[question] = Joined(asyncio.create_task(answer))
            joined.task.add_done_callback(lambda _: self._forget(question, joined))
        else:
            answer.close()
        joined.waiting += 1
        try:
            content = await asyncio.shield(joined.task)
            given, joined.given = joined.given, True
            return content, given
        finally:
            joined.waiting -= 1
            if not joined.waiting and not joined.task.done():
                self._forget(question, joined)
                joined.task.cancel()

    def _forget(self, question: Hashable, joined: Joined) -> None:
        """Forget a question, unless the same was asked anew meanwhile."""
        if self._under_way.get(question) is joined:
            del self._under_way[question]
