"""The processes of the actors in a Ray cluster."""

from __future__ import annotations

import psutil

from gateway.commands.ray_head import RayHead


def actor_processes(head: RayHead, name: str) -> list[psutil.Process]:
    """The processes of the actor class `name`, among the head's own."""
    children = psutil.Process(head.process.pid).children(recursive=True)
    alive = [p for p in children if p.is_running() and p.status() != "zombie"]
    return [p for p in alive if f"ray::{name}" in "".join(p.cmdline())]


def actor_process(head: RayHead, name: str) -> psutil.Process:
    """The newest of them."""
    return max(actor_processes(head, name), key=psutil.Process.create_time)
