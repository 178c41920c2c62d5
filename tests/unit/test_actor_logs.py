"""The log files of a process that ended in peace."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.actors import actor_logs

RAYS_LINE = b":actor_name:ModelActor\n"


@pytest.mark.parametrize(("output", "is_left"), [(RAYS_LINE, False), (RAYS_LINE * 9, True)])
def test_a_process_that_said_nothing_takes_its_log_files_along(
    tmp_path: Path, output: bytes, is_left: bool
) -> None:
    names = ("worker-w-01-7.out", "worker-w-01-7.err", "python-core-worker-w_7.log")
    events = ("events/event_CORE_WORKER_7.log", "export_events/event_EXPORT_TASK_7.log")
    others = {"worker-w-01-77.out", "events/event_CORE_WORKER_77.log", "raylet.out"}
    for name in (*names, *events, *others):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(RAYS_LINE)
    (tmp_path / "worker-w-01-7.err").write_bytes(output)

    actor_logs.remove(tmp_path, "w", "01", 7)

    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert there - others == ({*names, *events} if is_left else set())
    assert others <= there
