"""Chunks that hold messages, or texts, in place of deltas. Pure.

Facts: some relays and LM Studio stream so, a piece in each; DashScope's own API has all that was
said so far in each, unless `incremental_output` is asked for.
"""

from __future__ import annotations

from gateway.providers.chunks import THOUGHTS, Json, words

MOST_PLACES = 16
"""Of so many texts, of choices and calls, it is known how they go on; others are pieces."""

MOST_CHARACTERS = 1_000_000
"""So much of a text is kept, to know it when it comes once more."""

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
                self._cut(function, (choice, f"call {call.get('index', number)}"), last)
        return turn

    def _cut(self, function: Json, place: Place, last: bool) -> None:
        """Leave of a call what it adds; its name is said once."""
        name, arguments = function.get("name"), function.get("arguments")
        if (
            isinstance(name, str)
            and name
            and not self._new((place[0], f"{place[1]} name"), name, True)
        ):
            del function["name"]
        if isinstance(arguments, str) and arguments:
            function["arguments"] = self._new(place, arguments, last)

    def _new(self, place: Place, text: str, last: bool) -> str:
        known = self._texts.get(place)
        if len(text) > MOST_CHARACTERS or (known is None and len(self._texts) >= MOST_PLACES):
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
        if not self._pieces and text.startswith(self._whole) and self._whole:
            longer = len(text) > len(self._whole)
            if longer or self._grows or last:
                self._grows = self._grows or longer
                before, self._whole = self._whole, text
                return text[len(before) :]
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
