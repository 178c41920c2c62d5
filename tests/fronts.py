"""The gateway's fronts as callers meet them, and fixtures for a chat whose provider is `raw`
(tests/standin/raw.py)."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.standin.raw import (
    DONE,
    RawProvider,
    Reply,
    Script,
    by_mode,
    chunk,
    completion,
    event,
    streamed,
    whole,
)

CUT = "CUT"
"""The code of a text that broke off: it has no room for another."""

COMPARE_SECONDS = 8
"""How long /all/chat waits: longer than a chat's own timeout."""

SPARE = "the spare chat answers"

NEVER_PASSED_ON = {"CONTENT_BLOCKED", "TOO_LARGE", "BAD_UPSTREAM_REQUEST"}
"""What a provider says of the request itself; of other codes, the next chat is asked."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a caller got: the words that came, and the code of the error that came after or instead
    of them, or ""."""

    words: str
    code: str = ""
    status: int = 200
    headers: httpx.Headers = field(default_factory=httpx.Headers, repr=False)
    error: dict[str, Any] = field(default_factory=dict, repr=False)
    body: str = ""

    @property
    def fell_back(self) -> str:
        """Why another chat answered, or ""."""
        return str(self.headers.get("X-Fell-Back", ""))

    @property
    def retry_after(self) -> int:
        return int(self.headers["Retry-After"])


def events(text: str) -> list[Any]:
    """What the `data:` lines of a stream hold; `[DONE]` as it is."""
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def _failed(reply: httpx.Response, text: str) -> Outcome:
    error = json.loads(text)["error"]
    return Outcome("", error["code"], reply.status_code, reply.headers, error, text)


def chat(
    http: httpx.Client, name: str, content: str, provider: str = "openai", **more: Any
) -> Outcome:
    """POST /<provider>/chat, for the whole answer."""
    reply = http.post(f"/{provider}/chat", json={"chat_name": name, "content": content, **more})
    if reply.status_code != 200:
        return _failed(reply, reply.text)
    return Outcome(reply.json(), headers=reply.headers, body=reply.text)


def _streamed(
    http: httpx.Client, path: str, body: dict[str, Any]
) -> tuple[httpx.Response, str, str]:
    """A reply, its text as far as it came, and CUT or ""."""
    text, code = b"", ""
    with http.stream("POST", path, json=body) as reply:
        try:
            for received in reply.iter_raw():
                text += received
        except httpx.RemoteProtocolError:
            code = CUT
    return reply, text.decode(), code


def chat_stream(
    http: httpx.Client, name: str, content: str, provider: str = "openai", **more: Any
) -> Outcome:
    """The same as text, as it comes; one that breaks off is CUT."""
    body = {"chat_name": name, "content": content, "stream": True, **more}
    reply, text, code = _streamed(http, f"/{provider}/chat", body)
    if reply.status_code != 200:
        return _failed(reply, text)
    return Outcome(text, code, headers=reply.headers, body=text)


def _question(name: str, content: str, **more: Any) -> dict[str, Any]:
    return {"model": name, "messages": [{"role": "user", "content": content}], **more}


def v1(http: httpx.Client, name: str, content: str, **more: Any) -> Outcome:
    """POST /v1/chat/completions, for the whole answer."""
    reply = http.post("/v1/chat/completions", json=_question(name, content, **more))
    if reply.status_code != 200:
        return _failed(reply, reply.text)
    choice, *_ = reply.json().get("choices") or [{}]
    message = choice.get("message") or {}
    return Outcome(_text(message.get("content")), headers=reply.headers, body=reply.text)


def v1_stream(http: httpx.Client, name: str, content: str, **more: Any) -> Outcome:
    """The same as server-sent events; without [DONE] or an error it is CUT."""
    reply, text, cut = _streamed(
        http, "/v1/chat/completions", _question(name, content, stream=True, **more)
    )
    if reply.status_code != 200:
        return _failed(reply, text)
    came = events(text)
    objects = [one for one in came if one != "[DONE]"]
    deltas = [choice.get("delta") or {} for one in objects for choice in one.get("choices") or ()]
    error: dict[str, Any] = next((one["error"] for one in objects if one.get("error")), {})
    code = error.get("code") or cut or ("" if came[-1:] == ["[DONE]"] else CUT)
    assert not (error and "[DONE]" in came), text
    words = "".join(_text(delta.get("content")) for delta in deltas)
    return Outcome(words, code, headers=reply.headers, error=error, body=text)


def compare(http: httpx.Client, name: str, content: str, **more: Any) -> Outcome:
    """POST /all/chat, for one chat's whole answer."""
    reply = http.post(
        "/all/chat",
        json={"chat_names": [name], "content": content, "timeout": COMPARE_SECONDS, **more},
    )
    row = reply.json()[name]
    error = row.get("error", {})
    return Outcome(row.get("answer", ""), error.get("code", ""), error=error, body=reply.text)


def compare_stream(http: httpx.Client, name: str, content: str, **more: Any) -> Outcome:
    """The same, a JSON line for each word."""
    body = {
        "chat_names": [name],
        "content": content,
        "timeout": COMPARE_SECONDS,
        "stream": True,
        **more,
    }
    _, text, cut = _streamed(http, "/all/chat", body)
    rows = [json.loads(line) for line in text.splitlines()]
    error: dict[str, Any] = next((row["error"] for row in rows if "error" in row), {})
    words = "".join(row.get("text", "") for row in rows)
    code = error.get("code") or cut or ("" if rows[-1].get("done") else CUT)
    return Outcome(words, code, error=error, body=text)


def _text(content: Any) -> str:
    """The words of a message's content, which /v1 passes on as it came: a text, or a list of
    parts."""
    if isinstance(content, list):
        return "".join(
            _text(part.get("text") if isinstance(part, dict) else part) for part in content
        )
    return content if isinstance(content, str) else ""


Front = Callable[..., Outcome]
WHOLE: tuple[Front, ...] = (chat, v1, compare)
STREAMS: tuple[Front, ...] = (chat_stream, v1_stream, compare_stream)
FRONTS = WHOLE + STREAMS
MIXED: tuple[Front, ...] = (chat, chat_stream, v1, v1_stream, compare, compare_stream)
FALLING_BACK = (chat, v1, chat_stream, v1_stream)
"""The fronts on which another chat may answer; /all/chat compares chats as they are."""


def assert_refused(front: Front, outcome: Outcome, codes: str) -> None:
    """One of `codes` (`A|B`) came, with not a word of an answer, or else a spare chat answered
    because of it."""
    code = outcome.fell_back or outcome.code
    assert code in codes.split("|"), outcome
    passed_on = front in FALLING_BACK and code not in NEVER_PASSED_ON
    assert (outcome.words, outcome.fell_back) == ((SPARE, code) if passed_on else ("", "")), outcome


def in_turn(
    name: str,
    rows: Iterable[Any],
    fronts: Sequence[Front] = MIXED,
    each: int = 1,
    words: Callable[[Any], str] = str,
) -> pytest.MarkDecorator:
    """Parametrize `front` and `name`: each row meets `each` of the fronts, the next row the next
    ones.

    There is one reader for all fronts, and tests/unit tries all rows on it: here each front meets
    each kind of row.
    """
    turns = itertools.cycle(fronts)
    pairs = [(next(turns), row) for row in rows for _ in range(each)]
    return pytest.mark.parametrize(
        ("front", name), pairs, ids=[f"{words(row)}-{of(front)}" for front, row in pairs]
    )


def of(front: Front) -> str:
    """A front's name in a test's."""
    return front.__name__


def good(words: str, **usage: Any) -> Script:
    """A provider that answers these words, whole or streamed; `usage` is what it says it took."""
    more = {"usage": usage} if usage else {}
    stream = streamed(event(chunk(words)), event(chunk(finish="stop", **more)), DONE)
    return by_mode(whole(completion(words, **more)), stream)


class RawChat:
    """A chat whose provider is `raw`. A deploy takes 50 ms, and forgets what its provider did
    before."""

    def __init__(self, http: httpx.Client, name: str, raw: RawProvider) -> None:
        self.http, self.name, self.raw = http, name, raw

    def deploy(self, answer: Script | Reply, provider: str = "openai", **more: Any) -> None:
        """Answer with a script, or always with the same reply."""
        self.raw.script = answer if callable(answer) else lambda request: answer
        self.raw.requests.clear()
        body = {
            "chat_name": self.name,
            "api_key": "sk-raw-0123456789",
            "base_url": self.raw.base_url,
            "timeout": 5,
        }
        reply = self.http.post(f"/{provider}/deploy", json={**body, "fallback": [], **more})
        assert reply.status_code == 200, reply.text

    def ask(self, front: Front, content: str = "hi", **more: Any) -> Outcome:
        return front(self.http, self.name, content, **more)

    def row(self) -> dict[str, Any]:
        """What GET /models tells of it."""
        rows: list[dict[str, Any]] = self.http.get("/models").json()["models"]
        return next(row for row in rows if row["chat_name"] == self.name)

    def state(self) -> str:
        """`answering` or `resting`."""
        return str(self.row()["state"])


@pytest.fixture
def raw() -> Iterator[RawProvider]:
    with RawProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def raw_name(gateway: httpx.Client) -> Iterator[str]:
    """The name of the one chat that the tests of a module deploy again and again."""
    name = f"raw-{os.getpid()}"
    yield name
    gateway.post("/openai/undeploy", json={"chat_name": name})


@pytest.fixture
def raw_chat(gateway: httpx.Client, raw_name: str, raw: RawProvider) -> RawChat:
    return RawChat(gateway, raw_name, raw)


@pytest.fixture(scope="module")
def spare(gateway: httpx.Client) -> Iterator[str]:
    """The name of a chat to fall back on, which always answers SPARE."""
    with RawProvider() as provider:
        chat = RawChat(gateway, f"spare-{os.getpid()}", provider)
        chat.deploy(good(SPARE))
        yield chat.name
        with suppress(httpx.HTTPError):
            gateway.post("/openai/undeploy", json={"chat_name": chat.name})
