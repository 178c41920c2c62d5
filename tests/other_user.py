"""Another user of this machine, who tries what nobody else may."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

OTHER = 65534
"""The user and the group `nobody`."""

BECOME_ANOTHER = f"""
import json, os, socket, sys
os.setgroups([])
os.setgid({OTHER})
os.setuid({OTHER})
"""


@contextmanager
def another_user(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run Python code as another user, who reads a line when it is to go on."""
    if os.geteuid():
        pytest.skip("only root can run a program as another user")
    # Not executed as that user, since Python itself may lie where only we can go.
    command = [sys.executable, "-c", BECOME_ANOTHER + code, *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
    ) as process:
        yield process
        process.kill()


@contextmanager
def open_folder(mode: int = 0o777) -> Iterator[Path]:
    """A folder into which every user gets, as Ray's own is."""
    with tempfile.TemporaryDirectory(prefix="open-", dir="/tmp") as folder:  # pytest's are closed
        os.chmod(folder, mode)
        yield Path(folder)


TAKES_THE_SOCKET = """
path = sys.argv[1]
os.rename(path, path + ".ours")
server = socket.socket(socket.AF_UNIX)
server.bind(path)
os.chmod(path, 0o777)
server.listen(64)
print("listening", flush=True)
taken = 0
server.settimeout(0.2)
import select
while not select.select([sys.stdin], [], [], 0)[0]:
    try:
        connection, _ = server.accept()
    except TimeoutError:
        continue
    connection.settimeout(5)
    taken += len(connection.recv(65536))
    connection.close()
os.rename(path + ".ours", path)
print(taken, flush=True)
"""
"""Puts a socket in another's place until it reads a line, then tells how many bytes it was sent."""
