"""Replies that are sent as they come."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Iterator
from typing import Any

from flask import Response, g, request

from gateway import wire
from gateway.errors import GatewayError
from gateway.failover import Answered
from gateway.routes import Spent, Stream
from gateway.sse import error_event


def streamed(said: Answered[Stream], content_type: str) -> Response:
    """A reply that is sent as it comes; the provider's request ends with it, and with its client."""
    stream = said.answer
    events = content_type == wire.EVENTS
    watched, client = g.watched, request.environ.get("gunicorn.socket")

    def pieces() -> Iterator[bytes]:
        try:
            yield from stream.pieces(gone=lambda: client is not None and _hung_up(client))
            watched.ended(stream.spent)
        except GatewayError as error:
            watched.code = error.code
            # The status was sent long ago. A client of bare text learns of it by a body without its end: servers hang
            # up on a broken pipe, without a traceback.
            if not events:
                raise BrokenPipeError(errno.EPIPE, "the stream broke off") from error
            yield error_event(error.openai_shape(watched.request_id)["error"])

    reply = Response(pieces(), content_type=content_type)
    reply.call_on_close(stream.close)
    reply.headers["X-Accel-Buffering"] = "no"
    sign(reply, said, stream.model, stream.spent)
    return reply


def sign(reply: Response, said: Answered[Any], provider_model: str, spent: Spent) -> None:
    """Who really answered. A model's name may be anything, a header may not."""
    g.watched.answered(said.served_by, said.fell_back, spent)
    reply.headers["X-Served-By"] = said.served_by
    if said.fell_back:
        reply.headers["X-Fell-Back"] = said.fell_back
    reply.headers["X-Provider-Model"] = "".join(c for c in provider_model if c.isascii() and c.isprintable())[:200]


def _hung_up(client: socket.socket) -> bool:
    """Whether the client closed its connection: there is something to read, and it is the end."""
    poll = select.poll()  # select.select knows no descriptor beyond 1,023
    try:
        poll.register(client, select.POLLIN)
        return bool(poll.poll(0)) and client.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True
