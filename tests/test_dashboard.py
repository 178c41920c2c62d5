"""Ray's dashboard runs any code for whoever may call it: so nobody may without the cluster's token,
and it is off."""

from __future__ import annotations

import functools
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.environment import TOP, clean_environment
from tests.processes import listening
from tests.waiting import until

RUNS_CODE = [
    ("POST", "/api/jobs/"),  # the Jobs API, on the dashboard and on each node's agent
    ("POST", "/api/job_agent/jobs/"),
    ("PUT", "/api/packages/gcs/code.zip"),
    ("PUT", "/api/serve/applications/"),
]
TELLS = [
    ("GET", "/api/jobs/"),
    ("GET", "/api/v0/actors"),
    ("GET", "/nodes?view=summary"),
    ("GET", "/worker/traceback"),
]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dashboard's packages that are not installed, in a folder of their own: nobody gets them
    unasked."""
    folder = tmp_path_factory.mktemp("dashboard")
    pins = re.split(
        r"\n(?=[a-z0-9])", (TOP / "requirements-dashboard.txt").read_text(), flags=re.IGNORECASE
    )
    extra = folder / "requirements.txt"
    extra.write_text("\n".join(pin for pin in pins if not is_installed(pin)) + "\n")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--no-deps",
        "--require-hashes",
    ]
    subprocess.run(
        [*pip, "--target", str(folder / "site"), "-r", str(extra)], check=True, timeout=300
    )
    return folder / "site"


def is_installed(pin: str) -> bool:
    matches = re.match(r"([\w.-]+)(?:\[[^]]*\])?==", pin)
    if matches is None:
        return True  # a comment
    try:
        return bool(importlib.metadata.version(matches[1]))
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def dashboard(packages: Path) -> Iterator[RayHead]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(packages)
        head = RayHead(
            {**clean_environment(), "PYTHONPATH": str(packages), "RAY_DASHBOARD_HOST": "127.0.0.1"}
        )
    until(lambda: head.up() and answers(head))
    yield head
    head.stop()


def answers(head: RayHead) -> bool:
    try:
        return (
            httpx.get(
                f"{head.dashboard}/api/jobs/", headers=bearer(head), trust_env=False
            ).status_code
            == 200
        )
    except httpx.TransportError:
        return False


@functools.cache
def doors(head: RayHead) -> list[str]:
    """Every address at which a process of the head listens."""
    return [f"http://127.0.0.1:{port}" for port in sorted(listening(head.process.pid))]


def knock(
    head: RayHead, method: str, path: str, token: str = "", **more: Any
) -> list[tuple[int, str]]:
    """What each door says; those that speak no HTTP/1 (gRPC) say nothing.

    One is open to everyone and says the same to everything: Ray's counters for Prometheus.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(door: str) -> httpx.Response | None:
        try:
            return httpx.request(
                method, door + path, headers=headers, trust_env=False, timeout=10, **more
            )
        except httpx.TransportError:
            return None

    # At once: those that say nothing take as long as they may.
    with ThreadPoolExecutor(32) as pool:
        replies = list(pool.map(ask, doors(head)))
    return [
        (reply.status_code, reply.text)
        for reply in replies
        if reply is not None and not reply.text.startswith("# HELP")
    ]


@pytest.mark.parametrize(("method", "path"), RUNS_CODE + TELLS)
@pytest.mark.parametrize(
    ("token", "refusal"), [("", 401), ("0" * 64, 403)], ids=["no token", "a wrong token"]
)
def test_a_caller_without_the_token_can_do_nothing(
    dashboard: RayHead, method: str, path: str, token: str, refusal: int, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"

    answer = knock(
        dashboard,
        method,
        path,
        token,
        json={"entrypoint": f"touch {ran}", "submission_id": "stranger"},
    )

    assert answer
    assert {status for status, _ in answer} <= {refusal, 404, 405}, answer
    assert refusal in {status for status, _ in answer}
    assert (
        "stranger"
        not in httpx.get(
            f"{dashboard.dashboard}/api/jobs/",
            headers=bearer(dashboard),
            trust_env=False,
            timeout=30,
        ).text
    )
    assert not ran.exists()


def test_with_the_token_the_same_call_runs(dashboard: RayHead, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    job = {"entrypoint": f"touch {ran}"}

    reply = httpx.post(
        f"{dashboard.dashboard}/api/jobs/",
        json=job,
        headers=bearer(dashboard),
        trust_env=False,
        timeout=60,
    )

    assert reply.status_code == 200, reply.text
    until(ran.exists)


def test_a_head_that_was_not_asked_for_a_dashboard_has_none(ray_head: RayHead) -> None:
    assert ray_head.dashboard == ""
    token = bearer(ray_head)["Authorization"].removeprefix("Bearer ")
    for path in ("/", "/api/version", "/api/jobs/"):
        assert 200 not in {status for status, _ in knock(ray_head, "GET", path, token)}, path


def bearer(head: RayHead) -> dict[str, str]:
    return {"Authorization": f"Bearer {Path(head.environment['RAY_AUTH_TOKEN_PATH']).read_text()}"}
