"""The programs that tests run, from Debian and from npm, and one run of a client of examples/."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.environment import TOP, clean_environment

EXAMPLES = TOP / "examples"
SECONDS = 120
"""For one run of a program, on a busy machine."""

CHINESE = """订单四十二：“你好”，库存不足 50% & 3+4=7？"引号" \\ '单' $HOME `x` #镕誠"""
"""Also what forms, JSON, shells and configuration files give a meaning; 誠 in GBK ends with the
byte of a backslash."""

MONO_FELL = b"Assertion at mono-threads.c"
"""Mono 6.8 aborts in one of some hundred runs while its process ends, after the answer."""

MAIL = f"""{CHINESE}\n台灯坏了 100%25 & refund=+1 'x'"""
TASK = {
    "prompt": "Sort this mail of {{customer}}: {{content}}",
    "choices": "refund,complaint,other",
}
"""What the programs named `task` of examples/ ask, and a mail that they send."""


def needed(program: str) -> str:
    """Its path. Without it CI fails, and elsewhere the test is skipped, naming it."""
    if matches := shutil.which(program):
        return matches
    absent = f"{program} is not installed: tests/install-packages installs it"
    if os.environ.get("CI"):
        pytest.fail(absent)
    pytest.skip(absent)


def npm_installed(folder: Path, *options: str, seconds: int = SECONDS) -> Path:
    """A copy of `folder` with its packages, where `make clean` finds it; installed again only when
    its lock changed."""
    there = (TOP / ".venv").resolve() / "npm" / folder.name
    lock = (folder / "package-lock.json").read_text()
    there.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_file():
            shutil.copy(path, there)
    stamp = there / "installed"
    if not stamp.exists() or stamp.read_text() != lock:
        install = (needed("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", *options)
        ended = subprocess.run(
            install, cwd=there, capture_output=True, text=True, timeout=seconds, check=False
        )
        assert ended.returncode == 0, ended.stderr
        stamp.write_text(lock)
    return there


class Said(NamedTuple):
    """What a client ended with."""

    code: int
    out: str
    err: str


Ask = Callable[..., Said]


def ask(
    command: tuple[str, ...],
    port: int,
    chat_name: str,
    arguments: tuple[str, ...],
    token: str = "",
    charset: str = "utf-8",
    shown_in: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Said:
    """Run a client as its owner would, with its arguments in `charset`; what it prints is in
    `shown_in`, or the same."""
    settings = {
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "GATEWAY_TOKEN": token,
        "CHAT_NAME": chat_name,
    }
    # A proxy of this machine's must not come between; curl and HTTP::Tiny would ask it.
    locale = {"LC_ALL": "C.UTF-8", "no_proxy": "127.0.0.1"}
    for _ in range(2):
        ended = subprocess.run(
            [*(part.encode() for part in command), *(text.encode(charset) for text in arguments)],
            env={**clean_environment(), **locale, **settings, **(environment or {})},
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        if MONO_FELL not in ended.stdout:
            break
    return Said(
        ended.returncode, ended.stdout.decode(shown_in or charset), ended.stderr.decode(charset)
    )
