"""Chunks that hold messages, or texts, in place of deltas. Pure.

Facts: some relays and LM Studio stream so, a piece in each; DashScope's own API has all that was
said so far in each, unless `incremental_output` is asked for.
"""

from __future__ import annotations

from gateway.providers.chunks import THOUGHTS, Json, words
from gateway.providers.tool_calls import shape_function

MOST_PLACES = 256
"""Of so many texts, of choices and calls, it is known how they go on; others are pieces."""

MOST_CHARACTERS = 200_000
"""So much of a text is kept, to know it when it comes once more."""

UNSURE = " \n\N{REPLACEMENT CHARACTER}"
"""What a text may end with that its continuation has no more: blanks, and half a character."""

Place = tuple[str, str]
"""The index of a choice, and which of its texts."""


class MessageChunks:
    """Tells what each message adds to those before it."""

    def __init__(self) -> None:
        self._texts: dict[Place, _Text] = {}

    def added(self, turn: Json, choice: str, last: bool) -> Json:
        """Return a message of the choice whose index is `choice`, with only what it adds; `last`:
        it ends."""
        words(turn)  # a list of parts becomes a text
        for name in ("content", *THOUGHTS):
            if isinstance(text := turn.get(name), str) and text:
                turn[name] = self._new((choice, name), text, last)
        calls = turn.get("tool_calls")
        for number, call in enumerate(calls if isinstance(calls, list) else ()):
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                shape_function(function, delta=True)
                which = call.get("id") or call.get("index", number)
                self._cut(function, (choice, f"call {which} {function.get('name')}"), last)
        return turn

    def _cut(self, function: Json, place: Place, last: bool) -> None:
        """Leave of a call what it adds; its name is said once."""
        if place in self._texts:
            function.pop("name", None)
        function["arguments"] = self._new(place, function.get("arguments") or "", last)

    def _new(self, place: Place, text: str, last: bool) -> str:
        new = place not in self._texts
        if len(text) > MOST_CHARACTERS or (new and len(self._texts) >= MOST_PLACES):
            return text
        return self._texts.setdefault(place, _Text()).new(text, last)


class _Text:
    """A text that comes in pieces, or anew with each chunk: the second one tells, where it is
    longer and begins with the first."""

    def __init__(self) -> None:
        self._whole = ""
        self._pieces: list[str] = []
        self._size = 0
        self._grows = False

    def new(self, text: str, last: bool) -> str:
        """Return what a chunk's `text` adds."""
        stem = self._whole.rstrip(UNSURE)
        if not self._pieces and stem and text.startswith(stem):
            longer = len(text) > len(self._whole)
            if longer or self._grows or last:
                self._grows = self._grows or longer
                before, self._whole = self._whole, text
                return text[len(before if text.startswith(before) else stem) :]
        if not self._whole and not self._pieces:
            self._whole = text
            return text
        return self._piece(text, last)

    def _piece(self, text: str, last: bool) -> str:
        if self._grows and self._whole.startswith(text):
            return ""  # what grew is not said again
        if not self._pieces:
            self._pieces = [self._whole]
            self._size = len(self._whole)
        if last and self._size == len(text) and "".join(self._pieces) == text:
            return ""  # the whole once more
        self._size += len(text)
        if self._size <= MOST_CHARACTERS:
            self._pieces.append(text)
        return text
