"""What GET /models tells of a chat, asked of its actors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from gateway.actors.model import has_its_key
from gateway.actors.replica_actors import ask_actor, get_actor, replicas_of
from gateway.addresses import url_netloc
from gateway.protocol import (
    Budget,
    BudgetStatus,
    ChatRow,
    ChatState,
    Engine,
    ModelConfig,
    ReplicaStatus,
    Task,
)
from gateway.providers.prompts import variables


async def chat_row(config: ModelConfig) -> ChatRow:
    """Return the row of a chat that was deployed here."""
    name = config["chat_name"]
    row: ChatRow = {
        "chat_name": name,
        "provider": config["provider"],
        "model_type": config["model_type"],
        "model_name": config["model_name"],
        "host": url_netloc(config["base_url"]) or None,
        "egress_proxy": config["egress_host"] or None,
        "since": _iso(config["since"]),
        "created": int(config["since"]),
        "fallback": config["fallback"] or [],
        "reply": config["reply"] or {},
        "replicas": 0,
        "state": ChatState.STARTING.value,
        "resting": None,
        "options": config["options"],
        "thinking": config["thinking"] or None,
        "left_out": [],
        "keys": None,
        "task": None,
        "price": config["price"],
        "budget": budget_status(config["budget"]),
        "balance": None,
        "low": config["low"],
    }
    if config["engine"] == Engine.BYZERLLM:
        stock = await stock_row(name)
        row["replicas"], row["state"] = stock["replicas"], stock["state"]
        return row
    replicas = await replicas_of(name, config["workers"])
    answers = await asyncio.gather(*(ask_actor(replica, "status") for replica in replicas))
    statuses: list[ReplicaStatus] = [status for status in answers if status]
    row["replicas"] = len(statuses)
    row["resting"] = next((one["resting"] for one in statuses if one["resting"]), None)
    row["in_flight"] = sum(one["in_flight"] for one in statuses)
    row["left_out"] = sorted({name for one in statuses for name in one["left_out"]})
    row["balance"] = next((one["balance"] for one in statuses if one["balance"]), None)
    if config["api_key"]:
        row["keys"] = next((one["keys"] for one in statuses), None)
    row["state"] = _state(row, has_its_key(config)).value
    return row


async def stock_row(name: str) -> ChatRow:
    """Return the row of a stock byzerllm model, of which only its own actor knows anything."""
    stat = await ask_actor(await get_actor(name), "stat")
    ready = bool(stat) and all(worker["ready"] for worker in stat["worker_state"])
    return {
        "chat_name": name,
        "provider": "byzerllm",
        "model_type": None,
        "model_name": None,
        "host": None,
        "egress_proxy": None,
        "since": None,
        "created": 0,
        "fallback": [],
        "reply": {},
        "replicas": stat["total_workers"] if stat else 0,
        "state": (ChatState.ANSWERING if ready else ChatState.STARTING).value,
        "resting": None,
        "options": {},
        "thinking": None,
        "left_out": [],
        "keys": None,
        "task": None,
        "price": None,
        "budget": None,
        "balance": None,
        "low": None,
    }


def task_row(config: ModelConfig, chats: Mapping[str, ChatRow]) -> ChatRow:
    """Return the row of a task, which is as the chat that answers it."""
    task: Task = config["task"] or {"through": "", "system": "", "prompt": ""}
    through = chats.get(task["through"])
    names = variables(task["system"], task["prompt"])
    return {
        "chat_name": config["chat_name"],
        "provider": config["provider"],
        "model_type": None,
        "model_name": through["model_name"] if through else None,
        "host": None,
        "egress_proxy": None,
        "since": _iso(config["since"]),
        "created": int(config["since"]),
        "fallback": through["fallback"] if through else [],
        "reply": config["reply"] or {},
        "replicas": through["replicas"] if through else 0,
        "state": through["state"] if through else ChatState.STARTING.value,
        "resting": through["resting"] if through else None,
        "options": config["options"],
        "thinking": None,
        "left_out": [],
        "keys": None,
        "task": {"through": task["through"], "variables": list(names)},
        "price": None,
        "budget": None,
        "balance": None,
        "low": None,
    }


def budget_status(budget: Budget | None) -> BudgetStatus | None:
    """Return a budget of which nothing is known to be spent: a gateway process counts that."""
    return {**budget, "spent_money": 0.0, "spent_tokens": 0} if budget else None


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _state(row: ChatRow, has_key: bool) -> ChatState:
    if not has_key:
        return ChatState.NEED_KEY
    if row["resting"]:
        return ChatState.RESTING
    return ChatState.ANSWERING if row["replicas"] else ChatState.STARTING
