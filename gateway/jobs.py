"""Answers that are kept: for clients that cannot wait so long, and for those that ask again when a
connection drops.

A chat that is kept runs in a thread of its own (gateway/job_runner.py), whoever waits for it. What
it is and what came of it is known in the cluster (gateway/job_store.py). If its process ends
meanwhile, another one that is asked for the answer asks anew.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from contextlib import nullcontext
from typing import Any, NamedTuple

import orjson
from flask import Blueprint, Response, current_app, g

from gateway import contract, metrics, replies, service, sessions, wire
from gateway.cluster import GatewayLLM
from gateway.contract import ChatRequest, JobRequest
from gateway.errors import Code, GatewayError
from gateway.failover import Answered, first_to_answer
from gateway.job_runner import Runner
from gateway.routes import Spent
from gateway.settings import Settings

log = logging.getLogger(__name__)

TRIES = 2
"""So many processes may ask one question: what ended both is not asked a third time."""

jobs_app = Blueprint("jobs", __name__, url_prefix="/jobs")

Question = dict[str, Any]


@jobs_app.get("/<name>")
def job(name: str) -> Response:
    """The answer of a job as its chat would have given it, or that it is not there yet."""
    service.require("chat")
    if service.only_looks():
        return replies.nothing()
    asked = service.asked(JobRequest)
    with _place(asked.wait):
        return _reply(name, asked.wait)


class Job(NamedTuple):
    """What is asked under `name`, packed, and for how many seconds its client waits (None: as long
    as it takes)."""

    name: str
    digest: str
    question: bytes
    wait: float | None


def packed(asked: ChatRequest) -> Job:
    """A question whose answer is kept. Raises GatewayError."""
    if asked.stream:
        raise contract.invalid(
            "stream",
            "goes with none of job, wait and request_id",
            "不能与 job、wait 或 request_id 同用",
        )
    name = asked.request_id or secrets.token_urlsafe(16)
    unlike = {"job", "wait", "request_id", *wire.Form._fields}
    digest = hashlib.sha256(asked.model_dump_json(exclude=unlike).encode()).hexdigest()
    body = sessions.packed(asked).decode()
    question: Question = {"asked": asked.without_texts().model_dump(mode="json"), "body": body}
    question["form"] = service.form()._asdict()
    return Job(name, digest, orjson.dumps(question), 0.0 if asked.job else asked.wait)


def ask(job: Job) -> Response:
    """Ask, and give the answer if it is there in time. Raises GatewayError."""
    with _place(job.wait):  # who may not wait has not asked
        _begin(job)
        return _reply(job.name, job.wait)


def make_runner(llm: GatewayLLM, config: Settings) -> Runner:
    """What this process asks for in the background."""

    def answered(owner: str, question: bytes, lost: int) -> tuple[bytes, bool]:
        result = _answered(llm, owner, orjson.loads(question), lost)
        return orjson.dumps(result), "error" in result

    return Runner(
        llm.recall, lambda: llm.driver, answered, config.keep_answers, config.max_in_flight
    )


def _runner() -> Runner:
    shared: Runner = current_app.extensions["runner"]
    return shared


def _place(seconds: float | None) -> Any:
    """The place of one who waits for so long (None: for as long as it takes). Raises GatewayError
    (GATEWAY_BUSY)."""
    return nullcontext() if seconds == 0 else _runner().waits.place()


def _begin(job: Job) -> None:
    begun = _runner().begin((service.owner(), job.name), job.digest, job.question)
    if begun == "other":
        words, words_zh = (
            "was used for another question; give each its own",
            "已用于另一个问题；请为每个问题使用不同的值",
        )
        raise contract.invalid("request_id", words, words_zh)
    if begun == "full":
        raise GatewayError(
            Code.GATEWAY_BUSY, "Too many answers are kept for their jobs.", "保存的任务结果过多。"
        )


def _reply(name: str, seconds: float | None) -> Response:
    """The answer, within `seconds`, or that it is pending; None: it is waited for as long as it
    takes."""
    result = _runner().wait((service.owner(), name), seconds)
    return replies.pending(name) if result is None else _answer(orjson.loads(result))


def _answer(result: dict[str, Any]) -> Response:
    g.kept_form = result["form"]
    g.watched.chat = result["chat"]
    if error := result.get("error"):
        raise GatewayError(**error)
    reply = replies.answer(result["text"])
    fell_back = Code(result["fell_back"]) if result["fell_back"] else None
    outcome = Answered(None, result["served_by"], fell_back)
    replies.sign(reply, outcome, result["model"], Spent(*result["spent"]), counted=True)
    return reply


def _answered(llm: GatewayLLM, owner: str, question: Question, lost: int) -> dict[str, Any]:
    """What came of a question; whatever happens, whoever waits for it is told."""
    job = {"form": question["form"], "chat": question["asked"]["chat_name"]}
    try:
        if lost >= TRIES:
            words = "The gateway process that asked this question ended, and so did the next one."
            raise GatewayError(
                Code.INTERNAL, words, "提出该问题的网关进程已终止，接手的进程也已终止。"
            )
        return {**job, **_asked(llm, owner, question)}
    except GatewayError as error:
        return {**job, "error": error.as_dict()}
    except Exception as error:  # never its text: it may quote a prompt
        log.error("a job failed: %s", type(error).__name__)
        return {**job, "error": GatewayError(Code.INTERNAL).as_dict()}


def _asked(llm: GatewayLLM, owner: str, question: Question) -> dict[str, Any]:
    asked, body = ChatRequest.model_construct(**question["asked"]), question.pop("body").encode()
    outcome = first_to_answer(asked.chat_name, llm.chain, lambda n: llm.chat_oai(body, model=n))
    [answer] = outcome.answer
    spent = answer.metadata["spent"]
    metrics.count_spent(outcome.served_by, spent)
    sessions.remember(llm, owner, asked, answer.output)
    told = {
        "served_by": outcome.served_by,
        "fell_back": outcome.fell_back,
        "model": answer.metadata.get("model", ""),
    }
    return {**told, "text": answer.output, "spent": list(spent)}
