"""A Ray head is one process and what it has started: no more than a gateway needs, ended as one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from gateway.commands.ray_head import RAY_NODE, RayHead, stop
from tests.environment import clean_environment
from tests.further_node import start_node
from tests.server import running_head
from tests.waiting import until

NODE = {"gcs_server", "raylet"}
AGENTS = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}


@pytest.fixture
def head() -> Iterator[RayHead]:
    with running_head() as started:
        yield started


def family(head: RayHead) -> list[psutil.Process]:
    return psutil.Process(head.process.pid).children(recursive=True)


def names(processes: list[psutil.Process]) -> set[str]:
    """What each runs, by the last part of its path; a worker that Ray keeps at hand is none, nor is
    one that has ended meanwhile."""
    programs = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            programs |= {word.strip().rpartition("/")[2] for word in process.cmdline()[:1]}
    return programs - {"ray::IDLE"}


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive


def test_a_head_runs_rays_node_with_its_agents_and_no_other_helper(head: RayHead) -> None:
    until(lambda: names(family(head)) == NODE | AGENTS)


def part(head: RayHead, program: str, after: psutil.Process | None = None) -> psutil.Process:
    """The one process that runs a program, once it is no more the one `after` which it comes."""

    def found() -> list[psutil.Process]:
        return [one for one in family(head) if program in names([one]) and one != after]

    until(lambda: len(found()) == 1)
    (only,) = found()
    return only


def test_a_head_whose_control_store_is_killed_starts_another_and_goes_on(head: RayHead) -> None:
    store, node = part(head, "gcs_server"), part(head, "raylet")
    command = store.cmdline()

    store.kill()

    assert part(head, "gcs_server", store).cmdline() == command
    assert node.is_running()
    assert head.process.poll() is None


def test_a_control_store_that_ends_again_at_once_takes_the_head_along(head: RayHead) -> None:
    first = part(head, "gcs_server")
    first.kill()
    second = part(head, "gcs_server", first)
    processes = family(head)

    second.kill()

    assert head.process.wait(20) == 1
    assert_gone(processes)


def test_a_head_whose_raylet_is_killed_starts_another_as_another_node(head: RayHead) -> None:
    until(lambda: names(family(head)) == NODE | AGENTS)
    store = part(head, "gcs_server")
    others = [process for process in family(head) if process != store]

    part(head, "raylet").kill()

    assert_gone(others)
    until(lambda: names(family(head)) == NODE | AGENTS)
    assert store.is_running()
    joined = [
        sys.executable,
        "-c",
        "import ray; ray.init(); print([node['Alive'] for node in ray.nodes()].count(True))",
    ]
    driver = subprocess.run(
        joined,
        env={**clean_environment(), **head.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert driver.stdout == "1\n", driver.stderr
    processes = family(head)
    head.process.terminate()
    assert head.process.wait(20) == 0
    assert_gone(processes)


def test_a_raylet_that_ends_again_at_once_takes_the_head_along(head: RayHead) -> None:
    first = part(head, "raylet")
    first.kill()
    second = part(head, "raylet", first)
    processes = family(head)

    second.kill()

    assert head.process.wait(20) == 1
    assert_gone(processes)


def test_a_head_that_is_told_to_stop_ends_all_of_it_and_calls_that_a_success(
    head: RayHead,
) -> None:
    processes = family(head)

    head.process.terminate()

    assert head.process.wait(20) == 0
    assert_gone(processes)


def test_a_head_to_which_another_node_is_connected_ends_as_soon(
    head: RayHead, tmp_path: Path
) -> None:
    """Its control store would wait for that node's calls."""
    node = start_node(head, tmp_path)
    try:
        until(lambda: "Ray runtime started" in (tmp_path / "node.log").read_text(), 60)
        head.process.terminate()
        assert head.process.wait(20) == 0
    finally:
        stop(node)


def test_a_head_that_is_killed_takes_its_node_along_and_stopping_it_the_rest(head: RayHead) -> None:
    processes = family(head)
    node = [process for process in processes if names([process]) <= NODE]

    head.process.kill()

    assert_gone(node)
    head.stop()
    assert_gone(processes)


def test_a_part_that_does_not_end_is_killed() -> None:
    """A child that turns SIGTERM away, as a raylet that hangs would."""
    deaf = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(99)"
    )
    starts = (
        "import os, signal, subprocess, sys;"
        f"child = subprocess.Popen([sys.executable, '-c', {deaf!r}], stdout=subprocess.PIPE);"
        "child.stdout.readline(); signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM});"
        "print(child.pid, flush=True); watched = f'[[{child.pid}], []]';"
        f"os.execv(sys.executable, [sys.executable, '-I', '-S', {str(RAY_NODE)!r}, watched])"
    )
    watcher = subprocess.Popen([sys.executable, "-c", starts], stdout=subprocess.PIPE, text=True)
    assert watcher.stdout is not None
    child = psutil.Process(int(watcher.stdout.readline()))
    watcher.terminate()

    assert watcher.wait(30) == 0, watcher.stdout.read()
    watcher.stdout.close()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
