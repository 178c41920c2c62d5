"""A network of the tests' own, which they may break: pytest itself runs in a namespace (`make
test-network`, `make nodes`).

Other machines are further namespaces, each at the far end of a cable to a switch that is ours;
names are looked up at a server that a test commands.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from gateway.commands.ray_head import stop
from tests.environment import TOP, clean_environment, free_port
from tests.waiting import until

HERE, THERE = "10.77.0.1", "10.77.0.2"
SWITCH = "switch"
NEVER = 1e6
"""So many seconds that whoever asked has left before."""

ALL, IPV4 = 0x0003, 0x0800
SO_RCVBUFFORCE = 33


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=20)


class Dns:
    """The only name server. `names` says what address a name has, and how many seconds that
    takes."""

    def __init__(self, folder: Path) -> None:
        self.names: dict[str, tuple[str, float]] = {}
        self.asked: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        # In this mount namespace only.
        subprocess.run(
            ["mount", "--bind", folder / "resolv.conf", "/etc/resolv.conf"], check=True, timeout=20
        )

    def _serve(self) -> None:
        while True:
            question, sender = self._socket.recvfrom(512)
            seconds, reply = self._reply(question)
            if seconds < NEVER:
                threading.Timer(seconds, self._socket.sendto, (reply, sender)).start()

    def _reply(self, question: bytes) -> tuple[float, bytes]:
        labels, place = [], 12
        while size := question[place]:
            labels.append(question[place + 1 : place + 1 + size].decode())
            place += 1 + size
        kind, asked = question[place + 1 : place + 3], question[12 : place + 5]
        name = ".".join(labels)
        self.asked[name] += 1
        address, seconds = self.names.get(name, ("", 0.0))
        answers = int(kind == b"\0\1" and address != "")
        head = question[:2] + struct.pack(">HHHHH", 0x8180 if address else 0x8183, 1, answers, 0, 0)
        row = (
            b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 1, 4) + socket.inet_aton(address)
            if answers
            else b""
        )
        return seconds, head + asked + row


class Machine:
    """Another machine: namespaces of its own at the far end of a cable, and the processes that run
    there, which see no others."""

    def __init__(self, address: str = THERE) -> None:
        self.address = address
        cable = self._cable = f"to{address.rpartition('.')[2]}"
        unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"]
        self._holder = subprocess.Popen([*unshare, "sleep", "infinity"])
        holder = psutil.Process(self._holder.pid)
        until(lambda: [child.name() for child in holder.children()] == ["sleep"], 20)
        (self._first,) = holder.children()
        _switch_on()
        if cable in _cables():
            ip("link", "del", cable)  # of the machine that was at this address before
        pid = str(self._first.pid)
        ip("link", "add", cable, "type", "veth", "peer", "name", "cable", "netns", pid)
        ip("link", "set", cable, "master", SWITCH, "up")
        self._there("ip", "link", "set", "lo", "up")
        self._there("ip", "address", "add", f"{address}/24", "dev", "cable")
        self.plug()

    def command(self, *words: str, folder: Path = TOP) -> list[str]:
        """A command that runs there."""
        enter = ["nsenter", f"--target={self._first.pid}", "--net", "--mount", "--pid"]
        return [*enter, "env", "-C", str(folder), *words]

    def unplug(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._there("ip", "link", "set", "cable", "down")

    def plug(self) -> None:
        self._there("ip", "link", "set", "cable", "up")

    def mute(self) -> None:
        """Nothing that leaves there arrives: it goes to where nobody is. What comes still does."""
        for number in range(1, 20):
            nobody = ["10.77.0." + str(number), "lladdr", "02:00:00:00:00:ff", "dev", "cable"]
            self._there("ip", "neigh", "replace", *nobody, "nud", "permanent")

    def unmute(self) -> None:
        self._there("ip", "neigh", "flush", "dev", "cable", "nud", "permanent")

    @contextmanager
    def disturbed(self, seconds: float, share: float) -> Iterator[None]:
        """All that comes and goes takes so many seconds more, and a share of it is lost."""
        ip("link", "add", "slow", "type", "veth", "peer", "name", "fast")
        ip("link", "set", "fast", "master", SWITCH, "up")
        ip("link", "set", "slow", "up")
        ip("link", "set", self._cable, "nomaster")
        command = [sys.executable, "-m", "tests.slow_cable", self._cable, "slow"]
        cable = subprocess.Popen([*command, str(seconds), str(share)], cwd=TOP)
        try:
            yield
        finally:
            stop(cable)
            ip("link", "set", self._cable, "master", SWITCH)
            ip("link", "del", "slow")

    def end(self) -> None:
        """As a loss of power does."""
        self._first.kill()  # the kernel kills all others there, and the cable goes with them
        self._holder.wait()

    def _there(self, *words: str) -> None:
        subprocess.run(self.command(*words), check=True, timeout=20)


def _cables() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def _switch_on() -> None:
    """The switch, with our own address on it; it stays as long as the namespace."""
    if SWITCH not in _cables():
        ip("link", "add", SWITCH, "type", "bridge")
        ip("address", "add", f"{HERE}/24", "dev", SWITCH)
        ip("link", "set", SWITCH, "up")


class Sniffer:
    """Whoever reads all that crosses the switch to us or from us, but for what is said to and by
    one port."""

    def __init__(self, but: int) -> None:
        self._but = but.to_bytes(2, "big")
        self._flows: defaultdict[bytes, bytearray] = defaultdict(bytearray)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
        # with a protocol's own number, what is sent would not be seen
        self._socket.bind((SWITCH, ALL))
        self._socket.settimeout(0.2)
        self._ended = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with suppress(OSError):  # the switch is taken away
            while not self._ended:
                with suppress(TimeoutError):
                    packet, (_, protocol, *_) = self._socket.recvfrom(1 << 17)
                    if protocol == IPV4:
                        self._take(packet)

    def _take(self, packet: bytes) -> None:
        tcp = (packet[0] & 15) * 4
        ports = packet[tcp : tcp + 2], packet[tcp + 2 : tcp + 4]
        if packet[9] == socket.IPPROTO_TCP and self._but not in ports:
            self._flows[packet[12:20] + b"".join(ports)] += packet[
                tcp + (packet[tcp + 12] >> 4) * 4 :
            ]

    def end(self) -> bytes:
        """Return all that was read, from here and from there."""
        self._ended = True
        self._thread.join()
        self._socket.close()
        assert {flow[:4] for flow in self._flows} >= {
            socket.inet_aton(HERE),
            socket.inet_aton(THERE),
        }
        return b"\n".join(self._flows.values())


class Cluster:
    """A Ray head here, as an installed one is started, and a node of it there; `path` is Python's
    first one there."""

    def __init__(self, node: Machine, path: str = "", **more: str) -> None:
        self._node, self._path = node, path
        self._folder = Path(tempfile.mkdtemp(prefix="n", dir="/tmp"))
        token = os.urandom(32).hex()
        (self._folder / "token").touch(0o600)
        (self._folder / "token").write_text(token)
        self.address = f"{HERE}:{free_port()}"
        guarded = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self._folder / "token")}
        self.environment = {"RAY_ADDRESS": self.address, **guarded, **more}
        self._ray = {**clean_environment(), **self.environment}
        self._lead()
        until(self._leads, 300)
        self.join()
        until(self.joined, 300)

    def _lead(self) -> None:
        self.head = self._start("head", sys.executable, "-m", "gateway", "ray-head")

    def _leads(self) -> bool:
        if self.head.poll() is not None:
            self._lead()
        return "Ray runtime started" in self.log("head")

    def joined(self, times: int = 1) -> bool:
        """Whether the node there has joined so often. If it has ended it is started again, as
        systemd would.

        On a busy machine Ray gives up some starts.
        """
        if self.other.poll() is not None:
            self.join()
        return self.log("node").count("Ray runtime started") == times

    def join(self) -> None:
        """Start the node there, as docs/operations.md says."""
        command = self._node.command(sys.executable, "-m", "gateway", "ray-head")
        self.other = self._start("node", *command)

    def log(self, name: str) -> str:
        return (self._folder / name).read_text()

    def _start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        environment = {**self._ray, "RAY_TMPDIR": str(self._folder / f"{name}-ray")}
        if name == "node":  # which has a certificate of its own
            environment = {
                key: value.replace(HERE, THERE) if key.startswith("RAY_TLS_") else value
                for key, value in environment.items()
            }
            environment["PYTHONPATH"] = self._path
        with (self._folder / name).open("ab") as log:
            return subprocess.Popen(
                command, cwd=TOP, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def end(self) -> None:
        stop(self.other)
        stop(self.head)
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def cluster(path: str = "", **more: str) -> Iterator[tuple[Machine, Cluster]]:
    """Two nodes, for as long as they are wanted."""
    node = Machine()
    try:
        both = Cluster(node, path, **more)
        try:
            yield node, both
        finally:
            both.end()
    finally:
        node.end()
        time.sleep(0.5)  # the kernel takes the cable away later
