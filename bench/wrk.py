"""wrk: one load on one URL, and what became of every request."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

HANG_SECONDS = 60
"""A request without an answer for so long is a failure, of the kind `timeout`."""

SCRIPT = Path(__file__).with_name("post.lua")


class Post(NamedTuple):
    """A request to be made over and over."""

    url: str
    body: dict[str, Any]
    headers: dict[str, str]


class Run(NamedTuple):
    """What one load gave. `good` were answered with 2xx or 3xx; `errors` are the others, by kind:
    `status`, and `connect`, `read`, `write` and `timeout` of the connection. Percentiles are of all
    answers."""

    good: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: dict[str, int]

    @property
    def per_second(self) -> float:
        return self.good / self.seconds

    @property
    def failed(self) -> int:
        return sum(self.errors.values())


def load(post: Post, connections: int, seconds: int) -> Run:
    """Keep `connections` busy for `seconds`. Raises SystemExit: wrk itself failed."""
    headers = "\n".join(f"{name}: {value}" for name, value in post.headers.items())
    environment = {**os.environ, "BODY": json.dumps(post.body), "HEADERS": headers}
    options = [
        f"--connections={connections}",
        f"--duration={seconds}s",
        f"--timeout={HANG_SECONDS}s",
    ]
    ended = subprocess.run(
        ["wrk", "--threads=1", *options, f"--script={SCRIPT}", post.url],
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds + 2 * HANG_SECONDS,
    )
    if ended.returncode:
        raise SystemExit(f"wrk failed: {ended.stdout}{ended.stderr}")
    return parsed(ended.stdout)


def parsed(output: str) -> Run:
    """What post.lua printed in the last line of wrk's output."""
    said = json.loads(output.strip().rsplit("\n", 1)[-1])
    errors = {kind: number for kind, number in said["errors"].items() if number}
    good = said["answered"] - errors.get("status", 0)
    return Run(good, said["seconds"], said["p50_ms"], said["p99_ms"], errors)
