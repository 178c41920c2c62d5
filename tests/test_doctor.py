"""`make doctor`: each finding is provoked for real, and says what to do. Only loopback is asked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from gateway.commands.doctor_probes import built_in
from gateway.commands.ray_head import RayHead
from tests.doctor import DOCTOR, LIMIT_SECONDS, Report
from tests.environment import TOP, clean_environment, free_port
from tests.server import Deploy, Server, running_head
from tests.standin.client import StandIn
from tests.waiting import START_SECONDS

TOKEN = "c2VjcmV0LXRva2Vu"


def nowhere() -> dict[str, str]:
    """Settings of a gateway and a cluster that do not run."""
    return {"GATEWAY_BIND": f"127.0.0.1:{free_port()}", "RAY_ADDRESS": f"127.0.0.1:{free_port()}"}


@contextmanager
def http_server(date: str | None = None) -> Iterator[int]:
    """Another program that speaks HTTP, with a clock of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815

        def date_time_string(self, timestamp: float | None = None) -> str:
            return date or super().date_time_string(timestamp)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def silent() -> Iterator[Callable[[], int]]:
    """Ports where the kernel accepts connections, and nobody ever answers."""
    with ExitStack() as listening:
        yield lambda: int(
            listening.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        )


def test_all_is_well(server: Server, deploy: Deploy, standin: StandIn) -> None:
    deploy()
    chats = server.http.get("/models").json()["models"]
    assert {(chat["host"] or "127.0.0.1:0").split(":")[0] for chat in chats} == {"127.0.0.1"}

    provider = standin.base_url("openai").removesuffix("/v1")
    report = Report(
        server.environment, f"HOSTS={provider}", command=("make", "--no-print-directory", "doctor")
    )

    assert report.ended.returncode == 0, report.ended.stdout
    report.line("ok", f"gateway: listens on 127.0.0.1:{server.port}", f"pid {server.process.pid}")
    report.line("ok", "its cluster answers")
    report.line("ok", "here: Ray ", f"Python {sys.version.split()[0]}")
    report.line("ok", "cluster: Ray ", f"Python {sys.version.split()[0]} at ", "living nodes: 1")
    report.line("ok", "its control store listens on", "gcs_server")
    report.line("ok", "tokens: none")
    report.line("ok", "chats: ")
    report.line("ok", "is reached")
    report.line("ok", "clock: right")
    report.line("ok", "memory: ")


def test_a_terminal_without_the_service_s_settings_looks_at_those_of_the_running_gateway(
    server: Server,
) -> None:
    report = Report({"GATEWAY_BIND": f"127.0.0.1:{server.port}"})
    report.line("ok", "RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH", "as the running gateway has them")
    report.line("ok", "cluster: Ray ")


SAYS_IT_IS_A_GATEWAY = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        models = b', "models": []' if self.path == "/models" else b""
        self.wfile.write(b'{"ok": true%b}' % models)
server = HTTPServer(("127.0.0.1", 0), Handler)
os.setuid(65534)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start another user's program")
def test_settings_of_another_user_s_program_are_not_believed() -> None:
    command = [sys.executable, "-c", SAYS_IT_IS_A_GATEWAY]
    environment = {**clean_environment(), "RAY_ADDRESS": "127.0.0.1:1"}
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as it:
        try:
            assert it.stdout
            report = Report(
                {
                    "GATEWAY_BIND": f"127.0.0.1:{int(it.stdout.readline())}",
                    "RAY_ADDRESS": "127.0.0.1:2",
                }
            )
        finally:
            it.kill()
    assert "sudo -u '#65534' make doctor" in report.line("warn", "the gateway runs as user 65534")
    report.line("FAIL", "no Ray can be asked at 127.0.0.1:2")


def test_nothing_runs() -> None:
    environment = nowhere()
    report = Report(environment)
    assert "make run" in report.line("FAIL", f"nothing listens on {environment['GATEWAY_BIND']}")
    assert "RAY_ADDRESS=" in report.line(
        "FAIL", f"no Ray can be asked at {environment['RAY_ADDRESS']}", "refused"
    )
    report.line("warn", "clock: not checked")


REWRITE = """
import json, sys
from ray._raylet import GcsClient
value = json.dumps({"ray_version": "2.47.1", "python_version": "3.10.2"}).encode()
GcsClient(address=sys.argv[1]).internal_kv_put(
    b"CLUSTER_METADATA", value, True, namespace=b"cluster", timeout=10
)
"""


@pytest.fixture(scope="module")
def older_cluster() -> Iterator[RayHead]:
    """A real cluster whose control store says that Ray 2.47.1 on Python 3.10.2 started it."""
    with running_head() as head:
        environment = {**clean_environment(), **head.environment}
        subprocess.run(
            [sys.executable, "-c", REWRITE, head.address], env=environment, check=True, timeout=60
        )
        yield head


def test_a_cluster_of_another_version(
    older_cluster: RayHead, start_server: Callable[..., Server]
) -> None:
    tokens = {"GATEWAY_TOKENS": f"boss:{TOKEN}:chat,admin", "WEB_CONCURRENCY": "1"}
    server = start_server({**older_cluster.environment, **tokens}, ready=False)
    server.wait_until("/readyz", 503)
    deadline = time.monotonic() + START_SECONDS
    while "Version mismatch" not in server.http.get("/readyz").text:
        assert time.monotonic() < deadline, server.http.get("/readyz").text
        time.sleep(0.2)

    report = Report({**server.environment, "GATEWAY_TOKEN": "not-this-one"})

    line = report.line("FAIL", "cluster: Ray 2.47.1, Python 3.10.2 at ", "but here are Ray ")
    assert f"Python {sys.version.split()[0]}" in line
    assert f"start it with {Path(sys.executable).parent / 'ray'}" in line
    report.line("FAIL", "gateway: ", "Version mismatch: The cluster was started with")
    report.line("ok", "tokens: 1")
    report.line("warn", "chats: not checked", "401", "set GATEWAY_TOKEN")
    assert TOKEN not in report.ended.stdout
    assert "not-this-one" not in report.ended.stdout


def test_a_cluster_that_wants_its_token(ray_head: RayHead, tmp_path: Path) -> None:
    address = {**nowhere(), "RAY_ADDRESS": ray_head.address}
    assert "RAY_AUTH_MODE=token" in Report(address).line(
        "FAIL", "refuses this token, or the lack of one"
    )

    wrong = tmp_path / "token"
    wrong.touch(0o600)
    wrong.write_text("ab" * 32)
    presented = {**address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(wrong)}
    report = Report(presented)
    report.line("FAIL", "refuses this token, or the lack of one")
    assert "abab" not in report.ended.stdout

    wrong.unlink()
    Report(presented).line("FAIL", f"RAY_AUTH_TOKEN_PATH: cannot read {wrong}")


def test_a_cluster_s_address_where_something_else_is_silent(silent: Callable[[], int]) -> None:
    address = f"127.0.0.1:{silent()}"
    Report({**nowhere(), "RAY_ADDRESS": address}).line(
        "FAIL", "no Ray can be asked at", address.split(":")[1]
    )


def test_no_ray_is_installed() -> None:
    # -S: without the environment's packages, this Python has none at all.
    report = Report(nowhere(), command=(sys.executable, "-S", "-m", "gateway", "doctor"))
    assert "make run" in report.line("FAIL", "Ray is not installed for", sys.executable)


def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    wrong = {
        "GATEWAY_BIND": f"0.0.0.0:{free_port()}",
        "GATEWAY_TOKENS_FILE": str(tmp_path / "none"),
        "WEB_CONCURRENCY": "two",
    }
    report = Report({**nowhere(), **wrong})
    report.line("FAIL", "GATEWAY_TOKENS_FILE: cannot read")
    report.line("FAIL", "WEB_CONCURRENCY is 'two'")
    report.line("FAIL", f"nothing listens on {wrong['GATEWAY_BIND']}")
    assert [line for line in report.lines if "would let anyone in" in line] == []


def test_an_address_that_would_let_anyone_in_is_a_wrong_setting() -> None:
    report = Report({**nowhere(), "GATEWAY_BIND": f"0.0.0.0:{free_port()}"})
    report.line("FAIL", "GATEWAY_BIND=", "would let anyone in", "GATEWAY_TOKENS_FILE")


def test_an_address_that_lets_everyone_in_on_purpose_is_told() -> None:
    report = Report({**nowhere(), "GATEWAY_BIND": f"0.0.0.0:{free_port()}", "GATEWAY_OPEN": "1"})
    report.line("warn", "GATEWAY_OPEN=1: everyone who reaches 0.0.0.0")


def test_a_port_taken_by_another_program() -> None:
    with http_server() as port:
        report = Report({**nowhere(), "GATEWAY_BIND": f"127.0.0.1:{port}"})
    line = report.line(
        "FAIL", f"port {port}: taken by another program: 127.0.0.1:{port}", f"pid {os.getpid()}"
    )
    assert "GATEWAY_BIND" in line


def test_a_port_whose_program_is_silent(silent: Callable[[], int]) -> None:
    port = silent()
    report = Report({**nowhere(), "GATEWAY_BIND": f"127.0.0.1:{port}"})
    report.line("FAIL", f"port {port}: 127.0.0.1:{port}", f"pid {os.getpid()}", "answers no HTTP")


def test_a_tokens_file_that_everyone_may_read(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"boss:{TOKEN}:chat,admin")
    environment = {**nowhere(), "GATEWAY_TOKENS_FILE": str(path)}

    path.chmod(0o644)
    report = Report(environment)
    assert f"chmod go= {path}" in report.line("FAIL", "GATEWAY_TOKENS_FILE: ", "mode 644")
    assert TOKEN not in report.ended.stdout

    path.chmod(0o600)
    report = Report(environment)
    report.line("warn", "GATEWAY_TOKEN is not set, though tokens are configured")
    report = Report({**environment, "GATEWAY_TOKEN": TOKEN})
    report.line("ok", "tokens: 1")
    assert [line for line in report.lines if "GATEWAY_TOKEN" in line] == []
    assert TOKEN not in report.ended.stdout


def test_provider_hosts_that_cannot_be_reached(silent: Callable[[], int]) -> None:
    closed, mute, mute_tls = free_port(), silent(), silent()
    with http_server() as plain:
        report = Report(
            nowhere(),
            f"127.0.0.1:{closed}",
            f"127.0.0.1:{mute}",
            f"https://user:{TOKEN}@127.0.0.1:{mute_tls}/v1",
            f"https://127.0.0.1:{plain}",
            f"127.0.0.1:{plain}",
            "no.such.host.invalid",
            "[::1]:1",
            "nonsense:port",
        )
    report.line("FAIL", f"http://127.0.0.1:{closed} refuses connections")
    report.line("FAIL", f"http://127.0.0.1:{mute} does not answer within 5 s")
    report.line("FAIL", f"https://127.0.0.1:{mute_tls} does not answer within 5 s")
    report.line("FAIL", f"https://127.0.0.1:{plain} does not speak TLS")
    report.line("ok", f"http://127.0.0.1:{plain} is reached")
    report.line("FAIL", "https://no.such.host.invalid ")
    report.line("FAIL", "http://[::1]:1 ")
    report.line("FAIL", "https://nonsense:port cannot be reached")
    assert TOKEN not in report.ended.stdout


def test_a_dripping_host_does_not_hold_the_doctor() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(b"H")
                        time.sleep(0.5)
                except OSError:
                    return  # the doctor has ended

        thread = Thread(target=drip)
        thread.start()
        report = Report(nowhere(), f"127.0.0.1:{listener.getsockname()[1]}")
        thread.join(LIMIT_SECONDS)
    report.line("FAIL", "provider: ", "does not answer within 5 s")


def test_hosts_are_tried_side_by_side(silent: Callable[[], int]) -> None:
    # One after the other they would take longer than a doctor may in these tests.
    hosts = [f"127.0.0.1:{silent()}" for _ in range(40)]
    report = Report(nowhere(), *hosts)
    assert len([line for line in report.lines if "does not answer within 5 s" in line]) == len(
        hosts
    )


def test_the_hosts_that_the_operator_allows_are_tried() -> None:
    report = Report(
        {**nowhere(), "GATEWAY_UPSTREAM_HOSTS": "127.0.0.1:1, 127.0.0.1:2"}, "127.0.0.1:3"
    )
    report.line("warn", "http://127.0.0.1:1 refuses connections")
    report.line("warn", "http://127.0.0.1:2 refuses connections")
    report.line("FAIL", "http://127.0.0.1:3 refuses connections")


def test_without_other_hosts_the_providers_own_are_tried() -> None:
    # What `make doctor` would ask; here nothing is asked.
    table = (TOP / "docs/providers.md").read_text()
    assert len(built_in()) >= 3
    assert all(f"`{url}`" in table for url in built_in())


@pytest.mark.parametrize(("seconds", "words"), [(3600, "behind"), (-3600, "ahead of")])
def test_a_clock_that_is_wrong(seconds: int, words: str) -> None:
    report = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + seconds))
    with http_server(report) as port:
        Report(nowhere(), f"127.0.0.1:{port}").line(
            "warn", "clock: 3", f"s {words} the providers'", "timedatectl"
        )


@pytest.mark.parametrize(("filled", "level"), [(97, "FAIL"), (92, "warn")])
def test_a_disk_that_is_nearly_full(tmp_path: Path, filled: int, level: str) -> None:
    # A small disk of this test's own, which nobody else sees.
    apart = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*apart, "true"], capture_output=True, timeout=30, check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk of their own")
    fill = (
        f"mount -t tmpfs -o size=4M none {tmp_path} && head -c {filled * 4 * 1024 * 1024 // 100}"
        " /dev/zero >$0/x"
    )
    command = (*apart, "sh", "-c", f'{fill} && exec "$@"', str(tmp_path), *DOCTOR)
    report = Report({**nowhere(), "RAY_TMPDIR": str(tmp_path)}, command=command)
    assert "make room" in report.line(level, f"disk: {tmp_path} is {filled}% full")


def test_more_processes_than_the_memory_holds() -> None:
    report = Report({**nowhere(), "WEB_CONCURRENCY": "1000000"})
    report.line("FAIL", "memory: ", "1000000 processes (WEB_CONCURRENCY)", "lower WEB_CONCURRENCY")


@pytest.mark.parametrize(("limit", "level"), [(3000, "FAIL"), (3600, "warn"), (3900, "ok")])
def test_fewer_open_files_than_the_threads_need(limit: int, level: str) -> None:
    command = ("bash", "-c", f'ulimit -n {limit} && exec "$@"', "doctor", *DOCTOR)
    Report(nowhere(), command=command).line(
        level, f"open files: a gateway process may have {limit}"
    )


def test_a_chat_whose_provider_cannot_be_reached(server: Server, deploy: Deploy) -> None:
    closed = free_port()
    name = deploy(base_url=f"http://127.0.0.1:{closed}/v1")
    shown = json.dumps(server.http.get("/models").json())
    assert name in shown
    Report(server.environment).line(
        "FAIL", f"provider: http://127.0.0.1:{closed} refuses connections"
    )
