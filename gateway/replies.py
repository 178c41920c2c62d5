"""How replies leave: answers and errors, in the form that their caller reads. The one place that
renders errors."""

from __future__ import annotations

import logging
import random
import re
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from gateway import paths, service, wire
from gateway.byte_budget import SMALL_BYTES, Charge
from gateway.errors import (
    ANTHROPIC_PREFIX,
    DASHSCOPE_PREFIX,
    OPENAI_PREFIX,
    OUT_OF_FILES,
    PERMANENT,
    RETRY_AFTER_SECONDS,
    WAIT,
    Code,
    GatewayError,
    out_of_files,
)
from gateway.failover import Answered
from gateway.routes import Spent

log = logging.getLogger(__name__)

_SHAPES = (
    (ANTHROPIC_PREFIX, GatewayError.anthropic_shape),
    (f"{OPENAI_PREFIX}/", GatewayError.openai_shape),
    (f"{DASHSCOPE_PREFIX}/", GatewayError.dashscope_shape),
)
"""What the clients of some paths understand; all others get the gateway's own shape."""

_LETTERS = str.maketrans("0123456789", "ghijklmnop")
"""A request's id is written without digits: clients search errors for HTTP statuses, such as "429",
and try again."""


def install(app: Flask) -> None:
    """Give every request an id, and every failure of `app` the one shape: ours, Werkzeug's and the
    unforeseen."""
    app.before_request(_name_request)
    app.after_request(_sign_reply)
    app.register_error_handler(GatewayError, failed)
    app.register_error_handler(HTTPException, _render_http)
    app.register_error_handler(Exception, _render_unforeseen)


def answer(text: str) -> Response:
    """A chat's answer."""
    return response(wire.answer(text, service.form()))


def nothing() -> Response:
    """What HEAD gets. How long an answer would be is not known."""
    reply = answer("")
    reply.set_data(b"")
    reply.automatically_set_content_length = False
    del reply.content_length
    return reply


def pending(job: str) -> Response:
    """That an answer is not there yet; its job's id fetches it."""
    form = service.form()
    in_words = form.format == "text" or form.status
    told = {"job": job, "state": "PENDING"}
    said = wire.plain(f"PENDING {job}", form) if in_words else wire.json_object(told, form)
    reply = response(said, form.status or 202)
    reply.headers["Location"] = f"/jobs/{job}"
    return reply


def sign(
    reply: Response, said: Answered[Any], provider_model: str, spent: Spent, counted: bool = False
) -> None:
    """Who really answered. A model's name may be anything, a header may not. `counted`: its cost
    was, before."""
    g.watched.answered(said.served_by, said.fell_back, spent, counted)
    reply.headers["X-Served-By"] = said.served_by
    if said.fell_back:
        reply.headers["X-Fell-Back"] = said.fell_back
    reply.headers["X-Provider-Model"] = "".join(
        c for c in provider_model if c.isascii() and c.isprintable()
    )[:200]


def failed(error: GatewayError) -> Response:
    """An error: JSON, or plain words for those who asked for text, or who drop whatever is not a
    200."""
    g.code = error.code
    if shape := next((shape for prefix, shape in _SHAPES if request.path.startswith(prefix)), None):
        reply = response(wire.relayed(shape(error, g.request_id)), error.openai_status)
        if error.code in PERMANENT:
            reply.headers["x-should-retry"] = "false"
    else:
        form = service.form()
        if not request.url_rule:
            form = form._replace(status=0)  # no route of ours: it is no chat's error
        in_words = form.format == "text" or form.status
        said = (
            wire.plain(error.words(form.lang), form)
            if in_words
            else wire.json_object(error.shape(g.request_id), form)
        )
        reply = response(said, form.status or error.status)
    reply.headers.extend(error.headers)
    if error.code in WAIT:
        reply.headers["Retry-After"] = str(max(1, round(error.retry_after or RETRY_AFTER_SECONDS)))
    return reply


def response(reply: wire.Reply, status: int = 200) -> Response:
    """A reply of one piece, so with its Content-Length. A large one counts until its client has it:
    it was paid for."""
    whole = Response(reply.body, status, content_type=reply.content_type)
    if len(reply.body) > SMALL_BYTES:
        charge = Charge(service.llm().answers)
        charge.hold(len(reply.body), paid=True)
        whole.call_on_close(charge.release)
    return whole


def _name_request() -> None:
    given = request.headers.get("X-Request-Id")
    harmless = given and re.fullmatch(r"[\w.\-]{1,64}", given, re.ASCII)
    # No secret: no system call is spent on it.
    g.request_id = given if harmless else f"{random.getrandbits(64):016x}".translate(_LETTERS)


def _sign_reply(reply: Response) -> Response:
    reply.headers["X-Request-Id"] = g.request_id
    # what a model says is no page, whatever it looks like
    reply.headers["X-Content-Type-Options"] = "nosniff"
    reply.headers.setdefault("Cache-Control", "no-store")
    return reply


def _render_http(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        limit = service.settings().max_body_bytes
        return failed(
            GatewayError(
                Code.TOO_LARGE,
                f"The request is larger than {limit} bytes (GATEWAY_MAX_BODY_BYTES).",
                f"请求超过 {limit} 字节（GATEWAY_MAX_BODY_BYTES）。",
            )
        )
    allow = dict(error.get_headers()).get("Allow")
    # whoever may ask what is there: no token, and no chat is touched
    if allow and request.method == "OPTIONS":
        return Response(
            headers={"Allow": f"{allow}, OPTIONS"}, content_type="text/plain; charset=utf-8"
        )
    hint, hint_zh = _hint() if error.code == HTTPStatus.NOT_FOUND else ("", "")
    return failed(
        GatewayError(
            Code.INVALID_REQUEST,
            f"{request.method} {request.path}: {error.name}.{hint}",
            f"{request.method} {request.path}: {error.name}.{hint_zh}",
            status=error.code,
            headers={"Allow": allow} if allow else None,
        )
    )


def _hint() -> tuple[str, str]:
    """Which route is meant, where only slashes are too many: what operates the gateway has no
    second path."""
    plain = paths.tidy(request.path)
    routes = current_app.create_url_adapter(request)
    if plain == request.path or not routes or not routes.allowed_methods(plain):
        return "", ""
    return f" Ask for {plain}.", f" 请使用 {plain}。"


def _render_unforeseen(error: Exception) -> Response:
    if isinstance(error, OSError) and error.errno in OUT_OF_FILES:
        return failed(out_of_files())
    # Never the exception's text: it may quote a prompt or a key. The traceback's frames are enough
    # to find it.
    without_text = (
        type(error),
        RuntimeError(f"{type(error).__name__} (text withheld)"),
        error.__traceback__,
    )
    log.error("request %s failed", g.request_id, exc_info=without_text)
    return failed(GatewayError(Code.INTERNAL))
