"""Which files may be loaded as local models: GGUF files where the operator allows them, that
llama.cpp survives.

llama.cpp ends its whole process over some damaged files, when it loads them or at the first
question: so a process that nobody else needs tries them first.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

MAGIC = b"GGUF"

TRIAL_SECONDS = 90
"""Of the seconds that a deploy has. The file is read from the disk here, and from memory when it is
loaded again."""

TRIAL = """
import contextlib, json, os, re, resource, secrets, signal, sys
path, settings, seconds = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
signal.alarm(seconds)  # also where whoever waits for this process has ended
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
with open("/proc/meminfo") as rows:
    free = 1024 * int(re.search(r"MemAvailable: +([0-9]+)", rows.read())[1])
# Where memory runs out, Ray ends chats; a mapped file does not count here.
resource.setrlimit(resource.RLIMIT_DATA, (free * 3 // 4, free * 3 // 4))
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path = path
for name, value in settings.items():
    setattr(params, name, value)
params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [secrets.token_urlsafe(24)]
server = xllamacpp.Server(params)
with contextlib.suppress(Exception):  # a model that only embeds, say
    messages = [{"role": "user", "content": "Hi"}]
    server.handle_chat_completions({"messages": messages, "max_tokens": 1})
del server
os._exit(0)
"""


def is_gguf(path: str, below: str = "") -> bool:
    """Return whether `path` is a regular file that begins as GGUF does, below the folder `below` if
    that is not "".

    Nothing else is opened: a FIFO would wait for a writer, and a device may do anything.
    """
    try:
        real = os.path.realpath(path, strict=True)
        if not os.path.isabs(path) or (
            below and not Path(real).is_relative_to(os.path.realpath(below))
        ):
            return False
        if not stat.S_ISREG(os.stat(real).st_mode):
            return False
        with open(
            os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0
        ) as file:
            # It may be another file by now.
            return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):  # no file has such a name
        return False


def survives(path: str, settings: Mapping[str, object], seconds: int = TRIAL_SECONDS) -> bool:
    """Return whether a process of its own loads `path` with llama.cpp's `settings` and answers a
    question, in time."""
    trial = subprocess.run(
        [sys.executable, "-c", TRIAL, path, json.dumps(settings), str(seconds)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "GGML_NO_BACKTRACE": "1"},  # else llama.cpp starts a debugger, for 10 s
        check=False,
    )
    return trial.returncode == 0
