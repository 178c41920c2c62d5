"""What a gateway process and a chat's actor say to each other on their own connection
(gateway/channel.py): a request, and the frames of its answer, as JSON that is made and read here.
"""

from __future__ import annotations

import socket
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

import orjson

from gateway.errors import Code, ErrorRecord, GatewayError
from gateway.protocol import CHAT


class AnswerForm(StrEnum):
    """What a gateway process wants of an answer."""

    ANSWER = "answer"
    """The words of a chat, in one piece."""
    REPLY = "reply"
    """The provider's whole reply, in OpenAI's shape."""
    TEXT = "text"
    """The words as they come."""
    EVENTS = "events"
    """Server-sent events, as OpenAI's clients read them."""
    EVENTS_AND_USAGE = "events and usage"
    """The same, with a count of tokens at the end."""


class Kind(IntEnum):
    """What a frame is. An answer is one head, pieces, and an end; or, at any time, an error."""

    REQUEST = 0
    HEAD = 1
    """JSON: who answers (Head)."""
    PIECE = 2
    """What a client shall read; may be empty, to tell that somebody works at it."""
    END = 3
    """JSON: the tokens in, out and cached. The answer is whole."""
    ERROR = 4
    """JSON: why there is no answer, or no more of it (Failure); empty: by a fault of ours."""


class Request(NamedTuple):
    """What a gateway process asks of a model actor, beside the request's body.

    `path` is the provider's endpoint, `shown` the model's name in the reply, and `caller` whose
    repeats meanwhile are answered with it ("": nobody's). `beta` is what the client wants of
    Anthropic's protocol that is not in it yet, and `structure` (JSON) what the answer must be.
    """

    form: AnswerForm
    path: str = CHAT
    shown: str = ""
    caller: str = ""
    beta: str = ""
    structure: str = ""


def packed(fields: dict[str, Any]) -> bytes:
    """Return a request's body as its provider reads it, but for the model. Raises GatewayError."""
    try:
        return orjson.dumps(fields)
    except TypeError as error:  # it reads deeper nesting, and larger integers, than it writes
        words = "The request is nested too deeply, or has an integer of more than 64 bits."
        words_zh = "请求嵌套过深，或含有超过 64 位的整数。"
        raise GatewayError(Code.INVALID_REQUEST, words, words_zh) from error


class Head(NamedTuple):
    """Who answers: the provider and what it calls its model, its seconds so far, and which deploy
    of the chat this is."""

    provider: str
    model: str
    seconds: float
    generation: int

    def to_json(self) -> bytes:
        """Return the content of a HEAD frame."""
        return orjson.dumps(list(self))

    @classmethod
    def from_json(cls, content: bytes) -> Head:
        """Read the content of a HEAD frame."""
        return cls(*orjson.loads(content))


class Failure(NamedTuple):
    """Why there is no answer, and which deploy of the chat says so."""

    error: ErrorRecord
    generation: int

    def to_json(self) -> bytes:
        """Return the content of an ERROR frame."""
        return orjson.dumps(list(self))

    @classmethod
    def from_json(cls, content: bytes) -> Failure:
        """Read the content of an ERROR frame."""
        return cls(*orjson.loads(content))


class Usage(NamedTuple):
    """What an answer took: the provider's seconds, to the whole of it or to a stream's first word,
    and its tokens as the provider counts them (`cached`: those of `tokens_in` that its cache had);
    None: it did not say. `guess_in` and `guess_out` are what the bytes tell then, so that nobody
    passes a limit who leaves before the count comes."""

    provider: str
    seconds: float
    tokens_in: int | None = None
    tokens_out: int | None = None
    cached: int | None = None
    guess_in: int = 0
    guess_out: int = 0

    def with_tokens(self, end: bytes) -> Usage:
        """Return the same with the tokens that an answer's END frame tells."""
        tokens_in, tokens_out, cached = orjson.loads(end)
        return self._replace(tokens_in=tokens_in, tokens_out=tokens_out, cached=cached)

    def guessed(self, tokens_in: int, tokens_out: int) -> Usage:
        """Return the same with these guesses."""
        return self._replace(guess_in=tokens_in, guess_out=tokens_out)

    @property
    def most_likely(self) -> tuple[int, int]:
        """The tokens in and out, guessed where the provider did not say."""
        tokens_in, tokens_out = self.tokens_in, self.tokens_out
        return (
            self.guess_in if tokens_in is None else tokens_in,
            self.guess_out if tokens_out is None else tokens_out,
        )


Client = socket.socket | None
"""The connection of the client that an answer is for, to see whether it has hung up; None: it
cannot be seen."""
