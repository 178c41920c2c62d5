"""What a provider said, read in one place: a stream here, and a whole reply, which may come as one,
in gateway/providers/whole_replies.py; gateway/providers/refusals.py reads what is none. Pure.

Never an empty success: a 200 without a usable answer is a refusal with the best code that can be
known. Never a lost answer: what is whole is delivered in OpenAI's shape, however oddly it was
framed, and in whichever mode it came.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from gateway.errors import Code
from gateway.providers.chunks import (
    Json,
    acts,
    choices,
    is_chunk,
    is_legacy,
    message,
    thinks,
    unfolded,
    unwrapped,
    words,
)
from gateway.providers.complaints import complains, complains_flatly, document, statement
from gateway.providers.dialects import Dialect
from gateway.providers.documents import PADDING, documents
from gateway.providers.message_chunks import MessageChunks
from gateway.providers.refusals import Refusal, judged
from gateway.providers.sse import BOM, DONE, Event, EventReader
from gateway.providers.tool_calls import CallNumbers
from gateway.providers.usage import Usage, usage_in
from gateway.providers.verdicts import (
    ENDED_EARLY,
    UNREADABLE,
    WordedThought,
    broken_choice,
    is_answer,
    no_answer,
    without_words,
)

REPLY_BYTES = 32 * 1024 * 1024
"""A reply larger than this is refused: no chat is that long, and memory is bounded."""

MARGIN = BOM + PADDING.removesuffix("\ufeff").encode()
"""What may stand before a reply."""

FRAMED = (b"data:", b"event:", b"id:", b"retry:", b":")
"""With one of these a stream begins."""

NOTICE = re.compile(rb"[^{\[]{1,2000}?\n(?=data:)")
"""What may stand before events: no JSON."""

ERRORS = frozenset({"error", "exception"})
"""How the events are named that end a stream."""


class Piece(NamedTuple):
    """A piece of a stream: a chunk in OpenAI's shape, and the words that it adds; or, where events
    are passed on as they come, `event`."""

    chunk: Json
    text: str
    event: bytes = b""


class StreamReader:
    """Collects bytes until they make pieces, in whichever form they come.

    `spoke`: it said something that its client would see. `answered`: that is an answer, not only
    thoughts. `refusal` ends it. `done`: whatever follows is ignored. `thinking`: the last bytes
    brought thoughts. `label` is the charset that it is labelled with.
    """

    def __init__(
        self,
        dialect: Dialect,
        label: str = "",
        question: bytes = b"",
        words_only: bool = False,
        legacy: bool = False,
    ) -> None:
        """`words_only`: the client sees nothing but words, so nothing else makes an answer;
        `legacy`: texts."""
        self.label = label
        self.spoke = self.answered = self.done = self.thinking = False
        self.refusal: Refusal | None = None
        self.usage = Usage()
        self._dialect, self._question = dialect, question
        self.words_only, self._legacy = words_only, legacy
        self._events: EventReader | None = None
        self._document = bytearray()
        self._finishes: dict[str, str] = {}
        self._numbers = CallNumbers()
        self._messages: MessageChunks | None = None
        self._thought = False
        self._worded_thoughts: defaultdict[str, WordedThought] = defaultdict(WordedThought)
        self._odd: Any = None

    @property
    def whole(self) -> bool:
        """Whether the answer is whole, should the stream end now."""
        return self.done or bool(self._finishes and all(self._finishes.values()))

    @property
    def unfinished(self) -> int:
        """How many bytes are held of what may still become an event, or a document."""
        return len(self._document) if self._events is None else self._events.unfinished

    def feed(self, raw: bytes) -> list[Piece]:
        """Return what `raw` completes. Raises ValueError: more than can be one event, or one
        document."""
        self.thinking = False
        if self._events is not None:
            return self._pieces(self._events.feed(raw))
        self._document += raw if self._document else raw.lstrip(MARGIN)
        if not self._document or self._document.startswith((b"{", b"[", b'"', b"<")):
            if len(self._document) > REPLY_BYTES:
                raise ValueError("a document without end")
            return []
        self._events = EventReader()
        begun, self._document = bytes(self._document), bytearray()
        return self._pieces(self._events.feed(begun))

    def end(self) -> list[Piece]:
        """Return what the end of the input completes; then `refusal` says whether there is an
        answer."""
        if self._events is not None:
            pieces = self._pieces(self._events.end())
            self.refusal = self.refusal or self._verdict()
            return pieces
        raw = bytes(self._document)
        if (framed := events_behind(raw)) is not None:
            self._events = EventReader()
            return [*self._pieces(self._events.feed(framed)), *self.end()]
        try:
            chunks = documents(raw, self.label)
        except ValueError:
            chunks = [document(raw, self.label)]
        return self.end_with(chunks)

    def end_with(self, chunks: list[Any]) -> list[Piece]:
        """Take all of a stream at once; a single whole reply, where a stream was asked for, is made
        one."""
        if len(chunks) == 1 and isinstance(chunks[0], list):
            [chunks] = chunks
        if len(chunks) == 1 and isinstance(chunks[0], dict) and not is_chunk(chunks[0]):
            chunks = unfolded(chunks[0])
        pieces = [piece for chunk in chunks if (piece := self._piece("", chunk))]
        self.refusal = self.refusal or self._verdict()
        return pieces

    def _pieces(self, events: Iterable[Event]) -> list[Piece]:
        pieces: list[Piece] = []
        for event in events:
            if self.done or self.refusal:
                break
            pieces += self._last() if event.data in (DONE, b'"[DONE]"') else self._of(event)
        return pieces

    def _last(self) -> list[Piece]:
        """Note that the stream says it has ended; return what goes on of that."""
        self.done = True
        return []

    def _of(self, event: Event) -> list[Piece]:
        pieces = (self._piece(event.name, chunk) for chunk in self._chunks(event))
        return [piece for piece in pieces if piece]

    def _chunks(self, event: Event) -> list[Any]:
        try:
            values = documents(event.data, self.label)
        except ValueError:
            return [document(event.data, self.label)]
        if isinstance(values[0], list) and not _is_error(values[0]):
            return [*values[0], *values[1:]] or values  # some send several in one
        return values

    def _piece(self, name: str, chunk: Any) -> Piece | None:
        """Return what a chunk adds; None: nothing, or it ends the stream."""
        if self.refusal:
            return None
        if isinstance(chunk, str):
            chunk = document(chunk.encode())  # JSON in a string
        if name.lower() in ERRORS or _is_error(chunk):
            self.refusal = no_answer(self._dialect, chunk, self._question)
        elif isinstance(chunk, str) and chunk.startswith("{"):
            self.refusal = Refusal(Code.PROVIDER_DOWN, "", "", *UNREADABLE)
        elif isinstance(chunk, dict):
            return self._read(chunk)
        else:
            self._set_aside(chunk)
        return None

    def _set_aside(self, odd: Any) -> None:
        """Keep something that is no chunk; rather what has words."""
        if not self._odd or not statement(self._odd).words:
            self._odd = odd or self._odd

    def _read(self, chunk: Json) -> Piece | None:
        chunk = unwrapped(chunk)
        rows = chunk["choices"] = choices(chunk)
        text, speaks = "", False
        for choice in rows:
            if refusal := broken_choice(self._dialect, choice, self._question):
                self.refusal = refusal
                return None
            turn = self._delta(choice)
            if isinstance(calls := turn.get("tool_calls"), list):
                self._numbers.give(calls, str(choice.get("index") or 0))
            more = words(turn)
            text += more
            speaks = self._speaks(choice, turn, more) or speaks
            self._finish(choice)
        if not speaks and complains_flatly(chunk):
            self.refusal = no_answer(self._dialect, chunk, self._question)
            return None
        if not rows:
            self._set_aside(chunk)
        if not rows or chunk.get("usage") or "x_groq" in chunk or "usage" in rows[-1]:
            self.usage = self.usage.most(usage_in(chunk))
        return Piece(chunk, text)

    def _delta(self, choice: Json) -> Json:
        """Return what a choice adds; it is given OpenAI's shape."""
        if self._legacy and is_legacy(choice):
            return {"content": choice["text"]}
        delta = choice.get("delta")
        if isinstance(delta, dict) and (delta or not choice.keys() & {"text", "message"}):
            return delta
        if self.answered and self._messages is None:
            delta = {}  # some end with the whole message once more
        else:
            self._messages = self._messages or MessageChunks()
            ends = choice.get("finish_reason") not in (None, "", "null")
            delta = self._messages.added(message(choice), str(choice.get("index") or 0), ends)
        choice["delta"] = delta
        choice.pop("message", None)
        return delta

    def _speaks(self, choice: Json, turn: Json, text: str) -> bool:
        """Note what a delta is, whose words are `text`; returns whether it says anything."""
        if text and not self.answered and self._only_thinks(choice, turn, text):
            # the first piece may be a whole reply, which shall fall back where it is no answer
            self.spoke, self._thought = self.spoke or self._thought, True
        elif is_answer(text, self._legacy) or (not self.words_only and acts(turn)):
            self.spoke = self.answered = True
        elif thinks(turn):
            self._thought = self.thinking = True
            self.spoke = self.spoke or not self.words_only
        else:
            return False
        return True

    def _only_thinks(self, choice: Json, turn: Json, text: str) -> bool:
        """Return whether a choice is but a thought so far, in its words; where code is completed, a
        tag tells nothing."""
        if self._legacy or (acts(turn) and not self.words_only):
            return False
        return self._worded_thoughts[str(choice.get("index") or 0)].is_all(text)

    def _finish(self, choice: Json) -> None:
        index = str(choice.get("index") or 0)
        if finish := choice.get("finish_reason"):
            self._finishes[index] = "" if finish == "null" else str(finish)  # DashScope's "not yet"
        else:
            self._finishes.setdefault(index, "")

    def _verdict(self) -> Refusal | None:
        """Return why what came is no answer; None: it is one. What says that it has ended, after
        words of another kind, has broken off."""
        stray = document(self._events.stray, self.label) if self._events else ""
        finished = bool(self._finishes and all(self._finishes.values()))
        if self.answered and (finished or (self.done and not statement(self._odd).words)):
            return None
        odd = self._odd or stray
        if self.answered:
            refusal = judged(self._dialect, 200, odd, self._question)
            return Refusal(Code.PROVIDER_DOWN, refusal.provider_code, refusal.message, *ENDED_EARLY)
        finish = next(filter(None, self._finishes.values()), "")
        if finish or (self._finishes and not stray and not statement(odd).words):
            return without_words(finish, self._thought)
        return no_answer(self._dialect, odd, self._question)


def events_behind(raw: bytes) -> bytes | None:
    """Return the events that stand behind something else, such as a notice of PHP's; None: there
    are none."""
    begin = NOTICE.match(raw)
    return raw[begin.end() :] if begin else None


def _is_error(chunk: Any) -> bool:
    if isinstance(chunk, list):
        return any(isinstance(part, dict) and complains(part) for part in chunk)
    return isinstance(chunk, dict) and complains(chunk)
