"""What the stand-in remembers: scripts it was given, requests it received, requests now open."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

KEPT = 10_000


class Received(TypedDict):
    """One request as it arrived. Header names are spelled as the client sent them."""

    path: str
    headers: dict[str, str]
    body: Any
    at: float
    dialect: str


class Ledger:
    """Everything is by bearer key: a test that uses a key of its own is alone, even on a shared
    server."""

    def __init__(self) -> None:
        self._scripts: dict[str, deque[str]] = {}
        self._received: deque[tuple[str, Received]] = deque(maxlen=KEPT)
        self._counts: Counter[str] = Counter()
        self._open: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()

    def give_script(self, key: str, behaviours: list[str]) -> None:
        """The key's next requests behave so, one by one; the last behaviour sticks."""
        self._scripts[key] = deque(behaviours)

    def drop_scripts(self, key: str | None = None) -> None:
        """Forget the key's script, or all of them."""
        if key is None:
            self._scripts.clear()
        else:
            self._scripts.pop(key, None)

    def behaviour(self, key: str, model: str) -> str:
        """What to do now: the script's next word, or else the model's name."""
        script = self._scripts.get(key)
        if not script:
            return model
        return script.popleft() if len(script) > 1 else script[0]

    def record(self, key: str, received: Received) -> None:
        """Keep a request; beyond `KEPT`, the oldest go, though they stay counted."""
        self._received.append((key, received))
        self._counts[key] += 1

    def received(self, key: str | None) -> list[Received]:
        """The key's requests, or all of them, oldest first."""
        return [one for owner, one in self._received if key in (None, owner)]

    def forget(self) -> None:
        """Forget all requests received."""
        self._received.clear()
        self._counts.clear()

    def count(self, key: str | None) -> int:
        """How many requests came with the key, or in all, since the last `forget`."""
        return self._counts.total() if key is None else self._counts[key]

    def spend(self, key: str, tokens: int) -> None:
        """Count the tokens of an answer that was sent to its end."""
        self._tokens[key] += tokens

    def tokens(self, key: str) -> int:
        """How many tokens the key's whole answers took, in and out."""
        return self._tokens[key]

    def open(self, key: str | None) -> int:
        """How many of the key's requests, or of all, are being answered now."""
        return self._open.total() if key is None else self._open[key]

    @contextmanager
    def opened(self, key: str) -> Iterator[None]:
        """Count a request as open for as long as this lasts."""
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
