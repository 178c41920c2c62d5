"""Whether a cluster's control store is there, and why there is no connection to it."""

from __future__ import annotations

import socket
import time

from gateway.addresses import split_port

CONNECT_SECONDS = 2
AGAIN_SECONDS = 0.2

BACK_SECONDS = 1
"""So long a control store may be away that is started again; it takes a tenth of it."""


def reach_again(address: str) -> None:
    """Connect to a control store that may be started again (gateway/commands/ray_node.py), and hang
    up. Raises OSError: nobody is there."""
    deadline = time.monotonic() + BACK_SECONDS
    while True:
        try:
            return reach(address)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(AGAIN_SECONDS)


def reach(address: str) -> None:
    """Connect to a control store and hang up. Raises OSError: nobody is there."""
    host, port = split_port(address)
    socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


def why_unreached(error: Exception) -> tuple[str, str]:
    """Return why there is no connection, and what to do, in English and in Chinese."""
    text = " ".join(str(error).split())
    if "Version mismatch" in text:
        text = text[:400]
        words = (
            f"{text} Start Ray with this environment's own ray, so that both versions are the same."
        )
        return words, f"{text} 请用本环境中的 ray 启动 Ray，使两者版本一致。"
    if "token" in text.lower() and "auth" in text.lower():
        return (
            "The cluster wants its token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (or"
            " RAY_AUTH_TOKEN).",
            "集群需要令牌：请设置 RAY_AUTH_MODE=token 和 RAY_AUTH_TOKEN_PATH"
            "（或 RAY_AUTH_TOKEN）。",
        )
    if isinstance(error, OSError):
        return (
            "No Ray cluster runs there. Start one (make run starts its own), or set"
            " RAY_ADDRESS=host:6379.",
            "该地址没有运行 Ray 集群。请启动一个（make run 会自行启动），或设置"
            " RAY_ADDRESS=host:6379。",
        )
    words = f"{type(error).__name__}: {text[:200]}"
    return words, words
