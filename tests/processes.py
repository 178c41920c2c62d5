"""The processes of the actors in a Ray cluster."""

from __future__ import annotations

from contextlib import suppress

import psutil

from gateway.commands.ray_head import RayHead


def actor_processes(head: RayHead, name: str) -> list[psutil.Process]:
    """The processes of the actor class `name`, among the head's own."""
    children = psutil.Process(head.process.pid).children(recursive=True)
    actors = []
    for child in children:
        with suppress(psutil.NoSuchProcess):  # it may end while it is looked at
            if child.status() != "zombie" and f"ray::{name}" in "".join(child.cmdline()):
                actors.append(child)
    return actors


def actor_process(head: RayHead, name: str) -> psutil.Process:
    """The newest of them."""
    return max(actor_processes(head, name), key=psutil.Process.create_time)
