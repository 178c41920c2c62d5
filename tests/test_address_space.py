"""Under `ulimit -v` a gateway says at its start what does not fit, or it runs with all the chats
that it promises."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil

from gateway.commands.ray_head import RayHead
from tests.environment import TOP, clean_environment, free_port
from tests.server import GUNICORN, Deploy, Server

KILOBYTES = 4_000_000


def limited(kilobytes: int) -> tuple[str, ...]:
    return ("bash", "-c", f'ulimit -v {kilobytes} && exec "$@"', "bash", *GUNICORN)


def refusal(kilobytes: int, chats: int) -> str:
    """The last words of a gateway that does not start."""
    settings = {"GATEWAY_BIND": f"127.0.0.1:{free_port()}", "GATEWAY_MAX_IN_FLIGHT": str(chats)}
    environment = {**clean_environment(), **settings}
    ended = subprocess.run(
        limited(kilobytes),
        cwd=TOP,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    return ended.stderr.strip()


def test_too_little_is_told_at_the_start_in_one_line_and_what_fits_holds_all_its_chats(
    start_server: Callable[..., Server], ray_head: RayHead, deploy: Deploy
) -> None:
    words = refusal(KILOBYTES, chats=1024)
    assert re.fullmatch(
        r"The gateway cannot start: ulimit -v is 4000000, which is too little [^\n]*", words
    )
    [fitting] = re.findall(r"GATEWAY_MAX_IN_FLIGHT to (\d+) or less", words)
    chats = int(fitting)
    small = start_server(
        {**ray_head.environment, "WEB_CONCURRENCY": "1", "GATEWAY_MAX_IN_FLIGHT": fitting},
        command=limited(KILOBYTES),
    )
    [process] = psutil.Process(small.process.pid).children()
    name = deploy(model_name="slow:4")

    def ask(number: int) -> object:
        json = {"chat_name": name, "content": f"question {number}"}
        return httpx.post(f"{small.url}/openai/chat", json=json, timeout=60, trust_env=False).json()

    with ThreadPoolExecutor(chats) as pool:
        answers = list(pool.map(ask, range(chats)))
    assert answers == [f"openai:question {number}" for number in range(chats)]
    assert process.is_running()
    assert process.memory_info().vms < KILOBYTES * 1024
    small.stop()


def test_far_too_little_names_the_least() -> None:
    words = refusal(1_000_000, chats=10)
    assert "it must be 3571712 or more" in words
    assert "or less" not in words
