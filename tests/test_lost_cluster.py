"""What a call says, and what it leaves, while the connection to the cluster is lost."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil

from gateway.commands.ray_head import RayHead
from tests.environment import TOP, clean_environment
from tests.waiting import until

CALLS = """
import ray
from gateway.cluster.calls import Calls
from gateway.cluster.connection import Connection
from gateway.errors import GatewayError

connection = Connection("127.0.0.1:9", lambda: None, lambda chats: None)
for call in (lambda left: ray.get_actor("chat"), lambda left: ray.put("chat")):
    try:
        Calls(connection).patiently(1, call)
    except GatewayError as error:
        print(error.code, ray.is_initialized())
"""


LEAVE = """
import traceback
import ray
from gateway.cluster.calls import Calls
from gateway.cluster.connection import Connection
from gateway.errors import GatewayError

connection = Connection("{address}", lambda: None, lambda chats: None)
connection.start()
connection.settled(20)
try:
    Calls(connection).tell_directory(0.1, "follow", "a process", *connection.chats.seen)
except GatewayError as error:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    frames += [frame for frame, _ in traceback.walk_tb(error.__cause__.__traceback__)]
    calls = [ray.ObjectRef for frame in frames for local in frame.f_locals.values()
             if isinstance(local, ray.ObjectRef)]
    print(error.code, len(frames) > 4, calls)
"""


LOOK_UP = """
import os
import ray
from gateway.cluster.calls import Calls
from gateway.cluster.connection import Connection
from gateway.errors import GatewayError

connection = Connection("{address}", lambda: None, lambda chats: None)
connection.start()
connection.settled(20)
input("connected\\n")
try:
    Calls(connection).patiently(5, lambda left: ray.get_actor("chat"))
except GatewayError as error:
    print(error.code, flush=True)
os._exit(0)  # Ray would take its leave of the control store
"""


FORGOTTEN = """
import threading
import time
from gateway.cluster.calls import Calls
from gateway.cluster.connection import Connection
from gateway.errors import GatewayError

def forget():
    client.start()
    time.sleep(1)

def ask():
    try:
        print(Calls(connection).ask_directory(5, "find", "a chat"))
    except GatewayError as error:
        print(error.code)

client = threading.Thread(target=ask)
connection = Connection("{address}", forget, lambda chats: None)
connection.start()
connection.settled(20)
client.join()
"""


def output_of(script: str, environment: dict[str, str]) -> str:
    """What a script prints, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=TOP,
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.stdout or ended.stderr


def test_a_call_while_the_cluster_is_lost_is_cluster_down_and_starts_none() -> None:
    """In a process of its own, where Ray has never been connected."""
    output = output_of(CALLS, {"RAY_ADDRESS": "127.0.0.1:9"})
    assert output == "CLUSTER_DOWN False\n" * 2


def test_what_failed_has_no_call_of_rays_which_would_be_dropped_while_ray_shuts_down(
    ray_head: RayHead,
) -> None:
    """Ray ends a process that uses it, as it does to drop a call, while it shuts down."""
    script = LEAVE.format(address=ray_head.environment["RAY_ADDRESS"])
    assert output_of(script, ray_head.environment) == "TIMEOUT True []\n"


def test_who_asks_while_the_last_clusters_chats_are_being_forgotten_waits_for_this_ones(
    ray_head: RayHead,
) -> None:
    script = FORGOTTEN.format(address=ray_head.environment["RAY_ADDRESS"])
    assert output_of(script, ray_head.environment) == "None\n"


def test_who_looks_for_an_actor_of_a_control_store_that_is_silent_does_not_wait_for_a_minute() -> (
    None
):
    """Its connections stay open, as when its machine is cut off."""
    head = RayHead(clean_environment())
    try:
        until(head.up, 60)
        looks = subprocess.Popen(
            [sys.executable, "-c", LOOK_UP.format(address=head.address)],
            cwd=TOP,
            env={**clean_environment(), **head.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert looks.stdout
        assert looks.stdout.readline() == "connected\n"
        [store] = [
            one for one in psutil.Process(head.process.pid).children() if one.name() == "gcs_server"
        ]
        store.send_signal(signal.SIGSTOP)
        output, _ = looks.communicate("\n", timeout=30)
        store.send_signal(signal.SIGCONT)
        assert output.strip().splitlines()[-1] == "CLUSTER_DOWN"
    finally:
        head.stop()
