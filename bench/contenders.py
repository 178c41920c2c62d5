"""Who is measured: the provider itself, this gateway by both of its fronts, and what people would
pick instead."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.provider import Provider
from bench.service import Service, answers, clean_environment, free_port
from bench.wrk import Post
from gateway.commands.ray_head import stop
from gateway.commands.run import HERE, wait

PEERS = HERE / ".bench"
"""Where `make` installs the peers, each in a folder of its own."""

DIRECT, CHAT, V1, PORTKEY, LITELLM = (
    "the provider itself",
    "/<provider>/chat",
    "/v1",
    "Portkey",
    "LiteLLM",
)
DELAYS_MS = (0, 200, 2000)
START_SECONDS = 180
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
    streams: bool = True

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
        DIRECT, lambda ms, stream: _openai(provider.base_url(ms), "m", stream), (provider.pid,)
    )


def gateway(service: Service, provider: Provider) -> list[Contender]:
    """This gateway's two fronts; a chat is deployed for each of the provider's delays."""
    for ms in DELAYS_MS:
        service.deploy(_chat_name(ms), provider.base_url(ms))

    def chat(ms: int, stream: bool) -> Post:
        body = {"chat_name": _chat_name(ms), "content": QUESTION, **_streamed(stream)}
        return Post(f"{service.base}/openai/chat", body, HEADERS)

    pids = service.gateway, service.head
    v1 = Contender(
        V1, lambda ms, stream: _openai(f"{service.base}/v1", _chat_name(ms), stream), pids
    )
    return [Contender(CHAT, chat, pids), v1]


@contextmanager
def portkey(provider: Provider) -> Iterator[Contender]:
    """Portkey's gateway on Node.js."""
    port = free_port()
    start = PEERS / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"

    def post(ms: int, stream: bool) -> Post:
        known = {"x-portkey-provider": "openai", "x-portkey-custom-host": provider.base_url(ms)}
        return _openai(f"http://127.0.0.1:{port}/v1", "m", stream, known)

    with _peer(
        PORTKEY, ["node", start, "--headless", f"--port={port}"], {"NODE_ENV": "production"}, post
    ) as found:
        yield found


@contextmanager
def litellm(provider: Provider) -> Iterator[Contender]:
    """LiteLLM's proxy, with as many processes as this gateway."""
    port = free_port()
    models = [
        {
            "model_name": _chat_name(ms),
            "litellm_params": {
                "model": "openai/m",
                "api_base": provider.base_url(ms),
                "api_key": "sk-bench",
            },
        }
        for ms in DELAYS_MS
    ]
    with tempfile.TemporaryDirectory(prefix="bench-litellm-") as folder:
        config = Path(folder, "config.yaml")
        config.write_text(json.dumps({"model_list": models}))  # JSON is YAML
        options = {
            **{
                "config": config,
                "host": "127.0.0.1",
                "port": port,
                "num_workers": 2,
                "telemetry": False,
            },
            # Else uvicorn ends a process that is too busy to say within 5 s that it lives.
            "timeout_worker_healthcheck": START_SECONDS,
        }
        command = [
            PEERS / "litellm/bin/litellm",
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        # Else it would fetch its table of prices from the internet; and, like this gateway here, it
        # asks for no token.
        alone = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        }
        front = f"http://127.0.0.1:{port}/v1"
        with _peer(
            LITELLM, command, alone, lambda ms, stream: _openai(front, _chat_name(ms), stream)
        ) as found:
            yield found


@contextmanager
def _peer(
    name: str, command: list[Any], more: dict[str, str], post: AskedBy
) -> Iterator[Contender]:
    if not Path(command[0]).exists() and not Path(command[1]).exists():
        raise SystemExit(
            f"{name} is not installed: make bench installs it, BENCH=--no-peers does without."
        )
    with tempfile.TemporaryFile() as log:
        environment = {**clean_environment(), **more}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
        )

        def up() -> bool:
            if process.poll() is not None:
                log.seek(0)
                raise SystemExit(
                    f"{name} did not start:\n{log.read()[-2000:].decode(errors='replace')}"
                )
            asked = post(0, False)
            return answers(asked.url, asked.body, asked.headers)

        try:
            wait(f"Starting {name}", START_SECONDS, up)
            # Portkey 1.15.2 on Node 20 answers each stream with 500 (`TypeError: immutable`).
            yield Contender(name, post, (process.pid,), streams=name != PORTKEY)
        finally:
            stop(process)


def _chat_name(delay_ms: int) -> str:
    return f"bench-{delay_ms}"


def _openai(front: str, model: str, stream: bool, more: dict[str, str] | None = None) -> Post:
    """OpenAI's shape, which all of them but ours on /<provider>/chat are asked in."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        **_streamed(stream),
    }
    return Post(f"{front}/chat/completions", body, HEADERS | (more or {}))


def _streamed(stream: bool) -> dict[str, bool]:
    return {"stream": True} if stream else {}
