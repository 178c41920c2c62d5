"""What `python -m gateway bulk` says, in the language of its terminal."""

from __future__ import annotations

import os


class BulkError(Exception):
    """Why a run cannot begin, or ends before its last row. Its text is for the person who runs
    it."""


def in_chinese() -> bool:
    """Return whether the terminal speaks Chinese, as its locale says."""
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return next(filter(None, names), "").lower().startswith("zh")


def words(english: str, chinese: str) -> str:
    """Return the text that the terminal's user reads."""
    return chinese if in_chinese() else english
