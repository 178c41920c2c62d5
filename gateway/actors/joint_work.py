"""Work that is done once for all who need it at the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class JointWork:
    """Begins `work` for whoever comes first. Who leaves ends it not: others wait for it."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Wait until the work under way is done, or such as begins now. Raises what it raises; then
        the next who comes begins it anew."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        await asyncio.shield(self._task)
