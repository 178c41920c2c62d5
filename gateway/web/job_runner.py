"""The jobs of this process: it asks for their answers in the background, and tells the store that
they are under way.

What runs here is known here, whatever becomes of the store: its answer is held until a store has
taken it, and a store that was restarted is told. One thread asks for the news of all the jobs of
other processes that are waited for.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gateway.errors import Code, GatewayError
from gateway.frames import Client
from gateway.store_protocol import Begun, Caller, Heard, Key, News, State
from gateway.web.waits import Waits

log = logging.getLogger(__name__)

BEAT_SECONDS = 2
NEWS_SECONDS = 0.2
"""How often the store is asked for news while somebody waits for a job of another process."""

EARLY_SECONDS = 8
"""How long a question waits for a store that was just restarted; it knows within five what is being
asked for."""

Store = Callable[..., Any]
"""Calls a method of gateway.actors.store_actor.Memory. Raises GatewayError."""

Answer = Callable[[str, bytes, int], tuple[bytes, bool]]
"""Asks: gets whose question it is, the question, and how many processes that asked it have ended;
returns what came of it, and whether that is a failure. Raises nothing."""


@dataclass(slots=True)
class Task:
    """A question that is being asked here, or whose `result` no store has taken yet."""

    digest: str
    question: bytes
    result: bytes | None = None


class Runner:
    """What this process asks in the background, and what it waits for. `driver` is how Ray calls
    it."""

    def __init__(
        self, store: Store, driver: Callable[[], str], answer: Answer, keep: int, most_waits: int
    ) -> None:
        self._store = store
        self._driver = driver
        self._answer = answer
        self._keep = keep
        self._name = secrets.token_hex(8)
        self._store_name = ""
        self._lock = threading.Lock()
        self._tasks: dict[Key, Task] = {}
        self._beginning: Counter[Key] = Counter()
        self._watching: threading.Thread | None = None
        self._wake = threading.Event()
        self.waits = Waits(most_waits)

    def begin(self, key: Key, digest: str, question: bytes) -> Begun:
        """Ask, unless somebody did. Raises GatewayError."""
        if task := self._tasks.get(key):
            return "known" if task.digest == digest else "other"
        self._watch()
        with self._announced(key):
            begun = self._begin(key, digest, question)
            if begun == "new":
                self._start(key, Task(digest, question), lost=0)
        if begun == "early":
            words = "The store of jobs was restarted a moment ago."
            raise GatewayError(Code.CLUSTER_DOWN, words, "任务存储刚刚重启。")
        return begun

    def wait(self, key: Key, seconds: float | None, client: Client = None) -> bytes | None:
        """Return the result; None: it is not there within `seconds`, if any are given. Raises
        GatewayError, also where the `client` has gone meanwhile."""
        self._watch()
        if seconds == 0:
            return self._look(key)
        with self.waits.join(key) as wait:
            result = self._look(key)
            if result is None:
                self._wake.set()
                result = wait.outcome(seconds, client)
            return result

    def forget(self, key: Key) -> None:
        """Let the store forget an answer. Raises GatewayError."""
        self._store("forget", key)

    def _look(self, key: Key) -> bytes | None:
        if task := self._tasks.get(key):
            return task.result
        for _, state, result in self._news([key]):
            if state != "here":
                raise self._missing(key, state)
            return result
        return None

    def _missing(self, key: Key, state: State) -> GatewayError:
        name = key[1][:64]
        if state == "lost":
            words = (
                f"No answer is kept under {name!r}: the store of jobs was restarted, and what it"
                " kept is lost."
            )
            words_zh = f"没有保存 {name!r} 的结果：任务存储已重启，其中保存的内容已丢失。"
            return GatewayError(Code.CLUSTER_DOWN, f"{words} Ask again.", f"{words_zh}请重新提问。")
        words = (
            f"No answer is kept under {name!r} for this token; they are kept for"
            f" {span(self._keep)}."
        )
        words_zh = f"没有为该令牌保存 {name!r} 的结果；结果保存{span_zh(self._keep)}。"
        return GatewayError(Code.INVALID_REQUEST, words, words_zh, status=404)

    # What runs here.

    @contextmanager
    def _announced(self, key: Key) -> Iterator[None]:
        """Let a job be known that the store may take for ours before it is begun."""
        with self._lock:
            self._beginning[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._beginning[key] -= 1
                if not self._beginning[key]:
                    del self._beginning[key]

    def _begin(self, key: Key, digest: str, question: bytes) -> Begun:
        deadline = time.monotonic() + EARLY_SECONDS
        while True:
            begun: Begun = self._store("begin", self._caller(), key, digest, question)
            if begun != "early" or time.monotonic() > deadline:
                return begun
            time.sleep(NEWS_SECONDS)

    def _start(self, key: Key, task: Task, lost: int) -> None:
        with self._lock:
            self._tasks[key] = task
        try:
            # Not a daemon: a process that is told to stop finishes its answers first.
            threading.Thread(target=self._run, args=(key, task, lost), name="job").start()
        except RuntimeError:  # there are too many threads; the store gives the job to us again
            log.warning("a job waits: no thread can be started")
            with self._lock:
                del self._tasks[key]

    def _run(self, key: Key, task: Task, lost: int) -> None:
        result, failed = self._answer(key[0], task.question, lost)
        deadline = time.monotonic() + self._keep
        # The store first: who learns of a failure may ask anew at once.
        while not self._kept(key, task, result, failed):
            if task.result is None:
                log.warning("an answer is held until the store of jobs takes it")
            task.result = result
            self.waits.end(key, result)
            if time.monotonic() > deadline or not threading.main_thread().is_alive():
                log.warning("an answer is lost: no store of jobs took it")
                break
            time.sleep(BEAT_SECONDS)
        with self._lock:
            if self._tasks.get(key) is task:  # else it was asked anew meanwhile
                del self._tasks[key]
        self.waits.end(key, result)

    def _kept(self, key: Key, task: Task, result: bytes, failed: bool) -> bool:
        """Return whether a store has taken a result, or never will."""
        try:
            if self._store("finish", key, result, failed, task.digest):
                return True
            begun: Begun = self._store(
                "begin", self._caller(), key, task.digest, task.question, True
            )
            if begun in ("full", "other"):
                log.warning("an answer is not kept: %s", begun)
                return True
            return bool(self._store("finish", key, result, failed, task.digest))
        except Exception:  # it is tried again, whatever is wrong with the cluster
            return False

    # What the store hears of this process, and tells it.

    def _caller(self) -> Caller:
        return {
            "process": self._name,
            "driver": self._driver(),
            "store": self._store_name,
            "keep": self._keep,
        }

    def _news(self, keys: list[Key]) -> list[News]:
        news: list[News] = self._store("news", self._caller(), keys)
        return news

    def _watch(self) -> None:
        """Beat from now on, for as long as this process lives: the store may give it a job at any
        time."""
        with self._lock:
            if self._watching is None:
                watch = threading.Thread(target=self._keep_watch, name="jobs' watch", daemon=True)
                watch.start()  # where there are too many threads, the next job tries it again
                self._watching = watch

    def _keep_watch(self) -> None:
        beat_at, answers = 0.0, True
        while True:
            wanted = [key for key in self.waits.awaited() if key not in self._tasks]
            try:
                if time.monotonic() >= beat_at:
                    beat_at = time.monotonic() + BEAT_SECONDS
                    self._beat()
                if wanted:
                    self._hear(self._news(wanted))
                answers = True
            except Exception as error:  # it must go on, whatever is wrong with the cluster
                if answers:
                    log.warning("the store of jobs does not answer: %s", _name(error))
                answers = False
                for key in wanted:
                    self.waits.end(
                        key,
                        error if isinstance(error, GatewayError) else GatewayError(Code.INTERNAL),
                    )
            if wanted:
                time.sleep(NEWS_SECONDS)
            elif self._wake.wait(BEAT_SECONDS):
                self._wake.clear()

    def _hear(self, news: Sequence[News]) -> None:
        for key, state, result in news:
            self.waits.end(key, self._missing(key, state) if result is None else result)

    def _beat(self) -> None:
        with self._lock:
            running = list({*self._tasks, *self._beginning})
        news: Heard = self._store("beat", self._caller(), running)
        self._store_name = news["store"]
        for key in news["unknown"]:
            if task := self._tasks.get(key):
                self._store("begin", self._caller(), key, task.digest, task.question, True)
        for key, digest, question, lost in news["given"]:
            with self._lock:
                ours = key in self._tasks or key in self._beginning
            if not ours:
                self._start(key, Task(digest, question), lost)


def _name(error: Exception) -> str:
    return str(getattr(error, "code", type(error).__name__))


def span(seconds: int) -> str:
    """Return a time as people say it."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds % size == 0:
            number = seconds // size
            return (
                f"{number} {unit}s" if number > 1 else "an hour" if unit == "hour" else f"a {unit}"
            )
    return f"{seconds} s"


def span_zh(seconds: int) -> str:
    """Return a time as people say it in Chinese."""
    for unit, size in (("天", 86400), ("小时", 3600), ("分钟", 60)):
        if seconds % size == 0:
            return f"{'一' if seconds == size else f' {seconds // size} '}{unit}"
    return f" {seconds} 秒"
