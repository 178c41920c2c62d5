"""Replies that are sent as they come."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from flask import Response, request

from gateway.errors import GatewayError
from gateway.frames import Client
from gateway.protocol import SESSION_CHARACTERS
from gateway.providers.chunks import Json
from gateway.providers.rendering import error_event
from gateway.web import call, wire
from gateway.web.call import Call
from gateway.web.failover import Outcome
from gateway.web.replies import sign

if TYPE_CHECKING:
    from gateway.cluster.stream import Stream

KEPT_BYTES = 4 * SESSION_CHARACTERS
"""Of a stream, for its session: no character has more bytes."""


def events(outcome: Outcome[Stream], error_of: Callable[[GatewayError, str], Json]) -> Response:
    """Return server-sent events; an error in mid-stream is one of them, and `error_of` says how its
    client reads it, given the request's id."""

    def pieces(current: Call) -> Iterator[bytes]:
        try:
            yield from _pieces(outcome.answer, current)
        except GatewayError as error:
            yield error_event(error_of(error, current.id))

    return _streamed(outcome, pieces, wire.EVENTS)


def text(outcome: Outcome[Stream], keep: Callable[[str], None] | None = None) -> Response:
    """Return plain text as it is spoken; `keep` is told the beginning of it, if it came to its
    end."""
    form = call.current().form

    def pieces(current: Call) -> Iterator[bytes]:
        recoder, beginning = wire.Recoder(form), bytearray()
        try:
            for piece in _pieces(outcome.answer, current):
                if keep and len(beginning) < KEPT_BYTES:
                    beginning += piece
                yield recoder.feed(piece)
        except GatewayError as error:
            # The status was sent long ago. A client learns of it by a body without its end: servers
            # hang up on a broken pipe, without a traceback.
            raise BrokenPipeError(errno.EPIPE, "the stream broke off") from error
        yield recoder.feed(b"", last=True)
        if keep and outcome.answer.ended:
            keep(beginning.decode(errors="replace")[:SESSION_CHARACTERS])

    return _streamed(outcome, pieces, wire.text_type(form))


def client() -> Client:
    """Return the connection of the request under way; None: the server does not show it, or a half
    is not the whole.

    Clients of HTTP/1.0 read until the end, and some close their own half as soon as they have
    asked.
    """
    if request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        return None
    connection: Client = request.environ.get("gunicorn.socket")
    return connection


def _pieces(stream: Stream, current: Call) -> Iterator[bytes]:
    try:
        yield from stream.pieces()
    except GatewayError as error:
        current.code = error.code
        raise
    finally:  # also where its client has gone
        current.ended(stream.usage)


def _streamed(
    outcome: Outcome[Stream], pieces: Callable[[Call], Iterator[bytes]], content_type: str
) -> Response:
    """Return the provider's request ends with the reply, and with its client."""
    reply = Response(pieces(call.current()), content_type=content_type)
    reply.call_on_close(outcome.answer.close)
    reply.headers["X-Accel-Buffering"] = "no"
    sign(reply, outcome, outcome.answer.model, outcome.answer.usage)
    return reply
