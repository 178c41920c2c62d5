"""The connections to one actor that are free, and where it is."""

from __future__ import annotations

import itertools
import ssl
from collections import deque
from collections.abc import Callable

from gateway import hub
from gateway.byte_budget import ByteBudget
from gateway.cluster.channel import Channel
from gateway.protocol import Address
from gateway.tls import trusting

IDLE_SECONDS = 30
"""So long a connection is free before it is closed: after a flood, its thousand connections are not
kept for ever."""


class Channels:
    """The connections to one actor that are free, the last used first, so that those beyond need
    stay idle and are closed. `find` asks Ray for the actor's address.

    `host` is where it was last: "" is this node; None is not known yet. Large frames count in
    `budget`.
    """

    def __init__(
        self, find: Callable[[], Address], patience: float, budget: ByteBudget | None = None
    ) -> None:
        self._find = find
        self._patience = patience
        self._budget = budget
        self._address: Address | None = None
        self._trust: tuple[Address, ssl.SSLContext] | None = None
        self.host: str | None = None
        self._free: deque[Channel] = deque()

    def take(self) -> Channel:
        """Return a connection. Raises ChannelError, and what `find` raises."""
        while True:
            try:
                channel = self._free.pop()
            except IndexError:
                return hub.in_thread(self._connect)
            if channel.address is self._address:
                return channel
            channel.close()  # it was given back while its process was found to have ended

    @property
    def located(self) -> bool:
        """Whether the actor's address is known."""
        return self._address is not None

    def locate(self) -> Address:
        """Return the actor's address, which Ray is asked for if it is not known. Raises what `find`
        raises."""
        if (address := self._address) is None:
            address = self._find()
            self.host = str(address.get("host", ""))
            self._address = address
        return address

    def _connect(self) -> Channel:
        address, trust = self.locate(), None
        if "host" in address:
            known, trust = self._trust or (None, None)
            if known is not address or trust is None:
                trust = trusting(address["certificate"])
                self._trust = address, trust
        return Channel(address, self._patience, trust, self._budget)

    def give_back(self, channel: Channel) -> None:
        """It has ended its request, and may be used for another, unless it leads to a process that
        was lost."""
        if channel.address is not self._address:
            channel.close()
            return
        channel.rest()
        self._free.append(channel)

    def lost(self) -> None:
        """The actor's process has ended, and its next one has another address; or the chat has been
        taken away."""
        self._address = self._trust = None
        self.close()

    def close_idle(self, now: float) -> None:
        """Hang up where nothing was under way for IDLE_SECONDS before `now`. The longest idle stand
        first."""
        while self._free:
            try:
                channel = self._free.popleft()
            except IndexError:
                return
            if now - channel.free_since < IDLE_SECONDS:
                self._free.appendleft(channel)
                return
            channel.close()

    def close(self) -> None:
        """Hang up where nothing is under way."""
        for _ in itertools.repeat(None, len(self._free)):
            try:
                self._free.popleft().close()
            except IndexError:
                return
