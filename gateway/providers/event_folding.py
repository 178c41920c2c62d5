"""A whole reply of OpenAI's Responses or of Anthropic's Messages made a stream of events, and such
a stream made a whole reply: for providers that answer in the mode that was not asked for. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
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

EMPTY: Mapping[str, Json] = {"message": {"content": []}, "function_call": {"arguments": ""}}
"""How an item of a response begins."""


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
    texts: dict[str, list[str]] = defaultdict(list)
    given: dict[str, list[str]] = defaultdict(list)
    for event in events:
        body = _object(event.get("response")) or body
        item, index = _object(event.get("item")), event.get("output_index")
        at = str(event.get("item_id") or item.get("id") or len(items) if index is None else index)
        delta, text = event.get("delta"), event.get("text", _object(event.get("part")).get("text"))
        match event.get("type"):
            case "response.output_item.added":
                items.setdefault(at, item)
            case "response.output_item.done":
                items[at] = item
            case "response.output_text.delta" if isinstance(delta, str):
                texts[at].append(delta)
            case "response.output_text.done" | "response.content_part.done":
                texts[at] = texts[at] or [str(text or "")]
            case "response.function_call_arguments.delta" if isinstance(delta, str):
                given[at].append(delta)
            case "response.function_call_arguments.done":
                given[at] = given[at] or [str(event.get("arguments") or "")]
    if body.get("output") or not (items or texts):
        return body
    for at in [*items, *(texts.keys() - items.keys())]:
        items[at] = _said(items.get(at, {}), "".join(texts[at]), "".join(given[at]))
    order = sorted(items, key=lambda at: int(at) if at.isdigit() else len(items))
    return {**body, "output": [items[at] for at in order]}


def _said(item: Json, text: str, given: str) -> Json:
    """Return an item with what was said of it on the way, where it does not say so itself."""
    if item.get("type") == "function_call":
        return {**item, "arguments": item.get("arguments") or given}
    if item.get("content") or not text or item.get("type", "message") != "message":
        return item
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "role": "assistant", **item}
    return {**message, "status": "completed", "content": [part]}


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _add(block: Json, delta: Json) -> None:
    if row := ADDED.get(str(delta.get("type"))):
        name, field = row
        if not (more := str(delta.get(field) or "")):
            return  # a tool's input may have come whole with the beginning
        so_far = block.get(name)
        block[name] = (so_far if isinstance(so_far, str) else "") + more


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
        return _response_events(body)
    events: list[Json] = [
        {"type": "message_start", "message": {**body, "content": [], "stop_reason": None}}
    ]
    blocks = [block for block in body["content"] if isinstance(block, dict)]
    for index, block in enumerate(blocks):
        events += _block_events(index, block)
    delta = {name: body.get(name) for name in ("stop_reason", "stop_sequence")}
    events.append({"type": "message_delta", "delta": delta, "usage": body.get("usage") or {}})
    return [*events, {"type": "message_stop"}]


def _response_events(body: Json) -> list[Json]:
    """Return the events of a response; clients of deltas look at nothing else."""
    kind = "incomplete" if body.get("status") == "incomplete" else "completed"
    events: list[Json] = [{"type": "response.created", "response": {**body, "output": []}}]
    for at, item in enumerate(item for item in body["output"] if isinstance(item, dict)):
        place = {"output_index": at, "item_id": item.get("id", "")}
        empty = EMPTY.get(str(item.get("type")), {})
        events.append({"type": "response.output_item.added", **place, "item": {**item, **empty}})
        events += _item_events(item, place)
        events.append({"type": "response.output_item.done", **place, "item": item})
    events.append({"type": f"response.{kind}", "response": body})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _item_events(item: Json, place: Json) -> list[Json]:
    events: list[Json] = []
    if item.get("type") == "function_call":
        words = item.get("arguments")
        kind = "response.function_call_arguments"
        events.append({"type": f"{kind}.delta", **place, "delta": words})
        return [*events, {"type": f"{kind}.done", **place, "arguments": words}]
    parts = item.get("content") if item.get("type") == "message" else None
    for number, part in enumerate(parts if isinstance(parts, list) else ()):
        if not isinstance(part, dict):
            continue
        here = {**place, "content_index": number}
        text = part.get("text") if part.get("type") == "output_text" else None
        begun = part if text is None else {**part, "text": ""}
        events.append({"type": "response.content_part.added", **here, "part": begun})
        if text is not None:
            events.append({"type": "response.output_text.delta", **here, "delta": text})
            events.append({"type": "response.output_text.done", **here, "text": text})
        events.append({"type": "response.content_part.done", **here, "part": part})
    return events


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
