"""`make streams`: what a stream adds to the time to its first token, and memory over 5,000 of them.

Starts a Ray head, a gateway of two processes and the tests' stand-in provider. Every stream is
checked to be whole and in order; a third of them is abandoned by its client after the first token.
How many streams fit two cores is not measured here: this load and this stand-in, in Python, would
take most of them.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

import aiohttp
import psutil

from bench.service import Service, running
from gateway.commands.ray_head import say
from tests.standin.client import StandIn

TOTAL = 5_000
AT_ONCE = 64
CHUNKS = 20
MESSAGES = [{"role": "user", "content": "hello, who are you"}]


async def stream(
    session: aiohttp.ClientSession, base: str, model: str, abandon: bool = False
) -> tuple[float, float]:
    """One stream: seconds to its first word and to its end. Raises RuntimeError if it is not whole
    and in order."""
    started = time.perf_counter()
    first = 0.0
    text = b""
    body = {"model": model, "messages": MESSAGES, "stream": True}
    async with session.post(
        f"{base}/chat/completions", json=body, headers={"Authorization": "Bearer sk-b"}
    ) as reply:
        async for piece in reply.content.iter_any():
            text += piece
            if not first and b'"content":"w0' in text.replace(b" ", b""):
                first = time.perf_counter() - started
                if abandon:
                    reply.close()
                    return first, first
    places = [text.find(b'"w%d' % number) for number in range(CHUNKS)]
    if b"[DONE]" not in text or -1 in places or places != sorted(places):
        raise RuntimeError(f"a stream that is broken: {text[-300:]!r}")
    return first, time.perf_counter() - started


async def many(
    base: str, model: str, total: int, at_once: int, abandon_third: bool = False
) -> list[tuple[float, float]]:
    """`total` streams, `at_once` at a time."""
    gate = asyncio.Semaphore(at_once)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(number: int) -> tuple[float, float]:
            async with gate:
                return await stream(session, base, model, abandon=abandon_third and number % 3 == 0)

        return await asyncio.gather(*map(one, range(total)))


def first_word(figures: list[tuple[float, float]]) -> float:
    """The median time to the first word, in milliseconds."""
    return statistics.median(first for first, _ in figures) * 1000


def memory(service: Service) -> dict[str, float]:
    """RSS in MB of the gateway's processes and of the model actor."""
    gateway = [psutil.Process(service.gateway), *psutil.Process(service.gateway).children()]
    actors = psutil.Process(service.head).children(recursive=True)
    actors = [
        p for p in actors if p.status() != "zombie" and "ray::ModelActor" in "".join(p.cmdline())
    ]
    named = [*(("gateway", p) for p in gateway), *(("actor", p) for p in actors)]
    return {f"{role} {p.pid}": p.memory_info().rss / 1e6 for role, p in named}


def main() -> int:
    """Run, print, and return 1 if a target was missed."""
    model, chat = f"stream:{CHUNKS}:0.2", "streams"
    with running() as service, StandIn() as standin:
        ours, theirs = f"{service.base}/v1", standin.base_url("openai")
        service.deploy(chat, theirs, model)
        asyncio.run(many(ours, chat, 200, 16))  # warm
        rounds = [
            (asyncio.run(many(ours, chat, 20, 1)), asyncio.run(many(theirs, model, 20, 1)))
            for _ in range(3)
        ]
        added = statistics.median(
            first_word(through) - first_word(direct) for through, direct in rounds
        )
        say(f"first token, 1 stream: {added:.1f} ms more than the provider's own   target < 15 ms")
        seen = [memory(service)]
        for part in range(5):
            asyncio.run(many(ours, chat, TOTAL // 5, AT_ONCE, abandon_third=True))
            seen.append(memory(service))
            say(
                f"after {(part + 1) * TOTAL // 5} streams:"
                f" {', '.join(f'{k} {v:.0f} MB' for k, v in seen[-1].items())}"
            )
        grown = sum(seen[-1].values()) - sum(seen[1].values())
        say(
            f"memory from stream {TOTAL // 5} to {TOTAL}: {grown:+.1f} MB in all   target: flat (<"
            " 10 MB)"
        )
    return int(added >= 15 or grown >= 10)


if __name__ == "__main__":
    sys.exit(main())
