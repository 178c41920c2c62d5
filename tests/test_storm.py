"""Kills, floods and a full disk, one after the other, while callers chat: every request ends, and
each question is paid once, but for those that a process's death explains.

CI storms for 25 seconds, `make soak` for as long as SOAK_SECONDS says. What is paid is counted by
the provider itself.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead
from tests.fronts import Outcome, chat, chat_stream, v1, v1_stream
from tests.processes import actor_processes
from tests.server import Server, running_head
from tests.small_disk import fill, small_disk
from tests.standin.raw import (
    DONE,
    RawProvider,
    Reply,
    Request,
    chunk,
    completion,
    event,
    slowly,
    whole,
)
from tests.waiting import until

SECONDS = float(os.environ.get("SOAK_SECONDS", "15"))
NAME = "storm"
CALM_SECONDS = 3
"""Between two deeds of the storm."""

HEAL_SECONDS = 20
"""So long after a death, at most, may a request meet what it left."""

PATIENCE_SECONDS = 90
"""So long a caller of a job asks again, in all."""

BUSY_THREADS = 24
"""Requests that a process of this gateway takes at once, so that a flood has an effect."""


@dataclass(slots=True)
class Question:
    """One question of a caller: when it began and ended, and `answered`, a code, or what else came
    of it."""

    content: str
    began: float
    ended: float = 0.0
    outcome: str = ""


class Deed(NamedTuple):
    """What the storm did, and from when until when: on a busy machine it takes a while to find whom
    to kill."""

    name: str
    began: float
    ended: float


@dataclass
class Diary:
    """What was asked, what the provider was asked, and what the storm did when."""

    questions: list[Question] = field(default_factory=list)
    paid: Counter[str] = field(default_factory=Counter)
    deeds: list[Deed] = field(default_factory=list)

    def explained(self, question: Question, after: float) -> list[str]:
        """What the storm did while the question was under way, or so many seconds before."""
        began = question.began - after
        return [
            deed.name for deed in self.deeds if deed.began <= question.ended and deed.ended >= began
        ]


class Storm:
    """Does something bad every CALM_SECONDS."""

    def __init__(self, server: Server, head: RayHead, disk: Path, diary: Diary) -> None:
        self._server, self._head, self._disk, self._diary = server, head, disk, diary
        self._dice = random.Random(17)  # noqa: S311

    def rage(self, seconds: float) -> None:
        """Go on for so long; end calm."""
        deeds: tuple[Callable[[], None], ...] = (
            self.kill_a_model_actor,
            self.flood_with_slow_heads,
            self.kill_a_gateway_process,
            self.fill_the_disk,
            self.kill_the_job_store,
            self.flood_with_large_questions,
            self.kill_the_directory,
        )
        deadline = time.monotonic() + seconds
        for deed in itertools.cycle(deeds):
            if time.monotonic() > deadline:
                return
            time.sleep(CALM_SECONDS)
            began = time.monotonic()
            deed()
            self._diary.deeds.append(Deed(deed.__name__, began, time.monotonic()))

    def kill_a_model_actor(self) -> None:
        self._kill_actor("ModelActor")

    def kill_the_job_store(self) -> None:
        self._kill_actor("Store")

    def kill_the_directory(self) -> None:
        self._kill_actor("Directory")

    def kill_a_gateway_process(self) -> None:
        processes = psutil.Process(self._server.process.pid).children()
        self._dice.choice(processes).kill()

    def fill_the_disk(self) -> None:
        ballast = fill(self._disk)
        time.sleep(CALM_SECONDS)
        ballast.unlink()

    def flood_with_slow_heads(self) -> None:
        with ExitStack() as held:
            for _ in range(200):
                with suppress(OSError):
                    connection = socket.create_connection(("127.0.0.1", self._server.port), 5)
                    held.enter_context(connection)
                    connection.sendall(b"POST /openai/chat HTTP/1.1\r\nX: ")
            time.sleep(CALM_SECONDS)

    def flood_with_large_questions(self) -> None:
        def large(number: int) -> None:
            with (
                suppress(httpx.HTTPError),
                httpx.Client(base_url=self._server.url, trust_env=False) as http,
            ):
                chat(http, NAME, f"{number} " + "x" * (4 << 20))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(large, range(16)))

    def _kill_actor(self, kind: str) -> None:
        until(lambda: bool(actor_processes(self._head, kind)), 30)
        self._dice.choice(actor_processes(self._head, kind)).kill()


def provider(diary: Diary) -> Callable[[Request], Reply]:
    """The script of a provider that takes half a second and counts what it is asked."""

    def answer(request: Request) -> Reply:
        content = str(request.json["messages"][-1]["content"])
        if content.startswith("question"):
            diary.paid[content] += 1
        words = f"re {content}"[:100]
        if request.streams:
            return slowly(event(chunk(words)), event(chunk(finish="stop")), DONE, seconds=0.2)
        return [0.5, whole(completion(words))]

    return answer


def job(http: httpx.Client, name: str, content: str) -> Outcome:
    """An answer under an id, asked for again until it is there, as a careful caller does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    asked = {
        "chat_name": name,
        "content": content,
        "request_id": content.replace(" ", "-"),
        "wait": 5,
    }
    outcome = Outcome("", "never")
    while time.monotonic() < deadline:
        try:
            reply = http.post("/openai/chat", json=asked)
        except httpx.TransportError:
            continue
        if reply.status_code == 200:
            return Outcome(reply.json())
        if reply.status_code != 202:
            outcome = Outcome("", reply.json()["error"]["code"], reply.status_code)
            if reply.status_code < 500 and reply.status_code != 429:
                return outcome  # it says that the caller erred
            time.sleep(0.5)
    return outcome


CALLERS = (*(chat,) * 4, *(chat_stream,) * 2, v1, v1_stream, *(job,) * 3)


@pytest.fixture
def head() -> Iterator[RayHead]:
    with running_head() as head:
        yield head


def test_every_request_ends_and_none_is_paid_twice_but_for_a_death(
    head: RayHead, start_server: Callable[..., Server], raw: RawProvider, tmp_path: Path
) -> None:
    diary, done, numbers = Diary(), threading.Event(), itertools.count()
    raw.script = provider(diary)

    def call(front: Callable[..., Outcome], server: Server) -> None:
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
            while not done.is_set():
                question = Question(f"question {next(numbers)}", time.monotonic())
                try:
                    outcome = front(http, NAME, question.content)
                    right = outcome.words == f"re {question.content}"
                    question.outcome = outcome.code or (
                        "answered" if right else f"wrong: {outcome}"
                    )
                except httpx.TransportError as error:
                    question.outcome = (
                        "timeout" if isinstance(error, httpx.TimeoutException) else "broke off"
                    )
                question.ended = time.monotonic()
                diary.questions.append(question)

    with small_disk(tmp_path, 4 << 20) as disk:
        settings = {
            "TMPDIR": str(disk),
            "WEB_CONCURRENCY": "2",
            "GATEWAY_MAX_IN_FLIGHT": str(BUSY_THREADS),
        }
        server = start_server({**head.environment, **settings})
        body = {
            "chat_name": NAME,
            "api_key": "sk-storm-0123456789",
            "base_url": raw.base_url,
            "timeout": 20,
        }
        assert server.http.post("/openai/deploy", json={**body, "workers": 2}).status_code == 200
        with ThreadPoolExecutor(len(CALLERS)) as pool:
            callers = [pool.submit(call, front, server) for front in CALLERS]
            try:
                Storm(server, head, disk, diary).rage(SECONDS)
                time.sleep(CALM_SECONDS)
            finally:
                done.set()
            for caller in callers:
                caller.result(PATIENCE_SECONDS + 60)
        assert_all_accounted_for(diary)
        until(lambda: chat(server.http, NAME, "after the storm").words == "re after the storm", 30)
        until(
            lambda: (
                {row["in_flight"] for row in server.http.get("/models").json()["models"]} == {0}
            ),
            30,
        )
        server.stop()


def assert_all_accounted_for(diary: Diary) -> None:
    """Each question was answered, or what the storm did explains why not; it was paid once, or a
    death explains it."""
    outcomes = Counter(question.outcome for question in diary.questions)
    times = Counter(diary.paid[question.content] for question in diary.questions)
    print(
        f"\n{len(diary.deeds)} deeds; outcomes {dict(outcomes)}; paid so many times: {dict(times)}"
    )
    faults = []
    for question in diary.questions:
        deeds = diary.explained(question, HEAL_SECONDS)
        deaths = [deed for deed in diary.explained(question, 1) if deed.startswith("kill")]
        paid = diary.paid[question.content]
        if question.outcome == "answered":
            fault = "" if 1 <= paid <= 1 + len(deaths) else f"paid {paid} times"
        elif question.outcome in EXPLAINED_BY:
            fault = "" if set(deeds) & EXPLAINED_BY[question.outcome] else "unexplained"
            fault = fault or ("" if paid <= 1 + len(deaths) else f"paid {paid} times")
        else:
            fault = "no such outcome is expected"
        if fault:
            faults.append(f"{fault}: {question}, {deeds}")
    assert not faults, "\n".join(faults[:20])
    assert outcomes["answered"] > len(diary.questions) * 0.8
    assert len(diary.paid) <= len(diary.questions)


DEATHS = {
    "kill_a_model_actor",
    "kill_a_gateway_process",
    "kill_the_directory",
    "kill_the_job_store",
}
FLOODS = {"flood_with_slow_heads", "flood_with_large_questions"}
EXPLAINED_BY = {
    "CLUSTER_DOWN": DEATHS,
    "GATEWAY_BUSY": FLOODS,
    "broke off": {"kill_a_gateway_process"},
    "CUT": DEATHS,
}
