"""Looks after what is left in a chat's accounts, every so often while the chat is used.

It is done beside the chats: a look that fails, hangs or brings rubbish costs none of them anything,
and is no reason to let one rest.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence

from gateway.errors import GatewayError
from gateway.protocol import Balance
from gateway.providers.balances import BalanceSource, Left, Look, balance, is_unknown

LOOK_SECONDS = 15 * 60

Ask = Callable[[str], Awaitable[Look]]
"""How one account's reply is got from a place. Raises GatewayError."""


class BalanceWatch:
    """Asks each account of a chat what is left in it, and remembers the last that each has said.

    `host` is the provider's. Where the first reply is that of a server that knows no balances, it
    is not asked again: a relay may be one that has them, or any server at all. It goes by a `clock`
    that nobody sets, as the circuit breaker does.
    """

    def __init__(
        self,
        source: BalanceSource,
        host: str,
        asks: Sequence[Ask],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._host = host
        self._asks = asks
        self._clock = clock
        self._next = -math.inf if source.form and asks else math.inf
        self._left: dict[int, tuple[Left, int]] = {}
        self._look: asyncio.Task[None] | None = None

    def used(self) -> None:
        """Look, if that is due: the chat's provider has just been asked something."""
        if self._clock() < self._next or (self._look and not self._look.done()):
            return
        self._next = self._clock() + LOOK_SECONDS
        self._look = asyncio.create_task(self._look_at_all())

    def paid(self) -> None:
        """Make a look due: a bill was paid, so what was said before it is no longer so."""
        if self._next < math.inf:
            self._next = -math.inf

    def lowest(self) -> Balance | None:
        """Return what is left where there is least; None: nobody says it, or nothing limits it."""
        (amount, currency), at = min(self._left.values(), default=(Left(math.inf, ""), 0))
        return None if amount == math.inf else {"amount": amount, "currency": currency, "at": at}

    def close(self) -> None:
        """Break off a look that is under way, and begin none any more."""
        self._next = math.inf
        if self._look:
            self._look.cancel()

    async def _look_at_all(self) -> None:
        for number, ask in enumerate(self._asks):
            looks = await self._looks(ask)
            left = balance(self._source.form, self._host, looks)
            if left is not None:
                self._left[number] = left, int(time.time())
            elif not self._left and looks and is_unknown(looks[-1]):
                self._next = math.inf
                return

    async def _looks(self, ask: Ask) -> list[Look]:
        """Return what comes from the source's places, up to one that refuses or does not answer."""
        looks: list[Look] = []
        for place in self._source.places:
            try:
                looks.append(await ask(place))
            except GatewayError:
                return []
            if not 200 <= looks[-1].status < 300:
                break
        return looks
