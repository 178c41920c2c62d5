"""What replies look like, in OpenAPI's words."""

from __future__ import annotations

from typing import Any

from gateway.errors import Code, GatewayError
from gateway.protocol import ChatState
from gateway.web import metrics, wire

Json = dict[str, Any]


def schema_object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


TEXT: Json = {"type": "string"}
ANSWER: Json = {
    "anyOf": [TEXT, {"type": "object", "additionalProperties": TEXT}],
    "description": "The answer; where `fields` were asked for, a text for each.",
}
PERHAPS: Json = {"type": ["string", "null"]}
COUNT: Json = {"type": "integer", "minimum": 0}
CHAT = schema_object(
    **{
        "chat_name": TEXT,
        "provider": TEXT,
        "model_type": PERHAPS,
        "model_name": PERHAPS,
        "host": PERHAPS,
        "egress_proxy": {**PERHAPS, "description": "The proxy on the way there: host and port."},
    },
    **{"replicas": COUNT, "state": {"enum": list(ChatState)}},
    **{"since": {**PERHAPS, "format": "date-time"}, "created": COUNT, "reply": {"type": "object"}},
    resting={
        "type": ["object", "null"],
        "description": "The code it rests with, since when and until when.",
    },
    fallback={"type": "array", "items": TEXT},
    options={
        "type": "object",
        "description": "What its questions say where a request does not; null is never sent.",
    },
    thinking={"enum": ["on", "off", None]},
    left_out={
        "type": "array",
        "items": TEXT,
        "description": "Fields that its provider refused, and is not sent any more.",
    },
    keys={
        "type": ["object", "null"],
        "description": "How many keys it has, and how many of them rest, by code.",
    },
    price={
        "type": ["object", "null"],
        "description": "What a million of its tokens cost: in, out, cached, and the currency.",
    },
    budget={
        "type": ["object", "null"],
        "description": "What it may take by day or month, and what it has taken in this one.",
    },
    balance={
        "type": ["object", "null"],
        "description": "What is left at its provider, where that says it, and since when.",
    },
    low={"type": ["number", "null"], "description": "The balance under which a person is told."},
    task={
        "type": ["object", "null"],
        "description": "Of a task: the chat that answers it, and its prompt's variables.",
    },
)
TASK_ORDER = schema_object(
    **{"chat_name": TEXT, "through": TEXT, "system": TEXT, "prompt": TEXT},
    **{"options": {"type": "object"}, "reply": {"type": "object"}},
)
MODEL = schema_object(id=TEXT, object={"const": "model"}, created=COUNT, owned_by=TEXT)
OFFERED = schema_object(models={"type": "array", "items": TEXT})
DONE, FINE = schema_object(ret={"const": "ok"}), schema_object(ok={"const": True})
LIVES = schema_object(ok={"const": True}, version=TEXT)
RELAYED = {
    **schema_object(model=TEXT),
    "description": "As the provider sent it, but for `model`: the chat's name.",
}
ANSWERED = {
    "type": "object",
    "description": "As the provider sent it; a `model` at its top is the chat's name.",
}
PLAIN = wire.text_type(wire.Form())
PROVIDER = schema_object(
    name=TEXT,
    needs_key={"type": "boolean"},
    model_name=TEXT,
    base_url=TEXT,
    base_url_example=TEXT,
    inside={"type": "boolean", "description": "Its models run in the cluster."},
)
COUNTS: Json = {
    "type": "object",
    "additionalProperties": {"type": "object", "additionalProperties": COUNT},
}
LOOKED_AT = schema_object(
    scopes={"type": "array", "items": TEXT},
    providers={"type": "array", "items": PROVIDER},
    models={"type": "array", "items": CHAT},
    requests={**COUNTS, "description": "By chat and code, since the gateway started."},
)
PARTS = schema_object(
    parts={"type": "array", "items": {"type": ["string", "array", "null"], "items": {}}}
)
STREAMS: Json = {
    PLAIN: {"schema": TEXT},
    metrics.CONTENT_TYPE: {"schema": TEXT},
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    wire.LINES: {"example": '{"chat_name": "local_chat", "text": "Hi"}\n'},
    wire.EVENTS: {
        "example": (
            'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}\n\ndata: [DONE]\n\n'
        )
    },
}

_SHAPE: Json = dict.fromkeys(GatewayError(Code.INTERNAL).shape("")["error"], PERHAPS) | {
    **{"code": {"enum": list(Code)}, "message": TEXT, "message_zh": TEXT, "request_id": TEXT},
    "provider_status": {"type": ["integer", "null"]},
}
_OPENAI_SHAPE = {name: kind for name, kind in _SHAPE.items() if name != "provider_status"}
ERRORS = {
    "Error": schema_object(error=schema_object(**_SHAPE)),
    "OpenAIError": schema_object(error=schema_object(**_OPENAI_SHAPE, type=TEXT, param=PERHAPS)),
    "AnthropicError": schema_object(
        type={"const": "error"}, error=schema_object(type=TEXT, message=TEXT), request_id=TEXT
    ),
}
