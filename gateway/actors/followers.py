"""The gateway processes that follow what is deployed: whoever makes a change is told that it is
done when all of them know of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

FOLLOW_SECONDS = 30
"""How long a process waits to hear of a change before it asks anew."""

KNOW_SECONDS = 2
"""How long a change waits for a process that does not say that it knows: it may have ended, or its
node may be cut off. It is not waited for again until it is heard."""


class Followers:
    """Who follows, and what each knows. `revision` grows with each change."""

    def __init__(self) -> None:
        self.revision = 0
        self._known: dict[str, int] = {}
        self._change = asyncio.Event()  # set once, when another takes its place
        self._reply = asyncio.Event()

    def changed(self) -> None:
        """Note a change, and wake those who wait for one."""
        self.revision += 1
        self._change.set()
        self._change = asyncio.Event()

    async def follow(self, process: str, revision: int) -> None:
        """Note that a process knows `revision`, and return when there is a later one, or after
        `FOLLOW_SECONDS`."""
        self._known[process] = revision
        self._reply.set()
        self._reply = asyncio.Event()
        if revision == self.revision:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._change.wait(), FOLLOW_SECONDS)

    async def informed(self) -> None:
        """Return when every process knows the latest revision, or after `KNOW_SECONDS`."""
        revision = self.revision
        try:
            async with asyncio.timeout(KNOW_SECONDS):
                while any(known < revision for known in self._known.values()):
                    await self._reply.wait()
        except TimeoutError:
            self._known = {who: known for who, known in self._known.items() if known >= revision}
