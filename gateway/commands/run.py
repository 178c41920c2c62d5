"""`make run` and `python app.py`: start what is missing, wait until it answers, and stop what was
started.

With RAY_ADDRESS set, that cluster is joined; else a Ray head of our own is started, behind a token
of its own. Ray runs here only as a subprocess, so this small process can outlive a cluster that
does not come up.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from types import FrameType
from typing import Any

from gateway import __version__
from gateway.addresses import split_port
from gateway.commands import own_gateway
from gateway.commands.ray_head import BIN, RayHead, say, stop
from gateway.settings import SettingError, Settings, load

HERE = Path(__file__).resolve().parents[2]
RAY_SECONDS = 90
READY_SECONDS = 120

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGINT is among them since `make run &` would ignore it."""


def main(arguments: list[str]) -> None:
    """Serve until Ctrl-C or SIGTERM; then stop what was started here, and only that."""
    ask = argparse.ArgumentParser(
        prog="python -m gateway run",
        description="Start the Byzer-LLM gateway, and a Ray head if none is configured.",
    )
    ask.add_argument("--version", action="version", version=f"Byzer-LLM gateway {__version__}")
    ask.add_argument(
        "--local-chat", action="store_true", help="deploy the embedded model as local_chat"
    )
    args = ask.parse_args(arguments)
    try:
        settings = load()
    except SettingError as error:
        raise SystemExit(f"The gateway cannot start: {error}") from None
    _refuse_taken_port(settings.bind)
    for number in STOPPING:
        signal.signal(number, _interrupt)
    with ExitStack() as started:
        try:
            _serve(started, settings, args.local_chat)
        except KeyboardInterrupt:
            say("Stopping.")
        finally:
            for number in STOPPING:
                # A second Ctrl-C must not leave half of it running.
                signal.signal(number, signal.SIG_IGN)


def _serve(started: ExitStack, settings: Settings, local_chat: bool) -> None:
    """Start what is missing, and stay until something ends, or until Ctrl-C. What is started is
    stopped by `started`. Raises SystemExit."""
    environment = dict(os.environ)
    head: RayHead | None = None
    if not environment.get("RAY_ADDRESS", "").strip():
        head = RayHead(environment, start=False)
        started.callback(head.stop)
        head.start()
        environment |= head.environment
        environment.setdefault("GATEWAY_STATE", str(HERE / "state"))
    else:
        say(f"Joining the Ray cluster at {settings.ray_address}.")
    # Both import for seconds: side by side. The gateway answers CLUSTER_DOWN until Ray is there.
    command = [str(BIN / "gunicorn"), "-c", "gunicorn.conf.py", "app:app"]
    gateway = subprocess.Popen(command, env=environment, cwd=HERE, start_new_session=True)
    started.callback(stop, gateway)
    if head:
        wait("Starting Ray", RAY_SECONDS, head.up)
    base = f"http://{reachable(settings.bind)}"
    wait("Waiting for the gateway", READY_SECONDS, lambda: _running(gateway) and _ready(base))
    say(f"The gateway answers at {base}.")
    if local_chat:
        _welcome(base, settings.tokens != (), own_gateway.token())
    while _running(gateway) and (head is None or head.process.poll() is None):
        time.sleep(0.5)
    raise SystemExit("Ray has ended; stopping the gateway.")


def wait(what: str, seconds: float, done: Callable[[], bool]) -> None:
    """Poll `done` and show progress. Raises SystemExit: it did not come true within `seconds`."""
    started = time.monotonic()
    shown = -1
    while not done():
        passed = time.monotonic() - started
        if passed > seconds:
            raise SystemExit(f"{what}: not done within {seconds:g} s.")
        if int(passed) > shown:
            shown = int(passed)
            print(f"\r{what} ... {shown} s", end="", flush=True)
        time.sleep(0.1)
    print(f"\r{what} ... {time.monotonic() - started:.1f} s", flush=True)


def _welcome(base: str, guarded: bool, token: str) -> None:
    """Deploy local_chat and show three calls that work as they stand."""
    if guarded and not token:
        say(
            "Tokens are configured: set GATEWAY_TOKEN to an admin's to have local_chat deployed"
            " here."
        )
        return
    started = time.monotonic()
    headers = {"Authorization": f"Bearer {token}"} if guarded else {}
    _post(f"{base}/local/deploy", {"chat_name": "local_chat"}, headers)
    seconds = time.monotonic() - started
    say(
        f"Deployed the embedded model (SmolLM2-135M, English only) as local_chat in {seconds:.1f}"
        " s.\n"
    )
    auth = ' -H "Authorization: Bearer $GATEWAY_TOKEN"' if guarded else ""
    for title, path, body in (
        (
            "Chat with the local model",
            "local/chat",
            '{"chat_name": "local_chat", "content": "Say hello."}',
        ),
        (
            "Deploy Zhipu with your key",
            "zhipu/deploy",
            (
                '{"api_key": "\'"$ZHIPU_API_KEY"\'", "chat_name": "zhipu_chat", "model_name":'
                ' "glm-4.7"}'
            ),
        ),
        ("Chat with it", "zhipu/chat", '{"chat_name": "zhipu_chat", "content": "你好"}'),
    ):
        say(f"# {title}\ncurl{auth} {base}/{path} -d '{body}'\n")


def _post(url: str, body: dict[str, Any], headers: dict[str, str]) -> None:
    """POST; again while the gateway process that took it is not connected yet: only one need have
    said it is ready."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            own_gateway.opener().open(request, timeout=READY_SECONDS).close()
        except urllib.error.HTTPError as error:
            code, words = _error(error)
            if code != "CLUSTER_DOWN" or time.monotonic() > deadline:
                raise SystemExit(f"{url}: {words}") from None
            time.sleep(0.5)
        except (OSError, HTTPException) as error:
            raise SystemExit(f"{url}: no gateway answers ({type(error).__name__}).") from None
        else:
            return


def _error(error: urllib.error.HTTPError) -> tuple[str, str]:
    try:
        body = json.load(error)["error"]
        return str(body["code"]), str(body["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", f"HTTP {error.code}, which is not the gateway's reply"


def _ready(base: str) -> bool:
    try:
        with own_gateway.opener().open(f"{base}/readyz", timeout=5) as reply:
            return bool(reply.status == 200)
    except (OSError, HTTPException):
        return False


def _running(gateway: subprocess.Popen[bytes]) -> bool:
    if gateway.poll() is not None:
        raise SystemExit("The gateway has ended; its reason stands above.")
    return True


def reachable(bind: str) -> str:
    """Return where this machine itself finds what listens on `bind`."""
    host, port = split_port(bind)
    return f"127.0.0.1:{port}" if host in ("0.0.0.0", "", "[::]") else bind


def _refuse_taken_port(bind: str) -> None:
    host, port = split_port(bind)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            raise SystemExit(
                f"GATEWAY_BIND: cannot listen on {bind}: {error.strerror}. Choose another port."
            ) from None


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
