"""A whole reply of OpenAI's Responses or of Anthropic's Messages made a stream of events, and such
a stream made a whole reply: for providers that answer in the mode that was not asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import orjson

from gateway.protocol import RESPONSES
from gateway.providers.chunks import Json

ADDED = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
    "input_json_delta": ("input", "partial_json"),
}
"""Which field of a content block a delta adds to, and which of its own has what is added."""


def folded(path: str, events: Iterable[Json]) -> Json:
    """Return the whole reply that a stream's events make; {}: they make none."""
    if path == RESPONSES:
        return _response(events)
    body: Json = {}
    blocks: dict[str, Json] = {}
    for event in events:
        delta, index = _object(event.get("delta")), str(event.get("index"))
        match event.get("type"):
            case "message_start":
                body = _object(event.get("message"))
            case "content_block_start":
                blocks[index] = dict(_object(event.get("content_block")))
            case "content_block_delta":
                _add(blocks.setdefault(index, {"type": "text"}), delta)
            case "message_delta":
                usage = _object(body.get("usage")) | _object(event.get("usage"))
                body = {**body, **delta, "usage": usage}
    if blocks:
        body = {**body, "content": [_closed(block) for block in blocks.values()]}
    return body


def _response(events: Iterable[Json]) -> Json:
    """Return the response that events make. The last one has all of it, but for some relays, whose
    `output` is empty there: it is what was said on the way."""
    body: Json = {}
    items: dict[str, Json] = {}
    texts: dict[str, list[str]] = {}
    for event in events:
        body = _object(event.get("response")) or body
        index, item, delta = event.get("output_index"), event.get("item"), event.get("delta")
        index = str(len(items) if index is None else index)
        match event.get("type"):
            case "response.output_item.done" if isinstance(item, dict):
                items[index] = item
            case "response.output_text.delta" if isinstance(delta, str):
                texts.setdefault(index, []).append(delta)
    if body.get("output") or not (items or texts):
        return body
    for index, deltas in texts.items():
        item = items.get(index, {})
        if item.get("content") or item.get("type", "message") != "message":
            continue
        items[index] = _message("".join(deltas))
    return {**body, "output": [items[at] for at in sorted(items, key=lambda at: (len(at), at))]}


def _message(text: str) -> Json:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "role": "assistant", "status": "completed", "content": [part]}


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _add(block: Json, delta: Json) -> None:
    if row := ADDED.get(str(delta.get("type"))):
        name, field = row
        so_far = block.get(name)
        block[name] = (so_far if isinstance(so_far, str) else "") + str(delta.get(field) or "")


def _closed(block: Json) -> Json:
    """Return a content block with what a tool is given as an object."""
    if isinstance(words := block.get("input"), str):
        block["input"] = {}
        with suppress(orjson.JSONDecodeError):
            block["input"] = orjson.loads(words or "{}")
    return block


def unfolded(path: str, body: Json) -> list[Json]:
    """Return the events of a stream that says the same as a whole reply."""
    if path == RESPONSES:
        kind = "incomplete" if body.get("status") == "incomplete" else "completed"
        return [
            {"type": "response.created", "sequence_number": 0, "response": {**body, "output": []}},
            {"type": f"response.{kind}", "sequence_number": 1, "response": body},
        ]
    events: list[Json] = [
        {"type": "message_start", "message": {**body, "content": [], "stop_reason": None}}
    ]
    blocks = [block for block in body["content"] if isinstance(block, dict)]
    for index, block in enumerate(blocks):
        events += _block_events(index, block)
    delta = {name: body.get(name) for name in ("stop_reason", "stop_sequence")}
    events.append({"type": "message_delta", "delta": delta, "usage": body.get("usage") or {}})
    return [*events, {"type": "message_stop"}]


def _block_events(index: int, block: Json) -> list[Json]:
    """Return the events of one content block. Clients put it together from its beginning, which is
    empty, and what is added."""
    added = {
        "text": [("text", "text_delta", "text")],
        "thinking": [
            ("thinking", "thinking_delta", "thinking"),
            ("signature", "signature_delta", "signature"),
        ],
        "tool_use": [("input", "input_json_delta", "partial_json")],
    }.get(str(block.get("type")), [])
    start, deltas = dict(block), []
    for name, kind, field in added:
        value = start.get(name)
        start[name] = "" if isinstance(value, str) else {}
        words = value if isinstance(value, str) else orjson.dumps(value or {}).decode()
        deltas.append(
            {
                "type": "content_block_delta",
                "index": index,
                "delta": {"type": kind, field: words},
            }
        )
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *deltas,
        {"type": "content_block_stop", "index": index},
    ]
