"""Whatever a provider sends, each caller gets words or an error with a code, in time; never both
nothing and success.

CHAOS_SECONDS says how long a provider answers random bytes to 16 callers; CHAOS_SEED gives others.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.commands.ray_head import RayHead
from gateway.errors import Code
from tests.fronts import CUT, FRONTS, STREAMS, Front, Outcome, RawChat, chat_stream
from tests.server import Server
from tests.standin.raw import (
    CLOSE,
    DONE,
    RESET,
    RawProvider,
    Reply,
    Request,
    Step,
    chunk,
    completion,
    event,
    streamed,
    whole,
)

SECONDS = float(os.environ.get("CHAOS_SECONDS", "6"))
SEED = int(os.environ.get("CHAOS_SEED", "16"))
CALLERS = 16
TIMEOUT = 1
LIMIT = 2 * TIMEOUT + 5
"""Seconds. A chat's own timeout, once more for a stream that spoke and fell silent, and what a busy
machine adds."""

OURS = {str(code) for code in Code} - {"INTERNAL", "INVALID_REQUEST"}

TEXTS = (
    "Ja",
    "",
    "你好",
    "😀",
    "\x00",
    "\x01{}",
    "\n\n",
    "data: x",
    "x" * 3000,
    None,
    ["Ja"],
    [{"text": "Ja"}],
    7,
)
FINISHES = (
    "stop",
    "length",
    "content_filter",
    "error",
    "sensitive",
    "tool_calls",
    None,
    "",
    7,
    ["stop"],
)
USAGES: tuple[object, ...] = (
    {"prompt_tokens": 1, "completion_tokens": 2},
    {"completion_tokens": -3},
    [1],
    "many",
    None,
    {"x": {}},
    1e300,
)
ERRORS: tuple[object, ...] = (
    {"code": 429},
    {"message": "no funds"},
    "overloaded",
    True,
    None,
    {},
    [],
    {"code": None, "type": [1]},
)
STATUSES = (
    *(
        "200 OK",
        "200",
        "201 Created",
        "206 Partial",
        "204 None",
        "302 Found",
        "400 Bad",
        "401 No",
        "402 Pay",
        "403 No",
    ),
    *(
        "404 Gone",
        "413 Long",
        "418 Tea",
        "429 Slow",
        "451 Law",
        "500 Broken",
        "503 Busy",
        "529 Busy",
        "600 ?",
        "099 ?",
    ),
)
LABELS = (
    "application/json",
    "text/event-stream",
    "text/html; charset=gb2312",
    "application/json; charset=none",
    None,
    "x",
)
HEADERS = (
    "Content-Encoding: gzip",
    "Content-Encoding: br",
    "Retry-After: -1",
    "Retry-After: 1e99",
    "X: \xff",
    "Connection: close",
)
JUNK = (
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x00",
    b"\r",
    b"\n\n",
    b"NaN",
    rb"\ud83d",
    b'"',
    b"}",
    b"event: error\n",
    b"data: ",
    b":\n",
)


class Chaos:
    """Makes replies of well- and ill-formed pieces; every choice is `dice`'s."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def reply(self) -> Reply:
        """One reply, sent in pieces, complete or not, on a connection that is kept or not."""
        dice = self._dice
        data = dice.choice((self._whole, self._stream, self._noise))()
        if dice.random() < 0.4:
            data = self._mutated(data)
        cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice((0, 0, 1, 3))))
        steps: list[Step] = []
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            steps += [data[start:end], dice.choice((0.0, 0.0, 0.01))]
        if dice.random() < 0.02:
            steps.append(TIMEOUT + 1.0)
        return [*steps, *dice.choice(((), (CLOSE,), (CLOSE,), (RESET,)))]

    def _whole(self) -> bytes:
        dice = self._dice
        body: object = self._document()
        if dice.random() < 0.2:
            body = gzip.compress(json.dumps(body).encode())
        headers = dice.sample(HEADERS, dice.choice((0, 0, 0, 1, 2)))
        return whole(body, self._status(), dice.choice(LABELS), headers)

    def _stream(self) -> bytes:
        dice = self._dice
        events = [
            event(self._document(), dice.choice(("", "", "", "error", "message")))
            for _ in range(dice.randrange(6))
        ]
        events += dice.choice(
            ((DONE,), (event(chunk(finish="stop")),), (event(chunk(finish="stop")), DONE), ())
        )
        return streamed(*events, content_type=str(dice.choice(LABELS)), status=self._status())

    def _noise(self) -> bytes:
        return self._dice.randbytes(self._dice.choice((0, 3, 200, 70_000)))

    def _status(self) -> str:
        return "200 OK" if self._dice.random() < 0.6 else self._dice.choice(STATUSES)

    def _document(self) -> object:
        dice = self._dice
        make = dice.choice((chunk, chunk, completion))
        document: dict[str, object] = make(dice.choice(TEXTS), dice.choice(FINISHES))
        if dice.random() < 0.3:
            document["usage"] = dice.choice(USAGES)
        if dice.random() < 0.1:
            document["error"] = dice.choice(ERRORS)
        if dice.random() < 0.1:
            document["choices"] = dice.choice(
                ([], None, [None], [{}], {}, 3, [{"delta": []}], [{"message": "Ja"}])
            )
        return dice.choice((document,) * 8 + ({"code": 500, "msg": "no"}, [], None, 3, "Ja"))

    def _mutated(self, data: bytes) -> bytes:
        """With a piece taken out, doubled, or replaced by junk."""
        dice = self._dice
        for _ in range(dice.choice((1, 1, 4))):
            place = dice.randrange(len(data) + 1)
            end = place + dice.choice((0, 1, 20))
            data = data[:place] + dice.choice((b"", data[place:end] * 2, *JUNK)) + data[end:]
        return data


def fault(front: Front, outcome: Outcome) -> str:
    """What is wrong with an outcome, or ""."""
    if outcome.code and outcome.code not in (OURS | {CUT} if front is chat_stream else OURS):
        return f"the code {outcome.code}"
    if not outcome.code and not usable(front, outcome):
        return "both nothing and success"
    return ""


def usable(front: Front, outcome: Outcome) -> bool:
    """Whether a success holds an answer: words or, on /v1, one that has none but says something
    else."""
    said_otherwise = re.search(r'"(tool_calls|function_call|refusal|audio)": ?[\[{"]', outcome.body)
    return bool(outcome.words or (front.__name__.startswith("v1") and said_otherwise))


@pytest.fixture
def own_gateway(ray_head: RayHead, start_server: Callable[..., Server]) -> Iterator[Server]:
    """A gateway whose log holds nothing but this test's."""
    server = start_server(ray_head.environment)
    yield server
    server.stop()


def logs_of_actors(head: RayHead) -> list[Path]:
    """The files into which Ray's workers write."""
    return list((head.folder / "ray" / "session_latest" / "logs").glob("worker-*"))


def test_random_bytes_for_16_callers(
    own_gateway: Server, ray_head: RayHead, raw: RawProvider
) -> None:
    name = f"chaos-{os.getpid()}"
    raw_chat = RawChat(own_gateway.http, name, raw)
    replies = itertools.count()

    def script(request: Request) -> Reply:
        return Chaos(random.Random(f"{SEED} {next(replies)}")).reply()  # noqa: S311

    raw_chat.deploy(script, timeout=TIMEOUT)
    written = {path: path.stat().st_size for path in logs_of_actors(ray_head)}
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    deadline = time.monotonic() + SECONDS

    def calls(number: int) -> None:
        with httpx.Client(base_url=own_gateway.url, timeout=30, trust_env=False) as http:
            for turn in range(number, 10**9):
                if time.monotonic() > deadline:
                    return
                front = FRONTS[turn % len(FRONTS)]
                started = time.monotonic()
                try:
                    outcome = front(http, name, f"question {number} {turn}")
                    why, body = fault(front, outcome), outcome.body
                    outcomes[f"{front.__name__} {outcome.code or 'answered'}"] += 1
                except Exception as error:  # no reply of ours is read with one
                    why, body = repr(error), ""
                if time.monotonic() - started > LIMIT:
                    why = f"too late: {why}"
                if why:
                    faults.append(f"{front.__name__}: {why}: {body[:300]}")

    with ThreadPoolExecutor(CALLERS + 1) as pool:
        running = [pool.submit(calls, number) for number in range(CALLERS)]
        while time.monotonic() < deadline:  # else it would rest most of the time
            raw_chat.deploy(script, timeout=TIMEOUT)
        for caller in running:
            caller.result()
    own_gateway.http.post("/openai/undeploy", json={"chat_name": name})

    print(f"\n{next(replies)} replies: {dict(sorted(outcomes.items()))}")
    assert not faults, "\n".join(faults[:20])
    assert "Traceback" not in own_gateway.log.read_text()
    for path in logs_of_actors(ray_head):
        assert "Traceback" not in path.read_text(errors="replace")[written.get(path, 0) :], path


HARMLESS = (
    b": a moment\n\n",
    b"retry: 5\n\n",
    b"\n",
    event({**chunk(), "choices": []}),
    event(chunk()),
    event(chunk("")),
)
ILL = (
    event(b"{"),
    event([]),
    event(None),
    event({"error": {"code": 503}}),
    event({"choices": 3}),
    b"data: \xff\n\n",
)


@st.composite
def replies(draw: st.DrawFn) -> tuple[bytes, bytes, str, bool]:
    """A stream and a whole reply, the words in both, and whether there is nothing wrong with
    them."""
    words = draw(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5))
    well = draw(st.booleans())
    between = st.lists(st.sampled_from(HARMLESS if well else HARMLESS + ILL), max_size=2)
    parts = [part for word in words for part in (*draw(between), event(chunk(word)))]
    end = [event(chunk(finish="stop")), *draw(st.sampled_from([(), (DONE,)]))]
    document = json.dumps(completion("".join(words)), ensure_ascii=draw(st.booleans())).encode()
    if not well:
        place = draw(st.integers(0, len(document)))
        document = document[:place] + draw(st.sampled_from(JUNK)) + document[place:]
    return b"".join([*parts, *end]), document, "".join(words), well


@settings(max_examples=int(SECONDS * 10))
@given(
    reply=replies(),
    front=st.sampled_from(FRONTS),
    streams=st.booleans(),
    kept=st.none() | st.floats(0, 1),
)
def test_words_that_were_there_or_an_error(
    raw_chat: RawChat,
    reply: tuple[bytes, bytes, str, bool],
    front: Front,
    streams: bool,
    kept: float | None,
) -> None:
    stream, document, words, well = reply
    data = streamed(stream) if streams else whole(document)
    raw_chat.deploy(data if kept is None else (data[: int(len(data) * kept)], CLOSE), timeout=LIMIT)

    started = time.monotonic()
    outcome = raw_chat.ask(front)

    assert time.monotonic() - started < LIMIT
    assert not fault(front, outcome), outcome
    if well and kept is None:
        assert (outcome.words, outcome.code) == (words, "")
    elif well and not outcome.code:
        assert outcome.words == words
    elif well:
        assert words.startswith(outcome.words)
        assert front in STREAMS or not outcome.words
