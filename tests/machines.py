"""Three machines with a Ray node and a gateway each, as installed, behind one Caddy. `make
nodes`"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from gateway.commands.ray_head import stop
from tests.environment import TOP, clean_environment
from tests.network import HERE, Machine, ip
from tests.server import GUNICORN
from tests.waiting import until

ADDRESSES = ("10.77.0.11", "10.77.0.12", "10.77.0.13")
"""Of the head and of two more."""

CLOCKS = (0, 240, -240)
"""So many seconds each one's clock goes ahead of ours."""

OPERATOR, CALLER = "b3BlcmF0b3Itb2YtdGhyZWU", "Y2FsbGVyLW9mLXRocmVl"
PORT, REDIS_PORT = 8099, 6379
ASIDE_PORT = 8098
"""Where a gateway listens that Caddy shall not know of yet."""

OTHER_RAY = TOP / ".venv/other-ray"
"""Another version of Ray, which `make nodes` installs."""

UPSTREAMS = " ".join(f"{address}:{PORT}" for address in ADDRESSES)


class Site:
    """The machines, and what they share: the cluster's token, the callers' tokens, and a Redis that
    keeps the control store; `http` talks to Caddy as the operator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (
            ("token", os.urandom(32).hex()),
            ("tokens", f"me:{OPERATOR}:admin\nshop:{CALLER}:chat\n"),
        ):
            (folder / name).touch(0o600)
            (folder / name).write_text(text)
        clock = folder / "jump.so"
        source = TOP / "tests/clock/jump.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", clock, source, "-ldl"], check=True)
        for address, seconds in zip(ADDRESSES, CLOCKS, strict=True):
            (folder / f"clock-{address}").write_bytes(struct.pack("q", seconds))
        self.environment = {
            **clean_environment(),
            "RAY_ADDRESS": f"{ADDRESSES[0]}:6379",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
            "RAY_REDIS_ADDRESS": f"{HERE}:{REDIS_PORT}",
            "RAY_REDIS_PASSWORD": OPERATOR,
            "GATEWAY_BIND": f"0.0.0.0:{PORT}",
            "GATEWAY_TOKENS_FILE": str(folder / "tokens"),
            "GATEWAY_TRUSTED_PROXIES": HERE,
            "LD_PRELOAD": str(clock),
        }
        self._programs: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self._moved: dict[str, dict[str, str]] = {}
        self.machines = {address: Machine(address) for address in ADDRESSES}
        redis = ["redis-server", "--port", str(REDIS_PORT), "--bind", HERE]
        self._redis = self._here(*redis, "--save", "", "--requirepass", OPERATOR)
        until(lambda: "Ready to accept" in self.log("redis-server"), 20)
        for address in ADDRESSES:
            self.start(address)
        self._caddy = self._here(
            "caddy", "run", "--adapter", "caddyfile", "--config", self._caddyfile()
        )
        self.url = f"http://{HERE}"
        self.http = self.client(self.url)

    def client(self, url: str) -> httpx.Client:
        """The operator's, of a gateway or of Caddy."""
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        return httpx.Client(base_url=url, timeout=60, trust_env=False, headers=headers)

    def start(self, address: str) -> None:
        """Start a machine's node and gateway."""
        self.start_node(address)
        self.start_gateway(address)

    def start_node(self, address: str) -> None:
        """Start what byzer-ray.service runs; if it ends it is started again, as by systemd."""
        again = 'while :; do "$@"; sleep 0.5; done'
        command = [sys.executable, "-m", "gateway", "ray-head"]
        self._start(address, "node", ["sh", "-c", again, "sh", *command], TOP)

    def start_gateway(self, address: str, tree: Path = TOP, port: int = PORT) -> None:
        """Start the gateway, of the code in `tree`."""
        self._start(address, "gateway", [*GUNICORN], tree, GATEWAY_BIND=f"0.0.0.0:{port}")

    def stop_gateway(self, address: str) -> None:
        """End it by SIGTERM: what is under way is answered first."""
        process = self._programs.pop((address, "gateway"))
        for child in psutil.Process(process.pid).children():
            child.terminate()
        process.wait(60)

    def start_node_anew(self, address: str) -> None:
        """End a machine's Ray by SIGTERM, and wait until it has been started again."""
        before = self._starts(address)
        for shell in psutil.Process(self._programs[address, "node"].pid).children():
            for node in shell.children():
                node.terminate()
        until(lambda: self._starts(address) > before, 60)

    def move_node(self, address: str, head: str) -> None:
        """Let a machine, whose gateway has ended, leave its cluster for that of another `head`,
        which runs another version of Ray, and keeps nothing in Redis."""
        program = self._programs.pop((address, "node"))
        for shell in psutil.Process(program.pid).children():
            running = shell.children()
            shell.kill()  # it would start the node again
            for node in running:
                node.terminate()
                # nobody waits for it in a machine whose first process only sleeps
                until(lambda node=node: node.status() == psutil.STATUS_ZOMBIE, 60)  # type: ignore[misc]
        program.wait(60)
        settings = {name: text for name, text in self.environment.items() if "REDIS" not in name}
        of_another = {"RAY_ADDRESS": f"{head}:6379", "PYTHONPATH": str(OTHER_RAY)}
        self._moved[address] = {**settings, **of_another}
        self.start_node(address)

    def raylet(self, address: str) -> Path:
        """Return which program a machine's node is."""
        running = psutil.Process(self._programs[address, "node"].pid).children(recursive=True)
        return next(Path(process.exe()) for process in running if process.name() == "raylet")

    def _starts(self, address: str) -> int:
        return self.log(f"node-{address}").count("Ray runtime started")

    def power_off(self, address: str) -> None:
        """All that runs there is gone, and nobody is told."""
        self.machines[address].unplug()
        self.machines[address].end()
        for name in ("node", "gateway"):
            if process := self._programs.pop((address, name), None):
                process.wait(20)

    def power_on(self, address: str) -> None:
        self.machines[address] = Machine(address)
        self.start(address)

    def ready(self) -> bool:
        """Whether all three gateways have their cluster, and the cluster its three nodes."""
        with suppress(httpx.TransportError):
            return all(
                self.http.get(f"http://{address}:{PORT}/readyz").status_code == 200
                for address in ADDRESSES
            )
        return False

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def end(self) -> None:
        self.http.close()
        stop(self._caddy)
        for machine in self.machines.values():
            machine.end()
        for program in self._programs.values():
            program.wait(20)
        stop(self._redis)
        time.sleep(0.5)  # the kernel takes the cables away later

    def _caddyfile(self) -> str:
        """deploy/Caddyfile with docs/operations.md's lines for several machines, for plain HTTP."""
        text = (TOP / "deploy/Caddyfile").read_text()
        manual = (TOP / "docs/operations.md").read_text().partition("<!-- several -->")[2]
        several = manual.partition("```caddy\n")[2].partition("```")[0]
        for number, address in enumerate(ADDRESSES, 1):
            several = several.replace(f"10.77.0.{number}:", f"{address}:")
        text = text.replace("reverse_proxy 127.0.0.1:8099 {\n", several)
        text = text.replace("gateway.example.com {\n\timport gateway\n}\n", "")
        assert UPSTREAMS in text
        (self.folder / "Caddyfile").write_text(text)
        return str(self.folder / "Caddyfile")

    def _own_folder(self, address: str) -> Path:
        folder = self.folder / f"tmp-{address}"
        folder.mkdir(exist_ok=True)
        return folder

    def _here(self, *command: str) -> subprocess.Popen[bytes]:
        program = shutil.which(command[0])
        if command[0] == "redis-server":  # Debian's redis-tools has it under another name
            program = str(self.folder / "redis-server")
            os.symlink(shutil.which("redis-check-rdb") or "", program)
        with (self.folder / f"{command[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [program or "", *command[1:]],
                cwd=self.folder,
                env={**clean_environment(), "HOME": str(self.folder)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _start(self, address: str, name: str, command: list[str], tree: Path, **more: str) -> None:
        environment = {
            **self._moved.get(address, self.environment),
            **more,
            "RAY_TMPDIR": str(self.folder / address),
            "TMPDIR": str(self._own_folder(address)),
            "GATEWAY_STATE": str(self.folder / f"state-{address}"),
            "JUMP_FILE": str(self.folder / f"clock-{address}"),
        }
        with (self.folder / f"{name}-{address}.log").open("ab") as log:
            self._programs[address, name] = subprocess.Popen(
                self.machines[address].command(*command, folder=tree),
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


@contextmanager
def three_machines() -> Iterator[Site]:
    """For as long as they are wanted."""
    ip("link", "set", "lo", "up")
    # Short, for Ray's Unix sockets lie deep in it.
    folder = Path(tempfile.mkdtemp(prefix="m", dir="/tmp"))
    site = Site(folder)
    try:
        until(site.ready, 120)
        yield site
    finally:
        site.end()
        shutil.rmtree(folder, ignore_errors=True)
