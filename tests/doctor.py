"""A run of the doctor, and the lines of its report."""

from __future__ import annotations

import subprocess
import sys

from tests.environment import TOP, clean_environment

DOCTOR = (sys.executable, "-m", "gateway", "doctor")

LIMIT_SECONDS = 100
"""For a doctor in a test on a busy machine; it would hang for much longer without limits of its
own."""


class Report:
    """What the doctor said, and whether with an exit code of 1."""

    def __init__(
        self, environment: dict[str, str], *hosts: str, command: tuple[str, ...] = DOCTOR
    ) -> None:
        # A closed port, else the providers themselves would be asked.
        self.ended = subprocess.run(
            [*command, *(hosts or ["http://127.0.0.1:1"])],
            cwd=TOP,
            env={**clean_environment(), **environment},
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        self.lines = self.ended.stdout.splitlines()
        assert self.ended.stderr == "", self.ended.stdout + self.ended.stderr
        assert all(line.startswith(("ok    ", "warn  ", "FAIL  ")) for line in self.lines)
        assert (self.ended.returncode == 1) == any(line.startswith("FAIL") for line in self.lines)

    def line(self, level: str, *words: str) -> str:
        """The one line that holds all these words; it says what to do, unless all is well."""
        matches = [line for line in self.lines if all(word in line for word in words)]
        assert len(matches) == 1, (words, self.lines)
        [line] = matches
        assert line.startswith(level), line
        assert (" -> " in line) == (level != "ok"), line
        return line
