"""The circuit breaker: when a chat rests. After a refusal that asking again would not mend, its
provider is not asked for a while.

An unpaid bill or a refused key lasts until somebody acts: the chat rests, and one real request
every so often finds out. A rate limit or an overload rests as long as the provider said. A provider
that is down again and again rests briefly. One breaker stands in each model actor, so that all
gateway processes agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.errors import LASTING, NO_ANSWER, TIMED, Code, GatewayError
from gateway.protocol import Resting

FAILURES = 5
"""PROVIDER_DOWN so many times in a row opens the breaker."""

BREAK_SECONDS = 10

PROBED_SECONDS = 5
"""So long the probe of what passes by itself is waited for: a refusal comes at once, and an answer
may take minutes, for which nobody need be turned away. Then the next request is a probe, too."""


class Probe:
    """A request that finds out whether a rest is over, for all others."""


class CircuitBreaker:
    """Says whether to ask the provider. `probe_seconds` is how often a lasting refusal is tried
    again by a real request.

    It goes by a `clock` that nobody sets: an hour's jump of the machine's would else end a rest, or
    make it an hour longer.
    """

    def __init__(self, probe_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._probe_seconds = probe_seconds
        self._clock = clock
        self._error: GatewayError | None = None
        self._since = 0.0
        self._until = 0.0
        self._failures = 0
        self._probe: Probe | None = None

    def admit(self) -> Probe | None:
        """Let one request through to the provider, or raise the GatewayError that the chat rests
        with. Returns the request's probe, if it is one.

        When a rest is over, the next request is its probe: those beside it are still turned away,
        until `succeeded`, `failed` or `given_up` tells what became of it. What was under way when
        the rest began tells nothing of it.
        """
        if self._error is None:
            return None
        now = self._clock()
        if now < self._until:
            raise self._turned_away(self._error, now)
        self._until = now + (self._probe_seconds if self._lasts else PROBED_SECONDS)
        self._probe = Probe()
        return self._probe

    def succeeded(self, probe: Probe | None) -> None:
        """Close the breaker: the provider answered."""
        self._failures = 0
        self.spoke(probe)

    def spoke(self, probe: Probe | None) -> None:
        """Close the breaker: the provider has begun to answer, which may break off."""
        if self._ends(probe) or not self._refused:
            self._error = None

    def given_up(self, probe: Probe | None) -> None:
        """Let the next request be the probe: the client of this one has gone before it was
        answered."""
        if self._ends(probe):
            self._until = min(self._until, self._clock())

    def failed(self, error: GatewayError, probe: Probe | None) -> None:
        """Open the breaker where it helps: the provider refused, or could not be reached."""
        found_out = self._ends(probe)
        self._failures = self._failures + 1 if error.code == Code.PROVIDER_DOWN else 0
        if error.code in LASTING:
            self._open(error, self._probe_seconds)
        elif error.code in TIMED and error.retry_after:
            self._open(error, error.retry_after)
        elif self._failures >= FAILURES:
            self._open(error, BREAK_SECONDS)
        elif found_out and (error.code not in NO_ANSWER or not self._lasts):
            # It was answered, if only by another kind of refusal; and a limit is over by itself.
            self._error = None

    def _ends(self, probe: Probe | None) -> bool:
        """Return whether this is the probe under way, which is over."""
        ends = probe is not None and probe is self._probe
        if ends:
            self._probe = None
        return ends

    @property
    def _refused(self) -> bool:
        """Whether the chat rests because the provider said so, not because it was down."""
        return self._error is not None and self._error.code != Code.PROVIDER_DOWN

    @property
    def _lasts(self) -> bool:
        return self._error is not None and self._error.code in LASTING

    @property
    def unpaid(self) -> bool:
        """Whether the last that the provider said is that a bill is unpaid."""
        return self._error is not None and self._error.code == Code.PAY_BILL

    def resting(self) -> Resting | None:
        """Return what GET /models tells of a rest; None: the chat does not rest."""
        left = self._until - self._clock()
        if self._error is None or (not self._lasts and left <= 0):
            return None  # what rested for a time is over by itself; a bill is not
        return {
            "code": self._error.code.value,
            "since": int(self._since),
            "until": round(time.time() + left),
        }

    def _turned_away(self, error: GatewayError, now: float) -> GatewayError:
        copy = GatewayError.from_dict(error.as_dict())  # each caller's error becomes its own
        if error.code in TIMED:
            copy.retry_after = self._until - now
        return copy

    def _open(self, error: GatewayError, seconds: float) -> None:
        if self._error is None or self._error.code != error.code:
            self._since = time.time()
        self._error, self._until = error, self._clock() + seconds
