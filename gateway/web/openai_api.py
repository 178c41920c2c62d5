"""/v1: OpenAI's front, and Anthropic's. The model is the chat's name; all else goes through as it
came."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, cast

from flask import Blueprint, Response, jsonify, request
from flask.blueprints import BlueprintSetupState

from gateway.errors import Code, GatewayError, lacking
from gateway.frames import AnswerForm, Request
from gateway.protocol import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    ChatRow,
    PublicConfig,
)
from gateway.providers.questions import COUNTED_STREAM, WORDED
from gateway.providers.structures import Structure, StructureRecord, told
from gateway.web import (
    call,
    foreign_errors,
    request_fields,
    services,
    streaming,
    task_questions,
    validation,
    wire,
)
from gateway.web.description import NAMED, Description, described
from gateway.web.paths import ANTHROPIC_PREFIX, DASHSCOPE_PREFIX, OPENAI_PREFIX
from gateway.web.relayed_requests import (
    CompletionRequest,
    CountRequest,
    EmbeddingsRequest,
    ImagesRequest,
    MessagesRequest,
    ModerationsRequest,
    OpenAIRequest,
    RerankRequest,
    ResponsesRequest,
    TextCompletionRequest,
)
from gateway.web.replies import response, shape_errors, sign
from gateway.web.schemas import ANSWERED, MODEL, RELAYED, Json, schema_object

MODELS = schema_object(object={"const": "list"}, data={"type": "array", "items": MODEL})

v1_app = Blueprint("v1", __name__, url_prefix=OPENAI_PREFIX)


class Relay(NamedTuple):
    """An endpoint that a chat's provider may have: what it does, what it takes, what it answers,
    and the content type of its streams ("": it has none)."""

    path: str
    summary: str
    takes: type[OpenAIRequest]
    reply: Json = ANSWERED
    streams: str = ""


RELAYS = (
    Relay(CHAT, "Chat.", CompletionRequest, RELAYED, wire.EVENTS),
    Relay(COMPLETIONS, "Go on from a text.", TextCompletionRequest, RELAYED, wire.EVENTS),
    Relay(EMBEDDINGS, "Embed.", EmbeddingsRequest),
    Relay("/rerank", "Sort texts by how well they fit a question.", RerankRequest),
    Relay("/moderations", "Say what is wrong with a text.", ModerationsRequest),
    Relay("/images/generations", "Paint.", ImagesRequest),
    Relay(RESPONSES, "Answer, as OpenAI's Responses.", ResponsesRequest, streams=wire.EVENTS),
    Relay(MESSAGES, "Answer, as Anthropic's Messages.", MessagesRequest, streams=wire.EVENTS),
    Relay(COUNT_TOKENS, "Count the tokens of a question to /messages.", CountRequest),
)
"""What is passed on to the chat's provider, if it has that: as it came, but for the model's name,
and so is the answer."""

ENDINGS = {MESSAGES: foreign_errors.anthropic_shape, RESPONSES: foreign_errors.responses_shape}
"""How a stream that fails ends, where its protocol is not that of chats."""


@v1_app.get("/models")
@described(Description("Every chat.", MODELS))
def models() -> Response:
    """Return every chat, in OpenAI's shape."""
    return jsonify(object="list", data=[_model(row) for row in services.models()])


@v1_app.get("/models/<name>")
@described(Description("One chat.", MODEL, fails=NAMED))
def model(name: str) -> Response:
    """Return one chat, in OpenAI's shape."""
    rows = [row for row in services.models() if row["chat_name"] == name]
    if not rows:
        raise GatewayError(Code.NOT_DEPLOYED, chat_name=name[:64])
    return jsonify(_model(rows[0]))


def _shape_errors(setup: BlueprintSetupState) -> None:
    """Give errors the shape that the clients of these paths understand, also where no route is."""
    shape_errors(setup.app, ANTHROPIC_PREFIX, foreign_errors.anthropic_shape)
    shape_errors(setup.app, f"{OPENAI_PREFIX}/", foreign_errors.openai_shape)
    shape_errors(setup.app, f"{DASHSCOPE_PREFIX}/", foreign_errors.dashscope_shape)


def _not_served(setup: BlueprintSetupState) -> None:
    """Answer the paths of another API that clients try: 400, since they show a 404 as "no such
    model"."""
    path = f"{DASHSCOPE_PREFIX}/<path:any>"
    setup.app.add_url_rule(path, "v1.not_served", _refuse, methods=["POST"])


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
    """Ask the chat's provider at its endpoint `path`, for the whole answer or (`stream`) as it
    comes."""
    name, form, body = _question(path, kind)
    llm, client = services.llm(), streaming.client()
    structure = call.current().structure
    beta = request.headers.get("anthropic-beta", "") if path.startswith(MESSAGES) else ""
    asked_for = structure.to_json() if structure else ""
    envelope = Request(form, path, shown=name, beta=beta, structure=asked_for)
    if form != AnswerForm.REPLY:
        stream = services.ask(name, lambda n: llm.stream(n, envelope, body, client), path)
        call.current().let_go()
        return streaming.events(stream, ENDINGS.get(path, foreign_errors.openai_shape))
    outcome = services.ask(name, lambda n: llm.relay(n, envelope, body, client), path)
    answer = outcome.answer
    reply = response(wire.Reply(answer.content, wire.JSON))
    sign(reply, outcome, answer.model, answer.usage)
    return reply


def _question(path: str, kind: type[OpenAIRequest]) -> tuple[str, AnswerForm, bytes]:
    """Return the chat that is asked, the form of the answer, and the question as its provider reads
    it."""
    fields = wire.typed(request_fields.fields())
    question = validation.parse(kind, fields)
    name = fields.pop("model")
    services.require_visible(name)
    # also written as "false", 0 or null: what we understand is what the provider gets
    if "stream" in fields:
        fields["stream"] = bool(question.stream)
    form = AnswerForm.REPLY
    if question.stream:
        with_usage = question.include_usage()
        form = AnswerForm.EVENTS_AND_USAGE if with_usage else AnswerForm.EVENTS
        if path in WORDED:
            given = fields.get("stream_options") or {}
            fields |= {**COUNTED_STREAM, "stream_options": {**given, "include_usage": True}}
    if task := services.llm().task(name):
        fields = _of_task(task, path, fields)
    return name, form, request_fields.packed(fields)


def _of_task(task: PublicConfig, path: str, fields: Json) -> Json:
    """Return a question to a task as one to its chat. Raises GatewayError."""
    if path != CHAT:
        raise lacking(path, task["provider"])
    current, deployed = call.current(), services.llm().reply_options(task["chat_name"])
    current.task = task
    current.structure = Structure.from_record(cast("StructureRecord", deployed))
    fields = task_questions.openai_fields(task, fields)
    if current.structure:  # it is checked first, and so comes whole
        fields["messages"] = told(fields["messages"], current.structure)
        fields["stream"] = False
        fields.pop("stream_options", None)
    return fields


def _model(row: ChatRow) -> Json:
    return {
        "id": row["chat_name"],
        "object": "model",
        "created": row["created"],
        "owned_by": row["provider"],
    }


def _add(relay: Relay) -> None:
    description = Description(relay.summary, relay.reply, "chat", relay.takes, relay.streams)
    view = described(description)(partial(_relayed, relay.path, relay.takes))
    v1_app.add_url_rule(relay.path, relay.path[1:].replace("/", "_"), view, methods=["POST"])


for _relay in RELAYS:
    _add(_relay)
