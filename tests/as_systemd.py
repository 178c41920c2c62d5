"""Plays the part of systemd that a plain process supervisor lacks: a unit's control group, and its
credentials.

    python as_systemd.py [--credential ID:PATH ... --into FOLDER] -- COMMAND...

Copies the credentials, runs the command, passes SIGTERM and SIGHUP on to it, and when it has ended,
however it ended, kills what it left behind (KillMode=mixed).
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--credential", action="append", default=[])
    ask.add_argument("--into", type=Path)
    ask.add_argument("command", nargs="+")
    args = ask.parse_args()
    environment = dict(os.environ)
    if args.into:
        environment["CREDENTIALS_DIRECTORY"] = str(args.into)
        load(args.credential, args.into)
    # What the command orphans becomes a child of this process, and not of init.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = subprocess.Popen(args.command, env=environment)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: child.send_signal(got))
    code = child.wait()
    while left := psutil.Process().children(recursive=True):
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=5)
    sys.exit(code if code >= 0 else 128 - code)


def load(credentials: list[str], into: Path) -> None:
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(mode=0o700)
    for credential in credentials:
        name, path = credential.split(":", 1)
        source = Path(path)
        for file in source.iterdir() if source.is_dir() else [source]:
            copy = into / (f"{name}_{file.name}" if source.is_dir() else name)
            copy.write_bytes(file.read_bytes())


if __name__ == "__main__":
    main()
