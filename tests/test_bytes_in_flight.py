"""Bytes in flight: whatever callers and providers pile up, a process holds so many of them, refuses
more, and small chats go on. What a process took at most is the kernel's own count."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead
from tests.fronts import Outcome, chat, chat_stream, good, v1_stream
from tests.processes import actor_process
from tests.server import Server
from tests.standin.raw import (
    DONE,
    LAST,
    RawProvider,
    Reply,
    by_mode,
    chunk,
    completion,
    event,
    opening,
    piece,
    streamed,
    whole,
)
from tests.standin.raw import Request as Asked
from tests.waiting import until

MEGABYTE = 1024 * 1024
LARGE = 8 * MEGABYTE - 4096
"""As large as a request may be, but for what stands around its text."""

QUESTIONS = 24
AT_ONCE = 16
"""So many of the largest questions may be in a gateway process (gateway/web/large_body.py)."""


class Peak:
    """What a process took in memory at most, beyond what it had at first."""

    def __init__(self, process: psutil.Process) -> None:
        self._status = Path(f"/proc/{process.pid}/status")
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # proc(5): the highest is forgotten
        self._before = self._highest()

    @property
    def megabytes(self) -> int:
        return (self._highest() - self._before) // 1024

    def _highest(self) -> int:
        line = next(
            line for line in self._status.read_text().splitlines() if line.startswith("VmHWM:")
        )
        return int(line.split()[1])


def worker_of(server: Server) -> psutil.Process:
    """Its one process that answers."""
    [worker] = psutil.Process(server.process.pid).children()
    return worker


@pytest.fixture(scope="module")
def single(ray_head: RayHead, start_server: Callable[..., Server]) -> Iterator[Server]:
    """A gateway of one process, with the usual limits."""
    server = start_server({**ray_head.environment, "WEB_CONCURRENCY": "1"})
    yield server
    server.stop()


@pytest.fixture(scope="module")
def narrow(ray_head: RayHead, start_server: Callable[..., Server]) -> Iterator[Server]:
    """One whose requests may have a megabyte, and so all large ones together sixteen."""
    limits = {"WEB_CONCURRENCY": "1", "GATEWAY_MAX_BODY_BYTES": str(MEGABYTE)}
    server = start_server({**ray_head.environment, **limits})
    yield server
    server.stop()


class Holding:
    """A script that answers small questions at once, and holds large ones until `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.held = 0

    def __call__(self, request: Asked) -> Reply:
        if len(request.body) > 64 * 1024:
            self.held += 1
            self.go.wait(120)
        return by_mode(whole(completion("yes")), streamed(event(chunk("yes", "stop")), DONE))(
            request
        )


@pytest.fixture
def provider() -> Iterator[RawProvider]:
    with RawProvider() as provider:
        yield provider


@pytest.fixture
def name(gateway: httpx.Client, provider: RawProvider, names: Callable[[], str]) -> str:
    """A chat of `provider`, in an actor of its own."""
    name = names()
    fields = {
        "chat_name": name,
        "api_key": "sk-bytes",
        "model_name": "m",
        "base_url": provider.base_url,
    }
    assert gateway.post("/openai/deploy", json=fields).json() == {"ret": "ok"}
    return name


Send = Callable[[Server, str, int], httpx.Response]


def plainly(server: Server, name: str, number: int) -> httpx.Response:
    body = {"chat_name": name, "content": f"{number}{'x' * LARGE}"}
    return httpx.post(f"{server.url}/openai/chat", json=body, timeout=120, trust_env=False)


def on_v1(server: Server, name: str, number: int) -> httpx.Response:
    body = {
        "model": name,
        "stream": True,
        "messages": [{"role": "user", "content": f"{number}{'x' * LARGE}"}],
    }
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=120, trust_env=False)


def as_form(server: Server, name: str, number: int) -> httpx.Response:
    """Each character of the text takes four bytes in memory, for the sake of one."""
    form = {"chat_name": name, "content": f"{number}{'x' * (LARGE - 64)}😀"}
    return httpx.post(f"{server.url}/openai/chat", data=form, timeout=120, trust_env=False)


@contextmanager
def flood(
    send: Send, server: Server, name: str, count: int, script: Holding
) -> Iterator[list[Future[httpx.Response]]]:
    """So many at once, all of them refused or held by the provider; they are let go at the end."""
    with ThreadPoolExecutor(count) as pool:
        calls = [pool.submit(send, server, name, number) for number in range(count)]
        try:
            until(lambda: script.held + sum(call.done() for call in calls) == count)
            yield calls
        finally:
            script.go.set()


@pytest.mark.parametrize(
    "send",
    [
        plainly,
        pytest.param(on_v1, marks=pytest.mark.long),
        pytest.param(as_form, marks=pytest.mark.long),
    ],
)
def test_questions_beyond_the_budget_are_told_to_wait_and_small_ones_go_on(
    single: Server, ray_head: RayHead, provider: RawProvider, name: str, send: Send
) -> None:
    provider.script = script = Holding()
    assert chat(single.http, name, "hi").words == "yes"
    gateway_peak, actor_peak = Peak(worker_of(single)), Peak(actor_process(ray_head, "ModelActor"))

    with flood(send, single, name, QUESTIONS, script) as calls:
        refused = [call.result() for call in calls if call.done()]
        print(
            f"\n{send.__name__}: gateway {gateway_peak.megabytes} MB more, actor"
            f" {actor_peak.megabytes} MB more"
        )
        assert len(refused) == QUESTIONS - AT_ONCE
        assert {reply.json()["error"]["code"] for reply in refused} == {"GATEWAY_BUSY"}
        assert all(int(reply.headers["Retry-After"]) >= 1 for reply in refused)
        assert chat(single.http, name, "hi").words == "yes"
        assert gateway_peak.megabytes < 350
        assert actor_peak.megabytes < 350

    assert [call.result().status_code for call in calls].count(200) == AT_ONCE
    assert send(single, name, 0).status_code == 200, "what was in flight has been given back"


def chunked(server: Server, name: str, number: int) -> httpx.Response:
    """Without a Content-Length: what it comes to shows at its end."""
    body = json.dumps({"chat_name": name, "content": f"{number}{'x' * (MEGABYTE - 4096)}"}).encode()
    pieces = (body[at : at + 50_000] for at in range(0, len(body), 50_000))
    return httpx.post(f"{server.url}/openai/chat", content=pieces, timeout=120, trust_env=False)


def compressed(server: Server, name: str, number: int) -> httpx.Response:
    """A thousand bytes that become a million."""
    body = json.dumps({"chat_name": name, "content": f"{number}{'x' * (MEGABYTE - 4096)}"}).encode()
    headers = {"Content-Encoding": "gzip"}
    packed = gzip.compress(body)
    return httpx.post(
        f"{server.url}/openai/chat", content=packed, headers=headers, timeout=120, trust_env=False
    )


def all_at_once(server: Server, name: str, number: int) -> httpx.Response:
    """POST /all/chat: one chat, as many bytes."""
    body = {"chat_names": [name], "content": f"{number}{'x' * (MEGABYTE - 4096)}"}
    return httpx.post(f"{server.url}/all/chat", json=body, timeout=120, trust_env=False)


def in_session(server: Server, name: str, number: int) -> httpx.Response:
    """A few bytes that follow a million."""
    body = {"chat_name": name, "content": f"and {number}?", "session": "long"}
    return httpx.post(f"{server.url}/openai/chat", json=body, timeout=120, trust_env=False)


@pytest.mark.reuses_chats
@pytest.mark.parametrize("send", [chunked, compressed, all_at_once, in_session])
def test_whatever_way_the_bytes_come_they_count(
    narrow: Server, provider: RawProvider, name: str, send: Send
) -> None:
    if send is in_session:
        provider.script = good("yes")
        assert chat(narrow.http, name, "x" * (MEGABYTE - 4096), session="long").words == "yes"
    provider.script = script = Holding()

    with flood(send, narrow, name, QUESTIONS, script) as calls:
        refused = [call.result() for call in calls if call.done()]
        assert len(refused) == QUESTIONS - AT_ONCE
        assert {reply.status_code for reply in refused} == {503}
        assert chat(narrow.http, name, "hi").words == "yes"

    assert [call.result().status_code for call in calls].count(200) == AT_ONCE
    assert send(narrow, name, 0).status_code == 200


def test_one_question_to_many_chats_counts_as_many(
    narrow: Server, gateway: httpx.Client, provider: RawProvider, names: Callable[[], str]
) -> None:
    provider.script = script = Holding()
    chats = [names() for _ in range(3)]
    for each in chats:
        fields = {
            "chat_name": each,
            "api_key": "sk-bytes",
            "model_name": "m",
            "base_url": provider.base_url,
        }
        assert gateway.post("/openai/deploy", json=fields).json() == {"ret": "ok"}

    def to_all(server: Server, _: str, number: int) -> httpx.Response:
        body = {"chat_names": chats, "content": f"{number}{'x' * (MEGABYTE - 4096)}"}
        return httpx.post(f"{server.url}/all/chat", json=body, timeout=120, trust_env=False)

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(to_all, narrow, "", number) for number in range(8)]
        until(lambda: script.held + 3 * sum(call.done() for call in calls) == 24)
        refused = sum(call.done() for call in calls)
        script.go.set()

    assert refused == 8 - AT_ONCE // 3
    assert sorted({call.result().status_code for call in calls}) == [200, 503]


@pytest.mark.reuses_chats
def test_json_of_many_small_parts_is_unpacked_one_after_the_other(
    single: Server, name: str
) -> None:
    turn = {"role": "user", "content": "a"}
    # 3.7 MB
    body = json.dumps({"chat_name": name, "content": "", "history": [turn] * 100_000}).encode()
    peak = Peak(worker_of(single))

    def send(_: int) -> str:
        reply = httpx.post(f"{single.url}/openai/chat", content=body, timeout=120, trust_env=False)
        return str(reply.json()["error"]["code"])

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(send, range(12))) == {"INVALID_REQUEST"}

    print(f"\nnested: {peak.megabytes} MB more")
    assert peak.megabytes < 400


# Streams.


class Long:
    """A script whose stream has `count` such pieces before its end; `taken` tells how many were."""

    def __init__(self, repeated: bytes, count: int, *end: bytes) -> None:
        self._repeated, self._count, self._end = (
            piece(repeated),
            count,
            b"".join(map(piece, end)) + LAST,
        )
        self.taken = 0

    def __call__(self, request: Asked) -> Any:
        yield opening()
        for _ in range(self._count):
            yield self._repeated
            self.taken += 1
        yield self._end


SILENCE: dict[str, bytes] = {
    "comments": b": still here\n\n" * 1000,
    "comments in one line": b": " + b"x" * 20_000,
    "roles": event(chunk(delta={"role": "assistant"})) * 100,
    "empty objects": event({}) * 1000,
    "large roles": event(chunk(delta={"role": "assistant"}, padding="x" * 20_000)),
    "blank lines": b"\n" * 20_000,
    "events without data": b"event: ping\n\n" * 1000,
}


@pytest.mark.reuses_chats
@pytest.mark.parametrize("kind", SILENCE)
@pytest.mark.parametrize("front", [chat_stream, v1_stream])
def test_a_megabyte_of_silence_before_the_first_word_is_enough(
    single: Server, provider: RawProvider, name: str, kind: str, front: Callable[..., Outcome]
) -> None:
    provider.script = script = Long(SILENCE[kind], 4000, event(chunk("too late", "stop")), DONE)

    outcome = front(single.http, name, "hi")

    assert (outcome.words, outcome.code) == ("", "PROVIDER_DOWN")
    assert provider.requests[-1].left.wait(20)
    assert script.taken * len(SILENCE[kind]) < 12 * MEGABYTE, (
        "a megabyte, and what is under way in buffers"
    )


@pytest.mark.parametrize("front", [chat_stream, v1_stream])
def test_long_thoughts_are_no_silence_and_take_no_room(
    single: Server,
    ray_head: RayHead,
    provider: RawProvider,
    name: str,
    front: Callable[..., Outcome],
) -> None:
    thoughts = event(chunk(delta={"reasoning_content": "hm " * 1000})) * 10
    provider.script = Long(thoughts, 500, event(chunk("so", "stop")), DONE)
    gateway_peak, actor_peak = Peak(worker_of(single)), Peak(actor_process(ray_head, "ModelActor"))

    assert front(single.http, name, "hi").words == "so"
    assert (gateway_peak.megabytes < 100, actor_peak.megabytes < 50) == (True, True)


@pytest.mark.reuses_chats
def test_a_first_word_may_be_longer_than_a_silence(
    single: Server, provider: RawProvider, name: str
) -> None:
    words = "x" * (3 * MEGABYTE)
    provider.script = lambda request: streamed(
        event(chunk(words)), event(chunk(finish="stop")), DONE
    )

    assert v1_stream(single.http, name, "hi").words == words
    assert chat_stream(single.http, name, "hi").words == words


@pytest.mark.reuses_chats
@pytest.mark.parametrize("session", [None, "s-1"])
def test_a_stream_of_text_is_kept_for_a_session_only_and_no_more_of_it_than_that_holds(
    single: Server, provider: RawProvider, name: str, session: str | None
) -> None:
    provider.script = Long(event(chunk("word " * 2000)), 10_000, event(chunk(finish="stop")), DONE)
    body = {
        "chat_name": name,
        "content": "hi",
        "stream": True,
        **({"session": session} if session else {}),
    }
    peak, size = Peak(worker_of(single)), 0

    with single.http.stream("POST", "/openai/chat", json=body) as reply:
        for received in reply.iter_raw():
            size += len(received)

    assert size == 10_000 * 2000 * 5  # 100 MB
    print(f"\na stream of 100 MB: {peak.megabytes} MB more")
    assert peak.megabytes < 40
    if session:
        provider.script = lambda request: whole(completion("again"))
        again = {"chat_name": name, "content": "and?", "session": session}
        assert single.http.post("/openai/chat", json=again).json() == "again"
        turns = provider.requests[-1].json["messages"]
        assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
        assert turns[1]["content"] == ("word " * 10_000)[:32_000]


@pytest.mark.reuses_chats
def test_a_client_of_all_chats_who_reads_nothing_keeps_their_providers_waiting(
    single: Server, provider: RawProvider, name: str
) -> None:
    provider.script = script = Long(
        event(chunk("word " * 2000)), 10_000, event(chunk(finish="stop")), DONE
    )
    body = json.dumps({"chat_names": [name], "content": "hi", "stream": True}).encode()
    peak = Peak(worker_of(single))

    with socket.create_connection(("127.0.0.1", single.port), timeout=60) as client:
        client.sendall(
            b"POST /all/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
            + body
        )
        client.recv(100)
        before = -1
        while before != script.taken:  # until it is waited for
            before = script.taken
            time.sleep(2)
    print(f"\n/all/chat: {peak.megabytes} MB more, {script.taken} of 10,000 pieces")
    assert script.taken < 5000
    assert peak.megabytes < 60
    assert provider.requests[-1].left.wait(20)


def test_a_gzip_bomb_in_a_stream_is_unpacked_in_small_parts(
    single: Server, ray_head: RayHead, provider: RawProvider, name: str
) -> None:
    bomb = gzip.compress(b"\n" * (256 * MEGABYTE))  # 256 kB
    head = opening(headers=["Content-Encoding: gzip"])
    provider.script = lambda request: [head, piece(bomb), LAST]
    peak = Peak(actor_process(ray_head, "ModelActor"))

    assert v1_stream(single.http, name, "hi").code == "PROVIDER_DOWN"
    print(f"\na bomb: {peak.megabytes} MB more")
    assert peak.megabytes < 50


# Answers.


def test_large_answers_beyond_the_budget_are_given_up_and_small_ones_go_on(
    single: Server, ray_head: RayHead, provider: RawProvider, name: str
) -> None:
    go = threading.Event()
    answer = whole(completion("x" * (30 * MEGABYTE)))

    def script(request: Asked) -> Any:
        if len(request.body) < 200:
            yield whole(completion("yes"))
            return
        yield answer[: 24 * MEGABYTE]
        go.wait(60)
        yield answer[24 * MEGABYTE :]

    provider.script = script
    peak = Peak(actor_process(ray_head, "ModelActor"))
    with ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(chat, single.http, name, "large" * 50 + str(number)) for number in range(8)
        ]
        wait(calls, 60, return_when="FIRST_COMPLETED")
        until(lambda: sum(call.done() for call in calls) >= 3, 60)
        assert chat(single.http, name, "hi").words == "yes"
        go.set()
    codes = [call.result().code for call in calls]
    print(f"\nanswers: {codes}, {peak.megabytes} MB more")
    assert set(codes) == {"GATEWAY_BUSY", ""}
    assert chat(single.http, name, "large" * 50).code == "", (
        "what was in flight has been given back"
    )
