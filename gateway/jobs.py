"""Answers that are kept: for clients that cannot wait so long, and for those that ask again when a connection drops.

A chat that is kept runs in a thread of its own, whoever waits for it. What it is and what came of it is known in the
cluster (gateway/memory.py). If its process ends meanwhile, the next one that is asked for the answer takes it over.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from typing import Any, Literal

import orjson
from flask import Blueprint, Response, current_app, g

from gateway import contract, metrics, replies, service, sessions, wire
from gateway.cluster import GatewayLLM
from gateway.contract import ChatRequest, JobRequest
from gateway.errors import Code, GatewayError
from gateway.failover import Answered, first_to_answer
from gateway.routes import Spent

log = logging.getLogger(__name__)

BEAT_SECONDS = 2
LOOK_SECONDS = 20
"""One wait for an answer, of as many as are needed."""

jobs_app = Blueprint("jobs", __name__, url_prefix="/jobs")

Question = dict[str, Any]


@jobs_app.get("/<name>")
def job(name: str) -> Response:
    """The answer of a job as its chat would have given it, or that it is not there yet."""
    service.require("chat")
    if service.only_looks():
        return replies.nothing()
    asked = service.asked(JobRequest)
    return reply(name, asked.wait)


def begin(asked: ChatRequest) -> tuple[str, float | None]:
    """Ask for an answer that is kept; returns its job's name, and how long its client waits. Raises GatewayError."""
    if asked.stream:
        raise contract.invalid(
            "stream", "goes with none of job, wait and request_id", "不能与 job、wait 或 request_id 同用"
        )
    name, owner = asked.request_id or secrets.token_urlsafe(16), service.owner()
    unlike = {"job", "wait", "request_id", *wire.Form._fields}
    digest = hashlib.sha256(asked.model_dump_json(exclude=unlike).encode()).hexdigest()
    body = sessions.packed(asked).decode()
    question: Question = {"asked": asked.without_texts().model_dump(mode="json"), "body": body}
    question["form"] = service.form()._asdict()
    began = runner().begin(owner, name, digest, question)
    if began == "other":
        words, words_zh = (
            "was used for another question; give each its own",
            "已用于另一个问题；请为每个问题使用不同的值",
        )
        raise contract.invalid("request_id", words, words_zh)
    if began == "full":
        raise GatewayError(Code.GATEWAY_BUSY, "Too many answers are kept for their jobs.", "保存的任务结果过多。")
    return name, 0.0 if asked.job else asked.wait


def runner() -> Runner:
    """What this process asks for in the background."""
    shared: Runner = current_app.extensions["runner"]
    return shared


def reply(name: str, seconds: float | None) -> Response:
    """The answer, within `seconds`, or that it is pending; None: it is waited for as long as it takes."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        left = LOOK_SECONDS if deadline is None else min(max(deadline - time.monotonic(), 0.0), LOOK_SECONDS)
        result = runner().wait(service.owner(), name, left)
        if result is not None:
            return _answer(orjson.loads(result))
        if deadline is not None and time.monotonic() >= deadline:
            return replies.pending(name)


def _answer(result: dict[str, Any]) -> Response:
    g.kept_form = result["form"]
    g.watched.chat = result["chat"]
    if error := result.get("error"):
        raise GatewayError(**error)
    reply = replies.answer(result["text"])
    fell_back = Code(result["fell_back"]) if result["fell_back"] else None
    said = Answered(None, result["served_by"], fell_back)
    replies.sign(reply, said, result["model"], Spent(*result["spent"]), counted=True)
    return reply


class Runner:
    """Asks in the background, and lets the cluster know that this process lives for as long as it does."""

    def __init__(self, llm: GatewayLLM) -> None:
        self._llm = llm
        self._name = secrets.token_hex(8)
        self._under_way = 0
        self._lock = threading.Condition()
        self._beating = False

    def begin(self, owner: str, name: str, digest: str, question: Question) -> Literal["new", "known", "other", "full"]:
        """Ask, unless somebody did. Raises GatewayError."""
        packed = orjson.dumps(question)
        began: Literal["new", "known", "other", "full"] = self._llm.recall(
            "begin", owner, name, digest, packed, self._name
        )
        if began == "new":
            self._start(owner, name, question)
        return began

    def wait(self, owner: str, name: str, seconds: float) -> bytes | None:
        """The result, if it is there within `seconds`. Raises GatewayError: there is no such job."""
        found = self._llm.recall("wait", owner, name, seconds, self._name, seconds=seconds)
        if found is None:
            words = f"No answer is kept under {name[:64]!r} for this token; they are kept for an hour."
            words_zh = f"没有为该令牌保存 {name[:64]!r} 的结果；结果保存一小时。"
            raise GatewayError(Code.INVALID_REQUEST, words, words_zh, status=404)
        if "question" in found:
            self._start(owner, name, orjson.loads(found["question"]))
            return None
        result: bytes | None = found["result"]
        return result

    def _start(self, owner: str, name: str, question: Question) -> None:
        with self._lock:
            self._under_way += 1
            if not self._beating:
                self._beating = True
                threading.Thread(target=self._beat, name="jobs' heart", daemon=True).start()
        # Not a daemon: a process that is told to stop finishes its answers first.
        threading.Thread(target=self._run, args=(owner, name, question), name="job").start()

    def _run(self, owner: str, name: str, question: Question) -> None:
        try:
            result = self._answered(owner, question)
            self._llm.recall("finish", owner, name, orjson.dumps(result), "error" in result)
        except GatewayError as error:  # who waits for it asks anew, as after the end of a process
            log.warning("an answer could not be kept: %s", error.code)
        finally:
            with self._lock:
                self._under_way -= 1

    def _answered(self, owner: str, question: Question) -> dict[str, Any]:
        """What came of a question; whatever happens, whoever waits for it is told."""
        job = {"form": question["form"], "chat": question["asked"]["chat_name"]}
        try:
            return {**job, **self._asked(owner, question)}
        except GatewayError as error:
            return {**job, "error": error.as_dict()}
        except Exception as error:  # never its text: it may quote a prompt
            log.error("a job failed: %s", type(error).__name__)
            return {**job, "error": GatewayError(Code.INTERNAL).as_dict()}

    def _asked(self, owner: str, question: Question) -> dict[str, Any]:
        asked, llm = ChatRequest.model_construct(**question["asked"]), self._llm
        body = question.pop("body").encode()
        said = first_to_answer(asked.chat_name, llm.chain, lambda n: llm.chat_oai(body, model=n))
        [answer] = said.answer
        spent = answer.metadata["spent"]
        metrics.count_spent(said.served_by, spent)
        sessions.remember(llm, owner, asked, answer.output)
        told = {"served_by": said.served_by, "fell_back": said.fell_back, "model": answer.metadata.get("model", "")}
        return {**told, "text": answer.output, "spent": list(spent)}

    def _beat(self) -> None:
        while True:
            with self._lock:
                if not self._under_way:
                    self._beating = False
                    return
            try:
                self._llm.recall("beat", self._name)
            except Exception as error:  # it must go on, whatever is wrong with the cluster
                log.warning("the jobs' memory does not answer: %s", getattr(error, "code", type(error).__name__))
            time.sleep(BEAT_SECONDS)
