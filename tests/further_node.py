"""A second node of a cluster, on this machine too."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil

from gateway.commands.ray_head import BIN, RayHead
from tests.environment import clean_environment
from tests.processes import running


def start_node(head: RayHead, folder: Path) -> subprocess.Popen[bytes]:
    """A further node of the head's cluster, on this machine too."""
    command = [
        str(BIN / "ray"),
        "start",
        f"--address={head.address}",
        "--block",
        "--object-store-memory=100000000",
    ]
    command += ["--min-worker-port=0", "--max-worker-port=0"]
    environment = {**clean_environment(), **head.environment, "RAY_worker_niceness": "0"}
    with (folder / "node.log").open("ab") as log:
        return subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )


def actors_of(node: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return running(node.pid, "ray::ModelActor")
