"""/v1: the OpenAI-compatible front. The model is the chat's name; all else goes through as it
came."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from flask.blueprints import BlueprintSetupState

from gateway.errors import Code, GatewayError
from gateway.protocol import AnswerForm, ChatRow
from gateway.web import call, request_fields, services, streaming, validation, wire
from gateway.web.contract import (
    CompletionRequest,
    EmbeddingsRequest,
    OpenAIRequest,
    TextCompletionRequest,
)
from gateway.web.description import NAMED, Description, described
from gateway.web.paths import ANTHROPIC_PREFIX, DASHSCOPE_PREFIX, OPENAI_PREFIX
from gateway.web.replies import response, shape_errors, sign
from gateway.web.schemas import COUNT, TEXT, Json, schema_object

v1_app = Blueprint("v1", __name__, url_prefix=OPENAI_PREFIX)


RELAYED = {
    **schema_object(model=TEXT),
    "description": "As the provider sent it, but for `model`: the chat's name.",
}
MODEL = schema_object(id=TEXT, object={"const": "model"}, created=COUNT, owned_by=TEXT)
MODELS = schema_object(object={"const": "list"}, data={"type": "array", "items": MODEL})


@v1_app.post("/chat/completions")
@described(Description("Chat.", RELAYED, "chat", CompletionRequest, wire.EVENTS))
def chat_completions() -> Response:
    """Return a chat, whole or (`stream`) as it comes."""
    return _relayed("/chat/completions", CompletionRequest)


@v1_app.post("/completions")
@described(Description("Go on from a text.", RELAYED, "chat", TextCompletionRequest, wire.EVENTS))
def completions() -> Response:
    """Return the older form, where the provider has it."""
    return _relayed("/completions", TextCompletionRequest)


@v1_app.post("/embeddings")
@described(Description("Embed.", RELAYED, "chat", EmbeddingsRequest))
def embeddings() -> Response:
    """Embed, where the provider has that."""
    return _relayed("/embeddings", EmbeddingsRequest)


@v1_app.get("/models")
@described(Description("Every chat.", MODELS))
def models() -> Response:
    """Return every chat, in OpenAI's shape."""
    return jsonify(object="list", data=[_model(row) for row in services.llm().models()])


@v1_app.get("/models/<name>")
@described(Description("One chat.", MODEL, fails=NAMED))
def model(name: str) -> Response:
    """Return one chat, in OpenAI's shape."""
    rows = [row for row in services.llm().models() if row["chat_name"] == name]
    if not rows:
        raise GatewayError(Code.NOT_DEPLOYED, chat_name=name[:64])
    return jsonify(_model(rows[0]))


def _shape_errors(setup: BlueprintSetupState) -> None:
    """Give errors the shape that the clients of these paths understand, also where no route is."""
    shape_errors(setup.app, ANTHROPIC_PREFIX, GatewayError.anthropic_shape)
    shape_errors(setup.app, f"{OPENAI_PREFIX}/", GatewayError.openai_shape)
    shape_errors(setup.app, f"{DASHSCOPE_PREFIX}/", GatewayError.dashscope_shape)


def _not_served(setup: BlueprintSetupState) -> None:
    """Answer the paths of other APIs that clients try: 400, since they show a 404 as "no such
    model"."""
    for number, path in enumerate(
        (f"{OPENAI_PREFIX}/responses", *_ANTHROPICS, f"{DASHSCOPE_PREFIX}/<path:any>")
    ):
        setup.app.add_url_rule(path, f"v1.not_served_{number}", _refuse, methods=["POST"])


_ANTHROPICS = ANTHROPIC_PREFIX, f"{ANTHROPIC_PREFIX}/count_tokens"
v1_app.record(_shape_errors)
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
    name, form, body = _question(kind)
    llm, client = services.llm(), streaming.client()
    if form != AnswerForm.REPLY:
        stream = services.ask(name, lambda n: llm.stream(n, path, body, form, client, name))
        call.current().let_go()
        return streaming.events(stream)
    outcome = services.ask(name, lambda n: llm.relay(n, path, body, client, name))
    answer = outcome.answer
    reply = response(wire.Reply(answer.content, wire.JSON))
    sign(reply, outcome, answer.model, answer.usage)
    return reply


def _question(kind: type[OpenAIRequest]) -> tuple[str, AnswerForm, bytes]:
    """Return the chat that is asked, the form of the answer, and the question as its provider reads
    it."""
    fields = wire.typed(request_fields.fields())
    question = validation.parse(kind, fields)
    name = fields.pop("model")
    # also written as "false", 0 or null: what we understand is what the provider gets
    if "stream" in fields:
        fields["stream"] = bool(question.stream)
    form = AnswerForm.REPLY
    if question.stream:
        with_usage = question.include_usage()
        form = AnswerForm.EVENTS_AND_USAGE if with_usage else AnswerForm.EVENTS
    return name, form, request_fields.packed(fields)


def _model(row: ChatRow) -> Json:
    return {
        "id": row["chat_name"],
        "object": "model",
        "created": row["created"],
        "owned_by": row["provider"],
    }
