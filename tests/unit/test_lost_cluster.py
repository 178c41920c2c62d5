"""What a call says while the connection to the cluster is lost."""

from __future__ import annotations

import subprocess
import sys

from tests.environment import TOP, clean_environment

CALLS = """
import ray
from gateway.cluster.connection import Connection
from gateway.errors import GatewayError

connection = Connection("127.0.0.1:9", lambda: None, lambda chats: None)
for call in (lambda left: ray.get_actor("chat"), lambda left: ray.put("chat")):
    try:
        connection.patiently(1, call)
    except GatewayError as error:
        print(error.code, ray.is_initialized())
"""


def test_a_call_while_the_cluster_is_lost_is_cluster_down_and_starts_none() -> None:
    """In a process of its own, where Ray has never been connected."""
    environment = {**clean_environment(), "RAY_ADDRESS": "127.0.0.1:9"}
    command = [sys.executable, "-c", CALLS]
    ended = subprocess.run(
        command, cwd=TOP, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stdout == "CLUSTER_DOWN False\n" * 2, ended.stderr
