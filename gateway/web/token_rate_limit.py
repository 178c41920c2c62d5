"""A rate limit on guessing tokens, for each address from which wrong ones come; in this process's
memory."""

from __future__ import annotations

import threading
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from gateway.errors import Code, GatewayError
from gateway.web import proxies

WRONG_A_MINUTE = RateLimitItemPerMinute(20)
"""Wrong tokens of one address: an application with an old token is still told so."""

PLACES = 16_384
"""Addresses share so many counts, which bounds the memory of a flood from everywhere."""

REMEMBERED = 10_000
"""Pairs of an address and the token that was right from there."""

MINUTE = 60


class TokenRateLimit:
    """Refuses tokens while too many wrong ones come from their address; right ones, too, since a
    guess must not show that it is right. One that was right from this address before is no guess:
    its application is not locked out."""

    def __init__(self) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._right: dict[tuple[str, bytes], None] = {}
        self._lock = threading.Lock()

    def admit(self, address: str, token: bytes, right: bool) -> None:
        """Note whether a token (its digest) is right. Raises GatewayError where nobody may be
        told."""
        if right and (address, token) in self._right:
            return
        # Not the time of day, which may jump: the minute is part of what is counted.
        minute, second = divmod(int(time.monotonic()), MINUTE)
        place = (str(hash(proxies.origin(address)) % PLACES), str(minute))
        with self._lock:  # those who guess at the same time are counted one by one
            if not right and self._limiter.hit(WRONG_A_MINUTE, *place):
                return
            if right and self._limiter.test(WRONG_A_MINUTE, *place):
                self._remember(address, token)
                return
        raise _refusal(MINUTE - second)

    def _remember(self, address: str, token: bytes) -> None:
        if len(self._right) >= REMEMBERED:
            del self._right[next(iter(self._right))]
        self._right[address, token] = None


def _refusal(seconds: int) -> GatewayError:
    return GatewayError(
        Code.UNAUTHORIZED,
        "Too many wrong tokens came from this address: one that was not right from here before is"
        f" not looked at for {seconds} s.",
        f"此地址发来的错误令牌过多：此前未在此地址验证通过的令牌，{seconds} 秒内不予检查。",
        status=429,
        headers={"Retry-After": str(seconds)},
    )
