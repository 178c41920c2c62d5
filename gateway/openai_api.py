"""/v1: the OpenAI-compatible front. The model is the chat's name; all else goes through as it
came."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.blueprints import BlueprintSetupState

from gateway import contract, service, streaming, wire
from gateway.contract import (
    CompletionRequest,
    EmbeddingsRequest,
    OpenAIRequest,
    TextCompletionRequest,
)
from gateway.errors import DASHSCOPE_PREFIX, OPENAI_PREFIX, Code, GatewayError
from gateway.model_actor import EVENTS, EVENTS_AND_USAGE, REPLY
from gateway.replies import response, sign

v1_app = Blueprint("v1", __name__, url_prefix=OPENAI_PREFIX)


@v1_app.post("/chat/completions")
def chat_completions() -> Response:
    """A chat, whole or (`stream`) as it comes."""
    return _relayed("/chat/completions", CompletionRequest)


@v1_app.post("/completions")
def completions() -> Response:
    """The older form, where the provider has it."""
    return _relayed("/completions", TextCompletionRequest)


@v1_app.post("/embeddings")
def embeddings() -> Response:
    """Embeddings, where the provider has them."""
    return _relayed("/embeddings", EmbeddingsRequest)


@v1_app.get("/models")
def models() -> Response:
    """Every chat, in OpenAI's shape."""
    service.require()
    return jsonify(object="list", data=[_model(row) for row in service.llm().models()])


@v1_app.get("/models/<name>")
def model(name: str) -> Response:
    """One chat, in OpenAI's shape."""
    service.require()
    rows = [row for row in service.llm().models() if row["chat_name"] == name]
    if not rows:
        raise GatewayError(Code.NOT_DEPLOYED, chat_name=name[:64])
    return jsonify(_model(rows[0]))


def _not_served(setup: BlueprintSetupState) -> None:
    """Other APIs' paths that clients try: 400, since they show a 404 as "no such model"."""
    for number, path in enumerate(
        (f"{OPENAI_PREFIX}/responses", *_ANTHROPICS, f"{DASHSCOPE_PREFIX}/<path:any>")
    ):
        setup.app.add_url_rule(path, f"v1.not_served_{number}", _refuse, methods=["POST"])


_ANTHROPICS = f"{OPENAI_PREFIX}/messages", f"{OPENAI_PREFIX}/messages/count_tokens"
v1_app.record(_not_served)


def _refuse(**_: str) -> Response:
    raise GatewayError(
        Code.INVALID_REQUEST,
        f"This gateway does not serve {request.path}. Use its OpenAI-compatible POST"
        " /v1/chat/completions, by the base URL http://<this gateway>/v1.",
        f"本网关不提供 {request.path}。请使用与 OpenAI 兼容的 POST /v1/chat/completions，base URL"
        " 为 http://<本网关>/v1。",
    )


def _relayed(path: str, kind: type[OpenAIRequest]) -> Response:
    service.require("chat")
    name, form, body = _question(kind)
    llm, client = service.llm(), streaming.client()
    if form != REPLY:
        stream = service.ask(name, lambda n: llm.stream(n, path, body, form, client, name))
        service.let_go()
        return streaming.events(stream)
    said = service.ask(name, lambda n: llm.relay(n, path, body, client, name))
    content, model, spent = said.answer
    reply = response(wire.Reply(content, wire.JSON))
    sign(reply, said, model, spent)
    return reply


def _question(kind: type[OpenAIRequest]) -> tuple[str, str, bytes]:
    """The chat that is asked, the form of the answer, and the question as its provider reads it."""
    fields = wire.typed(service.fields())
    asked = contract.parse(kind, fields)
    name = fields.pop("model")
    # also written as "false", 0 or null: what we understand is what the provider gets
    if "stream" in fields:
        fields["stream"] = bool(asked.stream)
    form = REPLY if not asked.stream else EVENTS_AND_USAGE if asked.include_usage() else EVENTS
    return name, form, service.packed(fields)


def _model(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["chat_name"],
        "object": "model",
        "created": row["created"],
        "owned_by": row["provider"],
    }
