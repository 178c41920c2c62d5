"""Questions that are asked again while the first is under way are answered with it. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Hashable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Joined:
    """An answer under way, and how many wait for it."""

    task: asyncio.Task[bytes]
    waiting: int = 0


class JoinedQuestions:
    """The questions under way in one event loop, each asked once."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, Joined] = {}

    def is_under_way(self, question: Hashable) -> bool:
        """Return whether whoever asks this now is answered with an earlier one's answer."""
        return question in self._under_way

    async def answer(self, question: Hashable, answer: Coroutine[Any, Any, bytes]) -> bytes:
        """Await `answer`, or that of the same question under way. It is given up when nobody waits
        for it. Raises what the answer raises."""
        joined = self._under_way.get(question)
        if joined is None:
            joined = self._under_way[question] = Joined(asyncio.create_task(answer))
            joined.task.add_done_callback(lambda _: self._forget(question, joined))
        else:
            answer.close()
        joined.waiting += 1
        try:
            return await asyncio.shield(joined.task)
        finally:
            joined.waiting -= 1
            if not joined.waiting and not joined.task.done():
                self._forget(question, joined)
                joined.task.cancel()

    def _forget(self, question: Hashable, joined: Joined) -> None:
        """Forget a question, unless the same was asked anew meanwhile."""
        if self._under_way.get(question) is joined:
            del self._under_way[question]
