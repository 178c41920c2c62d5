"""The clients of examples/ that ask a task build and parse nothing, so they are the short ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtimes import EXAMPLES

LANGUAGES = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_task_takes_fewer_lines_than_a_chat(language: str) -> None:
    files = list((EXAMPLES / language).iterdir())
    [task] = (path for path in files if path.stem.lower() == "task")
    chats = [path for path in files if path != task]
    assert chats
    assert lines(task) < min(map(lines, chats))
