"""POST /all/chat: one question to several chats at once, their answers together or as they come."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from flask import Blueprint, Response, g

from gateway import metrics, service, wire
from gateway.cluster import GatewayLLM
from gateway.contract import AskAllRequest
from gateway.errors import Code, GatewayError
from gateway.model import CHAT
from gateway.model_actor import EVENTS_AND_USAGE
from gateway.sse import Reader, text

all_app = Blueprint("all", __name__, url_prefix="/all")

Said = dict[str, Any]


@all_app.post("/chat")
def chat() -> Response:
    """Every chat at once. Each answers, or fails, for itself: none falls back, since they are compared."""
    service.require("chat")
    asked = service.asked(AskAllRequest)
    llm, request_id = service.llm(), g.request_id
    names = asked.chat_names or tuple(row["chat_name"] for row in llm.models())
    if asked.stream:
        return Response(_lines(llm, names, asked, request_id), content_type=wire.LINES)
    # Threads are not waited for beyond the timeout: each ends by its own chat's.
    pool = ThreadPoolExecutor(max(len(names), 1))
    calls = {name: pool.submit(_answer, llm, name, asked, request_id) for name in names}
    wait(calls.values(), asked.timeout)
    pool.shutdown(wait=False, cancel_futures=True)
    said = {name: call.result() if call.done() else _late(name, asked, request_id) for name, call in calls.items()}
    return Response(json.dumps(said).encode(), content_type=wire.JSON)


def _answer(llm: GatewayLLM, name: str, asked: AskAllRequest, request_id: str) -> Said:
    started = time.monotonic()
    try:
        [said] = llm.chat_oai(asked.conversation(), model=name, llm_config=asked.options())
    except GatewayError as error:
        return {**error.shape(request_id), "seconds": _since(started)}
    counts = said.metadata
    metrics.count_spent(name, counts["spent"])
    tokens = counts.get("completion_tokens", counts.get("generated_tokens_count"))
    return {"answer": said.output, "seconds": _since(started), "tokens": tokens}


def _lines(llm: GatewayLLM, names: tuple[str, ...], asked: AskAllRequest, request_id: str) -> Iterator[bytes]:
    """One JSON line for each piece of an answer, in the order in which the models speak, and one when each is done."""
    lines: queue.SimpleQueue[tuple[str, Said, bool]] = queue.SimpleQueue()
    pool = ThreadPoolExecutor(max(len(names), 1))
    left = set(names)
    deadline = time.monotonic() + asked.timeout
    for name in names:
        pool.submit(_speak, llm, name, asked, request_id, partial(lines.put), lambda: not left)
    try:
        while left:
            try:
                name, said, last = lines.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                for name in sorted(left):
                    yield _line(name, _late(name, asked, request_id))
                return
            if last:
                left.discard(name)
            yield _line(name, said)
    finally:
        left.clear()  # the client may have gone: the others stop at their next word
        pool.shutdown(wait=False, cancel_futures=True)


def _speak(llm: GatewayLLM, name: str, asked: AskAllRequest, request_id: str, put: Any, gone: Any) -> None:
    started = time.monotonic()
    body = {"messages": asked.conversation(), **asked.options(), "stream": True}
    tokens = None
    try:
        stream = llm.stream(name, CHAT, body, EVENTS_AND_USAGE, gone, name)
        try:
            reader = Reader()
            for piece in stream.pieces():
                chunks = reader.feed(piece)
                tokens = next((c["usage"]["completion_tokens"] for c in chunks if c.get("usage")), tokens)
                if words := text(chunks):
                    put((name, {"text": words}, False))
            metrics.count_spent(name, stream.spent)
        finally:
            stream.close()
        put((name, {"done": True, "seconds": _since(started), "tokens": tokens}, True))
    except GatewayError as error:
        put((name, {**error.shape(request_id), "seconds": _since(started)}, True))


def _late(name: str, asked: AskAllRequest, request_id: str) -> Said:
    detail = f"No answer within the {asked.timeout:g} s that were asked for."
    error = GatewayError(Code.TIMEOUT, detail, f"{asked.timeout:g} 秒内没有回答。", chat_name=name)
    return {**error.shape(request_id), "seconds": asked.timeout}


def _line(name: str, said: Said) -> bytes:
    return json.dumps({"chat_name": name, **said}).encode() + b"\n"


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
