"""A whole reply to a chat, or to a legacy completion, in whichever mode it came. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway.errors import Code
from gateway.providers.chunks import (
    Json,
    acts,
    choices,
    folded,
    is_chunk,
    is_legacy,
    message,
    shaped,
    thinks,
    unwrapped,
)
from gateway.providers.complaints import complains, complains_flatly, document
from gateway.providers.dialects import Dialect
from gateway.providers.documents import documents
from gateway.providers.reader import FRAMED, MARGIN, Piece, StreamReader, events_behind
from gateway.providers.refusals import Refusal
from gateway.providers.usage import Usage, usage_in
from gateway.providers.verdicts import (
    UNREADABLE,
    broken_choice,
    is_answer,
    no_answer,
    only_thinks,
    without_words,
)

PART_BYTES = 64 * 1024
"""A stream that came whole is read in parts, as it would have come."""


class Reply(NamedTuple):
    """A whole reply that holds an answer: its JSON in OpenAI's shape, the words of its first choice
    that has any."""

    body: Json
    text: str
    usage: Usage

    @property
    def model(self) -> str:
        """What the provider calls the model that answered."""
        return str(self.body.get("model") or "")


def chat_reply(
    dialect: Dialect, raw: bytes, label: str = "", question: bytes = b"", legacy: bool = False
) -> Reply | Refusal:
    """Read the reply to a chat, or to a legacy completion: the body `raw`, which came with success.

    `label` is the charset that it was labelled with, `question` the request's body.
    """
    reader = StreamReader(dialect, label, question, legacy=legacy)
    is_framed = raw.lstrip(MARGIN).startswith(FRAMED)
    if not is_framed and (events := events_behind(raw)) is not None:
        raw, is_framed = events, True
    if is_framed:
        try:
            parts = (
                reader.feed(raw[at : at + PART_BYTES]) for at in range(0, len(raw), PART_BYTES)
            )
            pieces = [piece for part in parts for piece in part]
            return _chat(dialect, _streamed(reader, pieces + reader.end()), question, legacy)
        except ValueError:
            return Refusal(Code.PROVIDER_DOWN, "", "", *UNREADABLE)
    try:
        first, *more = documents(raw, label)
    except ValueError:
        return no_answer(dialect, document(raw, label), question)
    if isinstance(first, str):
        first = document(first.encode())
    if isinstance(first, list) and len(first) > 1 and _are_chunks(first):
        first, more = first[0], [*first[1:], *more]
    if (
        isinstance(first, dict)
        and (more or is_chunk(first))
        and all(isinstance(part, dict) for part in more)
    ):
        return _chat(dialect, _streamed(reader, reader.end_with([first, *more])), question, legacy)
    return _chat(dialect, first, question, legacy)


def _are_chunks(values: list[Any]) -> bool:
    return all(isinstance(one, dict) for one in values) and is_chunk(values[0])


def _streamed(reader: StreamReader, pieces: list[Piece]) -> Json | Refusal:
    """Return a stream where a whole reply was asked for."""
    return reader.refusal or folded(piece.chunk for piece in pieces)


def _chat(dialect: Dialect, body: Any, question: bytes, legacy: bool) -> Reply | Refusal:
    if isinstance(body, Refusal):
        return body
    if isinstance(body, list) and len(body) == 1:
        [body] = body
    if isinstance(body, dict) and not complains(body):
        body = unwrapped(body)
    if not isinstance(body, dict) or complains(body):
        return no_answer(dialect, body, question)
    rows = body["choices"] = choices(body)
    for choice in rows:
        if refusal := broken_choice(dialect, choice, question):
            return refusal
    texts = [choice["text"] if legacy and is_legacy(choice) else shaped(choice) for choice in rows]
    answers = [text for text in texts if is_answer(text, legacy) and not only_thinks(text)]
    if answers or any(acts(message(choice)) for choice in rows):
        return Reply(body, answers[0] if answers else "", usage_in(body))
    if not rows or complains_flatly(body):
        return no_answer(dialect, body, question)
    finishes = [str(choice.get("finish_reason") or "") for choice in rows]
    thought = any(map(only_thinks, texts)) or any(thinks(message(choice)) for choice in rows)
    return without_words(next(filter(None, finishes), ""), thought)
