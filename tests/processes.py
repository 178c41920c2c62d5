"""The processes of a Ray cluster, and files of such that run: either may be gone while it is looked
at."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

from gateway.commands.ray_head import RayHead


def running(pid: int, words: str = "") -> list[psutil.Process]:
    """A process and all below it whose command line has `words`."""
    processes = []
    with suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        for process in [first, *first.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                ended = process.status() == psutil.STATUS_ZOMBIE
                if not ended and words in " ".join(process.cmdline()):
                    processes.append(process)
    return processes


def actor_processes(head: RayHead, name: str) -> list[psutil.Process]:
    """The processes of the actor class `name`, among the head's own."""
    return running(head.process.pid, f"ray::{name}")


def actor_process(head: RayHead, name: str) -> psutil.Process:
    """The newest of them."""
    return max(actor_processes(head, name), key=psutil.Process.create_time)


def control_store(head: RayHead) -> psutil.Process:
    """Where a cluster keeps what it knows."""
    (store,) = (one for one in running(head.process.pid, "gcs_server") if _is(one, "gcs_server"))
    return store


def listening(pid: int) -> set[int]:
    """The TCP ports at which a process and all below it listen."""
    ports = set()
    for process in running(pid):
        with suppress(psutil.NoSuchProcess):
            connections = process.net_connections("tcp")
            ports |= {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN}
    return ports


def contents(path: Path) -> bytes:
    """A file's, or of /proc; b"": it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return path.read_bytes()
    return b""


def _is(process: psutil.Process, name: str) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.name() == name
    return False
