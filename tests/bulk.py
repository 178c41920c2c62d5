"""A run of `python -m gateway bulk`, and tables for it."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.environment import TOP, clean_environment
from tests.server import Server

LIMIT_SECONDS = 100
"""For a run in a test on a busy machine."""


class Bulk:
    """Runs the command, in a folder, against a gateway, about one chat."""

    def __init__(self, folder: Path, server: Server, chat: str) -> None:
        self.folder, self.out, self.progress = (
            folder,
            folder / "out.csv",
            folder / "out.csv.progress",
        )
        self.source = folder / "in.csv"
        self._server, self._chat = server, chat

    def command(self, *options: str, out: str = "out.csv", source: str = "in.csv") -> list[str]:
        names = [str(self.folder / source), str(self.folder / out)]
        where = ["--url", self._server.url, "--chat", self._chat]
        return [sys.executable, "-m", "gateway", "bulk", *names, *where, *options]

    def start(self, *options: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*options),
            cwd=TOP,
            env={**clean_environment(), "LANG": "C.UTF-8", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        *options: str,
        out: str = "out.csv",
        source: str = "in.csv",
        environment: dict[str, str] | None = None,
    ) -> tuple[int, str]:
        """The exit code, and what was said."""
        ended = subprocess.run(
            self.command(*options, out=out, source=source),
            cwd=TOP,
            env={**clean_environment(), "LANG": "C.UTF-8", **(environment or {})},
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        assert ended.stdout == ""
        return ended.returncode, ended.stderr

    def write(self, rows: Sequence[Sequence[str]], encoding: str = "utf-8") -> None:
        with self.source.open("w", encoding=encoding, newline="") as file:
            csv.writer(file).writerows(rows)

    def rows(self, encoding: str = "utf-8") -> list[list[str]]:
        """What the answers' file holds."""
        with self.out.open(encoding=encoding, newline="") as file:
            return list(csv.reader(file))
