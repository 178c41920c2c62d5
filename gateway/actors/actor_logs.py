"""The log files that Ray makes for each process, and never removes. A process that ends in peace
takes them along."""

from __future__ import annotations

import os
from pathlib import Path

import ray

from gateway.actors import ray_private

QUIET_BYTES = 64
"""Ray's own first line takes as much; whoever has written more had something to say, which is
kept."""


def forget() -> None:
    """Remove this process's log files, unless it wrote something to its output."""
    context = ray.get_runtime_context()
    remove(
        Path(ray_private.logs_folder()),
        context.get_worker_id(),
        context.get_job_id(),
        os.getpid(),
    )


def remove(folder: Path, worker: str, job: str, pid: int) -> None:
    """Remove the log files of a process, unless it wrote something to its output."""
    output = [folder / f"worker-{worker}-{job}-{pid}.{kind}" for kind in ("out", "err")]
    if any(path.exists() and path.stat().st_size > QUIET_BYTES for path in output):
        return
    core = folder / f"python-core-worker-{worker}_{pid}.log"
    events = folder / "events" / f"event_CORE_WORKER_{pid}.log"
    tasks = folder / "export_events" / f"event_EXPORT_TASK_{pid}.log"
    for path in (*output, core, events, tasks):
        path.unlink(missing_ok=True)
