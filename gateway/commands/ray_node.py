"""The process that starts Ray's node on this machine, the cluster's head or one that joins it, and
then watches over it: a child of gateway/commands/ray_head.py's RayHead, or what `python -m gateway
ray-head` becomes.

`ray start` starts helpers that a gateway has no use for, and stays in memory itself with all of
Ray. Here Ray's own node is made without them; then this process becomes one that knows nothing
but its children.

Ray's control store writes down what it knows. So where it alone ends, another one is started in its
place, and the cluster goes on as it was. Where its raylet ends, another one takes its place, as
another node of the same cluster: the actors that were there begin anew.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from typing import Any, NoReturn

RAYLET_STOP_SECONDS = 10
"""So long a raylet may take to end; with its actors it mostly does within one."""

STOP_SECONDS = 0.5
"""So long the others may: nothing is lost with them. A control store to which other nodes are
connected would wait for their calls, and the cluster for its successor."""

SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}

PR_SET_PDEATHSIG = 1

STEADY_SECONDS = 10
"""What ends sooner than this is not started again: it would end for ever."""

STARTED_AGAIN = ("gcs_server", "raylet")
"""Ray's control store, and its raylet, which needs that one."""


def start(options: dict[str, Any]) -> NoReturn:
    """Start the node, and become its watcher. `options` are RayParams' own (Ray 2.60); with a
    `gcs_address` it joins the head there."""
    from ray._private.node import Node
    from ray._private.parameter import RayParams
    from ray._private.services import get_node_ip_address, resolve_ip_for_localhost

    class Lean(Node):  # type: ignore[misc]
        def start_api_server(self, *, include_dashboard: bool, raise_on_failure: bool) -> None:
            """Ray would start it without the dashboard, too, to report how Ray is used."""
            if include_dashboard:
                super().start_api_server(
                    include_dashboard=include_dashboard, raise_on_failure=raise_on_failure
                )

    leads = "gcs_address" not in options
    if leads:
        _keep_what_the_control_store_knows(options["temp_dir"])
    # Whoever joins the cluster by a loopback address is sent to the machine's own, too.
    host = resolve_ip_for_localhost(options.pop("node_ip_address", "") or get_node_ip_address())
    params = RayParams(
        **options,
        node_ip_address=host,
        no_monitor=True,  # the autoscaler's: machines come and go by their operator's hand
        include_log_monitor=False,
        redis_username=os.environ.get("RAY_REDIS_USERNAME", ""),
        redis_password=os.environ.get("RAY_REDIS_PASSWORD", ""),
        # Without a `ray_client_server_port` there is no server for Ray's remote clients.
    )
    # As children that end with this process, however it ends.
    node = Lean(params, head=leads, shutdown_at_exit=False, spawn_reaper=True)
    # The raylet first: it ends the cluster's actors, which must still find the control store.
    names = sorted(node.all_processes, key=lambda name: (name != "raylet", name))
    children = [info.process.pid for name in names for info in node.all_processes[name]]
    again = [
        info.process.pid for name in STARTED_AGAIN for info in node.all_processes.get(name, ())
    ]
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the watcher, too, must hear of a stop now
    watched = json.dumps([children, again])
    os.execv(sys.executable, [sys.executable, "-I", "-S", __file__, watched])  # noqa: S606


def _keep_what_the_control_store_knows(folder: str) -> None:
    """Have it written down, for as long as this head runs: a new head begins with nothing. (With
    RAY_REDIS_ADDRESS it is Redis that keeps it, and for the next head, too.)"""
    if "RAY_REDIS_ADDRESS" not in os.environ:
        path = os.path.join(folder, "control-store")
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path, mode=0o700)
        os.environ |= {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": path}


def _command(pid: int) -> list[str]:
    """Return what a child runs; []: it has ended already."""
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read().split("\0")[:-1]


def watch(children: list[int], started_again: list[int]) -> int:
    """Wait for SIGTERM, or until a child ends that is not `started_again`; then end the others, in
    their order, the raylet first. Returns the exit code: 0 after SIGTERM, else 1."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    again = {children.index(pid): (_command(pid), 0.0) for pid in started_again}
    print("Ray runtime started.", flush=True)
    stop = False
    while not stop:
        ended = {place for place, pid in enumerate(children) if _has_ended(pid)}
        for_good = ended - {place for place in again if _may_start_again(*again[place])}
        if for_good:
            words = "One of Ray's processes has ended unexpectedly; the others are ended."
            print(words, flush=True)
            break
        if ended:  # one at a time, since others may end meanwhile: the control store first
            place = next(place for place in again if place in ended)
            command = _successor(children[place], again[place][0], children)
            children[place] = _start(command)
            again[place] = command, time.monotonic() + STEADY_SECONDS
        else:
            stop = signal.sigwait(SIGNALS) != signal.SIGCHLD
    for pid in children:
        _end(pid, RAYLET_STOP_SECONDS if pid == children[0] else STOP_SECONDS)
    _kill_others([])
    return 0 if stop else 1


def _may_start_again(command: list[str], steady: float) -> bool:
    return bool(command) and time.monotonic() >= steady


def _successor(pid: int, command: list[str], children: list[int]) -> list[str]:
    """Return what is to be started in the place of a child that has ended."""
    name = os.path.basename(command[0])
    print(f"Ray's {name} has ended unexpectedly; it is started again.", flush=True)
    os.waitpid(pid, 0)
    if name != "raylet":
        return command
    _kill_others(children)
    return _as_another_node(command)


def _as_another_node(command: list[str]) -> list[str]:
    """Return the command of a raylet that takes a dead one's place, for which it makes room: a
    control store knows each node by its number, and for good when it is dead."""
    given = dict(option.split("=", 1) for option in command if "=" in option)
    for socket in (given["--raylet_socket_name"], given["--store_socket_name"]):
        with suppress(FileNotFoundError):
            os.unlink(socket)
    number = given["--node_id"]
    other = os.urandom(len(number) // 2).hex()
    return [option.replace(number, other) for option in command]


def _start(command: list[str]) -> int:
    """Start a program as a child that ends with this process, and return its number."""
    pid = os.fork()
    if pid:
        return pid
    try:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execv(command[0], command)  # noqa: S606
    finally:
        os._exit(1)


def _end(pid: int, seconds: float) -> None:
    """End a child by SIGTERM, or by SIGKILL if it takes longer."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _has_ended(pid):
            os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while not _has_ended(pid) and time.monotonic() < deadline:
            time.sleep(0.02)


def _kill_others(kept: list[int]) -> None:
    """Kill what a killed raylet has left behind in this process's group, which would look for its
    raylet for a minute; not `kept`."""
    group = os.getpid()
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == group and pid != group and pid not in kept:
                os.kill(pid, signal.SIGKILL)


def _has_ended(pid: int) -> bool:
    """Say whether a child has ended. It is not reaped, so its number is nobody else's yet."""
    return bool(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))


if __name__ == "__main__":
    what = json.loads(sys.argv[1])
    if isinstance(what, list):
        sys.exit(watch(*what))
    start(what)
