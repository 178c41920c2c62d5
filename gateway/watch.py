"""What became of each request: one line in the log, and the counts for Prometheus. Never a prompt,
answer or key."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from typing import Any

import orjson
from flask import Flask, Response, g, request

from gateway import metrics
from gateway.errors import Code
from gateway.line_writer import LineWriter
from gateway.routes import Spent

OK = "OK"
UNWATCHED = frozenset({"status.healthz", "status.readyz", "status.metrics_page", "console.state"})
"""Asked by machines every few seconds."""

NAMES_NOBODY = frozenset(
    {
        *(
            Code.NOT_DEPLOYED,
            Code.INVALID_REQUEST,
            Code.TOO_LARGE,
            Code.UNAUTHORIZED,
            Code.FORBIDDEN,
        ),
        *(Code.GATEWAY_BUSY, Code.CLUSTER_DOWN),
    }
)
"""With these codes the name may be whatever a caller likes; counted, such names would fill
Prometheus's memory."""

STDOUT = 1


@dataclass
class Watched:
    """A request under way. `chat` was asked, `served_by` answered; `own_seconds` is our part of an
    answered chat."""

    request_id: str
    client: str
    method: str
    path: str
    route: str
    began: float = field(default_factory=time.perf_counter)
    token: str | None = None
    chat: str = ""
    served_by: str | None = None
    fell_back: str | None = None
    code: str = OK
    spent: Spent | None = None
    own_seconds: float | None = None

    def answered(
        self, served_by: str, fell_back: Code | None, spent: Spent, counted: bool = False
    ) -> None:
        """An answer is there, or a stream's first word. `counted`: it is one that was there
        before."""
        self.served_by, self.fell_back, self.spent = served_by, fell_back, spent
        if counted:
            return
        if not fell_back:  # else the time of those that failed is in it, too
            self.own_seconds = max(time.perf_counter() - self.began - spent.seconds, 0.0)
        metrics.count_spent(served_by, spent)

    def ended(self, spent: Spent) -> None:
        """A stream is at its end: now its tokens are known."""
        self.spent = spent
        metrics.count_tokens(self.served_by or self.chat, spent)


def install(app: Flask, log_format: str) -> None:
    """Watch every request of `app`. `log_format` is json or text."""
    # Everything else, warnings above all, goes to standard error.
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    writer = LineWriter(STDOUT, metrics.dropped_lines.inc)
    render = _as_json if log_format == "json" else _as_text

    def begin() -> None:
        route = request.url_rule.rule if request.url_rule else ""
        g.watched = Watched(
            g.request_id, request.remote_addr or "", request.method, request.path[:200], route
        )
        metrics.in_flight.inc()

    def finish_later(reply: Response) -> Response:
        watched: Watched = g.watched
        watched.code = g.get("code", OK)
        watched.token = g.get("token")
        watch = request.endpoint not in UNWATCHED
        reply.call_on_close(lambda: finish(watched, reply.status_code, watch))
        return reply

    def finish(watched: Watched, status: int, watch: bool) -> None:
        metrics.in_flight.dec()
        if watch:
            _count(watched)
            # Logging's own handler had the threads wait for one another, and all of them for
            # whoever reads.
            writer.write(render(_told(watched, status)) + b"\n")

    app.before_request(begin)
    app.after_request(finish_later)


def _count(watched: Watched) -> None:
    chat = "" if watched.code in NAMES_NOBODY else watched.chat
    metrics.requests.labels(watched.route, chat, watched.code).inc()
    if watched.own_seconds is not None:
        metrics.own_seconds.labels(watched.route).observe(watched.own_seconds)
    if watched.fell_back and watched.served_by:
        metrics.fallbacks.labels(chat, watched.served_by, watched.fell_back).inc()


def _told(watched: Watched, status: int) -> dict[str, Any]:
    spent = watched.spent
    now = time.time()
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        + f".{int(now * 1000) % 1000:03d}Z",
        "request_id": watched.request_id,
        "client": watched.client,
        "token": watched.token,
        "method": watched.method,
        "path": watched.path,
        "chat": watched.chat or None,
        "served_by": watched.served_by,
        "fell_back": watched.fell_back,
        "code": watched.code,
        "status": status,
        "ms": round((time.perf_counter() - watched.began) * 1000, 1),
        "provider_ms": round(spent.seconds * 1000, 1) if spent else None,
        "tokens_in": spent.tokens_in if spent else None,
        "tokens_out": spent.tokens_out if spent else None,
    }


def _as_json(told: dict[str, Any]) -> bytes:
    return orjson.dumps(told)


def _as_text(told: dict[str, Any]) -> bytes:
    """Such as `2026-01-01T00:00:00.000Z 200 OK POST /openai/chat chat=shop ms=812.4`; json.dumps
    keeps it one line."""
    head = " ".join(str(told[name]) for name in ("time", "status", "code", "method"))
    more = " ".join(
        f"{name}={value}"
        for name, value in told.items()
        if value and name not in ("time", "status", "code", "method", "path")
    )
    return f"{head} {json.dumps(told['path'])[1:-1]} {more}".encode()
