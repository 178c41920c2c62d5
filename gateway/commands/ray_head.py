"""A Ray head: the one place for its options. A child of `make run`, of a test or of a benchmark;
or, for an installed gateway (deploy/systemd/byzer-ray.service), what `python -m gateway ray-head`
becomes. On a further machine of a cluster that becomes a node, which joins the head.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from gateway.addresses import split_port
from gateway.folders import opening

BIN = Path(sys.executable).parent
RAY_NODE = Path(__file__).with_name("ray_node.py")
STOP_SECONDS = 30

HEAD_SECONDS = 30
"""How long a node waits for its head before it ends; whoever started it starts it again."""

OBJECT_STORE_BYTES = 128 * 1024 * 1024
"""The gateway keeps nothing in Ray's object store; Ray would take 30 % of the memory."""

DASHBOARD_PORT = 8265
"""Ray's own default; a head of `make run` takes a free one."""

OWN_PORTS = range(26_000, 32_768)
"""Of these a head of ours takes some: Ray's workers have those below 20000, and connections that go
out those from 32768 on."""

KEPT_SESSIONS = 3
"""How many runs' logs stay in an installed Ray's folder, the present run's included."""


RAY_FOLDER = "ray"
"""Ray's own folder, within ours, where it would also lie by RAY_TMPDIR alone: Ray opens it to every
user of the machine, who could then put sockets of theirs in the place of Ray's and of the chats'.
"""


class RayHead:
    """A Ray head of our own, in a folder that only we enter, behind a token and at ports that end
    with it."""

    def __init__(self, environment: dict[str, str], start: bool = True) -> None:
        """Raises SystemExit: there is no such folder."""
        given = environment.get("RAY_TMPDIR", "")
        self._variable = "RAY_TMPDIR" if given else "TMPDIR"
        parent = _closed(Path(given), self._variable) if given else None
        self.folder = Path(tempfile.mkdtemp(prefix="byzer-", dir=parent)).resolve()
        _refuse_open(self.folder, self._variable)
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(os.urandom(32).hex())
        # Free ports, so that another Ray, or another gateway, on this machine is left alone.
        ports = _free_ports(3)
        self.address = f"127.0.0.1:{ports[0]}"
        self.environment = {"RAY_ADDRESS": self.address, **_guarded(token)}
        self._log = self.folder / "head.log"
        self._environment = _head_environment(environment, token)
        dashboard = environment.get("RAY_DASHBOARD_HOST", "")
        self._command = _head_command(ports, self.folder / RAY_FOLDER, dashboard)
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
        """Return whether it runs. Raises SystemExit: it has ended, with Ray's last words; or others
        may enter its folder."""
        if self.process.poll() is not None:
            raise SystemExit(f"Ray did not start:\n{self._log.read_text()[-2000:]}")
        if b"Ray runtime started" not in self._log.read_bytes():
            return False
        _refuse_open(self.folder / RAY_FOLDER, self._variable)
        return True

    def stop(self) -> None:
        """End it and all that it started, and remove its folder."""
        stop(self.process)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # what a killed head has left behind
        shutil.rmtree(self.folder, ignore_errors=True)


def main(arguments: list[str]) -> None:
    """Become a Ray head, as the environment says. Raises SystemExit."""
    argparse.ArgumentParser(
        prog="python -m gateway ray-head",
        description="Become a Ray head at RAY_ADDRESS, in the folder RAY_TMPDIR, behind"
        " RAY_AUTH_TOKEN_PATH's token; or a node that joins it, where that is another machine's"
        " address.",
    ).parse_args(arguments)
    become(dict(os.environ))


def become(environment: dict[str, str]) -> NoReturn:
    """Replace this process by a Ray head at RAY_ADDRESS, or by a node that joins it if that is
    another machine's address, within the folder RAY_TMPDIR, behind RAY_AUTH_TOKEN_PATH's token.
    Raises SystemExit: one of them is missing or cannot be used, or there is no head to join.
    """
    host, port = split_port(environment.get("RAY_ADDRESS", "").strip())
    if not host or not port:
        raise SystemExit(
            "RAY_ADDRESS must be the head machine's host:port, such as 127.0.0.1:6379."
        )
    token = Path(environment.get("RAY_AUTH_TOKEN_PATH", ""))
    try:
        there = bool(token.read_text().strip())
    except (OSError, ValueError):
        there = False
    if not there:
        raise SystemExit(
            "RAY_AUTH_TOKEN_PATH must be a file with the cluster's token; without one, no Ray is"
            " started."
        )
    folder = _closed(Path(environment.get("RAY_TMPDIR", "")), "RAY_TMPDIR") / RAY_FOLDER
    _forget_sessions(folder)
    try:
        address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        raise SystemExit(f"RAY_ADDRESS: {host} has no address: {error.strerror}.") from None
    if _is_here(str(address)):
        ports = [int(port), DASHBOARD_PORT, *_free_ports(1)]
        # The node's address is given, since Ray would take another that a machine may lose while it
        # runs.
        dashboard = environment.get("RAY_DASHBOARD_HOST", "")
        command = _head_command(ports, folder, dashboard, str(address))
    else:
        options = {
            "gcs_address": f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}",
            "node_ip_address": _wait_for_head(str(address), int(port)),
            "dashboard_agent_listen_port": _free_ports(1)[0],
        }
        command = _command(options, folder)
    os.execve(command[0], command, _head_environment(environment, token))  # noqa: S606


def _is_here(address: str) -> bool:
    """Return whether an address is this machine's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _wait_for_head(address: str, port: int) -> str:
    """Wait for another machine's Ray head, and return by which address of ours it is reached.
    Raises SystemExit: it cannot be."""
    deadline = time.monotonic() + HEAD_SECONDS
    while True:
        left = max(deadline - time.monotonic(), 1)
        try:
            with socket.create_connection((address, port), left) as connection:
                return str(connection.getsockname()[0])
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"RAY_ADDRESS: no Ray head answers at {address}:{port}:"
                    f" {error.strerror or error}. Start it, and let this machine reach all its"
                    " ports."
                ) from None
            time.sleep(0.2)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process by SIGTERM, and by SIGKILL to its process group if that was not enough."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def say(words: str) -> None:
    print(words, flush=True)


def _closed(folder: Path, variable: str) -> Path:
    """Return a folder that only we enter, made if need be. Raises SystemExit: it cannot be made, or
    others enter it."""
    if not folder.is_absolute():
        raise SystemExit(
            f"{variable} must be the absolute path of a folder for Ray's sockets and logs."
        )
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _refuse_open(folder, variable)
        return folder.resolve()  # a link on its way may be somebody else's tomorrow
    except OSError as error:
        raise SystemExit(f"{variable}: cannot use {folder}: {error.strerror}.") from None


def _refuse_open(folder: Path, variable: str) -> None:
    if how := opening(folder):
        raise SystemExit(
            f"{variable}: other users of this machine could get at Ray's sockets and logs: {how}."
            f" Set {variable} to a folder of your own that nobody else may enter: mkdir -m 700"
            " FOLDER."
        )


def _guarded(token: Path) -> dict[str, str]:
    """Return what a driver and the head alike must have in their environment."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}


def _head_environment(environment: dict[str, str], token: Path) -> dict[str, str]:
    # A token of Ray's in the environment would win over the token file; the gateway's are nobody's
    # in the cluster.
    left_out = (
        "RAY_AUTH_TOKEN",
        "RAY_ADDRESS",
        "GATEWAY_TOKENS",
        "GATEWAY_TOKEN",
        "GATEWAY_EGRESS_PROXY",
        "GATEWAY_NOTIFY",
    )
    inherited = {k: v for k, v in environment.items() if k not in left_out}
    return {
        # of each of Ray's log files; it keeps so many of them:
        "RAY_ROTATION_MAX_BYTES": "16777216",
        "RAY_ROTATION_BACKUP_COUNT": "2",
        # Ray's workers would run at nice 15: beside a busy gateway the models' actors, which all
        # chats pass, starve.
        "RAY_worker_niceness": "0",
        # A heap for each of a process's thirty threads would take 1 MB more in each process.
        "MALLOC_ARENA_MAX": "2",
        **inherited,
        **_guarded(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        # else a stop waits 30 s for actors that live for ever
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    }


def _head_command(ports: list[int], folder: Path, dashboard: str, host: str = "") -> list[str]:
    """Return how a Ray head is started, without a dashboard unless it has an address to listen on.
    Raises SystemExit.

    `ports` are the control store's, the dashboard's and the dashboard agent's. `host` is the node's
    address; Ray finds one by itself.
    """
    if dashboard and not _has_dashboard():
        raise SystemExit(
            "RAY_DASHBOARD_HOST needs the dashboard's packages: pip install -r"
            " requirements-dashboard.txt"
        )
    port, dashboard_port, agent_port = ports
    options: dict[str, object] = {
        "gcs_server_port": port,
        "dashboard_agent_listen_port": agent_port,
        "include_dashboard": bool(dashboard),
        **({"dashboard_host": dashboard, "dashboard_port": dashboard_port} if dashboard else {}),
        **({"node_ip_address": host} if host else {}),
    }
    return _command(options, folder)


def _command(options: Mapping[str, object], folder: Path) -> list[str]:
    """Return how a node of Ray's is started: RayParams' own options (Ray 2.60)."""
    every = {
        "min_worker_port": 0,
        "max_worker_port": 0,
        "object_store_memory": OBJECT_STORE_BYTES,
        "temp_dir": str(folder),
    }
    return [sys.executable, "-P", str(RAY_NODE), json.dumps({**every, **options})]


def _forget_sessions(folder: Path) -> None:
    """Remove the session folders of logs that each start of Ray leaves behind."""
    sessions = sorted(path for path in folder.glob("session_*") if not path.is_symlink())
    for path in sessions[: -(KEPT_SESSIONS - 1)]:
        shutil.rmtree(path, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    """Return ports at which nobody listens, and of which Linux gives none to a connection that goes
    out: Ray begins to listen there in seconds, or when its node starts again."""
    ports: list[int] = []
    for port in random.SystemRandom().sample(OWN_PORTS, len(OWN_PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == count:
            break
    return ports


def _has_dashboard() -> bool:
    return importlib.util.find_spec("aiohttp_cors") is not None
