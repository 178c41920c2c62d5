"""What the doctor finds about the machine itself: its clock, disks, memory and limits."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

OK, WARN, FAIL = "ok", "warn", "FAIL"

CLOCK_SECONDS = 60
DISK_FULL = 0.95  # Ray then places no more objects (RAY_local_fs_capacity_threshold)
DISK_NEARLY_FULL = 0.90
MEMORY_FULL = 0.95  # Ray then ends model actors (RAY_memory_usage_threshold)
RAY_MB, PROCESS_MB = 500, 250  # as `make footprint` weighs them, rounded up
OWN_FILES = 200  # a gateway process holds 40 without any client, and some for each chat
RAISED_FILES = 65536  # ray.init raises the soft limit so far, if the hard one lets it


class Finding(NamedTuple):
    """`do` says what to do, unless the level is OK."""

    level: str
    words: str
    do: str = ""


def clock(ahead_of_us: list[float]) -> Iterator[Finding]:
    """Say by how many seconds hosts that were asked are ahead of this machine."""
    # The gateway's Date comes from this machine's own clock; and the nearest host may be the only
    # one that is right.
    ahead = min(ahead_of_us, key=abs, default=None)
    if ahead is None:
        yield Finding(
            WARN,
            "clock: not checked, as no provider told the time",
            "compare `date -u` with a right clock",
        )
    elif abs(ahead) > CLOCK_SECONDS:
        wrong = f"{abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} the providers'"
        yield Finding(
            WARN, f"clock: {wrong}", "set it (timedatectl set-ntp true); TLS and logs depend on it"
        )
    else:
        yield Finding(OK, "clock: right")


def disk(paths: list[str]) -> Iterator[Finding]:
    """Say how full each file system is, once each."""
    folders = {os.stat(path).st_dev: path for path in paths if os.path.exists(path)}
    for path in folders.values():
        total, _, free = shutil.disk_usage(path)
        used = 1 - free / max(total, 1)
        level = FAIL if used >= DISK_FULL else WARN if used >= DISK_NEARLY_FULL else OK
        do = (
            "make room: logs, old Ray sessions (session_*); at 95 % Ray places no objects and logs"
            * (level != OK)
        )
        yield Finding(level, f"disk: {path} is {used:.0%} full, {free / 1e9:.1f} GB free", do)


def memory(processes: int, running: bool) -> Iterator[Finding]:
    """Say whether that many gateway processes fit, beside Ray; `running`: they are in memory
    already."""
    rows = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(rows[name].split()[0]) / 1024 for name in ("MemTotal", "MemAvailable"))
    need = RAY_MB + PROCESS_MB * processes
    words = f"memory: {free:.0f} of {total:.0f} MB free"
    if 1 - free / total >= MEMORY_FULL:
        yield Finding(
            FAIL, words, "end what takes it (make footprint weighs us); Ray ends chats at 95 %"
        )
    elif need > (total if running else free):
        do = "lower WEB_CONCURRENCY, or free memory"
        yield Finding(
            FAIL,
            f"{words}; {processes} processes (WEB_CONCURRENCY) and Ray need about {need} MB",
            do,
        )
    else:
        yield Finding(OK, words)


def files(pid: int, max_in_flight: int) -> Iterator[Finding]:
    """Say what the process `pid` may open (0: one started from here)."""
    try:
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    except PermissionError:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = max(soft, min(hard, RAISED_FILES))
    # A chat takes two, its client's and one to its model; who waits for a job takes one. As in
    # gunicorn.conf.py: 32 for the threads that answer the rest, and 512 for connections that wait
    # or are idle.
    needed = 3 * max_in_flight + 32 + OWN_FILES
    level = OK if limit >= needed + 512 else WARN if limit >= needed else FAIL
    do = f"set ulimit -Hn {needed + 512} (systemd: LimitNOFILE), or lower GATEWAY_MAX_IN_FLIGHT"
    do = "" if level == OK else do
    yield Finding(
        level, f"open files: a gateway process may have {limit} and wants {needed + 512}", do
    )
