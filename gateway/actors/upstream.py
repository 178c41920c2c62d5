"""Talks to one provider: the POST, its time limits, and what its answer means.

Over aiohttp rather than the openai SDK: 1.5 ms of CPU a request against 5.7 ms, no hidden retries
against an unpaid account, and errors whose status and code survive the way back through Ray.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urljoin

import aiohttp
import orjson

from gateway.actors.egress_proxy import ProxyConnector
from gateway.actors.provider_connections import Connector, guarded_socket
from gateway.actors.reply_bodies import parts, read
from gateway.actors.upstream_errors import CONNECT_SECONDS, FAULTS, UpstreamErrors
from gateway.addresses import EgressProxy
from gateway.byte_budget import ByteBudget, Charge, Full
from gateway.encodings import TooLarge
from gateway.errors import Code
from gateway.protocol import CHAT, COMPLETIONS, COUNT_TOKENS, HOP, MESSAGES
from gateway.providers.balances import Look
from gateway.providers.complaints import document
from gateway.providers.dialects import Dialect
from gateway.providers.event_streams import reply_of
from gateway.providers.model_names import model_names
from gateway.providers.questions import WORDED, Question, QuestionRules, optional_fields
from gateway.providers.reader import REPLY_BYTES, Piece, StreamReader
from gateway.providers.refusals import judged, refusal
from gateway.providers.refused_fields import (
    NO_MEND,
    STATUSES,
    Mend,
    mend,
    structure_refused,
)
from gateway.providers.silence import Silence
from gateway.providers.whole_replies import Reply, chat_reply

MODELS = "/models"
"""Where providers list their models."""

NO_LIST = frozenset({404, 405, 501})
"""The HTTP statuses of a path that a server does not have."""

LIST_BYTES = 4 * 1024 * 1024
"""So much of a list of models is read; OpenRouter's, the longest, has half a megabyte."""

LOOK_SECONDS = 10
LOOK_BYTES = 64 * 1024
"""So long a balance is waited for, and so much of its reply is read."""

IDLE_SECONDS = 15
"""How long an unused connection is kept; shorter than the providers' own limits, so few die in our
hands."""

STREAM_SECONDS = 3600

REFUSAL_SECONDS = 5
"""How long a refusal's words are waited for; its status is there already."""

ANSWER_BYTES = 4 * REPLY_BYTES
"""Of large answers that one chat's provider is giving; each takes some times its bytes while it
is read."""

REFUSAL_BYTES = 1024 * 1024
"""So much of a refusal is read."""

MOST_MENDS = 6
"""So often a question is asked once more, as its refusals ask."""

HEADER_BYTES = 64 * 1024
"""The longest line of a reply's head: some proxies send long cookies and policies."""

HEADERS = 1024
"""The most lines of a reply's head: some send one for each of their limits, models or cookies."""

USER_AGENT = "byzer-llm-gateway"

ANTHROPIC_VERSION = "2023-06-01"
"""Of Anthropic's protocol: there is no other."""


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
        self._base_url = base_url
        self._addresses = {
            path: self._address(place) for path, place in {CHAT: CHAT[1:], **endpoints}.items()
        }
        self._timeout = timeout
        self._rules = rules
        self._answers = answers
        self.dialect = dialect
        self._errors = UpstreamErrors(provider, base_url, api_key, timeout, proxy)
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
            max_headers=HEADERS,
            # A proxy variable or ~/.netrc in the cluster's environment must not send the key
            # elsewhere.
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def ask(self, question: Question) -> Reply:
        """POST and return the whole answer to a question. Raises GatewayError, always with the
        provider's own words."""
        path, body = question.path, question.body
        limits = aiohttp.ClientTimeout(total=self._timeout, connect=CONNECT_SECONDS)
        with Charge(self._answers) as charge:
            async with (
                self._errors.translated(),
                await self._opened(question, limits) as reply,
            ):
                raw, fault = await read(reply, REPLY_BYTES, charge)
                label = reply.charset or ""
                if path in WORDED:
                    legacy = path == COMPLETIONS
                    answer = chat_reply(self.dialect, raw, label, body, legacy)
                else:
                    answer = reply_of(path, self.dialect, raw, label, body)
                if isinstance(answer, Reply) and (answer.text or not question.plain):
                    return answer
                if fault is not None:
                    raise fault
        if isinstance(answer, Reply):
            raise self._errors.down("The reply holds no words.", reply.status)
        raise self._errors.refused(answer, reply)

    async def stream(
        self, question: Question, reader: StreamReader
    ) -> AsyncGenerator[list[Piece], None]:
        """POST a question, and yield pieces as they come, those together that are there together;
        `reader` reads them.

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
                self._errors.translated(),
                await self._opened(question, limits) as reply,
            ):
                reader.label = reply.charset or ""
                silence = Silence(reader, charge)
                try:
                    async for part in parts(reply, reader):
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
            raise self._errors.refused(reader.refusal, reply)

    async def offered(self) -> list[str]:
        """GET the names of the models that the provider offers to this key. Raises
        GatewayError."""
        limits = aiohttp.ClientTimeout(total=self._timeout, connect=CONNECT_SECONDS)
        options: dict[str, Any] = {"allow_redirects": False, "timeout": limits}
        with Charge(self._answers) as charge:
            async with (
                self._errors.translated(),
                self._session.get(self._base_url + MODELS, **options) as reply,
            ):
                if 300 <= reply.status < 400:
                    raise self._errors.redirected(reply)
                raw, fault = await read(reply, LIST_BYTES, charge)
                body = document(raw, reply.charset or "")
                names = model_names(body) if reply.status < 300 else None
                if isinstance(fault, TooLarge):
                    raise self._errors.down(
                        f"The list of models is larger than {LIST_BYTES} bytes."
                    )
                if names is None and fault is not None:
                    raise fault
        if names is not None:
            return names
        outcome = judged(self.dialect, reply.status, body)
        if reply.status in NO_LIST and outcome.code == Code.BAD_UPSTREAM_REQUEST:
            host = self._errors.host
            words = f"{host} has no list of models at this base_url, or has none at all."
            words_zh = f"{host} 在此 base_url 下没有模型列表，或根本不提供列表。"
            outcome = outcome._replace(detail=words, detail_zh=words_zh)
        raise self._errors.refused(outcome, reply)

    async def look(self, place: str) -> Look:
        """GET what a place says of the account's balance. Raises GatewayError."""
        limits = aiohttp.ClientTimeout(total=LOOK_SECONDS, connect=CONNECT_SECONDS)
        options: dict[str, Any] = {"allow_redirects": False, "timeout": limits}
        with Charge(self._answers) as charge:
            async with (
                self._errors.translated(),
                self._session.get(self._address(place), **options) as reply,
            ):
                raw, fault = await read(reply, LOOK_BYTES, charge)
                if fault is not None and reply.status < 300:
                    raise fault
        return Look(reply.status, raw)

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._session.close()

    def _address(self, place: str) -> str:
        """Return a place elsewhere on the host, or under the base URL."""
        return (
            urljoin(self._base_url, place) if place.startswith("/") else f"{self._base_url}/{place}"
        )

    async def _opened(
        self, question: Question, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """POST and return a reply that is a success; a few times more, as a refusal asks, without a
        field, or with another value. Raises GatewayError for another."""
        mended = NO_MEND
        body = self._rules.shaped(question)
        for _ in range(MOST_MENDS + 1):
            reply = await self._post(question, body, limits)
            if 200 <= reply.status < 300:
                return reply
            async with reply:
                if 300 <= reply.status < 400:
                    raise self._errors.redirected(reply)
                raw = b""
                with suppress(TimeoutError, Full), Charge(self._answers) as charge:
                    async with asyncio.timeout(REFUSAL_SECONDS):
                        raw, _ = await read(reply, REFUSAL_BYTES, charge)
            if reply.status not in STATUSES or not raw:
                break
            mended = self._learn(question, raw, reply.charset or "", body, mended)
            again = self._rules.shaped(question, mended)
            if again == body:
                break
            body = again
        raise self._errors.refused(
            refusal(self.dialect, reply.status, raw, reply.charset or "", question.body), reply
        )

    def _learn(self, question: Question, raw: bytes, label: str, body: bytes, mended: Mend) -> Mend:
        """Learn what a refusal of `body` says of all questions; return what it says, after what was
        `mended` before, of this one."""
        if question.structure and structure_refused(raw):
            self._rules.use_words()
        path = question.path
        more = mend(raw, label, optional_fields(body, path), question.body)
        if more.without & mended.fixed.keys():
            return mended  # what was asked for is refused, too
        if more.lasting:
            given = orjson.loads(question.body).keys()
            more = Mend(
                frozenset(
                    name
                    for name in more.without
                    if not self._rules.learn(path, name, name in given)
                )
            )
        return mended.and_also(more)

    async def _post(
        self, question: Question, body: bytes, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """POST; once more if a connection that was kept turned out to be dead before any answer
        began.

        On a new connection the provider may have got the question, and be paid for it.
        """
        options: dict[str, Any] = {"data": body, "allow_redirects": False, "timeout": limits}
        if question.path in (MESSAGES, COUNT_TOKENS):
            headers = {"anthropic-version": ANTHROPIC_VERSION, "anthropic-beta": question.beta}
            options["headers"] = {name: value for name, value in headers.items() if value}
        address = self._addresses[question.path]
        try:
            return await self._session.post(address, **options)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not self._connector.was_dead():
                raise
        return await self._session.post(address, **options)
