"""The process that starts Ray's head node and then watches over it: a child of
gateway/commands/ray_head.py's RayHead, or what `python -m gateway ray-head` becomes.

`ray start` starts helpers that a gateway has no use for, and stays in memory itself with all of
Ray. Here Ray's own node is made without them; then this process becomes one that knows nothing
but its children's numbers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any, NoReturn

STOP_SECONDS = 10
"""So long each of Ray's processes may take to end; those of a session that holds end within one."""

SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


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

    # Whoever joins the cluster by a loopback address is sent to the machine's own, too.
    host = resolve_ip_for_localhost(options.pop("node_ip_address", "") or get_node_ip_address())
    params = RayParams(
        **options,
        node_ip_address=host,
        no_monitor=True,  # the autoscaler's: machines come and go by their operator's hand
        include_log_monitor=False,
        # Without a `ray_client_server_port` there is no server for Ray's remote clients.
    )
    # As children that end with this process, however it ends.
    node = Head(params, head=True, shutdown_at_exit=False, spawn_reaper=True)
    print("Ray runtime started.", flush=True)
    # The raylet first: it ends the cluster's actors, which must still find the control store.
    names = sorted(node.all_processes, key=lambda name: (name != "raylet", name))
    children = [str(info.process.pid) for name in names for info in node.all_processes[name]]
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the watcher, too, must hear of a stop now
    os.execv(sys.executable, [sys.executable, "-I", "-S", __file__, *children])  # noqa: S606


def watch(children: list[int]) -> int:
    """Wait until one of the children ends, or for SIGTERM; then end them all, in their order.
    Returns the exit code: 0 after SIGTERM, else 1."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    stop = False
    while not stop and not any(map(_has_ended, children)):
        stop = signal.sigwait(SIGNALS) != signal.SIGCHLD
    if not stop:
        print("One of Ray's processes has ended unexpectedly; the others are ended.", flush=True)
    for pid in children:
        _end(pid)
    _kill_orphans()
    return 0 if stop else 1


def _end(pid: int) -> None:
    """End a child by SIGTERM, or by SIGKILL if that was not enough."""
    for number in (signal.SIGTERM, signal.SIGKILL):
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
    if sys.argv[1].isdigit():
        sys.exit(watch([int(pid) for pid in sys.argv[1:]]))
    start(json.loads(sys.argv[1]))
