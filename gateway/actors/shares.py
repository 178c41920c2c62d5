"""What is kept for callers, in order, and how much of it each of them has. Pure; no call looks at
all of it."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

from gateway.store_protocol import Key, Owner

T = TypeVar("T")


class Shares:
    """How much each caller has of something, and whether it is too much together."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._count: Counter[Owner] = Counter()
        self._bytes: Counter[Owner] = Counter()
        self.count = self.bytes = 0

    def add(self, owner: Owner, size: int, one: int = 1) -> None:
        """Count one thing more of this size, or, with -1 and a negative size, one less."""
        self.count += one
        self.bytes += size
        self._count[owner] += one
        self._bytes[owner] += size
        if not self._count[owner]:
            del self._count[owner], self._bytes[owner]

    def over(self, size: int = 0, one: int = 0) -> bool:
        """Return whether there is too much, or would be with so much more."""
        return self.count + one > self._most or self.bytes + size > self._most_bytes

    def largest(
        self, owners: Iterable[Owner], asking: Owner | None = None, size: int = 0
    ) -> Owner | None:
        """Return who of `owners` has most of what is scarce; `asking` counts as if it had one thing
        of this size more."""
        scarce, more = (
            (self._bytes, size) if self.bytes + size > self._most_bytes else (self._count, 1)
        )
        return max(
            owners, key=lambda owner: scarce[owner] + (more if owner == asking else 0), default=None
        )


class Shelf(Generic[T]):
    """Things by caller and name, the latest put last. Each counts in its caller's share."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._things: OrderedDict[Key, tuple[T, int]] = OrderedDict()
        # A plain dict finds its first entry ever more slowly the more were deleted before it.
        self._names: dict[Owner, OrderedDict[str, None]] = {}

    @property
    def owners(self) -> Iterable[Owner]:
        """Who has something here."""
        return self._names.keys()

    def get(self, key: Key) -> T | None:
        """Return it, if it is there."""
        return self._things[key][0] if key in self._things else None

    def put(self, key: Key, thing: T, size: int) -> None:
        """Keep a thing as the latest, instead of what has this name."""
        self.drop(key)
        owner, name = key
        self._things[key] = thing, size
        self._names.setdefault(owner, OrderedDict())[name] = None
        self._shares.add(owner, size)

    def drop(self, key: Key) -> T | None:
        """Take it away, if it is there."""
        thing, size = self._things.pop(key, (None, 0))
        if thing is not None:
            owner, name = key
            del self._names[owner][name]
            if not self._names[owner]:
                del self._names[owner]
            self._shares.add(owner, -size, -1)
        return thing

    def oldest(self) -> tuple[Key, T] | None:
        """Return what was put first."""
        for key, (thing, _) in self._things.items():
            return key, thing
        return None

    def drop_oldest(self, owner: Owner) -> None:
        """Take away what this owner put first; it has something."""
        self.drop((owner, next(iter(self._names[owner]))))
