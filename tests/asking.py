"""A question at /<provider>/chat."""

from __future__ import annotations

from typing import Any

import httpx


def ask(gateway: httpx.Client, name: str, **more: Any) -> httpx.Response:
    return gateway.post("/openai/chat", json={"chat_name": name, "content": "hi", **more})
