"""Who may call: the gateway's own tokens, in the three forms that old clients can send."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from flask import Request, g, request

from gateway.errors import Code, GatewayError
from gateway.settings import Token, digest

CHALLENGE = {"WWW-Authenticate": 'Basic realm="Byzer-LLM gateway", charset="UTF-8"'}
"""Basic, since old COM clients answer no other challenge, and give up without one."""


class Doorman:
    """Checks the token of the request under way. With no token configured, everyone may do everything."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens

    def known(self) -> Token | None:
        """The caller's token; None: none is configured, and everyone may do everything. Raises GatewayError."""
        if not self._tokens:
            return None
        presented = _presented(request)
        # Every token is compared, so that the time taken tells nothing of which one came close.
        found = [token for token in self._tokens if hmac.compare_digest(token.digest, digest(presented))]
        if not found:
            raise GatewayError(Code.UNAUTHORIZED, headers=CHALLENGE)
        g.token, g.owner = found[0].name, found[0].digest.hex()
        return found[0]

    def require(self, scope: str | None = None) -> None:
        """Raise GatewayError unless the caller's token has `scope` (None: any token will do)."""
        token = self.known()
        if token and scope and scope not in token.scopes:
            raise GatewayError(
                Code.FORBIDDEN,
                f"The token {token.name!r} lacks the scope {scope!r}.",
                f"令牌 {token.name!r} 没有 {scope!r} 权限。",
            )

    def guard(self, scope: str | None, view: Callable[..., Any]) -> Callable[..., Any]:
        """`view`, for those with `scope` only."""

        def guarded(**arguments: Any) -> Any:
            self.require(scope)
            return view(**arguments)

        return guarded


def _presented(call: Request) -> str:
    if key := call.headers.get("X-Api-Key"):
        return key.strip()
    sent = call.authorization
    if sent is None:
        return ""
    return ((sent.password if sent.type == "basic" else sent.token) or "").strip()
