"""Rows of GET /models, as the tests of notifications need them."""

from __future__ import annotations

from typing import Any, cast

from gateway.notifications.conditions import Look, look
from gateway.protocol import ChatRow

DAY = "2026-11-27"


def row(name: str = "shop", state: str = "answering", code: str = "", **more: Any) -> ChatRow:
    """A row of GET /models, with what matters here."""
    resting = {"code": code, "since": 0, "until": 0} if code else None
    fields: dict[str, Any] = {
        "chat_name": name,
        "provider": "zhipu",
        "state": "resting" if code else state,
        "resting": resting,
        "fallback": [],
        "task": None,
        "price": None,
        "budget": None,
        "balance": None,
        "low": None,
    }
    return cast(ChatRow, {**fields, **more})


def seen(*rows: ChatRow, day: str = DAY, **over: str) -> Look:
    return look(rows, over, day)
