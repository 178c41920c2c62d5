"""Chunks that hold messages, or texts, in place of deltas. Pure.

Facts: some relays and LM Studio stream so, a piece in each; DashScope's own API has all that was
said so far in each, unless `incremental_output` is asked for.
"""

from __future__ import annotations

from gateway.providers.chunks import THOUGHTS, Json, words


class MessageChunks:
    """Tells what each message adds to those before it."""

    def __init__(self) -> None:
        self._so_far: dict[tuple[str, str], str] = {}
        self._in_pieces: set[tuple[str, str]] = set()

    def added(self, turn: Json, choice: str, last: bool) -> Json:
        """Return a message of the choice whose index is `choice`, with only what it adds; `last`:
        it ends. Whether each is a piece, or all so far, the second one tells."""
        words(turn)  # a list of parts becomes a text
        for name in ("content", *THOUGHTS):
            if isinstance(text := turn.get(name), str) and text:
                turn[name] = self._new((choice, name), text, last)
        return turn

    def _new(self, place: tuple[str, str], text: str, last: bool) -> str:
        before = self._so_far.get(place, "")
        if place in self._in_pieces:
            return text
        if before and not (text.startswith(before) and (last or len(text) > len(before))):
            self._in_pieces.add(place)
            return text
        self._so_far[place] = text
        return text[len(before) :]
