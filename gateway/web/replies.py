"""How replies leave: answers and errors, in the form that their caller reads. The one place that
renders errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, current_app, request
from flask.sansio.app import App
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from gateway.byte_budget import SMALL_BYTES, Charge
from gateway.errors import (
    OUT_OF_FILES,
    PERMANENT,
    RETRY_AFTER_SECONDS,
    WAIT,
    Code,
    GatewayError,
    out_of_files,
)
from gateway.frames import Usage
from gateway.web import call, paths, services, wire
from gateway.web.call import Call
from gateway.web.failover import Outcome
from gateway.web.foreign_errors import openai_status

log = logging.getLogger(__name__)

Shape = Callable[[GatewayError, str], dict[str, Any]]
"""What an error's body looks like, given the error and the request's id."""


def shape_errors(app: App, prefix: str, shape: Shape) -> None:
    """Give errors on paths that begin with `prefix` what its clients understand; all others get the
    gateway's own shape."""
    app.extensions.setdefault("error_shapes", []).append((prefix, shape))


def install(app: Flask) -> None:
    """Give every reply its request's id, and every failure of `app` the one shape: ours, Werkzeug's
    and the unforeseen."""
    app.after_request(_sign_reply)
    app.register_error_handler(GatewayError, failed)
    app.register_error_handler(HTTPException, _render_http)
    app.register_error_handler(Exception, _render_unforeseen)


def answer(text: str, named: bool = False) -> Response:
    """Return a chat's answer; `named`: it is a JSON object of named values."""
    form = call.current().form
    if named:
        return response(wire.named_values(orjson.loads(text), form))
    return response(wire.answer(text, form))


def head() -> Response:
    """Return what HEAD gets, as LibreOffice sends before each GET: nobody is asked for it, and how
    long an answer would be is not known."""
    reply = answer("")
    reply.set_data(b"")
    reply.automatically_set_content_length = False
    del reply.content_length
    return reply


def pending(job: str) -> Response:
    """Say that an answer is not there yet; its job's id fetches it."""
    call.current().pends = True
    form = call.current().form
    if form.plain:
        body = wire.plain(f"PENDING {job}", form)
    else:
        body = wire.json_object({"job": job, "state": "PENDING"}, form)
    reply = response(body, form.status or 202)
    reply.headers["Location"] = f"/jobs/{job}"
    return reply


def sign(
    reply: Response,
    outcome: Outcome[Any],
    provider_model: str,
    usage: Usage,
    counted: bool = False,
) -> None:
    """Say who really answered. A model's name may be anything, a header may not. `counted`: its
    usage was, before."""
    call.current().model = provider_model
    call.current().answered(outcome.served_by, outcome.fell_back, usage, counted)
    reply.headers["X-Served-By"] = outcome.served_by
    if outcome.fell_back:
        reply.headers["X-Fell-Back"] = outcome.fell_back
    printable = (c for c in provider_model if c.isascii() and c.isprintable())
    reply.headers["X-Provider-Model"] = "".join(printable)[:200]
    for name, tokens in (("X-Tokens-In", usage.tokens_in), ("X-Tokens-Out", usage.tokens_out)):
        if tokens is not None:
            reply.headers[name] = str(tokens)


def failed(error: GatewayError) -> Response:
    """Return an error: JSON, or plain words for those who asked for text, or who drop whatever is
    not a 200."""
    current = call.current()
    current.code = error.code
    if shape := _foreign_shape():
        reply = response(wire.relayed(shape(error, current.id)), openai_status(error))
        if error.code in PERMANENT:
            reply.headers["x-should-retry"] = "false"
    else:
        reply = _in_our_shape(error, current)
    reply.headers.extend(error.headers)
    if error.code in WAIT:
        reply.headers["Retry-After"] = str(max(1, round(error.retry_after or RETRY_AFTER_SECONDS)))
    return reply


def _foreign_shape() -> Shape | None:
    shapes: list[tuple[str, Shape]] = current_app.extensions["error_shapes"]
    return next((shape for prefix, shape in shapes if request.path.startswith(prefix)), None)


def _in_our_shape(error: GatewayError, current: Call) -> Response:
    # Without a route of ours it is no chat's error.
    form = current.form if current.route else current.form._replace(status=0)
    if form.plain:
        body = wire.plain(error.words(form.lang), form)
    else:
        body = wire.json_object(error.shape(current.id), form)
    return response(body, form.status or error.status)


def response(reply: wire.Reply, status: int = 200) -> Response:
    """Return a reply of one piece, so with its Content-Length. A large one counts until its client
    has it: it was paid for."""
    whole = Response(reply.body, status, content_type=reply.content_type)
    if len(reply.body) > SMALL_BYTES:
        charge = Charge(services.llm().answers)
        charge.hold(len(reply.body), paid=True)
        whole.call_on_close(charge.release)
    return whole


def _sign_reply(reply: Response) -> Response:
    reply.headers["X-Request-Id"] = call.current().id
    # what a model says is no page, whatever it looks like
    reply.headers["X-Content-Type-Options"] = "nosniff"
    reply.headers.setdefault("Cache-Control", "no-store")
    return reply


def _render_http(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        limit = services.settings().max_body_bytes
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
    """Return which route is meant, where only slashes are too many: what operates the gateway has
    no second path."""
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
    log.error("request %s failed", call.current().id, exc_info=without_text)
    return failed(GatewayError(Code.INTERNAL))
