"""POST /all/chat: one question to several chats at once, their answers together or as they come."""

from __future__ import annotations

import json
import logging
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Blueprint, Response

from gateway.errors import Code, GatewayError
from gateway.frames import AnswerForm, Client, Request, Usage
from gateway.protocol import PublicConfig
from gateway.providers.questions import COUNTED_STREAM
from gateway.providers.structures import Structure, has_fields, told
from gateway.web import call, metrics, request_fields, services, streaming, validation, wire
from gateway.web.access_log import NAMES_NOBODY
from gateway.web.contract import AskAllRequest
from gateway.web.description import Description, described
from gateway.web.services import through
from gateway.web.task_questions import names_of, question_fields

if TYPE_CHECKING:
    from gateway.cluster.client import GatewayLLM
    from gateway.web.ledger import Ledger
    from gateway.web.spending import Spending


all_app = Blueprint("all", __name__, url_prefix="/all")

Outcome = dict[str, Any]
Line = tuple[str, Outcome, bool]
"""A chat's name, what it says, and whether that is the last of it."""

Put = Callable[[Line], None]
Gone = Callable[[], bool]

MAX_LINES = 32
"""So many wait for a slow client; then its models wait, too. A fast model's line may have 200
kB."""

LOOK_SECONDS = 1
"""How often a model that waits for its client looks whether that is still there."""

log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """What one chat is asked: which chat (a task's own), the request's body, and what the answer
    must be (JSON)."""

    chat: str
    body: bytes
    structure: str


class Asker(NamedTuple):
    """Who asks all of them, by what, and where it is counted."""

    llm: GatewayLLM
    ledger: Ledger
    spending: Spending
    caller: str
    request_id: str
    client: Client

    def admit(self, chat: str) -> None:
        """Count a question. Raises GatewayError: its caller, or the chat, may use no more."""
        self.spending.admit(self.caller)
        self.spending.check(chat)

    def answered(self, name: str, asked: Asked, model: str, usage: Usage) -> None:
        """Count an answer."""
        metrics.count_usage(asked.chat, usage)
        self.ledger.answered(self.caller, name, asked.chat, model, usage, fell_back=False)

    def failed(self, name: str, error: Exception) -> Outcome:
        """Count an error, and return what whoever waits for this chat is told; a thread must not
        end without telling."""
        if not isinstance(error, GatewayError):
            # never its text: it may quote a prompt
            log.error("a chat of /all/chat failed: %s", type(error).__name__)
            error = GatewayError(Code.INTERNAL, chat_name=name)
        label = name if error.code not in NAMES_NOBODY else ""
        self.ledger.failed(self.caller, label, error.code)
        chat = error.chat_name or name  # a task's name stands for another chat
        if error.usage:
            self.ledger.paid(self.caller, name, chat, error.usage, error.code)
        self.ledger.turned_away([(chat, error.code)], "")
        return error.shape(self.request_id)


@all_app.post("/chat")
@described(
    Description("Ask several at once.", {"type": "object"}, "chat", AskAllRequest, wire.LINES)
)
def chat() -> Response:
    """Ask every chat at once. Each answers, or fails, for itself: none falls back, since they are
    compared."""
    question = request_fields.parsed(AskAllRequest)
    llm, current = services.llm(), call.current()
    names = question.chat_names or tuple(row["chat_name"] for row in services.models())
    questions = _questions(llm, names, question)
    question = question.without_texts()
    asker = Asker(
        llm,
        services.ledger(),
        services.spending(),
        current.caller,
        current.id,
        streaming.client(),
    )
    if question.stream:
        lines = _lines(asker, questions, question)
        return Response(lines, content_type=wire.LINES)
    # Threads are not waited for beyond the timeout: each ends by its own chat's.
    pool = ThreadPoolExecutor(max(len(names), 1))
    calls = {name: pool.submit(_answer, asker, name, one) for name, one in questions.items()}
    wait(calls.values(), question.timeout)
    pool.shutdown(wait=False, cancel_futures=True)
    outcomes = {
        name: one.result() if one.done() else _late(name, question, current.id)
        for name, one in calls.items()
    }
    return Response(json.dumps(outcomes).encode(), content_type=wire.JSON)


def _questions(
    llm: GatewayLLM, names: tuple[str, ...], question: AskAllRequest
) -> dict[str, Asked | GatewayError]:
    """Return what each chat is asked, or what is wrong with that. Raises GatewayError: a field is
    nobody's variable."""
    token = call.current().token
    visible = token.sees if token else lambda _: True
    tasks = {name: llm.task(name) if visible(name) else None for name in names}
    given = {"content": question.content, **(question.model_extra or {})}
    variables = {one for task in tasks.values() if task for one in names_of(task)}
    if unknown := sorted(given.keys() - variables - {"content"}):
        words = "is no field of this request, and no variable of the tasks that are asked"
        words_zh = "不是本请求的字段，也不是所问预设任务的变量"
        raise validation.all_invalid([(field, words, words_zh) for field in unknown])
    questions: dict[str, Asked | GatewayError] = {}
    shared: dict[str, bytes] = {}  # by structure: one body for all chats that are asked the same
    for name, task in tasks.items():
        if not visible(name):
            questions[name] = GatewayError(Code.NOT_DEPLOYED, chat_name=name)
            continue
        structure = request_fields.structure_of(question, llm.reply_options(name))
        key = structure.to_json() if structure else ""
        try:
            if task:
                body = _task_body(task, question, given, structure)
            elif key in shared:
                body = shared[key]
            else:
                body = shared[key] = _body(question, question.conversation(), {}, structure)
            questions[name] = Asked(through(task) or name, body, key)
        except GatewayError as error:
            error.chat_name = name
            questions[name] = error
    # here each is there once, but once more for each chat in the cluster
    bodies = [len(one.body) for one in questions.values() if isinstance(one, Asked)]
    call.current().hold(sum(bodies))
    return questions


def _task_body(
    task: PublicConfig, question: AskAllRequest, given: dict[str, Any], structure: Structure | None
) -> bytes:
    names = names_of(task)
    fields = {name: text for name, text in given.items() if name in names}
    if question.system:
        fields["system"] = question.system
    fields = question_fields(task, fields)
    update = {"content": fields["content"], "system": fields.get("system")}
    messages = question.model_copy(update=update).conversation()
    return _body(question, messages, task["options"], structure)


def _body(
    question: AskAllRequest,
    messages: list[dict[str, str]],
    options: dict[str, Any],
    structure: Structure | None,
) -> bytes:
    """Return a request's body as all providers read it."""
    stream = COUNTED_STREAM if question.stream and structure is None else {"stream": False}
    texts = {"messages": told(messages, structure)}
    return request_fields.packed({**texts, **options, **question.options(), **stream})


def _answer(asker: Asker, name: str, asked: Asked | GatewayError) -> Outcome:
    started = time.monotonic()
    try:
        if isinstance(asked, GatewayError):
            raise asked
        asker.admit(asked.chat)
        [reply] = asker.llm.chat_oai(
            asked.body, model=asked.chat, client=asker.client, structure=asked.structure
        )
        asker.answered(name, asked, reply.model, reply.usage)
    except Exception as error:
        return {**asker.failed(name, error), "seconds": _since(started)}
    answer = json.loads(reply.output) if has_fields(asked.structure) else reply.output
    return {"answer": answer, "seconds": _since(started), "tokens": reply.usage.tokens_out}


def _lines(
    asker: Asker, questions: dict[str, Asked | GatewayError], question: AskAllRequest
) -> Iterator[bytes]:
    """Yield a JSON line for each piece of an answer, in the order in which the models speak, and
    one when each is done."""
    lines: queue.Queue[Line] = queue.Queue(MAX_LINES)
    pool = ThreadPoolExecutor(max(len(questions), 1))
    left = set(questions)
    deadline = time.monotonic() + question.timeout

    def put(line: Line) -> None:
        """Wait for a client that reads slowly; who has gone is waited for no more."""
        while left:
            with suppress(queue.Full):
                return lines.put(line, timeout=LOOK_SECONDS)

    for name, asked in questions.items():
        pool.submit(_speak, asker, name, asked, put, lambda: not left)
    try:
        while left:
            try:
                name, outcome, last = lines.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                for name in sorted(left):
                    yield _line(name, _late(name, question, asker.request_id))
                return
            if last:
                left.discard(name)
            yield _line(name, outcome)
    finally:
        left.clear()  # the client may have gone: the others stop at their next word
        pool.shutdown(wait=False, cancel_futures=True)


def _speak(asker: Asker, name: str, asked: Asked | GatewayError, put: Put, gone: Gone) -> None:
    started = time.monotonic()
    try:
        if isinstance(asked, GatewayError):
            raise asked
        asker.admit(asked.chat)
        envelope = Request(AnswerForm.TEXT, structure=asked.structure)
        with closing(asker.llm.stream(asked.chat, envelope, asked.body, asker.client)) as stream:
            for piece in stream.pieces():
                if gone():
                    break
                put((name, {"text": piece.decode()}, False))
            asker.answered(name, asked, stream.model, stream.usage)
        end: Outcome = {"done": True, "seconds": _since(started), "tokens": stream.usage.tokens_out}
    except Exception as error:
        end = {**asker.failed(name, error), "seconds": _since(started)}
    put((name, end, True))


def _late(name: str, question: AskAllRequest, request_id: str) -> Outcome:
    detail = f"No answer within the {question.timeout:g} s that were asked for."
    error = GatewayError(
        Code.TIMEOUT, detail, f"{question.timeout:g} 秒内没有回答。", chat_name=name
    )
    return {**error.shape(request_id), "seconds": question.timeout}


def _line(name: str, outcome: Outcome) -> bytes:
    return json.dumps({"chat_name": name, **outcome}).encode() + b"\n"


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
