"""Ray's private parts that a gateway process needs: all of them, each with its reason, so that a
new Ray is looked through in one place. (gateway/actors has its own few, since it is sent to the
cluster.)
"""

from __future__ import annotations

import os
import socket

import ray
import ray._private.auto_init_hook
import ray._private.utils
import ray._private.worker
from ray._raylet import GcsClient  # type: ignore[attr-defined]


def bring_back_hex_to_binary() -> None:
    """Give Ray the name that byzerllm 0.1.223 imports and Ray 2.60 dropped."""
    ray._private.utils.hex_to_binary = bytes.fromhex


def connect_only_when_told() -> None:
    """Keep Ray from connecting by itself: a call while the connection is lost would connect beside
    ours, or even start a cluster on this machine."""
    ray._private.auto_init_hook.enable_auto_connect = False


def send_no_tables() -> None:
    """Keep Ray from loading pyarrow, and numpy with it, to serialize tables, which are never
    sent."""
    for kind in ("DATA", "JSON_OPTIONS"):
        os.environ[f"RAY_DISABLE_CUSTOM_ARROW_{kind}_SERIALIZATION"] = "1"


def print_no_obituaries() -> None:
    """Keep Ray from printing pages of each process that ends between our lines about requests; its
    own log has them, too."""
    ray._private.worker.print_to_stdstream = lambda data, ignore_prefix: None


def session_at(address: str, seconds: float) -> str:
    """Return the name of the session of whichever cluster has an address now. Raises RayError."""
    store = GcsClient(address=address)
    return str(store.internal_kv_get(b"session_name", b"session", timeout=seconds).decode())


def knock_at_node(seconds: float) -> None:
    """Raise OSError where the node by which this process joined its cluster has ended."""
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(seconds)
        door.connect(ray._private.worker.global_worker.node.raylet_socket_name)


def sockets_folder() -> str:
    """Return the folder where this process's node keeps its sockets."""
    return str(ray._private.worker.global_worker.node.get_sockets_dir_path())
