"""What the error of one row means for the other rows of a table: whether it is waited for, whether
the run stops, or whether it is that row's alone. The command bulk and the page go by it."""

from __future__ import annotations

from gateway.errors import Code

STOPPING = frozenset(
    {
        Code.INVALID_REQUEST,
        Code.UNAUTHORIZED,
        Code.FORBIDDEN,
        Code.PAY_BILL,
        Code.OVER_BUDGET,
        Code.NOT_DEPLOYED,
        Code.BAD_KEY,
        Code.NO_SUCH_MODEL,
        Code.NEED_KEY,
    }
)
"""What would hold for the other rows, too: somebody must act first."""

SUSPECT = frozenset({Code.PROVIDER_DOWN, Code.TIMEOUT, Code.INTERNAL, Code.BAD_UPSTREAM_REQUEST})
MOST_SUSPECT = 20
"""So many rows in a row that failed with one of these stop the run."""

TRIES = 3
"""So often a row is asked whose provider is down."""

WAIT_SECONDS = 20
"""So long the gateway holds a question; then it is asked for the same answer again."""

UNREACHABLE_SECONDS = 2
"""So long a gateway is let alone that cannot be reached: it may be starting."""

PATIENCE_SECONDS = 900
"""So long it is waited for while the gateway or the provider sends everybody away."""
