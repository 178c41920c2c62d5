"""Which model answers for a replica: the one that was deployed last. A new one is prepared beside
it, and takes its place in one step; after a restart, what was there is opened again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.actors.joint_work import JointWork
from gateway.actors.model import Model, has_its_key
from gateway.actors.upstream import STREAM_SECONDS
from gateway.errors import Code, ErrorRecord, GatewayError
from gateway.protocol import CHAT, ModelConfig
from gateway.providers.questions import Question

CHECK = b'{"messages":[{"role":"user","content":"Hi"}],"stream":false}'
"""The smallest real question. Without max_tokens: some models refuse it, others think it away and
say nothing."""


class ModelSlot:
    """A replica's place for a model. `opening` makes one ready, `untried` or not; `lookup` finds
    what the directory says that there was: None is nothing. Both may raise GatewayError.

    `switches` is how often another model has taken the place.
    """

    def __init__(
        self,
        opening: Callable[[ModelConfig, bool], Awaitable[Model]],
        lookup: Callable[[], Awaitable[ModelConfig | None]],
    ) -> None:
        self.model: Model | None = None
        self.switches = 0
        self._opening = opening
        self._lookup = lookup
        self._prepared: Model | None = None
        self._preparing = 0
        self._amended: tuple[list[str], int] = [], 0
        self._recovery = JointWork(self._recover)
        self._closing: set[asyncio.Task[None]] = set()

    async def prepare(self, config: ModelConfig, check: bool) -> ErrorRecord | None:
        """Make a new model ready beside the one that answers, and ask it a question if `check`.

        Returns the error as plain data, or None. Who asked may have given up meanwhile, and asked
        for another.
        """
        self._preparing += 1
        turn, model = self._preparing, None
        try:
            model = await self._opening(config, True)
            if check:
                await model.ask(Question(CHAT, CHECK, plain=True))
        except GatewayError as error:
            self._close_later(model)
            return error.as_dict()
        except BaseException:
            self._close_later(model)
            raise
        if turn == self._preparing:
            self._close_later(self._prepared)
            self._prepared = model
        else:
            self._close_later(model)
        return None

    def forget_prepared(self) -> None:
        """Drop the prepared model: another replica could not prepare its own."""
        self._preparing += 1
        self._close_later(self._prepared)
        self._prepared = None

    def switch(self) -> None:
        """Let the prepared model answer from now on; chats under way finish on the old one."""
        old, self.model, self._prepared = self.model, self._prepared, None
        self.switches += 1
        self._close_later(old)

    def amend(self, fallback: list[str], generation: int) -> None:
        """Put another chain behind the same model, also behind one that is being opened again."""
        self._amended = fallback, generation
        if self.model:
            self.model.config = self._with_its_chain(self.model.config)

    async def ready(self) -> Model:
        """Return the model that answers. Raises GatewayError (NEED_KEY...)."""
        if self.model is None:
            try:
                await self._recovery.join()
            except GatewayError:
                if self.model is None:  # else it was deployed meanwhile
                    raise
        if self.model is None:
            raise GatewayError(Code.NEED_KEY)
        return self.model

    async def _recover(self) -> None:
        """Open what the directory says that there was, unless something is deployed meanwhile. A
        large local model takes longer than some clients wait."""
        while self.model is None:
            switches = self.switches
            config = await self._lookup()
            if config is None or not has_its_key(config):
                return
            model = await self._opening(config, False)
            if self.model is None and self.switches == switches:
                model.config = self._with_its_chain(config)
                self.model = model
            else:  # another was deployed, though this replica may have lost it
                self._close_later(model)

    def _with_its_chain(self, config: ModelConfig) -> ModelConfig:
        fallback, generation = self._amended
        if generation <= config["generation"]:
            return config
        return {**config, "fallback": fallback, "generation": generation}

    def _close_later(self, model: Model | None) -> None:
        if model is not None:
            task = asyncio.create_task(model.close(STREAM_SECONDS))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
