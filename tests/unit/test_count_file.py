"""Counting on a full disk ends no process, and goes on when there is room."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from gateway.web.count_file import FIRST_BYTES, CountFile
from tests.environment import TOP
from tests.small_disk import small_disk

COUNTS_ON_A_FULL_DISK = """
import logging, sys, time
from pathlib import Path
from gateway.web.count_file import AGAIN_SECONDS, CountFile
from tests.small_disk import fill
logging.basicConfig()
folder = Path(sys.argv[1])
def count(file, numbers):
    for number in numbers:
        file.write_value(f"count {number} of {'x' * 200}", float(number), 0.0)
ballast = fill(folder)
late = CountFile(str(folder / "late.db"))
count(late, range(10))
assert not list(folder.glob("late*"))
ballast.unlink()
early = CountFile(str(folder / "early.db"))
count(early, range(10))
ballast = fill(folder)
count(early, range(1000))
ballast.unlink()
time.sleep(AGAIN_SECONDS + 0.1)
count(early, range(1000))
count(late, range(10))
print("done")
"""


def read(path: Path) -> dict[str, float]:
    """As whoever answers /metrics does."""
    values = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]
    return {key: value for key, value, *_ in values}


def test_a_count_is_read_by_others_and_by_the_next_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "counter_1.db"
    file = CountFile(str(path))
    assert file.read_value("a") == (0.0, 0.0)
    for number in range(1000):
        file.write_value(f"{number} {'x' * 200}", float(number), 0.0)
    file.write_value("a", 5.0, 0.0)

    assert len(read(path)) == 1001
    assert (read(path)["a"], read(path)[f"999 {'x' * 200}"]) == (5.0, 999.0)
    file.close()
    file.close()
    again = CountFile(str(path))
    assert again.read_value("a") == (5.0, 0.0)
    again.close()


def test_each_block_is_there_before_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "counter_1.db"
    file = CountFile(str(path))
    file.write_value("a", 1.0, 0.0)

    assert path.stat().st_blocks * 512 >= path.stat().st_size == FIRST_BYTES
    file.close()


def test_a_full_disk_ends_no_process_and_is_said_once(tmp_path: Path) -> None:
    with small_disk(tmp_path, 1 << 20) as folder:
        done = subprocess.run(
            [sys.executable, "-c", COUNTS_ON_A_FULL_DISK, folder],
            cwd=TOP,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (done.returncode, done.stderr)
        assert done.stdout == "done\n"
        assert done.stderr.count("no room to count requests") == 1
        assert len(read(folder / "early.db")) == 1000
        assert len(read(folder / "late.db")) == 10


def test_no_folder_is_no_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = CountFile(str(tmp_path / "missing" / "counter_1.db"))
    with caplog.at_level(logging.WARNING):
        file.write_value("a", 1.0, 0.0)
    assert file.read_value("a") == (0.0, 0.0)
    file.close()
