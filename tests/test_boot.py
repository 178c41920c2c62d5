"""The whole boot without systemd: supervisor runs the very commands of the installed units.

Started in any order and killed in any order, the operator's chats answer again by themselves. Each
test prints how many seconds that took.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests import unit_file
from tests.environment import TOP, clean_environment, free_port
from tests.processes import contents, listening, running
from tests.standin.client import StandIn
from tests.unit_file import PREFIX, SERVICES

RAY, GATEWAY, KEYHOLDER = SERVICES
HEAL_SECONDS = 180
KEY = "sk-boot-only-in-the-operators-file"
ADMIN, CALLER = "admin-token-of-the-key-holder", "callers-token"


class Machine:
    """An installation staged in a folder, and a supervisord that plays systemd for it."""

    def __init__(self, standin: StandIn) -> None:
        # Short, for Ray's Unix sockets lie deep in it.
        self.root = Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))
        self.etc = self.root / "etc/byzer-gateway"
        self._conf = self.root / "supervisord.conf"
        install = ["make", "install", f"DESTDIR={self.root}", f"USER={psutil.Process().username()}"]
        subprocess.run(install, cwd=TOP, check=True, timeout=60, stdout=subprocess.DEVNULL)
        (self.root / PREFIX.lstrip("/") / ".venv").symlink_to(sys.prefix)
        (self.root / "var/lib").mkdir(parents=True)
        (self.root / "var/lib/byzer-gateway").mkdir(mode=0o700)  # StateDirectory
        port = free_port()
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"X-Api-Key": CALLER},
            timeout=30,
            trust_env=False,
        )
        self.write("gateway.env", self.settings(port))
        self.write("tokens", f"keyholder:{ADMIN}:admin\nshop:{CALLER}:chat\n")
        self.write("admin-token", ADMIN)
        for provider, name, fallback in (("zhipu", "shop", "spare"), ("openai", "spare", "shop")):
            chat = {
                "provider": provider,
                "chat_name": name,
                "fallback": fallback,
                "model_name": "echo",
            }
            base_url = standin.base_url(provider)  # type: ignore[arg-type]
            self.write(
                f"chats/{name}.json", json.dumps({**chat, "api_key": KEY, "base_url": base_url})
            )
        self._start_supervisord()

    def settings(self, port: int) -> str:
        """The installed gateway.env, with ports of this test's own."""
        laid = (self.etc / "gateway.env").read_text()
        assert "RAY_ADDRESS=127.0.0.1:6379\n" in laid
        mine = laid.replace("127.0.0.1:6379", f"127.0.0.1:{free_port()}")
        tokens = "GATEWAY_TOKENS_FILE=/etc/byzer-gateway/tokens"
        return f"{mine}\nGATEWAY_BIND=127.0.0.1:{port}\n{tokens}\n"

    def write(self, name: str, text: str) -> None:
        (self.etc / name).write_text(text)
        (self.etc / name).chmod(0o600)

    def _start_supervisord(self) -> None:
        sections = [
            f"[supervisord]\nnodaemon=true\n"
            f"logfile={self.root}/supervisord.log\npidfile={self.root}/pid\n"
            f"[unix_http_server]\nfile={self.root}/s\n[supervisorctl]\nserverurl=unix://{self.root}/s\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        ]
        for name in SERVICES:
            folder = self.root / f"run-{name}"
            unit = unit_file.read(self.root, name, folder)
            loaded = [f"--credential={id_}:{path}" for id_, path in unit.credentials.items()]
            into = [f"--into={folder}"] if loaded else []
            command = [
                sys.executable,
                str(TOP / "tests/as_systemd.py"),
                *loaded,
                *into,
                "--",
                *unit.command,
            ]
            environment = ",".join(f'{key}="{value}"' for key, value in unit.environment.items())
            sections.append(
                f"[program:{name}]\ncommand={' '.join(command)}\n"
                f"directory={unit.folder}\nenvironment={environment}\n"
                "autostart=false\nautorestart=true\nstartretries=1000\n"
                "stopwaitsecs=60\nredirect_stderr=true\n"
                f"stdout_logfile={self.root}/{name}.log\n"
            )
        self._conf.write_text("".join(sections))
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._conf)]
        with (self.root / "out").open("wb") as out:
            self.supervisord = subprocess.Popen(
                command, cwd="/", env=clean_environment(), stdout=out, stderr=out
            )
        wait_until((self.root / "s").exists, self.said)

    def control(self, *words: str) -> str:
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self._conf), *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=200, check=False
        ).stdout

    def start(self, *names: str) -> None:
        for name in names:
            assert "started" in self.control("start", name), self.said()

    def stop(self) -> None:
        self.control("stop", "all")

    def main(self, name: str) -> psutil.Process | None:
        """The unit's main process, if it runs."""
        pid = self.control("pid", name).strip()
        if not pid.isdigit() or pid == "0":
            return None
        try:
            return next(iter(psutil.Process(int(pid)).children()), None)
        except psutil.NoSuchProcess:
            return None  # it ended since

    def find(self, unit: str, words: str) -> psutil.Process:
        """A process of a unit, by its command line."""
        main = self.main(unit)
        assert main, self.said()
        return running(main.pid, words)[0]

    def has_another(self, unit: str, words: str, former: psutil.Process) -> bool:
        """Whether a process of a unit has taken the place of a `former` one."""
        main = self.main(unit)
        return main is not None and any(one != former for one in running(main.pid, words))

    def ask(self, name: str) -> httpx.Response:
        ask = {"chat_name": name, "content": "hi"}
        return self.http.post("/openai/chat", json=ask, headers={"Connection": "close"})

    def answers(self) -> bool:
        """Eight answers in a row, each from whichever gateway process is free."""
        try:
            answer = [self.ask(name).json() for name in ("shop", "spare") * 4]
        except (httpx.TransportError, ValueError):
            return False
        return answer == ["zhipu:hi", "openai:hi"] * 4

    def said(self) -> str:
        logs = [self.root / name for name in ("out", *(f"{name}.log" for name in SERVICES))]
        return "\n".join(
            f"== {log.name}\n{log.read_text()[-2000:]}" for log in logs if log.exists()
        )

    def end(self) -> None:
        self.http.close()
        self.stop()
        self.supervisord.terminate()
        try:
            self.supervisord.wait(60)
        except subprocess.TimeoutExpired:
            for process in psutil.Process(self.supervisord.pid).children(recursive=True):
                process.kill()
            self.supervisord.kill()
            self.supervisord.wait()
        shutil.rmtree(self.root, ignore_errors=True)


def wait_until(true: Callable[[], bool], explain: Callable[[], str]) -> float:
    """Seconds until it came true."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() < started + HEAL_SECONDS, explain()
        time.sleep(0.2)
    return time.monotonic() - started


@pytest.fixture(scope="module")
def machine(standin: StandIn) -> Iterator[Machine]:
    machine = Machine(standin)
    yield machine
    machine.end()


@pytest.fixture
def booted(machine: Machine) -> Machine:
    """All three run and the chats answer, whatever the test before did."""
    for name in SERVICES:
        if machine.main(name) is None:
            machine.control("start", name)
    wait_until(machine.answers, machine.said)
    return machine


@pytest.fixture
def report(capfd: pytest.CaptureFixture[str]) -> Callable[[str, float], None]:
    def tell(what: str, seconds: float) -> None:
        with capfd.disabled():
            print(f"\n{what}: the chats answer after {seconds:.1f} s", end="")

    return tell


Report = Callable[[str, float], None]


@pytest.mark.long  # in CI all are killed at once, and come back in their own order
@pytest.mark.parametrize(
    "order",
    [
        (KEYHOLDER, GATEWAY, RAY),
        (GATEWAY, RAY, KEYHOLDER),
        (RAY, KEYHOLDER, GATEWAY),
    ],
    ids=" ".join,
)
def test_started_in_any_order_the_chats_answer(
    machine: Machine, report: Report, order: tuple[str, ...]
) -> None:
    machine.stop()
    started = time.monotonic()
    machine.start(*order)
    wait_until(machine.answers, machine.said)
    report(f"started {', '.join(order)}", time.monotonic() - started)
    assert machine.ask("shop").headers["X-Served-By"] == "shop"


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        (RAY, "ray_node.py"),  # it takes all of Ray along
        (GATEWAY, "gunicorn"),
        (KEYHOLDER, "keyholder.py"),
    ],
)
def test_what_is_killed_comes_back_and_the_chats_answer(
    booted: Machine, report: Report, unit: str, words: str
) -> None:
    ray = booted.root / "var/lib/byzer-gateway/ray"
    for day in range(1, 6):
        (ray / f"session_2020-01-0{day}_00-00-00_0_1").mkdir(exist_ok=True)
    before = booted.main(unit)
    started = time.monotonic()

    booted.find(unit, words).kill()

    wait_until(lambda: booted.main(unit) not in (None, before), booted.said)
    wait_until(booted.answers, booted.said)
    report(f"killed {words}", time.monotonic() - started)
    if unit == RAY:
        sessions = [path for path in ray.glob("session_*") if not path.is_symlink()]
        assert len(sessions) <= 3, "old sessions are not forgotten"


@pytest.mark.parametrize("words", ["gcs_server", "raylet/raylet"])
def test_a_killed_part_of_ray_is_started_again_in_its_cluster(
    booted: Machine, report: Report, words: str
) -> None:
    before, part = booted.main(RAY), booted.find(RAY, words)
    codes = set()
    started = time.monotonic()

    part.kill()

    wait_until(lambda: booted.has_another(RAY, words, part), booted.said)
    while not booted.answers():
        reply = booted.ask("shop").json()
        codes |= {reply["error"]["code"]} if isinstance(reply, dict) else set()
        assert time.monotonic() < started + HEAL_SECONDS, booted.said()
    report(f"killed {words}", time.monotonic() - started)
    assert codes <= {"CLUSTER_DOWN", "NEED_KEY"}, "an application would give up"
    assert booted.main(RAY) == before


def test_a_killed_gateway_process_is_replaced(booted: Machine, report: Report) -> None:
    master = booted.find(GATEWAY, "gunicorn")
    worker, other = master.children()
    started = time.monotonic()

    worker.kill()

    wait_until(lambda: len({*master.children()} - {worker, other}) == 1, booted.said)
    wait_until(booted.answers, booted.said)
    report("killed a gateway process", time.monotonic() - started)


@pytest.mark.parametrize(
    "order",
    [(RAY, GATEWAY, KEYHOLDER), pytest.param((KEYHOLDER, GATEWAY, RAY), marks=pytest.mark.long)],
    ids=" ".join,
)
def test_all_are_killed_in_any_order(
    booted: Machine, report: Report, order: tuple[str, ...]
) -> None:
    before = {name: booted.main(name) for name in order}
    started = time.monotonic()

    for process in before.values():
        assert process
        process.kill()

    wait_until(
        lambda: all(booted.main(name) not in (None, before[name]) for name in order), booted.said
    )
    wait_until(booted.answers, booted.said)
    report(f"killed {', '.join(order)}", time.monotonic() - started)


def test_the_ray_of_the_units_listens_for_no_dashboard(booted: Machine) -> None:
    main = booted.main(RAY)
    assert main
    ports = listening(main.pid)
    assert ports
    assert 8265 not in ports


def test_ray_opens_its_folder_within_one_that_stays_closed(booted: Machine) -> None:
    state = booted.root / "var/lib/byzer-gateway"
    ledger = {"ledger.db", "ledger.db-wal", "ledger.db-shm"}
    assert {path.name for path in state.iterdir()} - ledger == {"ray"}
    assert (state / "ray/session_latest/sockets/raylet").exists()
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_the_key_stands_in_no_file_but_the_operators_and_their_copies(booted: Machine) -> None:
    matches = {
        str(path.relative_to(booted.root))
        for path in booted.root.rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and os.access(path, os.R_OK)
        and KEY.encode() in contents(path)
    }
    chats = {"shop.json", "spare.json"}
    assert matches == {f"etc/byzer-gateway/chats/{file}" for file in chats} | {
        f"run-{KEYHOLDER}/chats_{file}" for file in chats
    }
