"""Many clients at once that keep asking, and what became of each of their requests."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.fronts import v1_stream
from tests.waiting import until

ANSWERED = "answered"
DROPPED = "connection dropped"
"""The client saw its connection reset: the gateway process that held it is gone."""

REFUSED = "connection refused"
"""Nobody listens; a proxy would ask elsewhere."""

HANG_SECONDS = 60


@dataclass(frozen=True)
class Asked:
    """One request: when it began and ended (monotonic seconds), its outcome, and the number of the
    client."""

    began: float
    ended: float
    outcome: str
    client: int

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass
class Load:
    """The requests so far. Outcomes are ANSWERED, DROPPED, REFUSED, an error code, or words that
    are a defect."""

    clients: int
    asked: list[Asked] = field(default_factory=list)

    def outcomes(self, since: float = 0.0) -> Counter[str]:
        return Counter(one.outcome for one in self.asked if one.ended >= since)

    def failed(self, since: float = 0.0) -> Counter[str]:
        return Counter(
            {outcome: n for outcome, n in self.outcomes(since).items() if outcome != ANSWERED}
        )

    def answered_again(self, after: float, seconds: float) -> float:
        """Seconds from `after` until a chat that began then is answered."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = [
                one.ended
                for one in list(self.asked)
                if one.began > after and one.outcome == ANSWERED
            ]
            if ended:
                return min(ended) - after
            time.sleep(0.05)
        raise AssertionError(
            f"no chat was answered again within {seconds:g} s: {self.failed(after)}"
        )

    def all_answered(self, times: int, seconds: float) -> None:
        """Wait until each client was answered so often: then each gateway process has asked, and if
        `times` is twice a chat's replicas, each of those."""
        until(lambda: min(self._answers().values(), default=0) >= times, seconds)

    def _answers(self) -> Counter[int]:
        so_far = Counter(one.client for one in list(self.asked) if one.outcome == ANSWERED)
        return Counter({client: so_far[client] for client in range(self.clients)})

    def slowest(self, outcome: str, since: float = 0.0) -> float:
        return max(
            (one.seconds for one in self.asked if one.outcome == outcome and one.ended >= since),
            default=0.0,
        )


@contextmanager
def load(
    url: str,
    chat_name: str,
    says: str = "openai",
    clients: int = 50,
    token: str = "",
    streams: int = 0,
) -> Iterator[Load]:
    """`clients` of their own connections that ask `chat_name` without a pause, each question
    another one; `streams` of them as streams of /v1.

    An answer is the stand-in's echo of just that question, or, of several names in `says`, one's.
    Ends with every request answered for.
    """
    so_far = Load(clients)
    done = threading.Event()
    numbers = itertools.count()
    headers = {"X-Api-Key": token} if token else {}

    def client(number: int) -> None:
        ask = _ask_stream if number < streams else _ask
        with httpx.Client(
            base_url=url, timeout=HANG_SECONDS, trust_env=False, headers=headers
        ) as http:
            while not done.is_set():
                content = f"question {next(numbers)}"
                began = time.monotonic()
                outcome = ask(
                    http, chat_name, content, [f"{one}:{content}" for one in says.split()]
                )
                so_far.asked.append(Asked(began, time.monotonic(), outcome, number))
                if outcome != ANSWERED:
                    time.sleep(0.1)

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(client, number) for number in range(clients)]
        try:
            yield so_far
        finally:
            done.set()
            for one in running:
                one.result(HANG_SECONDS * 2)


def _ask(http: httpx.Client, chat_name: str, content: str, expected: list[str]) -> str:
    try:
        reply = http.post("/openai/chat", json={"chat_name": chat_name, "content": content})
    except httpx.TimeoutException:
        return f"no answer within {HANG_SECONDS} s"
    except httpx.ConnectError:
        return REFUSED
    except httpx.TransportError:
        return DROPPED
    if reply.status_code != 200:
        # each of the gateway's own replies has its number; a proxy in front of it has none
        by = "" if "X-Request-Id" in reply.headers else " by the proxy"
        error = reply.json()["error"]
        print(f"{time.monotonic():.1f} s: {error['code']}: {error['message']}")
        return f"{error['code']}{by}"
    return ANSWERED if reply.json() in expected else f"a wrong answer: {reply.text[:200]}"


def _ask_stream(http: httpx.Client, chat_name: str, content: str, expected: list[str]) -> str:
    try:
        answer = v1_stream(http, chat_name, content)
    except httpx.TimeoutException:
        return f"no answer within {HANG_SECONDS} s"
    except httpx.ConnectError:
        return REFUSED
    except httpx.TransportError:
        return DROPPED
    if answer.code:
        by = "" if "X-Request-Id" in answer.headers else " by the proxy"
        print(f"{time.monotonic():.1f} s: {answer.code}: {answer.error.get('message')}")
        return f"{answer.code} of a stream" if answer.words else f"{answer.code}{by}"
    return ANSWERED if answer.words in expected else f"a wrong answer: {answer.words[:200]}"


def print_recovery(what: str, load: Load, since: float, again: float) -> None:
    """Print what failed, and how long it took until chats were answered again."""
    print(
        f"\n{what}: {len(load.asked)} chats, failed {dict(load.failed())}, answered again after"
        f" {again:.1f} s, slowest answer {load.slowest(ANSWERED, since):.1f} s"
    )
