"""How `python -m gateway bulk` asks the gateway: each row under an id of its own, so that asking
again is paid for once; and whatever passes by itself is waited for, for a limited time."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx

from gateway.commands.bulk.answers import Answer
from gateway.commands.bulk.words import BulkError, in_chinese, words
from gateway.errors import RETRY_AFTER_SECONDS, WAIT, Code, quoted
from gateway.row_errors import (
    MOST_SUSPECT,
    STOPPING,
    SUSPECT,
    TRIES,
    UNREACHABLE_SECONDS,
    WAIT_SECONDS,
)

CHAT_PATH = "/task/chat"
"""Any chat answers there, whatever its provider."""

_PLAIN = re.compile(r"(?:ERROR (\w+): |PENDING )")
"""What a chat says that was deployed with `"reply": {"status": 200}`."""


class Outcome(NamedTuple):
    """What a reply says: an answer (a text, or an object of texts), an error, or that it is
    pending."""

    value: Any = None
    code: str = ""
    words: str = ""
    retry_after: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    pending: bool = False

    @property
    def waits(self) -> bool:
        """Whether it passes by itself, soon."""
        return self.code in WAIT or (self.retry_after is not None and self.code not in STOPPING)


class Gateway:
    """A gateway that is asked several questions at once. `patience` is for how many seconds it may
    send everybody away; `note` says what is waited for."""

    def __init__(self, url: str, token: str, patience: float, note: Callable[[str], None]) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=httpx.Timeout(WAIT_SECONDS + 40, connect=10),
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
        )
        self._patience, self.note = patience, note
        self._heard = time.monotonic()
        self._closed_until = self._noted = 0.0
        self._suspects = 0
        self._asking: set[asyncio.Task[Any] | None] = set()
        self.closing = False

    async def chat(self, name: str) -> dict[str, Any]:
        """Return what GET /models tells of a chat. Raises BulkError."""
        outcome = await self._patiently(lambda: self._http.get("/models"))
        if outcome.code:
            raise _stopped(outcome)
        rows = outcome.value.get("models", []) if isinstance(outcome.value, dict) else []
        for row in rows:
            if row["chat_name"] == name:
                return dict(row)
        others = ", ".join(row["chat_name"] for row in rows[:20])
        raise BulkError(
            words(
                f"NOT_DEPLOYED: there is no chat {name}. There are: {others}",
                f"NOT_DEPLOYED：没有名为 {name} 的对话。已有：{others}",
            )
        )

    async def ask(self, question: dict[str, Any], name: str) -> Outcome:
        """Ask a question under its id; an error is one of this row. Raises BulkError."""
        form = {"format": "json", "charset": "utf-8", "request_id": name, "wait": WAIT_SECONDS}
        body = {**question, **form}
        for again in range(1, TRIES + 1):
            outcome = await self._patiently(lambda: self._http.post(CHAT_PATH, json=body))
            if outcome.code != Code.PROVIDER_DOWN or again == TRIES:
                break
            await self._pause(outcome._replace(retry_after=again**2 * UNREACHABLE_SECONDS))
        self._judge(outcome, question)
        return outcome

    async def forget(self, name: str) -> None:
        """Let the gateway forget an answer, which is safe here; where it cannot, it does so by
        itself."""
        await self._sent(lambda: self._http.delete(f"/jobs/{name}"))

    def is_asking(self, task: asyncio.Task[Any]) -> bool:
        """Return whether a task's question is under way, and does not only wait its turn."""
        return task in self._asking

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _judge(self, outcome: Outcome, question: dict[str, Any]) -> None:
        """Raise BulkError for an error that the next rows would meet, too."""
        of_this_row = outcome.code == Code.INVALID_REQUEST and "" in question.values()
        if outcome.code in STOPPING and not of_this_row:
            raise _stopped(outcome)
        self._suspects = self._suspects + 1 if outcome.code in SUSPECT else 0
        if self._suspects >= MOST_SUSPECT:
            raise BulkError(
                words(
                    f"{MOST_SUSPECT} rows in a row failed, the last with {outcome.code}:"
                    f" {outcome.words}",
                    f"连续 {MOST_SUSPECT} 行失败，最后一次为 {outcome.code}：{outcome.words}",
                )
            )

    async def _patiently(self, send: Callable[[], Awaitable[httpx.Response]]) -> Outcome:
        """Return what the gateway says, once it neither sends us away nor is still busy with
        it."""
        while True:
            while (seconds := self._closed_until - time.monotonic()) > 0:
                await asyncio.sleep(seconds)
            outcome = await self._sent(send)
            if outcome.waits:
                await self._pause(outcome)
                continue
            self._heard = time.monotonic()
            if not outcome.pending:
                return outcome
            if self.closing:
                raise BulkError("")

    async def _sent(self, send: Callable[[], Awaitable[httpx.Response]]) -> Outcome:
        task = asyncio.current_task()
        self._asking.add(task)
        try:
            return read(await send())
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL) as error:
            url = self._http.base_url
            raise BulkError(
                words(
                    f"{url} cannot be asked ({type(error).__name__}): --url must be such as"
                    " http://127.0.0.1:8099",
                    f"无法访问 {url}（{type(error).__name__}）：--url 应如 http://127.0.0.1:8099",
                )
            ) from None
        except httpx.TransportError as error:
            return unreachable(error)
        finally:
            self._asking.discard(task)

    async def _pause(self, outcome: Outcome) -> None:
        """Let nobody ask for a while. Raises BulkError: it has been too long already."""
        now = time.monotonic()
        seconds = max(outcome.retry_after or RETRY_AFTER_SECONDS, 0.1)
        if self.closing or now + seconds - self._heard > self._patience:
            raise BulkError(
                words(
                    f"{outcome.code}: {outcome.words} It was waited for {now - self._heard:.0f} s,"
                    f" and {seconds:.0f} s more would be over --patience {self._patience:.0f}.",
                    f"{outcome.code}：{outcome.words} 已等待 {now - self._heard:.0f} 秒，再等"
                    f" {seconds:.0f} 秒将超过 --patience {self._patience:.0f}。",
                )
            )
        if now >= self._noted:
            self._noted = now + max(seconds, 30)
            self.note(
                words(
                    f"Waiting {seconds:.0f} s: {outcome.code}: {outcome.words}",
                    f"等待 {seconds:.0f} 秒：{outcome.code}：{outcome.words}",
                )
            )
        self._closed_until = max(self._closed_until, now + seconds)
        await asyncio.sleep(seconds)


def read(reply: httpx.Response) -> Outcome:
    """Return what a reply of the gateway says, or of a proxy before it."""
    retry_after = reply.headers.get("Retry-After", "")
    seconds = float(retry_after) if retry_after.isdigit() else None
    try:
        value = reply.json()
    except ValueError:
        return _plain(reply, seconds)
    if reply.status_code == HTTPStatus.ACCEPTED:
        return Outcome(pending=True)
    if reply.is_success:
        tokens_in, tokens_out = (
            int(reply.headers.get(name, "0")) for name in ("X-Tokens-In", "X-Tokens-Out")
        )
        return Outcome(value, tokens_in=tokens_in, tokens_out=tokens_out)
    try:
        error = value["error"]
        message, message_zh = quoted(error)
        code = str(error["code"])
    except (KeyError, TypeError, IndexError):
        return _plain(reply, seconds)
    return Outcome(None, code, message_zh if in_chinese() else message, seconds)


def _plain(reply: httpx.Response, seconds: float | None) -> Outcome:
    """Return what a reply says that is not JSON."""
    if match := _PLAIN.match(reply.text):
        if match[1] is None:
            return Outcome(pending=True)
        return Outcome(None, match[1], reply.text[match.end() :], seconds)
    text = words(
        f"{reply.url} answered {reply.status_code}, which is not the gateway's reply.",
        f"{reply.url} 返回 {reply.status_code}，不是网关的回复。",
    )
    if reply.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:  # a proxy, while the gateway restarts
        return Outcome(None, Code.CLUSTER_DOWN, text, UNREACHABLE_SECONDS)
    return Outcome(None, Code.INVALID_REQUEST, text)


def unreachable(error: httpx.TransportError) -> Outcome:
    """Return what it means that nothing came: the gateway may be starting."""
    text = words(
        f"The gateway cannot be reached ({type(error).__name__}).",
        f"无法连接网关（{type(error).__name__}）。",
    )
    return Outcome(None, "GATEWAY_DOWN", text, UNREACHABLE_SECONDS)


def row_answer(outcome: Outcome, names: tuple[str, ...], fields: bool) -> Answer:
    """Return a row's new cells: a text, or a text for each of the `fields`."""
    tokens = outcome.tokens_in, outcome.tokens_out
    if outcome.code:
        return Answer(error=" ".join(f"{outcome.code}: {outcome.words}".split()))
    value = outcome.value if fields else {names[0]: outcome.value}
    if not isinstance(value, dict) or not set(names) <= value.keys():
        lacks = words("the answer lacks a field", "回答缺少字段")
        return Answer((), f"BAD_ANSWER: {lacks}", *tokens)
    # Half a surrogate has no place in a file.
    texts = (str(value[name]).encode(errors="replace").decode() for name in names)
    return Answer(tuple(texts), "", *tokens)


def _stopped(outcome: Outcome) -> BulkError:
    return BulkError(f"{outcome.code}: {outcome.words}")
