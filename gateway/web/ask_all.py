"""POST /all/chat: one question to several chats at once, their answers together or as they come."""

from __future__ import annotations

import json
import logging
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response

from gateway.errors import Code, GatewayError
from gateway.protocol import AnswerForm, Client, Request
from gateway.web import call, metrics, request_fields, services, streaming, wire
from gateway.web.contract import AskAllRequest
from gateway.web.description import Description, described

if TYPE_CHECKING:
    from gateway.cluster.client import GatewayLLM


all_app = Blueprint("all", __name__, url_prefix="/all")

Outcome = dict[str, Any]
Line = tuple[str, Outcome, bool]
"""A chat's name, what it says, and whether that is the last of it."""

Put = Callable[[Line], None]
Gone = Callable[[], bool]

MAX_LINES = 32
"""So many wait for a slow client; then its models wait, too. A fast model's line may have 200
kB."""

LOOK_SECONDS = 1
"""How often a model that waits for its client looks whether that is still there."""

log = logging.getLogger(__name__)


@all_app.post("/chat")
@described(
    Description("Ask several at once.", {"type": "object"}, "chat", AskAllRequest, wire.LINES)
)
def chat() -> Response:
    """Ask every chat at once. Each answers, or fails, for itself: none falls back, since they are
    compared."""
    question, body = _question()
    llm, current = services.llm(), call.current()
    names = question.chat_names or tuple(row["chat_name"] for row in llm.models())
    current.hold(len(body) * len(names))  # here it is once, but once more for each in the cluster
    if question.stream:
        lines = _lines(llm, names, question, body, current.id)
        return Response(lines, content_type=wire.LINES)
    # Threads are not waited for beyond the timeout: each ends by its own chat's.
    pool = ThreadPoolExecutor(max(len(names), 1))
    client = streaming.client()
    calls = {name: pool.submit(_answer, llm, name, body, current.id, client) for name in names}
    wait(calls.values(), question.timeout)
    pool.shutdown(wait=False, cancel_futures=True)
    outcomes = {
        name: one.result() if one.done() else _late(name, question, current.id)
        for name, one in calls.items()
    }
    return Response(json.dumps(outcomes).encode(), content_type=wire.JSON)


def _question() -> tuple[AskAllRequest, bytes]:
    """Return what is asked, and the same as all providers read it."""
    question = request_fields.parsed(AskAllRequest)
    stream = (
        {"stream": True, "stream_options": {"include_usage": True}}
        if question.stream
        else {"stream": False}
    )
    fields = {"messages": question.conversation(), **question.options(), **stream}
    return question.without_texts(), request_fields.packed(fields)


def _answer(llm: GatewayLLM, name: str, body: bytes, request_id: str, client: Client) -> Outcome:
    started = time.monotonic()
    try:
        [reply] = llm.chat_oai(body, model=name, client=client)
        metrics.count_usage(name, reply.usage)
    except Exception as error:
        return {**_known(error, name).shape(request_id), "seconds": _since(started)}
    return {"answer": reply.output, "seconds": _since(started), "tokens": reply.usage.tokens_out}


def _lines(
    llm: GatewayLLM, names: tuple[str, ...], question: AskAllRequest, body: bytes, request_id: str
) -> Iterator[bytes]:
    """Yield a JSON line for each piece of an answer, in the order in which the models speak, and
    one when each is done."""
    lines: queue.Queue[Line] = queue.Queue(MAX_LINES)
    pool = ThreadPoolExecutor(max(len(names), 1))
    left = set(names)
    deadline = time.monotonic() + question.timeout

    def put(line: Line) -> None:
        """Wait for a client that reads slowly; who has gone is waited for no more."""
        while left:
            with suppress(queue.Full):
                return lines.put(line, timeout=LOOK_SECONDS)

    for name in names:
        pool.submit(_speak, llm, name, body, request_id, put, lambda: not left)
    try:
        while left:
            try:
                name, outcome, last = lines.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                for name in sorted(left):
                    yield _line(name, _late(name, question, request_id))
                return
            if last:
                left.discard(name)
            yield _line(name, outcome)
    finally:
        left.clear()  # the client may have gone: the others stop at their next word
        pool.shutdown(wait=False, cancel_futures=True)


def _speak(llm: GatewayLLM, name: str, body: bytes, request_id: str, put: Put, gone: Gone) -> None:
    started = time.monotonic()
    try:
        with closing(llm.stream(name, Request(AnswerForm.TEXT), body)) as stream:
            for piece in stream.pieces():
                if gone():
                    return
                put((name, {"text": piece.decode()}, False))
            metrics.count_usage(name, stream.usage)
        end: Outcome = {"done": True, "seconds": _since(started), "tokens": stream.usage.tokens_out}
    except Exception as error:
        end = {**_known(error, name).shape(request_id), "seconds": _since(started)}
    put((name, end, True))


def _known(error: Exception, name: str) -> GatewayError:
    """Return the error that whoever waits for this chat is told; a thread must not end without
    telling."""
    if isinstance(error, GatewayError):
        return error
    # never its text: it may quote a prompt
    log.error("a chat of /all/chat failed: %s", type(error).__name__)
    return GatewayError(Code.INTERNAL, chat_name=name)


def _late(name: str, question: AskAllRequest, request_id: str) -> Outcome:
    detail = f"No answer within the {question.timeout:g} s that were asked for."
    error = GatewayError(
        Code.TIMEOUT, detail, f"{question.timeout:g} 秒内没有回答。", chat_name=name
    )
    return {**error.shape(request_id), "seconds": question.timeout}


def _line(name: str, outcome: Outcome) -> bytes:
    return json.dumps({"chat_name": name, **outcome}).encode() + b"\n"


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
