"""The access log: one line for each request, and the counts for Prometheus. Never a prompt, answer
or key."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

import orjson
from flask import Flask, Response, request

from gateway.errors import Code
from gateway.web import call, metrics
from gateway.web.call import Call
from gateway.web.line_writer import LineWriter

if TYPE_CHECKING:
    from gateway.web.ledger import Ledger

UNWATCHED = frozenset({"status.healthz", "status.readyz", "status.metrics_page", "console.state"})
"""Asked by machines every few seconds."""

NAMES_NOBODY = {
    Code.NOT_DEPLOYED,
    Code.INVALID_REQUEST,
    Code.TOO_LARGE,
    Code.UNAUTHORIZED,
    Code.FORBIDDEN,
    Code.OVER_LIMIT,
    Code.GATEWAY_BUSY,
    Code.CLUSTER_DOWN,
}
"""With these codes the name may be whatever a caller likes; counted, such names would fill
Prometheus's memory, and the ledger."""

STDOUT = 1


def install(app: Flask, log_format: str, ledger: Ledger) -> None:
    """Write a line for each request of `app`, and count it. `log_format` is json or text."""
    # Everything else, warnings above all, goes to standard error.
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    writer = LineWriter(STDOUT, metrics.dropped_lines.inc)
    render = _as_json if log_format == "json" else _as_text

    def begin() -> None:
        call.begin()
        metrics.in_flight.inc()

    def finish_later(reply: Response) -> Response:
        current, logged = call.current(), request.endpoint not in UNWATCHED
        if not reply.is_streamed and logged:
            _enter(current, ledger)  # before its caller can ask again
        reply.call_on_close(lambda: finish(current, reply.status_code, logged))
        return reply

    def finish(ended: Call, status: int, logged: bool) -> None:
        metrics.in_flight.dec()
        if logged:
            _count(ended, status)
            _enter(ended, ledger)  # what came as a stream
            # Logging's own handler had the threads wait for one another, and all of them for
            # whoever reads.
            writer.write(render(_fields(ended, status)) + b"\n")

    app.before_request(begin)
    app.after_request(finish_later)


def _count(ended: Call, status: int) -> None:
    # of a question that only waits nobody knows whether there is such a chat
    chat = "" if ended.pends else _chat(ended)
    metrics.requests.labels(ended.route, chat, ended.code).inc()
    if ended.own_seconds is not None:
        metrics.own_seconds.labels(ended.route).observe(ended.own_seconds)
    if ended.fell_back and ended.served_by and not ended.fetched:
        metrics.count_fallback(chat, ended.served_by, ended.fell_back)


def _chat(ended: Call) -> str:
    return "" if ended.code in NAMES_NOBODY else ended.chat


def _enter(ended: Call, ledger: Ledger) -> None:
    """Count a chat in the ledger, unless whoever asked in the background has."""
    if ended.counted or not ended.chat or ended.route.endswith(metrics.OPERATING):
        return
    ended.counted = True
    if ended.code != call.OK:
        ledger.failed(ended.caller, _chat(ended), ended.code)
        if ended.served_by and ended.usage:  # a stream that broke off
            ledger.paid(ended.caller, ended.chat, ended.served_by, ended.usage, ended.code)
    elif ended.served_by and ended.usage:
        fell_back = ended.fell_back is not None
        # a stream's first word, not its end: meanwhile the chat may have begun to rest
        ago = time.perf_counter() - ended.began - ended.usage.seconds
        ledger.answered(
            ended.caller, ended.chat, ended.served_by, ended.model, ended.usage, fell_back, ago
        )


def _fields(ended: Call, status: int) -> dict[str, Any]:
    usage = ended.usage
    now = time.time()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return {
        "time": f"{seconds}.{int(now * 1000) % 1000:03d}Z",
        "request_id": ended.id,
        "client": ended.client,
        "token": ended.token.name if ended.token else None,
        "method": ended.method,
        "path": ended.path,
        "chat": ended.chat or None,
        "served_by": ended.served_by,
        "fell_back": ended.fell_back,
        "code": ended.code,
        "status": status,
        "ms": round((time.perf_counter() - ended.began) * 1000, 1),
        "provider_ms": round(usage.seconds * 1000, 1) if usage else None,
        "tokens_in": usage.tokens_in if usage else None,
        "tokens_out": usage.tokens_out if usage else None,
    }


def _as_json(fields: dict[str, Any]) -> bytes:
    return orjson.dumps(fields)


def _as_text(fields: dict[str, Any]) -> bytes:
    """Return a line such as `2026-01-01T00:00:00.000Z 200 OK POST /openai/chat chat=shop ms=812.4`;
    json.dumps keeps it one line."""
    first = ("time", "status", "code", "method")
    head = " ".join(str(fields[name]) for name in first)
    rest = {name: value for name, value in fields.items() if value and name not in (*first, "path")}
    more = " ".join(f"{name}={value}" for name, value in rest.items())
    return f"{head} {json.dumps(fields['path'])[1:-1]} {more}".encode()
