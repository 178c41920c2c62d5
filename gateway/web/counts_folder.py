"""The folder in which a service's processes count: each into files of its own, which the others
read (prometheus_client's multiprocess mode)."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path


def counts_folder(master: int) -> Path:
    """Return the folder of the service whose processes have this parent, in a folder that nobody
    else may enter; the operator's PROMETHEUS_MULTIPROC_DIR goes first.

    It is removed after its time. On a full disk there may be none, and nothing is counted. Raises
    RuntimeError: somebody else made the folder around it.
    """
    if chosen := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return Path(chosen)
    # Python's tempfile would look for another folder on a full disk, where the other processes
    # count in this one.
    place = Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108  # looked at below
    top = place / f"byzer-gateway-{os.getuid()}"
    mine = top / str(master)
    try:
        top.mkdir(mode=0o700, exist_ok=True)
        state = top.lstat()
    except OSError:
        return mine
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise RuntimeError(f"{top} must be a folder of this user's own, with mode 0700; remove it.")
    for former in top.iterdir():
        if not Path("/proc", former.name).exists():
            shutil.rmtree(former, ignore_errors=True)
    with suppress(OSError):
        mine.mkdir(exist_ok=True)
    return mine


def forget_process(folder: Path, pid: int) -> None:
    """Drop what a process that has ended counted as under way; what it had counted stays."""
    # prometheus_client's own, which is loaded here and not in gunicorn's master from the start.
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
