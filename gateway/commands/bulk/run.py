"""A run of `python -m gateway bulk`: several rows are asked at once, and written in order."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.commands.bulk.answers import Answer, Answers
from gateway.commands.bulk.display import Display
from gateway.commands.bulk.gateway import Gateway, row_answer
from gateway.commands.bulk.words import BulkError, words
from gateway.tables.files import Cell, Sink, Table, text

GRACE_SECONDS = 10
"""So long a run that ends waits for what it has asked."""

AHEAD = 8
"""So many times as many rows as are asked at once may wait for one that takes longer."""


class Interrupted(BulkError):  # noqa: N818 - it is no error
    """Somebody pressed Ctrl-C, or ended the process."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of which chat: the place of each variable's column, and what every question
    says beside. `names` are the new columns; `fields`: each is one of an answer's."""

    chat_name: str
    variables: dict[str, int]
    more: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ("answer",)
    fields: bool = False

    def question(self, cells: Sequence[Cell]) -> dict[str, Any] | None:
        """Return a row's question; None: there is nothing in it to ask."""
        values = {name: text(cells[place]) for name, place in self.variables.items()}
        if not any(value.strip() for value in values.values()):
            return None
        return {"chat_name": self.chat_name, **values, **self.more}


@dataclass(slots=True)
class Run:
    """Rows under way, in order: each is an answer, or the task that asks for it."""

    plan: Plan
    answers: Answers
    gateway: Gateway
    display: Display
    sink: Sink
    at_once: int
    _places: asyncio.Semaphore = field(init=False)
    _end: asyncio.Future[BulkError] = field(init=False)
    _line: deque[tuple[list[Cell], Answer | asyncio.Task[Answer]]] = field(init=False)

    async def all(self, table: Table) -> None:
        """Ask every row that has no answer. Raises BulkError: it ended before."""
        loop = asyncio.get_running_loop()
        self._places, self._end = asyncio.Semaphore(self.at_once), loop.create_future()
        self._line = deque()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt)
        try:
            for cells in table.rows():
                self._line.append((cells, self._answer(cells)))
                while self._ready() or len(self._line) > self.at_once * AHEAD:
                    await self._write()
            while self._line:
                await self._write()
        finally:
            await self._drain()

    def _answer(self, cells: list[Cell]) -> Answer | asyncio.Task[Answer]:
        question = self.plan.question(cells)
        if question is None:
            return Answer(("",) * len(self.plan.names))
        name = self.answers.id_of(question)
        return self.answers.find(name) or asyncio.create_task(self._ask(name, question))

    async def _ask(self, name: str, question: dict[str, Any]) -> Answer:
        async with self._places:
            if self._end.done():
                raise self._end.result()
            try:
                outcome = await self.gateway.ask(question, name)
                answer = row_answer(outcome, self.plan.names, self.plan.fields)
                if not answer.error:
                    self.answers.keep(name, answer)
                    await self.gateway.forget(name)
            except BulkError as error:
                self._stop(error)
                raise
            return answer

    def _ready(self) -> bool:
        if not self._line:
            return False
        first = self._line[0][1]
        return isinstance(first, Answer) or first.done()

    async def _write(self) -> None:
        """Write the first row, when its answer is there. Raises BulkError."""
        first = self._line[0][1]
        if isinstance(first, asyncio.Task):
            either: set[asyncio.Future[Any]] = {first, self._end}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._end.done():
            raise self._end.result()
        self._write_first()

    def _write_first(self) -> None:
        cells, first = self._line.popleft()
        answer = first.result() if isinstance(first, asyncio.Task) else first
        texts = answer.texts or ("",) * len(self.plan.names)
        self.sink.write(cells, [*texts, answer.error])
        self.display.row(answer, old=isinstance(first, Answer))

    def _stop(self, error: BulkError) -> None:
        self.gateway.closing = True
        if not self._end.done():
            self._end.set_result(error)

    def _interrupt(self) -> None:
        if self._end.done():  # again: at once
            for task in self._tasks():
                task.cancel()
        self._stop(Interrupted(words("Interrupted.", "已中断。")))

    def _tasks(self) -> list[asyncio.Task[Answer]]:
        return [one for _, one in self._line if isinstance(one, asyncio.Task)]

    async def _drain(self) -> None:
        """Let the answers come in that are under way: they are paid for."""
        tasks = self._tasks()
        under_way = [task for task in tasks if self.gateway.is_asking(task)]
        if under_way:
            self.display.note(
                words(
                    f"Waiting for {len(under_way)} answers under way, {GRACE_SECONDS} s at most.",
                    f"正在等待 {len(under_way)} 个进行中的回答，最多 {GRACE_SECONDS} 秒。",
                )
            )
            await asyncio.wait(under_way, timeout=GRACE_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self._ready() and not self._failed():
            self._write_first()

    def _failed(self) -> bool:
        first = self._line[0][1]
        return isinstance(first, asyncio.Task) and (
            first.cancelled() or first.exception() is not None
        )
