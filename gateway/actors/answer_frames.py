"""The frames of a model actor's answer, and who reads and writes what is in them."""

from __future__ import annotations

import time

import orjson

from gateway.channel import HEADER_BYTES, frame
from gateway.frames import AnswerForm, Head, Kind
from gateway.protocol import COMPLETIONS, ModelConfig
from gateway.providers.dialects import Dialect
from gateway.providers.event_streams import EVENTFUL, EventStreamReader
from gateway.providers.questions import Question
from gateway.providers.reader import StreamReader
from gateway.providers.rendering import AsTheyCame, ForOpenAI, ForReading
from gateway.providers.usage import Usage


def new_reader(dialect: Dialect, question: Question, shown: str) -> StreamReader:
    """Return who reads the stream that answers a question; `shown` is the model's name there."""
    if question.path in EVENTFUL:
        return EventStreamReader(question.path, dialect, question.body, shown)
    return StreamReader(
        dialect,
        question=question.body,
        words_only=question.plain,
        legacy=question.path == COMPLETIONS,
    )


def renderer(form: str, path: str, shown: str) -> ForReading | ForOpenAI | AsTheyCame:
    """Return who writes a stream as its client reads it, by the form and the endpoint."""
    if form == AnswerForm.TEXT:
        return ForReading()
    if path in EVENTFUL:
        return AsTheyCame()
    return ForOpenAI(path, shown, form == AnswerForm.EVENTS_AND_USAGE)


def head_frame(config: ModelConfig, started: float, model: str) -> bytes:
    """Return who answers: `model` is what the provider calls it, and `seconds` its part of the time
    so far."""
    seconds = time.monotonic() - started
    who = Head(config["provider"], model, seconds, config["generation"])
    return frame(Kind.HEAD, who.to_json())


def end_frame(usage: Usage) -> bytes:
    """Return that the answer is whole, and what it took."""
    return frame(Kind.END, orjson.dumps(list(usage)))


def repeat_frames(frames: bytes) -> bytes:
    """Return the frames of an answer that somebody else has, too: its tokens were paid for once,
    and count once."""
    at = 0
    while at < len(frames):
        if frames[at + 4] == Kind.END:
            return frames[:at] + end_frame(Usage(0, 0, 0))
        at += HEADER_BYTES + int.from_bytes(frames[at : at + 4], "big")
    return frames
