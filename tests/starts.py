"""A start that is refused, and what it says."""

from __future__ import annotations

import subprocess
import sys

from tests.environment import TOP, clean_environment

MAKE_RUN = ("-m", "gateway", "run", "--local-chat")

AT_ONCE_SECONDS = 30
"""For a start that is refused: Python, and for app.py byzerllm's import, on a busy machine."""


def refusal(arguments: tuple[str, ...], bind: str, **environment: str) -> str:
    """The one line with which a start is refused, at once."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=TOP,
        env={**clean_environment(), "GATEWAY_BIND": bind, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=AT_ONCE_SECONDS,
        check=False,
    )
    assert ended.returncode not in (0, None)
    lines = ended.stdout.splitlines()
    assert len(lines) == 1, ended.stdout
    return lines[0]
