"""A copy of this code, and how it becomes a later version."""

from __future__ import annotations

import shutil
from pathlib import Path

from gateway import __version__
from tests.environment import TOP

LATER = "999.0.0"


def copy(folder: Path) -> Path:
    """All that gunicorn serves, in a folder of its own."""
    tree = folder / "tree"
    tree.mkdir()
    for name in (
        "gateway",
        "app.py",
        "gunicorn.conf.py",
        *(one.name for one in TOP.glob("llm_*.py")),
    ):
        of = TOP / name
        (shutil.copytree if of.is_dir() else shutil.copy)(of, tree / name)
    return tree


def replaced(file: Path, old: str, new: str) -> None:
    """Write a file anew, with other words in the place of some."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def upgrade(tree: Path) -> None:
    """Let the code call itself a later version."""
    replaced(tree / "gateway/__init__.py", f'"{__version__}"', f'"{LATER}"')
