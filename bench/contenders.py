"""Who is measured: the provider itself, and this gateway by both of its fronts. (What people would
pick instead: bench/other_gateways.py.)"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import NamedTuple

from bench.provider import Provider
from bench.service import Service
from bench.wrk import Post

DIRECT, CHAT, V1 = "the provider itself", "/<provider>/chat", "/v1"
DELAYS_MS = (0, 200, 2000, 5000)
PATIENCE_SECONDS = 120
IDLE_SECONDS = 0.25
QUESTION = "hello, who are you"
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer sk-bench"}
LAST_WORDS = {False: b"does not think.", True: b"word20"}
"""What a right answer of bench/provider.conf holds, whole and as a stream."""


AskedBy = Callable[[int, bool], Post]


class Contender(NamedTuple):
    """Somebody to be asked; `post(delay_ms, stream)` is how. `pids` are what its other processes
    descend from."""

    name: str
    post: AskedBy
    pids: tuple[int, ...]

    def settle(self, delay_ms: int, stream: bool) -> None:
        """Wait until it is idle and answers rightly: what a load left behind must not weigh on the
        next.

        Raises SystemExit: it does not.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while why := self._busy(
            self.post(delay_ms, stream), IDLE_SECONDS + delay_ms / 1000, LAST_WORDS[stream]
        ):
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"{self.name} is still not idle after {PATIENCE_SECONDS} s: {why}."
                )
            time.sleep(0.1)

    def _busy(self, post: Post, seconds: float, words: bytes) -> str:
        """Why it cannot be said to be idle; empty: it is. Raises SystemExit: it gives wrong
        answers."""
        started = time.monotonic()
        request = urllib.request.Request(post.url, json.dumps(post.body).encode(), post.headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
                said = reply.read()
        except OSError as error:
            return str(error)
        if words not in said:
            raise SystemExit(f"{self.name} gave a wrong answer: {said[-300:]!r}")
        taken = time.monotonic() - started
        return f"an answer takes {taken:.1f} s" if taken > seconds else ""


def direct(provider: Provider) -> Contender:
    return Contender(
        DIRECT, lambda ms, stream: openai_post(provider.base_url(ms), "m", stream), (provider.pid,)
    )


def gateway(service: Service, provider: Provider) -> list[Contender]:
    """This gateway's two fronts; a chat is deployed for each of the provider's delays."""
    for ms in DELAYS_MS:
        service.deploy(chat_name(ms), provider.base_url(ms))

    def chat(ms: int, stream: bool) -> Post:
        body = {"chat_name": chat_name(ms), "content": QUESTION, **_streamed(stream)}
        return Post(f"{service.base}/openai/chat", body, HEADERS)

    pids = service.gateway, service.head
    v1 = Contender(
        V1, lambda ms, stream: openai_post(f"{service.base}/v1", chat_name(ms), stream), pids
    )
    return [Contender(CHAT, chat, pids), v1]


def chat_name(delay_ms: int) -> str:
    return f"bench-{delay_ms}"


def openai_post(front: str, model: str, stream: bool, more: dict[str, str] | None = None) -> Post:
    """OpenAI's shape, which all of them but ours on /<provider>/chat are asked in."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        **_streamed(stream),
    }
    return Post(f"{front}/chat/completions", body, HEADERS | (more or {}))


def _streamed(stream: bool) -> dict[str, bool]:
    return {"stream": True} if stream else {}
