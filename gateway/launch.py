"""`make run` and `python app.py`: start what is missing, wait until it answers, and stop what was started.

With RAY_ADDRESS set, that cluster is joined; else a Ray head of our own is started, behind a token of its own. Ray runs
here only as a subprocess, so this small process can outlive a cluster that does not come up. With --ray-head it becomes
a Ray head itself, for an installed gateway (deploy/systemd/byzer-ray.service).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from gateway.settings import SettingError, load

BIN = Path(sys.executable).parent
HERE = Path(__file__).resolve().parent.parent
RAY_SECONDS = 90
READY_SECONDS = 120
STOP_SECONDS = 30
OBJECT_STORE_BYTES = 128 * 1024 * 1024
"""The gateway keeps nothing in Ray's object store; Ray would take 30 % of the memory."""

DASHBOARD_PORT = 8265
"""Ray's own default; a head of `make run` takes a free one."""

KEPT_SESSIONS = 3
"""How many runs' logs stay in an installed Ray's folder, the present run's included."""


class RayHead:
    """A Ray head of our own, in a folder, behind a token and at ports that end with it."""

    def __init__(self, environment: dict[str, str], start: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="byzer-"))
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(os.urandom(32).hex())
        # Free ports, so that another Ray, or another gateway, on this machine is left alone.
        ports = _free_ports(4)
        self.address = f"127.0.0.1:{ports[0]}"
        self.environment = {"RAY_ADDRESS": self.address, **_guarded(token)}
        self._log = self.folder / "head.log"
        self._environment = _head_environment(environment, token)
        dashboard = environment.get("RAY_DASHBOARD_HOST", "")
        self._command = _head_command(ports, self.folder, dashboard)
        self.dashboard = f"http://{dashboard}:{ports[1]}" if dashboard else ""
        if dashboard:
            say(f"Ray's dashboard: {self.dashboard} (token: {token})")
        if start:
            self.start()

    def start(self) -> None:
        """Start it, at the same address each time."""
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C goes to us; we stop Ray after the gateway
            )

    def up(self) -> bool:
        """Whether it runs. Raises SystemExit, with Ray's last words: it has ended."""
        if self.process.poll() is not None:
            raise SystemExit(f"Ray did not start:\n{self._log.read_text()[-2000:]}")
        return b"Ray runtime started" in self._log.read_bytes()

    def stop(self) -> None:
        """End it and all that it started, and remove its folder."""
        stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


def become_ray_head(environment: dict[str, str]) -> NoReturn:
    """Replace this process by a Ray head at RAY_ADDRESS, in the folder RAY_TMPDIR, behind RAY_AUTH_TOKEN_PATH's token.

    Raises SystemExit: one of them is missing or cannot be used.
    """
    host, _, port = environment.get("RAY_ADDRESS", "").strip().rpartition(":")
    if not host or not port.isascii() or not port.isdigit():
        raise SystemExit("RAY_ADDRESS must be this machine's host:port, such as 127.0.0.1:6379.")
    token = Path(environment.get("RAY_AUTH_TOKEN_PATH", ""))
    try:
        there = bool(token.read_text().strip())
    except (OSError, ValueError):
        there = False
    if not there:
        raise SystemExit("RAY_AUTH_TOKEN_PATH must be a file with the cluster's token; without one, no Ray is started.")
    folder = Path(environment.get("RAY_TMPDIR", ""))
    if not folder.is_absolute():
        raise SystemExit("RAY_TMPDIR must be the absolute path of a folder for Ray's sockets and logs.")
    folder.mkdir(mode=0o700, exist_ok=True)
    _forget_sessions(folder)
    ports = [int(port), DASHBOARD_PORT, *_free_ports(2)]
    command = _head_command(ports, folder, environment.get("RAY_DASHBOARD_HOST", ""))
    # The node's address is given, since Ray would take another that a machine may lose while it runs.
    os.execve(command[0], [*command, f"--node-ip-address={host}"], _head_environment(environment, token))  # noqa: S606


def main() -> None:
    """Serve until Ctrl-C or SIGTERM; then stop what was started here, and only that."""
    ask = argparse.ArgumentParser(description="Start the Byzer-LLM gateway, and a Ray head if none is configured.")
    ask.add_argument("--local-chat", action="store_true", help="deploy the embedded model as local_chat")
    ask.add_argument("--ray-head", action="store_true", help="be a Ray head at RAY_ADDRESS, and nothing else")
    args = ask.parse_args()
    if args.ray_head:
        become_ray_head(dict(os.environ))
    try:
        settings = load()
    except SettingError as error:
        raise SystemExit(f"The gateway cannot start: {error}") from None
    _refuse_taken_port(settings.bind)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    head: RayHead | None = None
    gateway: subprocess.Popen[bytes] | None = None
    try:
        environment = dict(os.environ)
        if not environment.get("RAY_ADDRESS", "").strip():
            head = RayHead(environment)
            environment |= head.environment
        else:
            say(f"Joining the Ray cluster at {settings.ray_address}.")
        # Both import for seconds: side by side. The gateway answers CLUSTER_DOWN until Ray is there.
        command = [str(BIN / "gunicorn"), "-c", "gunicorn.conf.py", "app:app"]
        gateway = subprocess.Popen(command, env=environment, cwd=HERE, start_new_session=True)
        if head:
            wait("Starting Ray", RAY_SECONDS, head.up)
        base = f"http://{reachable(settings.bind)}"
        wait("Waiting for the gateway", READY_SECONDS, lambda: _running(gateway) and _ready(base))
        say(f"The gateway answers at {base}.")
        if args.local_chat:
            _welcome(base, settings.tokens != (), environment.get("GATEWAY_TOKEN", ""))
        while _running(gateway) and (head is None or head.process.poll() is None):
            time.sleep(0.5)
        raise SystemExit("Ray has ended; stopping the gateway." if gateway.poll() is None else "The gateway has ended.")
    except KeyboardInterrupt:
        say("Stopping.")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        if gateway:
            stop(gateway)
        if head:
            head.stop()


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


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL to its process group if that was not enough."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def say(words: str) -> None:
    print(words, flush=True)


def _guarded(token: Path) -> dict[str, str]:
    """What a driver and the head alike must have in their environment."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}


def _head_environment(environment: dict[str, str], token: Path) -> dict[str, str]:
    # A token in the environment would win over the token file.
    inherited = {k: v for k, v in environment.items() if k not in ("RAY_AUTH_TOKEN", "RAY_ADDRESS")}
    return {
        "RAY_ROTATION_MAX_BYTES": "16777216",  # of each of Ray's log files; it keeps so many of them:
        "RAY_ROTATION_BACKUP_COUNT": "2",
        **inherited,
        **_guarded(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # else a stop waits 30 s for actors that live for ever
    }


def _head_command(ports: list[int], folder: Path, dashboard: str) -> list[str]:
    """How a Ray head is started, without a dashboard unless it has an address to listen on. Raises SystemExit.

    `ports` are the control store's, the dashboard's, Ray's client's and the dashboard agent's.
    """
    if dashboard and not _has_dashboard():
        raise SystemExit("RAY_DASHBOARD_HOST needs the dashboard's packages: pip install -r requirements-dashboard.txt")
    port, dashboard_port, client_port, agent_port = ports
    options: dict[str, object] = {
        "port": port,
        "ray-client-server-port": client_port,
        "dashboard-agent-listen-port": agent_port,
        "min-worker-port": 0,
        "max-worker-port": 0,
        "include-dashboard": str(bool(dashboard)).lower(),
        **({"dashboard-host": dashboard, "dashboard-port": dashboard_port} if dashboard else {}),
        "object-store-memory": OBJECT_STORE_BYTES,
        "include-log-monitor": "false",
        "temp-dir": folder,
    }
    return [str(BIN / "ray"), "start", "--head", "--block", *(f"--{name}={value}" for name, value in options.items())]


def _forget_sessions(folder: Path) -> None:
    """Each start of Ray leaves a session folder of logs behind, which Ray never removes."""
    sessions = sorted(path for path in folder.glob("session_*") if not path.is_symlink())
    for path in sessions[: -(KEPT_SESSIONS - 1)]:
        shutil.rmtree(path, ignore_errors=True)


def _welcome(base: str, guarded: bool, token: str) -> None:
    """Deploy local_chat and show three calls that work as they stand."""
    if guarded and not token:
        say("Tokens are configured: set GATEWAY_TOKEN to an admin's to have local_chat deployed here.")
        return
    started = time.monotonic()
    headers = {"Authorization": f"Bearer {token}"} if guarded else {}
    _post(f"{base}/local/deploy", {"chat_name": "local_chat"}, headers)
    seconds = time.monotonic() - started
    say(f"Deployed the embedded model (SmolLM2-135M, English only) as local_chat in {seconds:.1f} s.\n")
    auth = ' -H "Authorization: Bearer $GATEWAY_TOKEN"' if guarded else ""
    for title, path, body in (
        ("Chat with the local model", "local/chat", '{"chat_name": "local_chat", "content": "Say hello."}'),
        (
            "Deploy Zhipu with your key",
            "zhipu/deploy",
            '{"api_key": "\'"$ZHIPU_API_KEY"\'", "chat_name": "zhipu_chat", "model_name": "glm-4.7"}',
        ),
        ("Chat with it", "zhipu/chat", '{"chat_name": "zhipu_chat", "content": "你好"}'),
    ):
        say(f"# {title}\ncurl{auth} {base}/{path} -d '{body}'\n")


def _post(url: str, body: dict[str, Any], headers: dict[str, str]) -> None:
    """POST; again while the gateway process that took it is not connected yet: only one need have said it is ready."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            urllib.request.urlopen(request, timeout=READY_SECONDS).close()
        except urllib.error.HTTPError as error:
            said = json.load(error)["error"]
            if said["code"] != "CLUSTER_DOWN" or time.monotonic() > deadline:
                raise SystemExit(f"{url}: {said['message']}") from None
            time.sleep(0.5)
        else:
            return


def _ready(base: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base}/readyz", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def _running(gateway: subprocess.Popen[bytes] | None) -> bool:
    if gateway is None or gateway.poll() is not None:
        raise SystemExit("The gateway has ended; its reason stands above.")
    return True


def reachable(bind: str) -> str:
    """Where this machine itself finds what listens on `bind`."""
    host, _, port = bind.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("0.0.0.0", "", "[::]") else bind


def _refuse_taken_port(bind: str) -> None:
    host, _, port = bind.rpartition(":")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            raise SystemExit(f"GATEWAY_BIND: cannot listen on {bind}: {error.strerror}. Choose another port.") from None


def _free_ports(count: int) -> list[int]:
    # Held open together, so that they differ.
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _has_dashboard() -> bool:
    import importlib.util

    return importlib.util.find_spec("aiohttp_cors") is not None


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
