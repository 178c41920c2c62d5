"""The process that starts Ray's head node and then watches over it: a child of
gateway/commands/ray_head.py's RayHead, or what `python -m gateway ray-head` becomes.

`ray start` starts helpers that a gateway has no use for, and stays in memory itself with all of
Ray. Here Ray's own node is made without them; then this process becomes one that knows nothing
but its children.

Ray's control store writes down what it knows. So where it alone ends, another one is started in its
place, and the cluster goes on as it was. Where another part ends, a new head is started at once,
which knows nothing.
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

STOP_SECONDS = 10
"""So long each of Ray's processes may take to end; those of a session that holds end within one."""

SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}

PR_SET_PDEATHSIG = 1

STEADY_SECONDS = 10
"""What ends sooner than this is not started again: it would end for ever."""

KEPT_SESSIONS = 3
"""How many runs' logs stay in Ray's folder, the present run's included."""


def start(options: dict[str, Any]) -> NoReturn:
    """Start the node, and become its watcher. `options` are RayParams' own (Ray 2.60)."""
    from ray._private.node import Node
    from ray._private.parameter import RayParams
    from ray._private.services import get_node_ip_address, resolve_ip_for_localhost

    class Head(Node):  # type: ignore[misc]
        def start_api_server(self, *, include_dashboard: bool, raise_on_failure: bool) -> None:
            """Ray would start it without the dashboard, too, to report how Ray is used."""
            if include_dashboard:
                super().start_api_server(
                    include_dashboard=include_dashboard, raise_on_failure=raise_on_failure
                )

    _forget_sessions(options["temp_dir"])
    _keep_what_the_control_store_knows(options["temp_dir"])
    # Whoever joins the cluster by a loopback address is sent to the machine's own, too.
    host = resolve_ip_for_localhost(options.get("node_ip_address") or get_node_ip_address())
    params = RayParams(
        **{**options, "node_ip_address": host},
        no_monitor=True,  # the autoscaler's: machines come and go by their operator's hand
        include_log_monitor=False,
        redis_username=os.environ.get("RAY_REDIS_USERNAME", ""),
        redis_password=os.environ.get("RAY_REDIS_PASSWORD", ""),
        # Without a `ray_client_server_port` there is no server for Ray's remote clients.
    )
    # As children that end with this process, however it ends.
    node = Head(params, head=True, shutdown_at_exit=False, spawn_reaper=True)
    # The raylet first: it ends the cluster's actors, which must still find the control store.
    names = sorted(node.all_processes, key=lambda name: (name != "raylet", name))
    children = [info.process.pid for name in names for info in node.all_processes[name]]
    (store,) = node.all_processes["gcs_server"]
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the watcher, too, must hear of a stop now
    watched = json.dumps([children, store.process.pid, options])
    os.execv(sys.executable, [sys.executable, "-I", "-S", __file__, watched])  # noqa: S606


def _keep_what_the_control_store_knows(folder: str) -> None:
    """Have it written down, for as long as this head runs: a new head begins with nothing. (With
    RAY_REDIS_ADDRESS it is Redis that keeps it, and for the next head, too.)"""
    if "RAY_REDIS_ADDRESS" not in os.environ:
        path = os.path.join(folder, "control-store")
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path, mode=0o700)
        os.environ |= {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": path}


def _forget_sessions(folder: str) -> None:
    """Remove the session folders of logs that each start of Ray leaves behind."""
    left = KEPT_SESSIONS - 1
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(folder))[::-1]:
            path = os.path.join(folder, name)
            if name.startswith("session_") and not os.path.islink(path):
                left -= 1
                if left < 0:
                    shutil.rmtree(path, ignore_errors=True)


def _command(pid: int) -> list[str]:
    """Return what a child runs; []: it has ended already."""
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read().split("\0")[:-1]


def watch(children: list[int], store: int, options: dict[str, Any]) -> int:
    """Wait for SIGTERM, and end the children in their order; or until one of them ends, kill the
    others, and start anew with the same `options`. The `store` is started again alone. Returns the
    exit code: 0 after SIGTERM; 1: a start would not help."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    command, begun = _command(store), time.monotonic()
    print("Ray runtime started.", flush=True)
    stop, steady = False, 0.0
    while not stop:
        if command and _has_ended(store) and time.monotonic() >= steady:
            print("Ray's control store has ended unexpectedly; it is started again.", flush=True)
            os.waitpid(store, 0)
            steady = time.monotonic() + STEADY_SECONDS
            place = children.index(store)
            store = children[place] = _start(command)
        if any(map(_has_ended, children)):
            print(
                "One of Ray's processes has ended unexpectedly; the others are killed.", flush=True
            )
            break  # what a cluster that is broken knows is not wanted: its successor is waited for
        stop = signal.sigwait(SIGNALS) != signal.SIGCHLD
    for pid in children:
        _end(pid, (signal.SIGTERM, signal.SIGKILL) if stop else (signal.SIGKILL,))
    _kill_orphans()
    if not stop and time.monotonic() > begun + STEADY_SECONDS:
        for pid in children:
            os.waitpid(pid, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        again = [sys.executable, "-P", __file__, json.dumps(options)]
        os.execv(sys.executable, again)  # noqa: S606
    return 0 if stop else 1


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


def _end(pid: int, signals: tuple[signal.Signals, ...]) -> None:
    """End a child by the first signal, or by the next if that was not enough."""
    for number in signals:
        if not _has_ended(pid):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while not _has_ended(pid) and time.monotonic() < deadline:
            time.sleep(0.02)


def _kill_orphans() -> None:
    """Kill what a killed raylet has left behind in this process's group: it would look for its
    raylet for a minute."""
    group = os.getpid()
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != group):
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == group:
                os.kill(pid, signal.SIGKILL)


def _has_ended(pid: int) -> bool:
    """Say whether a child has ended. It is not reaped, so its number is nobody else's yet."""
    return bool(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))


if __name__ == "__main__":
    what = json.loads(sys.argv[1])
    if isinstance(what, list):
        sys.exit(watch(*what))
    start(what)
