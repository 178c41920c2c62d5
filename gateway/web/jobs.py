"""Answers that are kept: for clients that cannot wait so long, and for those that ask again when a
connection drops.

A chat that is kept runs in a thread of its own (gateway/web/job_runner.py), whoever waits for it.
What it is and what came of it is known in the cluster (gateway/actors/job_store.py). If its process
ends meanwhile, another one that is asked for the answer asks anew.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict

import orjson
from flask import Blueprint, Response, current_app, jsonify, request

from gateway.errors import Code, ErrorRecord, GatewayError
from gateway.frames import Usage
from gateway.providers.structures import has_fields
from gateway.settings import Settings
from gateway.web import (
    call,
    metrics,
    replies,
    request_fields,
    services,
    sessions,
    streaming,
    validation,
    wire,
)
from gateway.web.access_log import NAMES_NOBODY
from gateway.web.contract import ChatRequest, JobRequest
from gateway.web.description import Description, described
from gateway.web.failover import Outcome, first_to_answer
from gateway.web.job_runner import Runner
from gateway.web.request_fields import OF_THE_REPLY
from gateway.web.schemas import ANSWER, DONE, PLAIN

if TYPE_CHECKING:
    from gateway.cluster.answer import Answer
    from gateway.cluster.client import GatewayLLM
    from gateway.store_protocol import Begun
    from gateway.web.ledger import Ledger
    from gateway.web.spending import Spending


log = logging.getLogger(__name__)

BY_HEADERS = ("format", "lang")
"""What Accept and Accept-Language say of a reply's form."""

TRIES = 2
"""So many processes may ask one question: what ended both is not asked a third time."""

jobs_app = Blueprint("jobs", __name__, url_prefix="/jobs")


class Question(TypedDict):
    """What a job asks, as it is kept: the request without its texts, its packed body, the form of
    the reply, which chat answers a task, what the answer must be (JSON), and who asked."""

    request: dict[str, Any]
    body: str
    form: dict[str, Any]
    through: str
    structure: str
    caller: str


class Result(TypedDict):
    """What came of a job, as it is kept: an error, or else all the others."""

    form: dict[str, Any]
    chat: str
    error: NotRequired[ErrorRecord]
    text: NotRequired[str]
    named: NotRequired[bool]
    served_by: NotRequired[str]
    fell_back: NotRequired[str | None]
    model: NotRequired[str]
    usage: NotRequired[list[Any]]


@jobs_app.get("/<name>")
@described(Description("The answer of a job.", ANSWER, "chat", JobRequest, PLAIN, pends=True))
def job(name: str) -> Response:
    """Return a job's answer as its chat would have given it, or say that it is not there yet."""
    if request.method == "HEAD":
        return replies.head()
    wait = request_fields.parsed(JobRequest).wait
    with _place(wait):
        return _reply(name, wait)


@jobs_app.delete("/<name>")
@described(Description("Forget a job's answer, which its caller has.", DONE, "chat"))
def forget(name: str) -> Response:
    """Make room: an answer that its caller has written down need not be kept for an hour. Of one
    that is not there yet nothing changes."""
    _runner().forget((call.current().owner, name))
    return jsonify(ret="ok")


class Job(NamedTuple):
    """What is asked under `name`, packed, and for how many seconds its client waits (None: as long
    as it takes)."""

    name: str
    digest: str
    question: bytes
    wait: float | None


def packed(chat: ChatRequest) -> Job:
    """Return a question whose answer is kept. Raises GatewayError."""
    if chat.stream:
        words, words_zh = (
            "goes with none of job, wait and request_id",
            "不能与 job、wait 或 request_id 同用",
        )
        raise validation.invalid("stream", words, words_zh)
    name = chat.request_id or secrets.token_urlsafe(16)
    current = call.current()
    # of a task, what was asked of it: its prompt may change
    digest = current.digest or _digest(chat.model_dump_json(exclude=set(OF_THE_REPLY)))
    body = sessions.packed(chat, forgets=False).decode()  # it may be a repeat
    question = Question(
        request=chat.without_texts().model_dump(mode="json"),
        body=body,
        form=current.form._asdict(),
        through=services.through(current.task),
        structure=current.structure.to_json() if current.structure else "",
        caller=current.caller,
    )
    return Job(name, digest, orjson.dumps(question), 0.0 if chat.job else chat.wait)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def ask(job: Job) -> Response:
    """Ask, and give the answer if it is there in time. Raises GatewayError."""
    with _place(job.wait):  # who may not wait has not asked
        if _begin(job) == "new" and job.wait == 0:
            return replies.pending(job.name)  # also if its end is there by now: an id was asked for
        return _reply(job.name, job.wait)


def make_runner(llm: GatewayLLM, ledger: Ledger, spending: Spending, settings: Settings) -> Runner:
    """Return what asks in the background, for this process."""

    def answer(owner: str, question: bytes, lost: int) -> tuple[bytes, bool]:
        result = _result(llm, ledger, spending, owner, orjson.loads(question), lost)
        return orjson.dumps(result), "error" in result

    keep, most_waits = settings.keep_answers, settings.max_in_flight
    return Runner(llm.ask_store, lambda: llm.driver, answer, keep, most_waits)


def _runner() -> Runner:
    shared: Runner = current_app.extensions["runner"]
    return shared


def _place(seconds: float | None) -> Any:
    """Return the place of one who waits for so long (None: for as long as it takes). Raises
    GatewayError (GATEWAY_BUSY)."""
    return nullcontext() if seconds == 0 else _runner().waits.place()


def _begin(job: Job) -> Begun:
    begun = _runner().begin((call.current().owner, job.name), job.digest, job.question)
    if begun == "other":
        words, words_zh = (
            "was used for another question; give each its own",
            "已用于另一个问题；请为每个问题使用不同的值",
        )
        raise validation.invalid("request_id", words, words_zh)
    if begun == "full":
        raise GatewayError(
            Code.GATEWAY_BUSY, "Too many answers are kept for their jobs.", "保存的任务结果过多。"
        )
    return begun


def _reply(name: str, seconds: float | None) -> Response:
    """Return the answer, within `seconds`, or that it is pending; None: it is waited for as long as
    it takes."""
    client = streaming.client()
    result = _runner().wait((call.current().owner, name), seconds, client)
    return replies.pending(name) if result is None else _answer(orjson.loads(result))


def _answer(result: Result) -> Response:
    current = call.current()
    # As whoever fetches it says, in its query or its headers, or else as whoever asked did.
    usual, headers = wire.Form(), current.form._asdict()
    by_headers = {
        name: headers[name] for name in BY_HEADERS if headers[name] != getattr(usual, name)
    }
    current.form = validation.form(current.form, current.options, by_headers, result["form"])
    current.chat = result["chat"]
    current.counted = True
    if "error" in result:
        raise GatewayError.from_dict(result["error"])
    reply = replies.answer(result["text"], result.get("named", False))
    fell_back = Code(result["fell_back"]) if result["fell_back"] else None
    outcome = Outcome(None, result["served_by"], fell_back)
    replies.sign(reply, outcome, result["model"], Usage(*result["usage"]), counted=True)
    return reply


def _result(
    llm: GatewayLLM, ledger: Ledger, spending: Spending, owner: str, question: Question, lost: int
) -> Result:
    """Return what came of a question; whatever happens, whoever waits for it is told."""
    result: Result = {"form": question["form"], "chat": question["request"]["chat_name"]}
    try:
        if lost >= TRIES:
            words = "The gateway process that asked this question ended, and so did the next one."
            words_zh = "提出该问题的网关进程已终止，接手的进程也已终止。"
            raise GatewayError(Code.INTERNAL, words, words_zh)
        spending.admit(question["caller"])
        outcome = _ask(llm, ledger, spending, owner, question, result)
        chat, fell_back = result["chat"], outcome.fell_back is not None
        [answer] = outcome.answer
        ledger.answered(
            question["caller"], chat, outcome.served_by, answer.model, answer.usage, fell_back
        )
    except GatewayError as error:
        result["error"] = error.as_dict()
        named = "" if error.code in NAMES_NOBODY else result["chat"]
        ledger.failed(question["caller"], named, error.code)
    except Exception as error:  # never its text: it may quote a prompt
        log.error("a job failed: %s", type(error).__name__)
        result["error"] = GatewayError(Code.INTERNAL).as_dict()
    return result


def _ask(
    llm: GatewayLLM,
    ledger: Ledger,
    spending: Spending,
    owner: str,
    question: Question,
    result: Result,
) -> Outcome[list[Answer]]:
    chat, body = ChatRequest.model_construct(**question["request"]), question["body"].encode()
    question["body"] = ""
    sessions.begin(llm, owner, chat)
    structure = question["structure"]
    outcome = first_to_answer(
        question["through"] or chat.chat_name,
        llm.chain,
        spending.within_budget(
            ledger.paying(
                question["caller"],
                result["chat"],
                lambda name: llm.chat_oai(body, model=name, structure=structure),
            )
        ),
        ledger.turned_away,
    )
    [answer] = outcome.answer
    metrics.count_usage(outcome.served_by, answer.usage)
    if outcome.fell_back:
        metrics.count_fallback(chat.chat_name, outcome.served_by, outcome.fell_back)
    text = answer.output
    sessions.remember(llm, owner, chat, text)
    result["named"] = has_fields(structure)
    result["text"], result["model"], result["usage"] = text, answer.model, list(answer.usage)
    result["served_by"], result["fell_back"] = outcome.served_by, outcome.fell_back
    return outcome
