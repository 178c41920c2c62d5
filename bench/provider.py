"""A provider that answers at once, or after just the delay that its URL names: nginx with a few
lines of Lua."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.service import answers, free_port
from gateway.commands.ray_head import stop
from gateway.commands.run import wait

CONF = Path(__file__).with_name("provider.conf")
START_SECONDS = 10


class Provider(NamedTuple):
    """Where it answers, and its process."""

    base: str
    pid: int

    def base_url(self, delay_ms: int) -> str:
        """What a chat is deployed with."""
        return f"{self.base}/{delay_ms}/v1"


@contextmanager
def provider() -> Iterator[Provider]:
    """Start nginx, and stop it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-provider-") as folder:
        conf = Path(folder, "nginx.conf")
        conf.write_text(CONF.read_text().replace("@PORT@", str(port)))
        nginx = subprocess.Popen(
            ["nginx", "-p", folder, "-e", "error.log", "-c", conf], start_new_session=True
        )
        found = Provider(f"http://127.0.0.1:{port}", nginx.pid)
        try:
            question = f"{found.base_url(0)}/chat/completions"
            wait(
                "Starting the stand-in provider",
                START_SECONDS,
                lambda: _runs(nginx) and answers(question, {"a": 1}),
            )
            yield found
        finally:
            stop(nginx)


def _runs(nginx: subprocess.Popen[bytes]) -> bool:
    if nginx.poll() is not None:
        raise SystemExit(
            "nginx did not start: its reason stands above. tests/install-packages installs what it"
            " needs."
        )
    return True
