"""What a request says: its body or query, read and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import orjson
from flask import Response, after_this_request, request
from pydantic import BaseModel
from werkzeug.exceptions import RequestEntityTooLarge

from gateway import frames
from gateway.byte_budget import SMALL_BYTES
from gateway.encodings import Inflater, TooLarge
from gateway.errors import Code, GatewayError
from gateway.providers.structures import Structure, StructureRecord
from gateway.web import call, services, task_questions, validation, wire
from gateway.web.contract import (
    ChatRequest,
    DeployRequest,
    ModelsRequest,
    Question,
    ReplyOptions,
    StructuredRequest,
)
from gateway.web.large_body import LargeBody

M = TypeVar("M", bound=BaseModel)

NO_FIELDS = frozenset({*wire.Form._fields, "_"})
"""What may stand in a query beside a body: how the reply is written, and what is added against
caches."""

OF_THE_REPLY = frozenset({"job", "wait", "request_id", *wire.Form._fields})
"""Fields that say nothing of what is asked: who repeats a question may give others."""

COMPRESSED = (b"\x1f\x8b", b"\x78")
"""How gzip and nearly all of zlib begin, and neither JSON nor a form's usual fields do."""


def parsed(kind: type[M]) -> M:
    """Return what the request asks for. Raises GatewayError, naming the field that is wrong."""
    if kind in (DeployRequest, ModelsRequest):
        no_key_in_query()
    values = fields()
    services.require_visible(values.get("chat_name"))
    deployed: dict[str, Any] = {}
    if issubclass(kind, ReplyOptions):
        in_query = call.options_in_query()
        deployed = _choose_form(values, in_query)
        if in_query:
            validation.parse(ReplyOptions, in_query)
    if kind is ChatRequest:
        values = _expanded(values)
    question = _checked(kind, values)
    if isinstance(question, ChatRequest):
        _choose_structure(question, deployed)
    call.current().chat = getattr(question, "chat_name", "")
    if not issubclass(kind, Question):
        call.current().unpacked()
    return question


def structure_of(question: StructuredRequest, deployed: Mapping[str, Any]) -> Structure | None:
    """Return what an answer must be: as the request says, or else as its chat's deploy did."""
    given = {"choices": question.choices, "fields": question.fields}
    record = {name: texts for name, texts in given.items() if texts} or deployed
    return Structure.from_record(cast("StructureRecord", record))


def packed(fields: dict[str, Any]) -> bytes:
    """Return a question as its provider reads it, and as it is held from here on. Raises
    GatewayError."""
    body = frames.packed(fields)
    call.current().unpacked()
    if len(body) > SMALL_BYTES:
        _large().hold(len(body))  # a small question, too, where its session is large
    return body


def _expanded(values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a question to a chat, which a task makes of a request's. Raises
    GatewayError."""
    current, name = call.current(), values.get("chat_name")
    current.task = services.llm().task(name) if isinstance(name, str) else None
    if current.task is None:
        return values
    if values.get("request_id"):
        question = {name: value for name, value in values.items() if name not in OF_THE_REPLY}
        current.digest = hashlib.sha256(_in_order(question)).hexdigest()
    return task_questions.question_fields(current.task, values)


def _in_order(question: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(question, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits, or it is nested deeply
        return json.dumps(question, sort_keys=True).encode()


def _checked(kind: type[M], values: dict[str, Any]) -> M:
    try:
        return validation.parse(kind, values)
    except GatewayError as error:
        if kind is ChatRequest and error.param not in kind.model_fields:
            services.llm().require_cluster()  # it may be a task's variable
        raise


def _choose_structure(question: ChatRequest, deployed: dict[str, Any]) -> None:
    """Have the answer checked against what was asked for, and written as that can be."""
    current = call.current()
    structure = current.structure = structure_of(question, deployed)
    if current.form.format == "csv" and not (structure and structure.fields):
        if current.options.get("format") == "csv":
            words = "csv goes with fields, which say what its columns are"
            raise validation.invalid("format", words, "csv 须与 fields 一起使用，由其给出各列")
        current.form = current.form._replace(format="text")
    if question.stream and structure and current.form.format == "json":
        current.form = current.form._replace(format="text")  # as all that is streamed


def _choose_form(values: dict[str, Any], in_query: dict[str, Any]) -> dict[str, Any]:
    """Have the reply written as the request says, or else as its chat's deploy did, which is
    returned. Also what is wrong with the request is written so, and is found out after this."""
    current, chat = call.current(), values.get("chat_name")
    deployed = services.llm().reply_options(chat) if isinstance(chat, str) else {}
    # Not all of it: a question may be large, and goes on in another form.
    written = {name: values[name] for name in wire.Form._fields if name in values}
    current.options = {**in_query, **written}
    current.form = validation.form(current.form, written, in_query, deployed)
    return deployed


def fields() -> dict[str, Any]:
    """Return what the request says: in its body, or else in its query. Raises GatewayError."""
    if request.method in ("GET", "HEAD"):
        return _in_query()
    try:
        body = _body()
    except (RequestEntityTooLarge, GatewayError):
        raise
    # the server's own: broken chunks, a client that went away or fell silent
    except Exception as error:
        detail = f"The body could not be read to its end ({type(error).__name__})."
        raise GatewayError(Code.INVALID_REQUEST, detail, "请求体未能完整读取。") from error
    if (
        request.query_string
        and not body.strip(wire.PADDING.encode())
        and not request.args.keys() <= NO_FIELDS
    ):
        return _in_query()
    if (
        not body
        and request.content_length is None
        and "chunked" not in request.headers.get("Transfer-Encoding", "")
    ):
        words = (
            "There is neither a Content-Length nor chunks, so no body was read; send"
            " Content-Length."
        )
        words_zh = (
            "请求没有 Content-Length，也没有分块，因此无法读取请求体；请发送 Content-Length。"
        )
        raise GatewayError(Code.INVALID_REQUEST, words, words_zh)
    return _in_body(body, request.headers.get("Content-Encoding", ""))


def _body() -> bytes:
    length = request.content_length
    if length is not None and length <= SMALL_BYTES:
        return request.get_data(cache=False)
    large = _large()
    body = large.read(request.stream, length)
    if len(body) > SMALL_BYTES:
        large.unpack()
    return body


def _large() -> LargeBody:
    """Return what the request under way holds for its large body, until its reply has gone."""
    current = call.current()
    if current.large:
        return current.large
    large = current.large = LargeBody(services.questions())

    @after_this_request
    def release_later(reply: Response) -> Response:
        reply.call_on_close(large.release)
        return reply

    return large


def _in_query() -> dict[str, Any]:
    no_key_in_query()
    return wire.query(request.query_string, services.settings().fallback_charset)


def no_key_in_query() -> None:
    """Raise GatewayError where a provider's key stands in the URL."""
    if request.query_string and "api_key" in request.args:
        words = (
            "must not stand in a URL, since URLs end up in logs; send it in the body, and replace"
            " this key"
        )
        words_zh = "不可写在 URL 中，因为 URL 会被记入日志；请放在请求体中，并更换此密钥"
        raise validation.invalid("api_key", words, words_zh)


def _in_body(body: bytes, encoding: str) -> dict[str, Any]:
    """Return the fields of a body that may be compressed. Raises GatewayError."""
    content_type, charset = request.content_type or "", services.settings().fallback_charset
    if not encoding and not body.startswith(COMPRESSED):
        return wire.fields(body, content_type, charset)
    inflater = Inflater(services.settings().max_body_bytes, encoding)
    large = _large()
    large.unpack()
    try:
        body = inflater.feed(body, last=True)
    except TooLarge:
        raise RequestEntityTooLarge from None
    large.hold(len(body))
    shown = f"Content-Encoding: {encoding[:64]}" if encoding else "No Content-Encoding"
    if not inflater.ended:
        words = f"{shown}: the compressed body is cut short or damaged."
        raise GatewayError(Code.INVALID_REQUEST, words, f"{shown}：压缩的请求体不完整或已损坏。")
    try:
        return wire.fields(body, content_type, charset)
    except GatewayError as error:
        if inflater.plain and encoding.lower() != "identity":
            error.detail += f" ({shown}: gzip and deflate are unpacked, and the body is neither.)"
            error.detail_zh += f"（{shown}：只能解压 gzip 与 deflate，而请求体两者都不是。）"
        raise
