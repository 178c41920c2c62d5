"""What a provider answers beside chats: responses, messages, rerank, images, moderations. Only when
all is well, or with a refusal."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import orjson
from aiohttp import web

from tests.standin.behaviours import refusal
from tests.standin.ledger import Ledger, Received
from tests.standin.refusals import BY_NAME, Dialect
from tests.standin.replies import Json, text_of

_WORDS = re.compile(r"\S+\s*")
USAGE = {"input_tokens": 7, "output_tokens": 3}

ELSEWHERE: dict[str, tuple[Dialect, str]] = {
    "/api/anthropic/v1/messages": ("zhipu", "messages"),
    "/api/anthropic/v1/messages/count_tokens": ("zhipu", "messages/count_tokens"),
    "/apps/anthropic/v1/messages": ("tongwen", "messages"),
    "/apps/anthropic/v1/messages/count_tokens": ("tongwen", "messages/count_tokens"),
    "/compatible-api/v1/reranks": ("tongwen", "rerank"),
}
"""What lies outside a provider's base URL, by path."""


def _last_text(body: Json) -> str:
    """What was asked, of Responses or of Messages."""
    question: Any = body.get("input", body.get("messages", ""))
    if isinstance(question, str):
        return question
    return next(
        (words for turn in reversed(question) if (words := text_of(turn.get("content")))), ""
    )


def _response(body: Json, text: str, status: str = "completed") -> Json:
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    done = status == "completed"
    return {
        **{"id": "resp_1", "object": "response", "created_at": int(time.time())},
        **{"status": status, "error": None, "incomplete_details": None, "model": body["model"]},
        **{"output": [{**message, "content": [part]}] if done else [], "tools": []},
        **{"parallel_tool_calls": True, "tool_choice": "auto", "instructions": None},
        "usage": {**USAGE, "total_tokens": sum(USAGE.values())} if done else None,
    }


def _message(body: Json, text: str) -> Json:
    return {
        **{"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"]},
        **{"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"},
        **{"stop_sequence": None, "usage": USAGE},
    }


def _response_events(body: Json, text: str) -> Iterator[Json]:
    begun = _response(body, text, "in_progress")
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    whole = _response(body, text)
    [item] = whole["output"]
    place = {"output_index": 0, "item_id": item["id"], "content_index": 0}
    yield {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**item, "status": "in_progress", "content": []},
    }
    empty = {"type": "output_text", "text": "", "annotations": []}
    yield {"type": "response.content_part.added", **place, "part": empty}
    for word in _WORDS.findall(text):
        yield {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": item["content"][0]}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": whole}


def _message_events(body: Json, text: str) -> Iterator[Json]:
    begun = {**_message(body, text), "content": [], "stop_reason": None}
    yield {"type": "message_start", "message": {**begun, "usage": {**USAGE, "output_tokens": 1}}}
    block = {"type": "text", "text": ""}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "ping"}
    for word in _WORDS.findall(text):
        delta = {"type": "text_delta", "text": word}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": 3}}
    yield {"type": "message_stop"}


def _reranked(body: Json, _: str) -> Json:
    places = range(len(body["documents"]))
    results = [{"index": place, "relevance_score": 1 / (place + 1)} for place in places]
    return {"id": "rank_1", "results": results, "usage": {"prompt_tokens": 7, "total_tokens": 7}}


def _painted(body: Json, _: str) -> Json:
    return {"created": int(time.time()), "data": [{"url": "https://images.example/1.png"}]}


def _moderated(body: Json, _: str) -> Json:
    row = {"flagged": "ill" in str(body["input"]), "categories": {}, "category_scores": {}}
    return {"id": "modr_1", "model": body["model"], "results": [row]}


WHOLE: dict[str, Callable[[Json, str], Json]] = {
    "responses": _response,
    "messages": _message,
    "messages/count_tokens": lambda body, _: {"input_tokens": len(orjson.dumps(body))},
    "rerank": _reranked,
    "images/generations": _painted,
    "moderations": _moderated,
}
EVENTS = {"responses": _response_events, "messages": _message_events}


def _key(request: web.Request) -> str:
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return request.headers.get("x-api-key") or bearer


async def _relay(
    request: web.Request, ledger: Ledger, kind: str, dialect: Dialect | None = None
) -> web.StreamResponse:
    """Answer with what was asked after the provider's name, or as the model's name says:
    `refuse:<row>` and `say:<words>`."""
    provider = dialect or cast(Dialect, request.match_info["dialect"])
    key, at = _key(request), time.time()
    with ledger.opened(key):
        body: Any = orjson.loads(await request.read())
        headers = {str(name): value for name, value in request.headers.items()}
        received = Received(path=request.path, headers=headers, body=body, at=at, dialect=provider)
        ledger.record(key, received)
        name, _, argument = ledger.behaviour(key, body["model"]).partition(":")
        if name == "refuse":
            return refusal(BY_NAME[argument], key)
        text = argument if name == "say" else f"{provider}:{_last_text(body)}"
        if not (body.get("stream") and kind in EVENTS):
            return web.json_response(WHOLE[kind](body, text))
        sse = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await sse.prepare(request)
        for number, event in enumerate(EVENTS[kind](body, text)):
            numbered = {**event, "sequence_number": number} if kind == "responses" else event
            data = orjson.dumps(numbered)
            await sse.write(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), data))
        return sse


def add_relays(app: web.Application, ledger: Ledger, prefix: str) -> None:
    """Serve them under each provider's base URL (`prefix`), and elsewhere."""
    for kind in WHOLE:
        app.router.add_post(f"{prefix}/{kind}", partial(_relay, ledger=ledger, kind=kind))
    for path, (dialect, kind) in ELSEWHERE.items():
        app.router.add_post(path, partial(_relay, ledger=ledger, kind=kind, dialect=dialect))
