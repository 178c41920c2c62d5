"""Replies that are sent as they come."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

from flask import Response, g, request

from gateway import service, wire
from gateway.errors import GatewayError
from gateway.failover import Answered
from gateway.memory import SESSION_CHARACTERS
from gateway.rendering import error_event
from gateway.replies import sign
from gateway.routes import Client, Stream
from gateway.watch import Watched

KEPT_BYTES = 4 * SESSION_CHARACTERS
"""Of a stream, for its session: no character has more bytes."""


def events(said: Answered[Stream]) -> Response:
    """Server-sent events, as OpenAI's clients read them; an error in mid-stream is one of them."""

    def pieces(watched: Watched) -> Iterator[bytes]:
        try:
            yield from _spoken(said.answer, watched)
        except GatewayError as error:
            yield error_event(error.openai_shape(watched.request_id)["error"])

    return _streamed(said, pieces, wire.EVENTS)


def text(said: Answered[Stream], keep: Callable[[str], None] | None = None) -> Response:
    """Plain text as it is spoken; `keep` is told the beginning of it, if it came to its end."""
    form = service.form()

    def pieces(watched: Watched) -> Iterator[bytes]:
        recoder, beginning = wire.Recoder(form), bytearray()
        try:
            for piece in _spoken(said.answer, watched):
                if keep and len(beginning) < KEPT_BYTES:
                    beginning += piece
                yield recoder.feed(piece)
        except GatewayError as error:
            # The status was sent long ago. A client learns of it by a body without its end: servers
            # hang up on a broken pipe, without a traceback.
            raise BrokenPipeError(errno.EPIPE, "the stream broke off") from error
        yield recoder.feed(b"", last=True)
        if keep and said.answer.ended:
            keep(beginning.decode(errors="replace")[:SESSION_CHARACTERS])

    return _streamed(said, pieces, wire.text_type(form))


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


def _spoken(stream: Stream, watched: Watched) -> Iterator[bytes]:
    try:
        yield from stream.pieces()
    except GatewayError as error:
        watched.code = error.code
        raise
    watched.ended(stream.spent)


def _streamed(
    said: Answered[Stream], pieces: Callable[[Watched], Iterator[bytes]], content_type: str
) -> Response:
    """The provider's request ends with the reply, and with its client."""
    reply = Response(pieces(g.watched), content_type=content_type)
    reply.call_on_close(said.answer.close)
    reply.headers["X-Accel-Buffering"] = "no"
    sign(reply, said, said.answer.model, said.answer.spent)
    return reply
