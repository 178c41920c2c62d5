"""/v1: the OpenAI-compatible front. The model is the chat's name; all else goes through as it came."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from gateway import contract, service, streaming, wire
from gateway.contract import CompletionRequest, EmbeddingsRequest, OpenAIRequest, TextCompletionRequest
from gateway.errors import OPENAI_PREFIX, Code, GatewayError
from gateway.model_actor import EVENTS, EVENTS_AND_USAGE
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


def _relayed(path: str, kind: type[OpenAIRequest]) -> Response:
    service.require("chat")
    fields = wire.typed(service.fields())
    asked = contract.parse(kind, fields)
    name, llm = fields.pop("model"), service.llm()
    if asked.stream:
        form = EVENTS_AND_USAGE if asked.include_usage() else EVENTS
        gone = streaming.client_gone()
        return streaming.events(service.ask(name, lambda n: llm.stream(n, path, fields, form, gone, name)))
    said = service.ask(name, lambda n: llm.relay(n, path, fields))
    relayed = said.answer
    reply = response(wire.relayed({**relayed.reply, "model": name}))
    sign(reply, said, str(relayed.reply.get("model") or ""), relayed.spent)
    return reply


def _model(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["chat_name"], "object": "model", "created": row["created"], "owned_by": row["provider"]}
