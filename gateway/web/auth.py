"""Who may call: the gateway's own tokens, in the three forms that old clients can send."""

from __future__ import annotations

import hmac

from flask import request

from gateway.addresses import is_address, split_port, url_host
from gateway.errors import Code, GatewayError
from gateway.settings import Settings
from gateway.tokens import Token, digest
from gateway.web import call
from gateway.web.token_rate_limit import TokenRateLimit

CHALLENGE = {"WWW-Authenticate": 'Basic realm="Byzer-LLM gateway", charset="UTF-8"'}
"""Basic, since old COM clients answer no other challenge, and give up without one."""


class Authenticator:
    """Checks the token of the request under way. With no token configured, everyone may do
    everything, except pages of other sites: what a browser says of its page is checked, too."""

    def __init__(self, settings: Settings) -> None:
        self._tokens = settings.tokens
        self._rate_limit = TokenRateLimit()
        self._hosts = settings.hosts
        self._guarded = {"admin"} if settings.cross_site else {"admin", "chat"}

    def admit(self) -> None:
        """Raise GatewayError where a browser may have been led here by a name that somebody else
        gave this address.

        To its page that is no other site (DNS rebinding), so without tokens nothing else would keep
        it out.
        """
        # each browser sends one
        if self._tokens or not (netloc := request.headers.get("Host", "")):
            return
        host = split_port(netloc)[0].lower().removesuffix(".")
        if not is_address(host) and host not in self._hosts:
            raise GatewayError(
                Code.FORBIDDEN,
                f"Without tokens the host name {host[:64]!r} is not served: GATEWAY_HOSTS could"
                " allow it.",
                f"未配置令牌时不接受主机名 {host[:64]!r}；可用 GATEWAY_HOSTS 允许。",
            )

    def token(self) -> Token | None:
        """Return the caller's token; None: none is configured, and everyone may do everything.
        Raises GatewayError."""
        if not self._tokens:
            return None
        presented = _presented()
        sent = digest(presented)
        # Every token is compared, so that the time taken tells nothing of which one came close.
        matches = [token for token in self._tokens if hmac.compare_digest(token.digest, sent)]
        if presented:  # who sends none asks how
            self._rate_limit.admit(request.remote_addr or "", sent, bool(matches))
        if not matches:
            raise GatewayError(Code.UNAUTHORIZED, headers=CHALLENGE)
        call.current().token = matches[0]
        return matches[0]

    def require(self, scope: str | None = None) -> None:
        """Raise GatewayError unless the caller's token has `scope` (None: any token will do)."""
        token = self.token()
        if scope in self._guarded and _from_another_site():
            hint, hint_zh = (
                "; GATEWAY_CROSS_SITE could allow it",
                "；可用 GATEWAY_CROSS_SITE 允许",
            )
            raise GatewayError(
                Code.FORBIDDEN,
                f"A page of another site made this browser ask{hint if scope == 'chat' else ''}.",
                f"该请求由其他网站的页面通过浏览器发出{hint_zh if scope == 'chat' else ''}。",
            )
        if token and scope and scope not in token.scopes:
            raise GatewayError(
                Code.FORBIDDEN,
                f"The token {token.name!r} lacks the scope {scope!r}.",
                f"令牌 {token.name!r} 没有 {scope!r} 权限。",
            )


def _from_another_site() -> bool:
    """Return whether a browser asks for a page that is not ours: it may reach a gateway that lets
    in whoever is near, or send along a password of Basic that its user once gave. Only browsers
    send these headers, the first one over TLS and on loopback. The port is not compared: proxies
    leave it out of Host."""
    if site := request.headers.get("Sec-Fetch-Site"):
        return site not in ("same-origin", "none")
    if (origin := request.headers.get("Origin")) is None:
        return False
    host = url_host(origin)
    return not host or host != url_host(f"//{request.host}")


def _presented() -> str:
    if key := request.headers.get("X-Api-Key"):
        return key.strip()
    sent = request.authorization
    if sent is None:
        return ""
    return ((sent.password if sent.type == "basic" else sent.token) or "").strip()
