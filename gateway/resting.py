"""When a chat rests: after a refusal that asking again would not mend, its provider is not asked
for a while.

An unpaid bill or a refused key lasts until somebody acts: the chat rests, and one real request
every so often finds out. A rate limit or an overload rests as long as the provider said. A provider
that is down again and again rests briefly. One of these stands in each model actor, so that all
gateway processes agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gateway.errors import LASTING, Code, GatewayError

TIMED = {Code.SLOW_DOWN, Code.PROVIDER_BUSY}

FAILURES = 5
"""PROVIDER_DOWN so many times in a row opens the breaker."""

BREAK_SECONDS = 10


class Rest:
    """Whether to ask the provider. `probe_seconds` is how often a sticky refusal is tried again by
    a real request.

    By a `clock` that nobody sets: an hour's jump of the machine's would else end a rest, or make it
    an hour longer.
    """

    def __init__(self, probe_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._probe_seconds = probe_seconds
        self._clock = clock
        self._error: GatewayError | None = None
        self._since = 0.0
        self._until = 0.0
        self._failures = 0

    def check(self) -> None:
        """Raise the GatewayError that the chat rests with; else the provider may be asked, by this
        request at least."""
        if self._error is None:
            return
        now = self._clock()
        if now >= self._until:
            # This request is the probe; those beside it go on resting until its result is known.
            self._until = now + self._probe_seconds
            return
        again = dict(self._error.as_dict())
        if self._error.code in TIMED:
            again["retry_after"] = self._until - now
        raise GatewayError(**again)

    def succeeded(self) -> None:
        """The provider answered."""
        self._error, self._failures = None, 0

    def failed(self, error: GatewayError) -> None:
        """The provider refused, or could not be reached."""
        self._failures = self._failures + 1 if error.code == Code.PROVIDER_DOWN else 0
        if error.code in LASTING:
            self._rest(error, self._probe_seconds)
        elif error.code in TIMED and error.retry_after:
            self._rest(error, error.retry_after)
        elif self._failures >= FAILURES:
            self._rest(error, BREAK_SECONDS)
        elif self._error is not None and error.code not in LASTING:
            self._error = None  # a probe was answered, if only by another kind of refusal

    def told(self) -> dict[str, Any] | None:
        """For GET /models: the code, and Unix times since when and until when; None: it does not
        rest."""
        left = self._until - self._clock()
        if self._error is None or (self._error.code not in LASTING and left <= 0):
            return None  # what rested for a time is over by itself; a bill is not
        return {
            "code": self._error.code,
            "since": int(self._since),
            "until": round(time.time() + left),
        }

    def _rest(self, error: GatewayError, seconds: float) -> None:
        if self._error is None or self._error.code != error.code:
            self._since = time.time()
        self._error, self._until = error, self._clock() + seconds
