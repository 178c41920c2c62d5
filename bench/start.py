"""How long it takes until something answers: everything, and one gateway process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from bench.processes import family
from bench.service import answers, clean_environment, free_port, starting_gateway
from bench.targets import Row, under
from gateway.commands.ray_head import RayHead, say, stop
from gateway.commands.run import HERE

RUN_SECONDS = 5
WORKER_SECONDS = 6
HANG_SECONDS = 120
LOAD = "start"


def rows(head: RayHead, question: dict[str, str], rounds: int) -> Iterator[Row]:
    """The two lines of the table; `question` is for a chat that is deployed on the cluster of
    `head`."""
    whole_seconds = statistics.median(whole() for _ in range(rounds))
    yield under(LOAD, "make run, installed, to the first answer", whole_seconds, RUN_SECONDS, "s")
    worker_seconds = statistics.median(worker(head, question) for _ in range(rounds))
    yield under(
        LOAD, "a gunicorn worker's fork to its first chat", worker_seconds, WORKER_SECONDS, "s"
    )


def whole() -> float:
    """Seconds from the start of what `make run` runs, once it has installed, to the first answer of
    local_chat."""
    bind = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "gateway", "run", "--local-chat"]
    environment = {**clean_environment(), "GATEWAY_BIND": bind}
    started = time.monotonic()
    launched = subprocess.Popen(
        command, cwd=HERE, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        question = {"chat_name": "local_chat", "content": "Say hello.", "max_tokens": 5}
        _until(lambda: answers(f"http://{bind}/local/chat", question))
        return _said("make run", started)
    finally:
        stop(launched)


def worker(head: RayHead, question: dict[str, str]) -> float:
    """Seconds from the fork of a gateway's only process to its first chat."""
    with starting_gateway(head, 1) as service:
        _until(lambda: len(family(service.gateway)) > 1)
        started = time.monotonic()
        _until(lambda: answers(f"{service.base}/openai/chat", question))
        return _said("a gunicorn worker", started)


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(f"It did not answer within {HANG_SECONDS} s.")
        time.sleep(0.02)


def _said(who: str, started: float) -> float:
    seconds = time.monotonic() - started
    say(f"{LOAD}: {who} took {seconds:.1f} s to its first answer")
    return seconds
