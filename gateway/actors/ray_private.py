"""Ray's private parts that the actors need: all of them, so that a new Ray is looked through in one
place for each side (gateway/cluster/ray_private.py is the gateway processes').
"""

from __future__ import annotations

import ray._private.state
import ray._private.worker


def living_drivers() -> frozenset[str]:
    """Return the ids of all drivers that are connected to the cluster: a raylet tells Ray's control
    store as soon as a driver's connection ends, which the kernel does for whoever dies, and nobody
    for whoever is stalled."""
    return frozenset(job["JobID"] for job in ray._private.state.jobs() if not job["IsDead"])


def logs_folder() -> str:
    """Return the folder where this process's node keeps its logs."""
    return str(ray._private.worker.global_worker.node.get_logs_dir_path())
