"""The chats that are deployed, as the directory says: heard of by each gateway process, and told to
a directory that was born anew."""

from __future__ import annotations

import concurrent.futures
import time
import uuid
from collections.abc import Callable
from typing import Any

import ray

from gateway.actors.deployments import DEPLOY_SECONDS
from gateway.protocol import Chats, PublicConfig

CHANGES_SECONDS = 2
"""How long a directory may take to say what has changed; it may be busy, or restarting."""


class DeployedChats:
    """What this process knows of all chats. `learn` and `follow` use Ray, and raise what it
    raises."""

    def __init__(self) -> None:
        self._process = uuid.uuid4().hex
        self._chats: dict[str, PublicConfig] = {}
        self._born = ""
        self._revision = 0
        self._heard = 0.0
        self._news: concurrent.futures.Future[None] | None = None

    def get(self, name: str) -> PublicConfig | None:
        """Return a chat as every process knows it when its deploy returns; None: there is none."""
        return self._chats.get(name)

    def all(self) -> list[PublicConfig]:
        """Return them all."""
        return list(self._chats.values())

    def names(self, which: Callable[[PublicConfig], bool]) -> list[str]:
        """Return the names of those of some kind."""
        return [name for name, config in self._chats.items() if which(config)]

    @property
    def seen(self) -> tuple[str, int]:
        """Which directory was heard last, and its revision then: it says what has changed since."""
        return self._born, self._revision

    def silence(self) -> float:
        """Return for how many seconds no directory was heard."""
        return time.monotonic() - self._heard

    def learn(self, directory: Any) -> None:
        """Hear what has changed; tell a newborn directory (of a new cluster, maybe) which chats
        there were."""
        news = self._changes(directory)
        if news["born"] != self._born and self._chats:
            ray.get(directory.remember.remote(self.all()), timeout=DEPLOY_SECONDS)
            news = self._changes(directory)
        self._born, self._revision = news["born"], news["revision"]
        if news["configs"] is not None:
            self._chats = {config["chat_name"]: config for config in news["configs"]}
        self._heard = time.monotonic()

    def follow(self, directory: Any, on_news: Callable[[], None]) -> None:
        """Have the directory say when there is more to learn. It knows by this what is known here,
        which a deploy waits for."""
        if self._news is None or self._news.done():
            call = directory.follow.remote(self._process, *self.seen)
            self._news = call.future()
            self._news.add_done_callback(lambda _: on_news())

    def unfollow(self) -> None:
        """Forget the directory that was followed: its cluster was lost."""
        self._news = None

    def _changes(self, directory: Any) -> Chats:
        changes: Chats = ray.get(directory.chats.remote(*self.seen), timeout=CHANGES_SECONDS)
        return changes
