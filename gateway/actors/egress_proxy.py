"""The way out to a provider through an HTTP proxy: by CONNECT for every provider, so that a kept
connection is one to the provider, and what is sent over TLS is seen by nobody on the way.

Not aiohttp's own `proxy=`: it gives a question to an http base URL, key included, to the proxy
itself, and quotes the proxy's URL, password included, in its errors.
"""

from __future__ import annotations

import base64
import errno
import re
import socket
from typing import Any

import aiohappyeyeballs
import aiohttp

from gateway.actors.provider_connections import Connector, guarded_socket
from gateway.addresses import EgressProxy, is_guarded
from gateway.providers.quoted_keys import holds_part_of

HEAD_BYTES = 64 * 1024
"""So much of the head of a proxy's answer is read; squid's have a kilobyte."""

REASON_CHARACTERS = 100

NEXT_ADDRESS_SECONDS = 0.25
"""After so long without a connection the proxy's next address is tried beside (RFC 8305)."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: ([^\r\n]*))?\r?\n")
_END = re.compile(rb"\r?\n\r?\n")


class ProxyFault(aiohttp.ClientError):
    """Why there is no way through the proxy, in words that an operator can act on."""

    def __init__(self, words: str, words_zh: str) -> None:
        super().__init__(words)
        self.words = words
        self.words_zh = words_zh


class ProxyConnector(Connector):
    """Makes each connection through `proxy`, which may lead anywhere if it is `trusted`; so may the
    provider's host if that is `target_trusted`."""

    def __init__(
        self, proxy: EgressProxy, trusted: bool, target_trusted: bool, **options: Any
    ) -> None:
        super().__init__(**options)
        self._proxy = proxy
        self._new_socket = None if trusted else guarded_socket
        self._target_trusted = target_trusted

    async def _create_direct_connection(
        self,
        req: Any,
        traces: Any,
        timeout: Any,  # noqa: ASYNC109  # aiohttp's own signature
        **_: Any,
    ) -> Any:
        host = req.url.host
        if not self._target_trusted and is_guarded(host):
            # A name is looked up by the proxy, which alone knows where it leads.
            raise aiohttp.ClientConnectionError(f"{host} is a link-local or metadata address")
        tunnel = await self._connected()
        try:
            await self._open(
                tunnel, f"[{host}]:{req.port}" if ":" in host else f"{host}:{req.port}"
            )
        except BaseException:
            tunnel.close()
            raise
        context = self._get_ssl_context(req)
        return await self._wrap_existing_connection(
            self._factory,
            timeout=timeout,
            ssl=context,
            sock=tunnel,
            server_hostname=host.rstrip(".") if context else None,
            req=req,
        )

    async def _connected(self) -> socket.socket:
        """Return a socket that is connected to the proxy. Raises ProxyFault."""
        try:
            addresses = await self._loop.getaddrinfo(
                self._proxy.host, self._proxy.port, type=socket.SOCK_STREAM
            )
            return await aiohappyeyeballs.start_connection(
                addresses,
                happy_eyeballs_delay=NEXT_ADDRESS_SECONDS,
                socket_factory=self._new_socket,
            )
        except OSError as error:
            why = error.strerror or "no connection"
            raise self._fault(f"cannot be reached: {why}", f"无法连接：{why}") from error

    async def _open(self, tunnel: socket.socket, target: str) -> None:
        """Ask the proxy for a way to `target`. Raises ProxyFault: it gives none."""
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if login := self._proxy.login:
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}")
        try:
            await self._loop.sock_sendall(tunnel, "\r\n".join([*lines, "", ""]).encode())
            head = await self._head(tunnel)
        except OSError as error:
            words = f"broke off when it was asked for {target}"
            raise self._fault(words, f"在请求 {target} 时断开了连接") from error
        status = _STATUS.match(head)
        if not status:
            words = f"did not answer as an HTTP proxy does when it was asked for {target}"
            raise self._fault(words, f"对 {target} 的请求没有给出 HTTP 代理的应答")
        if not status[1].startswith(b"2"):
            raise self._refused(status[1].decode(), (status[2] or b"").decode("latin-1"), target)

    async def _head(self, tunnel: socket.socket) -> bytes:
        """Return the head of the proxy's answer, or what came in its place. The provider says
        nothing before it is asked, so nothing of its comes along."""
        head = b""
        while len(head) < HEAD_BYTES and head[:7] in b"HTTP/1." and not _END.search(head):
            more = await self._loop.sock_recv(tunnel, HEAD_BYTES)
            if not more:
                raise ConnectionResetError(errno.ECONNRESET, "it hung up")
            head += more
        return head

    def _refused(self, status: str, reason: str, target: str) -> ProxyFault:
        reason = " ".join(reason.split())[:REASON_CHARACTERS]
        login = self._proxy.login
        secrets = filter(None, (login, login.partition(":")[2]))
        if any(holds_part_of(secret, reason) for secret in secrets):
            reason = ""
        answer = f"{status} {reason}".strip()
        words = f"answered {answer!r} when it was asked for {target}"
        words_zh = f"对 {target} 的请求答复 {answer!r}"
        if status in ("401", "407"):  # tinyproxy says 401 to a wrong password
            words += ": it wants a user and password in its URL, or others than those"
            words_zh += "：其 URL 中需要用户名与密码，或者给出的不被接受"
        return self._fault(words, words_zh)

    def _fault(self, words: str, words_zh: str) -> ProxyFault:
        name = self._proxy.netloc
        return ProxyFault(
            f"The proxy {name} (egress_proxy) {words}.", f"代理 {name}（egress_proxy）{words_zh}。"
        )
