"""The configurations that the directory has in memory: of each chat, what is deployed, and what was
before. Without Ray."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from gateway.actors.model import has_its_key
from gateway.actors.reach import public
from gateway.protocol import Chats, Engine, ModelConfig, Traits

UNHEARD = 1_000_000
"""How many deploys there may have been of which a restarted directory has not heard yet: of tasks,
which have no actor. Its own come after them."""


if TYPE_CHECKING:
    ByName = Mapping[str, ModelConfig]
else:
    ByName = Mapping  # Ray pickles this class by value, which a TypedDict in it would not survive


class Configurations(ByName):
    """What is deployed, by chat name. `on_change` is called when one is kept, or dropped."""

    def __init__(
        self, on_change: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._deployed: dict[str, ModelConfig] = {}
        self._on_change = on_change
        self._clock = clock
        self._born = uuid.uuid4().hex
        self._before: dict[str, tuple[ModelConfig, float]] = {}
        self._traits: list[Traits] = []  # each once, since pickle sends the same object once
        self._generation = 0
        # Tasks that were taken away: a gateway process that is late may still know them.
        self._dropped: dict[str, int] = {}

    def __getitem__(self, name: str) -> ModelConfig:
        return self._deployed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._deployed)

    def __len__(self) -> int:
        return len(self._deployed)

    def keep(self, config: ModelConfig) -> None:
        """Have this one from now on."""
        traits = next((one for one in self._traits if one == config["traits"]), None)
        if traits is None:
            self._traits.append(traits := config["traits"])
        self._deployed[config["chat_name"]] = {**config, "traits": traits}
        self._generation = max(self._generation, config["generation"])  # later ones come after it
        self._on_change()

    def drop(self, name: str) -> None:
        """Have none of this name any more."""
        if config := self._deployed.pop(name, None):
            if config["engine"] == Engine.TASK:
                self._dropped[name] = config["generation"]
            self._on_change()

    def completed(self, config: ModelConfig) -> ModelConfig:
        """Return a configuration with what its deploy left as it was, and its place in time."""
        before = self.get(config["chat_name"])
        completed: ModelConfig = {
            **config,
            "generation": self.next_generation(),
            "since": time.time(),
        }
        if config["fallback"] is None:
            completed["fallback"] = before["fallback"] if before else []
        if config["reply"] is None:
            # how a task's answers are written is the task's own
            completed["reply"] = before["reply"] if before and not before["task"] else {}
        return completed

    def next_generation(self) -> int:
        """Return the number of the deploy that is next."""
        self._generation += 1
        return self._generation

    def refill(self, running: Iterable[ModelConfig]) -> None:
        """Keep what the model actors run, as a restarted directory; a later deploy is known
        already."""
        for config in running:
            if config["chat_name"] not in self:
                self.keep(config)
        self._generation += UNHEARD

    def complete(self, running: ModelConfig) -> None:
        """Take from a replica that was heard late what nobody else told, such as its key."""
        current = self.get(running["chat_name"])
        if current is None or (
            current["generation"] <= running["generation"] and not has_its_key(current)
        ):
            self.keep(running)

    def remember_task(self, config: ModelConfig) -> None:
        """Keep a task that a gateway process knows, unless a later deploy of its name is known
        here, or that it was taken away since."""
        name, generation = config["chat_name"], config["generation"]
        current = self.get(name)
        latest = max(current["generation"] if current else 0, self._dropped.get(name, 0))
        if generation > latest:
            self.keep(config)

    def set_aside(self, config: ModelConfig, seconds: float) -> None:
        """Keep what was behind a chat before, for so long, with its key."""
        self._before[config["chat_name"]] = config, self._clock() + seconds

    def before(self, name: str) -> ModelConfig | None:
        """Return what was behind a chat before its last deploy; None: nothing, or too long ago."""
        self._forget_expired()
        config, _ = self._before.get(name, (None, 0.0))
        return config

    def forget_before(self, name: str) -> None:
        """Drop what was behind a chat before."""
        self._before.pop(name, None)

    def changes(self, born: str, seen: int, revision: int) -> Chats:
        """Return all without their keys, unless nothing has changed in `revision` since that which
        a gateway process has `seen` of the directory `born`."""
        self._forget_expired()
        unchanged = (born, seen) == (self._born, revision)
        configs = None if unchanged else [public(config) for config in self._deployed.values()]
        return {"born": self._born, "revision": revision, "configs": configs}

    def is_of(self, born: str) -> bool:
        """Return whether this is the directory that was `born` so."""
        return born == self._born

    def _forget_expired(self) -> None:
        """Keep no key for longer than it can be of use."""
        now = self._clock()
        self._before = {name: entry for name, entry in self._before.items() if entry[1] > now}
