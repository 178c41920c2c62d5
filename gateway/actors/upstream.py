"""Talks to one provider: the POST, its time limits, and what its answer means.

Over aiohttp rather than the openai SDK: 1.5 ms of CPU a request against 5.7 ms, no hidden retries
against an unpaid account, and errors whose status and code survive the way back through Ray.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urljoin

import aiohttp

from gateway.actors.egress_proxy import ProxyConnector, ProxyFault
from gateway.actors.provider_connections import Connector, guarded_socket
from gateway.addresses import EgressProxy, url_host, url_netloc
from gateway.byte_budget import ByteBudget, Charge, Full
from gateway.encodings import Inflater, TooLarge
from gateway.errors import Code, GatewayError, clean, too_many_bytes
from gateway.protocol import CHAT, COMPLETIONS, COUNT_TOKENS, HOP, MESSAGES
from gateway.providers.dialects import Dialect
from gateway.providers.event_streams import reply_of
from gateway.providers.model_names import model_names
from gateway.providers.questions import WORDED, QuestionRules, optional_fields
from gateway.providers.reader import (
    REPLY_BYTES,
    Piece,
    Reply,
    StreamReader,
    chat_reply,
)
from gateway.providers.refusals import (
    Refusal,
    document,
    judged,
    refusal,
    retry_after,
    shown,
)
from gateway.providers.refused_fields import STATUSES, refused_field
from gateway.providers.silence import Silence

MODELS = "/models"
"""Where providers list their models."""

NO_LIST = frozenset({404, 405, 501})
"""The HTTP statuses of a path that a server does not have."""

LIST_BYTES = 4 * 1024 * 1024
"""So much of a list of models is read; OpenRouter's, the longest, has half a megabyte."""

CONNECT_SECONDS = 5
"""For DNS, TCP and TLS together."""

IDLE_SECONDS = 15
"""How long an unused connection is kept; shorter than the providers' own limits, so few die in our
hands."""

STREAM_SECONDS = 3600

TAIL_SECONDS = 5
"""How long a stream whose answer is whole may take to end: a count of tokens may follow, or nothing
ever."""

REFUSAL_SECONDS = 5
"""How long a refusal's words are waited for; its status is there already."""

ANSWER_BYTES = 4 * REPLY_BYTES
"""Of large answers that one chat's provider is giving; each takes some times its bytes while it
is read."""

REFUSAL_BYTES = 1024 * 1024
"""So much of a refusal is read."""

STREAM_BYTES = 1 << 40
"""A stream is bounded by its time, not by its size."""

HEADER_BYTES = 64 * 1024
"""The longest line of a reply's head: some proxies send long cookies and policies."""

USER_AGENT = "byzer-llm-gateway"

ANTHROPIC_VERSION = "2023-06-01"
"""Of Anthropic's protocol: there is no other."""

FAULTS = (aiohttp.ClientError, OSError, ValueError, TypeError)
"""What may go wrong on the way; TimeoutError is one of OSError's."""


class Upstream:
    """One account at one provider, which is asked by `rules`. Must be created and used inside one
    event loop; `close` when done.

    `trusted`: the operator listed this host, so it may lead anywhere; `proxy_trusted` says so of
    the `proxy` on the way. `hop`: which cluster asks. Large answers count in `answers`.
    """

    def __init__(
        self,
        *,
        provider: str,
        base_url: str,
        endpoints: Mapping[str, str],
        api_key: str,
        key_header: str,
        dialect: Dialect,
        rules: QuestionRules,
        timeout: float,
        trusted: bool,
        hop: str,
        answers: ByteBudget,
        proxy: EgressProxy | None = None,
        proxy_trusted: bool = False,
    ) -> None:
        self._provider = provider
        self._base_url = base_url
        self._addresses = {
            # elsewhere on the host, or under the base URL
            path: urljoin(base_url, place) if place.startswith("/") else f"{base_url}/{place}"
            for path, place in {CHAT: CHAT[1:], **endpoints}.items()
        }
        self._api_key = api_key
        self._timeout = timeout
        self._rules = rules
        self._answers = answers
        self.dialect = dialect
        self._proxy = proxy
        options: dict[str, Any] = {"limit": 0, "keepalive_timeout": IDLE_SECONDS}
        self._connector = (
            ProxyConnector(proxy, proxy_trusted, trusted, **options)
            if proxy
            else Connector(**options, socket_factory=None if trusted else guarded_socket)
        )
        authorization = f"Bearer {api_key}" if key_header == "Authorization" else api_key
        self._session = aiohttp.ClientSession(
            headers={
                **({key_header: authorization} if api_key else {}),
                "Content-Type": "application/json",
                "Accept-Encoding": "gzip, deflate",
                "User-Agent": USER_AGENT,
                HOP: hop,
            },
            connector=self._connector,
            # What is compressed shows in the bytes, and labels lie.
            auto_decompress=False,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            # A proxy variable or ~/.netrc in the cluster's environment must not send the key
            # elsewhere.
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def ask(self, path: str, body: bytes, words_only: bool = False, beta: str = "") -> Reply:
        """POST and return the whole answer to a question, which has no model yet. Raises
        GatewayError, always with the provider's own words.

        `words_only`: an answer without words is none.
        """
        limits = aiohttp.ClientTimeout(total=self._timeout, connect=CONNECT_SECONDS)
        with Charge(self._answers) as charge:
            async with (
                self._translated(),
                await self._opened(path, body, limits, words_only, beta) as reply,
            ):
                raw, fault = await self._read(reply, REPLY_BYTES, charge)
                label = reply.charset or ""
                if path in WORDED:
                    legacy = path == COMPLETIONS
                    answer = chat_reply(self.dialect, raw, label, body, legacy)
                else:
                    answer = reply_of(path, self.dialect, raw, label, body)
                if isinstance(answer, Reply) and (answer.text or not words_only):
                    return answer
                if fault is not None:
                    raise fault
        if isinstance(answer, Reply):
            raise self._down("The reply holds no words.", reply.status)
        raise self._refused(answer, reply)

    async def stream(
        self, path: str, body: bytes, reader: StreamReader, beta: str = ""
    ) -> AsyncGenerator[list[Piece], None]:
        """POST a question, which has no model yet, and yield pieces as they come, those together
        that are there together; `reader` reads them.

        Nothing is yielded before a piece that says something, so that an error until then fails the
        whole request; an empty list tells that the model thinks. The chat's timeout holds for each
        wait; a whole stream may take `STREAM_SECONDS`. Raises GatewayError.
        """
        limits = aiohttp.ClientTimeout(
            total=STREAM_SECONDS, connect=CONNECT_SECONDS, sock_read=self._timeout
        )
        silent: list[Piece] = []
        fault: Exception | None = None
        with Charge(self._answers) as charge:
            async with (
                self._translated(),
                await self._opened(path, body, limits, reader.words_only, beta) as reply,
            ):
                reader.label = reply.charset or ""
                silence = Silence(reader, charge)
                try:
                    async for part in self._parts(reply, reader):
                        silent += reader.feed(part)
                        silence.fed(len(part), len(silent))
                        if reader.spoke and silent:
                            yield silent
                            silent = []
                        elif reader.thinking:
                            silent.clear()
                            yield []
                except FAULTS as error:
                    fault = error
                explicit = reader.refusal is not None
                silent += reader.end()
                if reader.spoke and silent:
                    yield silent
                if fault is not None and not explicit and not reader.whole:
                    raise fault
        if reader.refusal:
            raise self._refused(reader.refusal, reply)

    async def offered(self) -> list[str]:
        """GET the names of the models that the provider offers to this key. Raises
        GatewayError."""
        limits = aiohttp.ClientTimeout(total=self._timeout, connect=CONNECT_SECONDS)
        options: dict[str, Any] = {"allow_redirects": False, "timeout": limits}
        with Charge(self._answers) as charge:
            async with (
                self._translated(),
                self._session.get(self._base_url + MODELS, **options) as reply,
            ):
                if 300 <= reply.status < 400:
                    raise self._redirected(reply)
                raw, fault = await self._read(reply, LIST_BYTES, charge)
                body = document(raw, reply.charset or "")
                names = model_names(body) if reply.status < 300 else None
                if isinstance(fault, TooLarge):
                    raise self._down(f"The list of models is larger than {LIST_BYTES} bytes.")
                if names is None and fault is not None:
                    raise fault
        if names is not None:
            return names
        outcome = judged(self.dialect, reply.status, body)
        if reply.status in NO_LIST and outcome.code == Code.BAD_UPSTREAM_REQUEST:
            host = self._host()
            words = f"{host} has no list of models at this base_url, or has none at all."
            words_zh = f"{host} 在此 base_url 下没有模型列表，或根本不提供列表。"
            outcome = outcome._replace(detail=words, detail_zh=words_zh)
        raise self._refused(outcome, reply)

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._session.close()

    async def _opened(
        self, path: str, body: bytes, limits: aiohttp.ClientTimeout, plain: bool, beta: str
    ) -> aiohttp.ClientResponse:
        """POST and return a reply that is a success; once more without a field that the provider
        refuses. Raises GatewayError for another."""
        question = self._rules.shaped(path, body, plain)
        reply = await self._post(path, question, limits, beta)
        if 200 <= reply.status < 300:
            return reply
        async with reply:
            if 300 <= reply.status < 400:
                raise self._redirected(reply)
            raw = b""
            with suppress(TimeoutError, Full), Charge(self._answers) as charge:
                async with asyncio.timeout(REFUSAL_SECONDS):
                    raw, _ = await self._read(reply, REFUSAL_BYTES, charge)
        if reply.status in STATUSES and raw:
            field = refused_field(raw, reply.charset or "", optional_fields(question))
            self._rules.learn(path, field)
            if self._rules.shaped(path, body, plain) != question:
                return await self._opened(path, body, limits, plain, beta)
        raise self._refused(
            refusal(self.dialect, reply.status, raw, reply.charset or "", body), reply
        )

    async def _post(
        self, path: str, body: bytes, limits: aiohttp.ClientTimeout, beta: str
    ) -> aiohttp.ClientResponse:
        """POST; once more if a connection that was kept turned out to be dead before any answer
        began.

        On a new connection the provider may have got the question, and be paid for it.
        """
        options: dict[str, Any] = {"data": body, "allow_redirects": False, "timeout": limits}
        if path in (MESSAGES, COUNT_TOKENS):
            headers = {"anthropic-version": ANTHROPIC_VERSION, "anthropic-beta": beta}
            options["headers"] = {name: value for name, value in headers.items() if value}
        address = self._addresses[path]
        try:
            return await self._session.post(address, **options)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not self._connector.was_dead():
                raise
        return await self._session.post(address, **options)

    async def _read(
        self, reply: aiohttp.ClientResponse, limit: int, charge: Charge
    ) -> tuple[bytes, Exception | None]:
        """Return a body as far as it came, unpacked, and what it broke off with. Raises Full."""
        inflater = Inflater(limit, reply.headers.get("Content-Encoding", ""))
        raw = bytearray()
        try:
            async for piece in reply.content.iter_any():
                raw += inflater.feed(piece)
                charge.hold(len(raw))
            raw += inflater.feed(b"", last=True)
        except FAULTS as error:
            return bytes(raw), error
        return bytes(raw), None

    async def _parts(
        self, reply: aiohttp.ClientResponse, reader: StreamReader
    ) -> AsyncIterator[bytes]:
        """Yield what comes of a stream, unpacked."""
        inflater = Inflater(STREAM_BYTES, reply.headers.get("Content-Encoding", ""))
        while not (reader.done or reader.refusal) and (raw := await self._next(reply, reader)):
            for part in inflater.parts(raw):
                yield part

    async def _next(self, reply: aiohttp.ClientResponse, reader: StreamReader) -> bytes:
        """Return what comes next of a stream; b"" is its end."""
        if not reader.whole:
            return await reply.content.readany()
        with suppress(TimeoutError):
            async with asyncio.timeout(TAIL_SECONDS):
                return await reply.content.readany()
        return b""

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        """Turn what goes wrong on the way into one of our errors."""
        try:
            yield
        except Full:
            raise too_many_bytes(provider=self._provider) from None
        except ProxyFault as error:
            raise self._error(Code.PROVIDER_DOWN, error.words, error.words_zh) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise self._unconnected() from error
        except TimeoutError as error:
            limit = f"{self._timeout:g}"
            raise self._error(
                Code.TIMEOUT,
                f"No complete answer from {self._host()} within {limit} s.",
                f"{self._host()} 在 {limit} 秒内没有给出完整回答。",
            ) from error
        except FAULTS as error:
            raise self._down(clean(f"{self._host()}: {_told(error)}.", self._api_key)) from error

    def _refused(self, outcome: Refusal, reply: aiohttp.ClientResponse) -> GatewayError:
        code, words = shown(outcome, reply.status, self._api_key)
        return self._error(
            outcome.code,
            outcome.detail,
            outcome.detail_zh,
            provider_status=reply.status,
            provider_code=code,
            provider_message=words,
            retry_after=retry_after(reply.headers, time.time()),
        )

    def _down(self, detail: str, status: int | None = None) -> GatewayError:
        return self._error(Code.PROVIDER_DOWN, detail, provider_status=status)

    def _unconnected(self) -> GatewayError:
        host, seconds = self._host(), CONNECT_SECONDS
        if self._proxy is None:
            return self._down(f"No connection to {host} within {seconds} s.")
        proxy = self._proxy.netloc
        return self._error(
            Code.PROVIDER_DOWN,
            f"No connection to {host} through the proxy {proxy} (egress_proxy) within {seconds} s.",
            f"{seconds} 秒内未能经代理 {proxy}（egress_proxy）连接到 {host}。",
        )

    def _redirected(self, reply: aiohttp.ClientResponse) -> GatewayError:
        target = url_host(reply.headers.get("Location", "")) or "another path"
        detail = (
            f"{self._host()} redirects to {target}; redirects are not followed. Deploy with the"
            " final base_url."
        )
        return self._error(
            Code.BAD_UPSTREAM_REQUEST, clean(detail, self._api_key), provider_status=reply.status
        )

    def _error(
        self, code: Code, detail: str = "", detail_zh: str = "", **known: Any
    ) -> GatewayError:
        return GatewayError(code, detail, detail_zh, provider=self._provider, **known)

    def _host(self) -> str:
        return url_netloc(self._base_url)


def _told(error: Exception) -> str:
    """Return what happened. The text of a connection error names hosts and ports, never the key;
    that of others may."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection before it answered"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "it broke off in the middle of its answer"
    if isinstance(error, OSError) and error.errno in (errno.ECONNRESET, errno.EPIPE):
        return "it reset the connection before its answer was whole"
    if isinstance(error, aiohttp.ClientResponseError):
        return "what it sent is not HTTP that can be read"
    if isinstance(error, TooLarge):
        return f"the reply is larger than {REPLY_BYTES} bytes"
    if isinstance(error, aiohttp.ClientConnectionError):
        return str(error)
    return "what it sent cannot be read as an answer"
