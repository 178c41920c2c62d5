"""`make run`, `python app.py` and a plain `gunicorn app:app`: what each starts, says, and leaves
behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead
from tests.environment import TOP, clean_environment, free_port
from tests.server import Server
from tests.starts import MAKE_RUN, refusal
from tests.waiting import START_SECONDS

APP = ("app.py",)
LAUNCH_SECONDS = 2 * START_SECONDS
STOP_SECONDS = 40

StartProgram = Callable[..., "Program"]


class Program:
    """A program of ours in a terminal of its own, what it said, and every process that it
    started."""

    def __init__(self, log: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self.log = log
        self.url = f"http://127.0.0.1:{free_port()}"
        bind = {"GATEWAY_BIND": self.url.removeprefix("http://")}
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=TOP,
                env={**clean_environment(), **bind, **environment},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.started: set[psutil.Process] = set()

    def said(self) -> str:
        return self.log.read_text().replace("\r", "\n")

    def wait_until_it_says(self, words: str, times: int = 1) -> None:
        deadline = time.monotonic() + LAUNCH_SECONDS
        while self.said().count(words) < times:
            self.look_around()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)
        self.look_around()

    def look_around(self) -> None:
        assert self.process.poll() is None, self.said()
        self.started.update(psutil.Process(self.process.pid).children(recursive=True))

    def signal(self, number: signal.Signals) -> None:
        """To the whole process group, as a terminal sends it."""
        os.killpg(self.process.pid, number)

    def left(self) -> list[str]:
        return [describe(process) for process in self.started if alive(process)]

    def end(self) -> None:
        """After a test that failed half-way."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(2 * STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for process in filter(alive, self.started):
            process.kill()


@dataclass(frozen=True)
class Evidence:
    """What was seen of one `make run`, from its start to Ctrl-C."""

    said: str
    started: list[str]
    folder: Path
    refused: subprocess.CompletedProcess[str]
    curl: subprocess.CompletedProcess[str]
    exit_code: int
    left: list[str]


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid}: {' '.join(process.cmdline())[:300]}"
    except psutil.NoSuchProcess:
        return f"{process.pid}: gone"


def rays_own(processes: list[str]) -> list[str]:
    return [
        line
        for line in processes
        if any(name in line for name in ("gcs_server", "raylet", "ray_node.py", "ray::"))
    ]


def join(address: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A driver, as any other program would write it."""
    code = (
        f"import ray; ray.init({address!r}, log_to_driver=False); print('joined', len(ray.nodes()))"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean_environment(), **environment},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def start_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartProgram]:
    programs: list[Program] = []

    def start(arguments: tuple[str, ...], environment: dict[str, str] | None = None) -> Program:
        programs.append(
            Program(tmp_path_factory.mktemp("launch") / "log", arguments, environment or {})
        )
        return programs[-1]

    yield start
    for program in programs:
        program.end()


@pytest.fixture(scope="module")
def make_run(start_program: StartProgram, ray_head: RayHead) -> Evidence:
    """One whole `make run` beside another cluster. It starts a Ray head, so the tests below share
    it."""
    program = start_program(MAKE_RUN)
    program.wait_until_it_says("\ncurl ", times=3)
    gunicorn = next(process for process in program.started if "gunicorn" in describe(process))
    environment = gunicorn.environ()
    first_curl = next(line for line in program.said().splitlines() if line.startswith("curl "))
    curl = subprocess.run(
        ["bash", "-c", first_curl], capture_output=True, text=True, timeout=120, check=False
    )
    refused = join(environment["RAY_ADDRESS"], {})
    program.look_around()
    started = [describe(process) for process in program.started]

    deadline = time.monotonic() + STOP_SECONDS
    program.signal(signal.SIGINT)
    program.wait_until_it_says("Stopping.")
    program.signal(signal.SIGINT)  # an impatient second Ctrl-C changes nothing
    exit_code = program.process.wait(STOP_SECONDS)
    while program.left() and time.monotonic() < deadline:
        time.sleep(0.1)
    folder = Path(environment["RAY_AUTH_TOKEN_PATH"]).parent
    return Evidence(program.said(), started, folder, refused, curl, exit_code, program.left())


def test_make_run_starts_a_ray_head_of_its_own(make_run: Evidence) -> None:
    assert any("gcs_server" in line for line in make_run.started)
    assert make_run.folder.parent == Path("/tmp")  # noqa: S108


def test_its_ray_refuses_a_driver_without_the_token(make_run: Evidence) -> None:
    assert make_run.refused.returncode != 0
    assert "joined" not in make_run.refused.stdout
    assert "token" in make_run.refused.stderr.lower()


def test_make_run_shows_progress_and_three_curl_lines(make_run: Evidence) -> None:
    for words in (
        "Starting Ray ...",
        "Waiting for the gateway ...",
        "The gateway answers at http://127.0.0.1:",
    ):
        assert words in make_run.said
    paths = [
        line.split("/", 3)[3].split()[0]
        for line in make_run.said.splitlines()
        if line.startswith("curl ")
    ]
    assert paths == ["local/chat", "zhipu/deploy", "zhipu/chat"]


def test_the_first_curl_line_works_as_it_stands(make_run: Evidence) -> None:
    assert make_run.curl.returncode == 0, make_run.curl.stderr
    answer = json.loads(make_run.curl.stdout)
    assert isinstance(answer, str)
    assert answer.strip()


def test_ctrl_c_stops_all_that_make_run_started(make_run: Evidence) -> None:
    assert make_run.left == []
    assert make_run.exit_code == 0
    assert "Traceback" not in make_run.said
    assert not make_run.folder.exists()


def test_ctrl_c_stops_nothing_else(make_run: Evidence, ray_head: RayHead) -> None:
    assert make_run.left == []
    assert ray_head.process.poll() is None
    joined = join(ray_head.address, ray_head.environment)
    assert joined.stdout.startswith("joined 1"), joined.stderr


@pytest.mark.parametrize(
    ("arguments", "last_words", "number"),
    [
        pytest.param(MAKE_RUN, "zhipu/chat", signal.SIGINT, id="make run"),
        pytest.param(APP, "The gateway answers at", signal.SIGTERM, id="python app.py"),
    ],
)
def test_with_ray_address_it_joins_and_starts_no_ray(
    start_program: StartProgram,
    ray_head: RayHead,
    gateway: httpx.Client,
    local_chat: str,
    arguments: tuple[str, ...],
    last_words: str,
    number: signal.Signals,
) -> None:
    program = start_program(arguments, {**ray_head.environment, "WEB_CONCURRENCY": "1"})
    program.wait_until_it_says(last_words)

    assert f"Joining the Ray cluster at {ray_head.address}." in program.said()
    assert rays_own([describe(process) for process in program.started]) == []
    models = httpx.get(f"{program.url}/models", trust_env=False, timeout=30).json()["models"]
    assert local_chat in [chat["chat_name"] for chat in models]

    program.signal(number)
    assert program.process.wait(STOP_SECONDS) == 0
    assert program.left() == []
    assert gateway.get("/readyz").status_code == 200


def test_a_plain_gunicorn_joins_and_starts_no_ray(server: Server, gateway: httpx.Client) -> None:
    assert gateway.get("/readyz").status_code == 200
    started = psutil.Process(server.process.pid).children(recursive=True)
    assert len(started) == 2
    assert rays_own([describe(process) for process in started]) == []


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield int(taken.getsockname()[1])


@pytest.mark.parametrize("arguments", [MAKE_RUN, APP], ids=["make run", "python app.py"])
def test_a_taken_port_ends_the_start_with_one_clear_line(
    arguments: tuple[str, ...], taken_port: int
) -> None:
    line = refusal(arguments, f"127.0.0.1:{taken_port}")
    assert "GATEWAY_BIND" in line
    assert f"127.0.0.1:{taken_port}" in line


@pytest.mark.parametrize(
    "bind", ["nonsense", "127.0.0.1:http", "127.0.0.1:65536", "no.such.host.invalid:8099"]
)
def test_a_nonsense_bind_ends_the_start_with_one_clear_line(bind: str) -> None:
    line = refusal(MAKE_RUN, bind)
    assert "GATEWAY_BIND" in line
    assert bind in line


def test_a_wrong_number_of_processes_ends_the_start_with_one_clear_line() -> None:
    # Through the launcher: gunicorn itself reads this variable before any code of ours, and shows a
    # traceback.
    assert "WEB_CONCURRENCY is 'two'" in refusal(
        MAKE_RUN, f"127.0.0.1:{free_port()}", WEB_CONCURRENCY="two"
    )


def test_an_address_open_to_everyone_ends_the_start_with_one_clear_line() -> None:
    line = refusal(MAKE_RUN, f"0.0.0.0:{free_port()}")
    for name in ("GATEWAY_BIND", "GATEWAY_TOKENS", "GATEWAY_TOKENS_FILE", "GATEWAY_OPEN=1"):
        assert name in line
