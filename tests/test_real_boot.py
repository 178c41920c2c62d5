"""An installed gateway under a real systemd: a Debian that debootstrap makes, booted by
systemd-nspawn. `make boot-test`

`make install` as README says it, the machine started and started again, what runs there killed, and
`make uninstall`. Each test prints how many seconds it took until the chats answered.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from gateway.commands.ray_head import stop
from tests.environment import TOP, free_port
from tests.standin.client import StandIn
from tests.waiting import until

pytestmark = [
    pytest.mark.skipif(os.environ.get("BOOT") != "1", reason="make boot-test runs it"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a Debian"),
]

MIRROR = "http://deb.debian.org/debian"
PACKAGES = (
    "systemd,systemd-sysv,dbus,python3,python3-venv,make,ca-certificates,procps,curl,sudo,"
    "openssh-server,openssh-client,libgomp1"
)
NSPAWN = (
    *("--boot", "--register=no", "--keep-unit", "--resolv-conf=off"),
    *("--link-journal=no", "--quiet"),
)
MACHINES_OWN = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf", "/etc/resolv.conf")
"""This machine's ways to the package indexes."""

ETC = "etc/byzer-gateway"
SERVICES = ("byzer-ray", "byzer-gateway", "byzer-keyholder")
ADMIN, CALLER = "admin-token-of-the-key-holder", "callers-token"
KEY = "sk-boot-only-in-the-operators-file"
MOST_SECONDS = 120


class Debian:
    """A machine whose disk is a folder. It has the network of ours, or the namespace `network`."""

    def __init__(self, disk: Path, network: str = "") -> None:
        self.disk, self.network = disk, network
        self.port = free_port()
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"X-Api-Key": CALLER},
            timeout=30,
            trust_env=False,
        )

    def boot(self) -> float:
        """Start it, and return when that was (monotonic seconds)."""
        started = time.monotonic()
        links = os.environ.get("PIP_FIND_LINKS", "")
        wheels = [f"--bind-ro={links}"] if Path(links).is_dir() and links else []
        command = ["systemd-nspawn", f"--directory={self.disk}", f"--bind-ro={TOP}:/src", *wheels]
        command += [f"--network-namespace-path={self.network}"] if self.network else []
        with (self.disk.parent / "console").open("ab") as log:
            self._nspawn = subprocess.Popen(
                [*command, *NSPAWN],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # else it could not be ended with all that runs in it
            )
        until(lambda: self.run("systemctl", "is-system-running") in ("running", "degraded"), 60)
        return started

    def run(self, *command: str) -> str:
        """Run a command there, and return what it says; what it complains of, too."""
        children = psutil.Process(self._nspawn.pid).children()
        if not children:
            return ""
        ours = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        done = subprocess.run(
            ["nsenter", f"--target={children[0].pid}", "--all", *command],
            env={**ours, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        (self.disk / ETC / name).write_text(text)
        (self.disk / ETC / name).chmod(0o600)

    def answers(self) -> bool:
        """Eight answers in a row, each from whichever gateway process is free."""
        try:
            for name, answer in (("shop", "zhipu:hi"), ("spare", "openai:hi")) * 4:
                body = {"chat_name": name, "content": "hi"}
                reply = self.http.post("/openai/chat", json=body, headers={"Connection": "close"})
                if reply.json() != answer:
                    return False
        except (httpx.TransportError, ValueError):
            return False
        return True

    def wait_for_answers(self) -> None:
        deadline = time.monotonic() + MOST_SECONDS
        while not self.answers():
            assert time.monotonic() < deadline, self.run(
                "journalctl", "-n", "60", "--no-pager", "-u", "byzer-*"
            )
            time.sleep(0.05)

    def power_off(self) -> None:
        """As its button does."""
        self._nspawn.send_signal(signal.SIGTERM)
        self._nspawn.wait(120)

    def end(self) -> None:
        self.http.close()
        stop(self._nspawn)


@pytest.fixture(scope="module")
def debian() -> Iterator[Debian]:
    folder = Path(tempfile.mkdtemp(prefix="byzer-boot-", dir=os.environ.get("BOOT_DIR")))
    disk = folder / "disk"
    make = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm"]
    with (folder / "debootstrap").open("wb") as log:
        done = subprocess.run([*make, str(disk), MIRROR], stdout=log, timeout=900, check=False)
    assert done.returncode == 0, (folder / "debootstrap").read_text()[-2000:]
    for path in MACHINES_OWN:
        if Path(path).is_file():
            (disk / path.lstrip("/")).unlink(missing_ok=True)
            shutil.copy(path, disk / path.lstrip("/"))
    debian = Debian(disk)
    debian.boot()
    yield debian
    debian.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def installed(debian: Debian, standin: StandIn) -> Debian:
    """`make install`, and an operator's files."""
    started = time.monotonic()
    output = debian.run("make", "-C", "/src", "install")
    assert "The gateway runs." in output, output[-3000:]
    print(f"\nmake install: {time.monotonic() - started:.0f} s")
    settings = (debian.disk / ETC / "gateway.env").read_text()
    address = f"RAY_ADDRESS=127.0.0.1:{free_port()}"
    settings = settings.replace("RAY_ADDRESS=127.0.0.1:6379", address)
    tokens = "GATEWAY_TOKENS_FILE=/etc/byzer-gateway/tokens"
    debian.write("gateway.env", f"{settings}\nGATEWAY_BIND=127.0.0.1:{debian.port}\n{tokens}\n")
    debian.write("tokens", f"keyholder:{ADMIN}:admin\nshop:{CALLER}:chat\n")
    debian.write("admin-token", ADMIN)
    for provider, name, fallback in (("zhipu", "shop", "spare"), ("openai", "spare", "shop")):
        chat = {"provider": provider, "chat_name": name, "fallback": fallback, "api_key": KEY}
        base_url = standin.base_url(provider)  # type: ignore[arg-type]
        chat |= {"model_name": "echo", "base_url": base_url}
        debian.write(f"chats/{name}.json", json.dumps(chat))
    debian.run("chgrp", "byzer", f"/{ETC}/gateway.env", f"/{ETC}/tokens")
    debian.run("chmod", "640", f"/{ETC}/gateway.env", f"/{ETC}/tokens")
    debian.run("systemctl", "restart", *SERVICES)
    debian.wait_for_answers()
    return debian


Report = Callable[[str, float], None]


@pytest.fixture
def report(capfd: pytest.CaptureFixture[str]) -> Report:
    def tell(what: str, started: float) -> None:
        with capfd.disabled():
            print(f"\n{what}: the chats answer after {time.monotonic() - started:.1f} s", end="")

    return tell


def test_the_machine_is_started_and_the_chats_answer(installed: Debian, report: Report) -> None:
    installed.power_off()
    started = installed.boot()
    installed.wait_for_answers()
    report("the machine started", started)


@pytest.mark.parametrize("unit", [*SERVICES, "byzer-*"])
def test_what_is_killed_comes_back_and_the_chats_answer(
    installed: Debian, report: Report, unit: str
) -> None:
    time.sleep(3)
    started = time.monotonic()
    installed.run("systemctl", "kill", "--signal=KILL", unit)
    until(lambda: all(installed.run("systemctl", "is-active", one) == "active" for one in SERVICES))
    installed.wait_for_answers()
    report(f"{unit} killed", started)


def test_the_units_keep_their_promises(installed: Debian) -> None:
    """Sealed by systemd itself, with keys where only root reads them."""
    for unit in SERVICES:
        shown = installed.run("systemctl", "show", unit, "-p", "User,NoNewPrivileges,LimitCORE")
        assert "NoNewPrivileges=yes" in shown
        assert "LimitCORE=0" in shown
        assert "User=root" not in shown
    journal = installed.run("journalctl", "--no-pager", "-u", "byzer-*")
    assert "shop: deployed at zhipu" in journal
    assert KEY not in journal


class Cable:
    """Two network namespaces with a cable between them, and an address each."""

    def __init__(self, *addresses: str) -> None:
        self._holders = [
            subprocess.Popen(["unshare", "--net", "sleep", "infinity"]) for _ in addresses
        ]
        time.sleep(1)
        one, other = (str(holder.pid) for holder in self._holders)
        add = ["ip", "link", "add", "cable", "netns", one, "type", "veth", "peer", "name", "cable"]
        subprocess.run([*add, "netns", other], check=True)
        self.paths = [f"/proc/{holder.pid}/ns/net" for holder in self._holders]
        for path, address in zip(self.paths, addresses, strict=True):
            for words in (
                f"address add {address}/24 dev cable",
                "link set cable up",
                "link set lo up",
            ):
                subprocess.run(["nsenter", f"--net={path}", "ip", *words.split()], check=True)

    def end(self) -> None:
        for holder in self._holders:
            stop(holder)


def manual(mark: str, count: int) -> list[str]:
    """The next `count` blocks of commands in docs/operations.md after a mark."""
    text = (TOP / "docs/operations.md").read_text().partition(f"<!-- {mark} -->")[2]
    return re.findall(r"```bash\n(.*?)```", text, re.DOTALL)[:count]


def test_a_second_machine_is_added_in_five_commands(installed: Debian, report: Report) -> None:
    """Those of docs/operations.md, as written. Packages come by our own network, and all else goes
    over a cable between the two."""
    on_the_first, on_the_second = manual("second", 2)
    assert sum(len(block.splitlines()) for block in (on_the_first, on_the_second)) == 5
    fetch, copy, restart = on_the_second.splitlines()
    installed.power_off()
    disk = installed.disk.parent / "second"
    subprocess.run(["cp", "-a", installed.disk, disk], check=True)
    shutil.rmtree(disk / ETC)
    second = Debian(disk)
    second.boot()
    output = second.run("sh", "-ec", f"cd /src; {fetch}")
    assert "The gateway runs." in output, output
    second.power_off()

    key = installed.disk.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    for machine, name, to in (
        (installed, "key.pub", "authorized_keys"),
        (second, "key", "id_ed25519"),
    ):
        folder = machine.disk / "root/.ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(key.with_name(name), folder / to)
        (folder / to).chmod(0o600)
    (second.disk / "root/.ssh/config").write_text("StrictHostKeyChecking accept-new\n")
    settings = (installed.disk / ETC / "gateway.env").read_text()
    lines = [line for line in settings.splitlines() if not line.startswith("GATEWAY_")]
    installed.write("gateway.env", "\n".join(lines) + "\n")

    cable = Cable("10.77.0.1", "10.77.0.2")
    first = Debian(installed.disk, cable.paths[0])
    second.network = cable.paths[1]
    try:
        first.boot()
        second.boot()
        first.run("sh", "-ec", on_the_first)
        started = time.monotonic()
        output = second.run("sh", "-ec", copy)
        second.run("sh", "-ec", restart)
        curl = ["curl", "-sS", "-m", "60", "-H", f"X-Api-Key: {ADMIN}", "-d"]
        local = '{"chat_name": "near", "workers": 2}'
        path = "http://127.0.0.1:8099/local"
        deadline = time.monotonic() + 60
        while (reply := second.run(*curl, local, f"{path}/deploy")) != '{"ret":"ok"}':
            journal = second.run("journalctl", "-n", "40", "--no-pager", "-u", "byzer-*")
            assert time.monotonic() < deadline, f"{output}\n{reply}\n{journal}"
            time.sleep(1)
        report("a second machine added", started)
        models = json.loads(second.run(*curl[:-1], "http://127.0.0.1:8099/models"))
        [near] = [row for row in models["models"] if row["chat_name"] == "near"]
        assert near["replicas"] == 2
        for machine in (first, second):
            assert "ray::" in machine.run("ps", "-eo", "args"), output
            assert "ModelActor" in machine.run("ps", "-eo", "args")
            ask = [word.replace(ADMIN, CALLER) for word in curl]
            answer = machine.run(*ask, '{"chat_name": "near", "content": "Hi"}', f"{path}/chat")
            assert isinstance(json.loads(answer), str), answer
    finally:
        second.end()
        first.end()
        cable.end()
        installed.boot()


def test_uninstalled_with_purge_nothing_is_left(installed: Debian) -> None:
    output = installed.run("make", "-C", "/src", "uninstall", "PURGE=1")
    left = installed.run("find", "/etc", "/opt", "/var/lib", "/run", "/usr", "-iname", "*byzer*")
    assert left == "", output
    units = installed.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "byzer-*")
    assert units == ""
