"""GET /openapi.json: every route in OpenAPI 3.1, from the models that validate and the table of
errors."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from flask import Blueprint, Response, current_app, jsonify
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from gateway import __version__, contract, metrics, wire
from gateway.errors import MEANINGS, OPENAI_PREFIX, OPENAI_STATUSES, WAIT, Code, GatewayError

Json = dict[str, Any]

openapi_app = Blueprint("openapi", __name__)

ABOUT = """Legacy applications call large language models by a **chat name**; an operator puts any provider behind it.

A body is read as what it is, JSON or form fields in any usual charset, whatever its `Content-Type`; an empty or null
field counts as not given. A chat's reply is written as `format`, `charset`, `eol`, `status` and `lang` say: in the
request, in its query, or else in the `reply` of the chat's deploy.
Where tokens are configured, send one in any of three forms; its scopes are `chat`, `admin` (deploy and undeploy) or
both. Failures have one shape and a code; an unknown path (404) and a wrong method (405) are INVALID_REQUEST, too."""

FIELDS = {
    "api_key": "The provider's key: kept in memory only, and shown in no reply.",
    "base_url": (
        "Another server that speaks the provider's protocol, such as https://api.example.com/v1."
    ),
    "chat_names": "Which chats; all of them if it is not given. A list, or one string with commas.",
    "check": "Whether the new model must answer a question first; else all stays as it was.",
    "fallback": (
        "The chats that answer in its place when it cannot. A list, or one string with commas."
    ),
    "history": "The turns so far. A list, or JSON in a string.",
    "charset": "Of the reply; what it lacks becomes a question mark.",
    "eol": "Line ends of an answer in plain text.",
    "format": "json: a JSON string in ASCII; text: the bare answer.",
    "job": "Whether the answer is fetched later, from /jobs/{name}.",
    "lang": "Of errors in plain text.",
    "reply": (
        "How replies are written where a request does not say; an object, or JSON in a string."
    ),
    "request_id": "Whoever asks again with it gets the same answer, paid for once.",
    "reset": "Whether the session is forgotten first.",
    "session": "Keeps the turns so far, under any name.",
    "status": "200: errors have this status, too, and are plain text that begins with ERROR.",
    "wait": "Seconds; if the answer is not there by then, its job's id is.",
    "chat_name": "How applications call the chat; it is the same under every provider.",
    "model": "The chat's name.",
    "model_name": (
        "What the provider calls the model; else its usual one. Local models: the path of a GGUF"
        " file."
    ),
    "model_type": (
        "Such as saas/openai; else the provider's own. GET /models shows it; an error lists all."
    ),
    "stream": "Whether the answer is sent as it comes.",
    "timeout": "Seconds that one chat may take.",
    "workers": "Replicas.",
}
"""What the models that validate do not tell."""

ALSO_TEXTS = frozenset({"fallback", "chat_names", "history", "reply"})
"""Fields that are lists or objects, and in a form, which has only texts, are written as one."""

TAGS = {
    "all": "Several chats at once.",
    "jobs": "Answers that are fetched later.",
    "v1": "OpenAI's API: the model is the chat's name.",
    "status": "What runs.",
    "console": "For the page at /.",
    "openapi": "For machines.",
}
"""By blueprint; the others are providers."""

HEADERS = {
    "X-Request-Id": "The request's own, if it is harmless, or a new one; the gateway's log has it.",
    "X-Served-By": "The chat that answered.",
    "X-Fell-Back": "Why another chat answered in the place of the one that was asked.",
    "X-Provider-Model": "What the provider calls the model that answered; beside X-Served-By.",
    "Retry-After": "Seconds to wait.",
    "Location": "Where the answer will be.",
}
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The gateway's own token."},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "The token as password; the user may be anyone.",
    },
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "The token alone.",
    },
}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


TEXT: Json = {"type": "string"}
PERHAPS: Json = {"type": ["string", "null"]}
COUNT: Json = {"type": "integer", "minimum": 0}
CHAT = _object(
    **{
        "chat_name": TEXT,
        "provider": TEXT,
        "model_type": PERHAPS,
        "model_name": PERHAPS,
        "host": PERHAPS,
    },
    **{"replicas": COUNT, "state": {"enum": ["answering", "resting", "starting", "need_key"]}},
    **{"since": {**PERHAPS, "format": "date-time"}, "created": COUNT, "reply": {"type": "object"}},
    resting={
        "type": ["object", "null"],
        "description": "The code it rests with, since when and until when.",
    },
    fallback={"type": "array", "items": TEXT},
)
MODEL = _object(id=TEXT, object={"const": "model"}, created=COUNT, owned_by=TEXT)
DONE, FINE = _object(ret={"const": "ok"}), _object(ok={"const": True})
LIVES = _object(ok={"const": True}, version=TEXT)
RELAYED = {
    **_object(model=TEXT),
    "description": "As the provider sent it, but for `model`: the chat's name.",
}
PLAIN = wire.text_type(wire.Form())
BRAKED = "429"
PROVIDER = _object(name=TEXT, needs_key={"type": "boolean"}, model_name=TEXT, base_url=TEXT)
COUNTS: Json = {
    "type": "object",
    "additionalProperties": {"type": "object", "additionalProperties": COUNT},
}
LOOKED_AT = _object(
    scopes={"type": "array", "items": TEXT},
    providers={"type": "array", "items": PROVIDER},
    models={"type": "array", "items": CHAT},
    requests={**COUNTS, "description": "By chat and code, since the gateway started."},
)
PARTS = _object(
    parts={"type": "array", "items": {"type": ["string", "array", "null"], "items": {}}}
)
STREAMS: Json = {
    PLAIN: {"schema": TEXT},
    metrics.CONTENT_TYPE: {"schema": TEXT},
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
    "Error": _object(error=_object(**_SHAPE)),
    "OpenAIError": _object(error=_object(**_OPENAI_SHAPE, type=TEXT, param=PERHAPS)),
}


@dataclass(frozen=True)
class Route:
    """What a route's path does not tell. `scope` is what a token needs ("": any token will do;
    None: no token).

    `streams` is a stream's content type, or another one that answers have; `pends`: an answer may
    come later. `fails` are the codes beside those of any route with such a scope and body.
    """

    summary: str
    reply: Json
    scope: str | None = ""
    asks: type[BaseModel] | None = None
    streams: str = ""
    fails: tuple[Code, ...] = (Code.CLUSTER_DOWN, Code.TIMEOUT)
    pends: bool = False

    def codes(self) -> list[Code]:
        """Every way in which it may fail, in the order of the table."""
        codes = {*self.fails, Code.INTERNAL}
        codes |= {Code.INVALID_REQUEST, Code.TOO_LARGE} if self.asks else set()
        codes |= {Code.UNAUTHORIZED} if self.scope is not None else set()
        codes |= {Code.FORBIDDEN} if self.scope else set()
        return [code for code in MEANINGS if code in codes or self.scope == "chat"]


_CHECKED = tuple(code for code in MEANINGS if code not in (Code.GATEWAY_BUSY, Code.NEED_KEY))
_NAMED = (Code.NOT_DEPLOYED, Code.CLUSTER_DOWN, Code.TIMEOUT)

ROUTES = {
    "*.deploy": Route(
        "Put a model behind a chat name, also in use.",
        DONE,
        "admin",
        contract.DeployRequest,
        fails=_CHECKED,
    ),
    "*.chat": Route(
        "Chat; the answer is ASCII.", TEXT, "chat", contract.ChatRequest, PLAIN, pends=True
    ),
    "jobs.job": Route("The answer of a job.", TEXT, "chat", contract.JobRequest, PLAIN, pends=True),
    "all.chat": Route(
        "Ask several at once.", {"type": "object"}, "chat", contract.AskAllRequest, wire.LINES
    ),
    "*.undo": Route(
        "Bring back what was there before.", DONE, "admin", contract.NamedRequest, fails=_CHECKED
    ),
    "*.fallback": Route(
        "Who answers in its place.", DONE, "admin", contract.FallbackRequest, fails=_NAMED
    ),
    "*.undeploy": Route(
        "Take a chat away, gently.", DONE, "admin", contract.NamedRequest, fails=_NAMED
    ),
    "v1.chat_completions": Route("Chat.", RELAYED, "chat", contract.CompletionRequest, wire.EVENTS),
    "v1.completions": Route(
        "Go on from a text.", RELAYED, "chat", contract.TextCompletionRequest, wire.EVENTS
    ),
    "v1.embeddings": Route("Embed.", RELAYED, "chat", contract.EmbeddingsRequest),
    "v1.models": Route(
        "Every chat.", _object(object={"const": "list"}, data={"type": "array", "items": MODEL})
    ),
    "v1.model": Route("One chat.", MODEL, fails=_NAMED),
    "status.models": Route(
        "Every chat and its state.", _object(models={"type": "array", "items": CHAT})
    ),
    "status.metrics_page": Route(
        "Metrics for Prometheus.", {}, streams=metrics.CONTENT_TYPE, fails=()
    ),
    "status.healthz": Route("This process lives; its version.", LIVES, None, fails=()),
    "status.readyz": Route("The cluster answers.", FINE, None),
    "console.state": Route("What the page at / shows.", LOOKED_AT),
    "console.markdown": Route("Markdown, taken apart.", PARTS, "chat", contract.MarkdownRequest),
    "openapi.description": Route("This description.", _object(openapi=TEXT), None, fails=()),
}
"""By endpoint; `*` is any provider's blueprint."""

_ASK = {"chat_name": "local_chat", "content": "Say hello.", "max_tokens": 16}
_SAY = {
    "model": "local_chat",
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 16,
}
_TURNS = [{"role": "user", "content": "I am Ann."}, {"role": "assistant", "content": "Hello, Ann."}]
_DEPLOY = {"chat_name": "PROVIDER_chat", "api_key": "YOUR-KEY"}

EXAMPLES: dict[str, Json] = {
    "local.deploy": {"The embedded model": {"chat_name": "local_chat"}},
    "*.deploy": {
        "The provider's usual model": _DEPLOY,
        "Through another server": {
            **_DEPLOY,
            "base_url": "https://api.example.com/v1",
            "workers": 2,
            "timeout": 60,
        },
    },
    "*.chat": {
        "A question": _ASK,
        "A conversation": {
            **_ASK,
            "system": "Be brief.",
            "history": _TURNS,
            "temperature": "0.5",
            "top_p": 0.9,
        },
        "As it comes": {**_ASK, "stream": True},
        "Plain text": {
            **_ASK,
            "format": "text",
            "charset": "gbk",
            "eol": "crlf",
            "status": 200,
            "lang": "zh",
        },
        "In a session": {**_ASK, "session": "order-42", "reset": True},
        "Fetched later": {**_ASK, "job": True, "request_id": "order-42.1"},
    },
    "all.chat": {
        "Two chats": {
            "content": "Say hello.",
            "chat_names": "local_chat,other_chat",
            "max_tokens": 16,
        }
    },
    "*.undo": {"A chat": {"chat_name": "PROVIDER_chat"}},
    "local.fallback": {"To nobody": {"chat_name": "local_chat", "fallback": ""}},
    "*.fallback": {"To the local model": {"chat_name": "PROVIDER_chat", "fallback": "local_chat"}},
    "*.undeploy": {"A chat": {"chat_name": "PROVIDER_chat"}},
    "v1.chat_completions": {"A question": _SAY, "As it comes": {**_SAY, "stream": True}},
    "v1.completions": {
        "A beginning": {"model": "local_chat", "prompt": "Once upon a time", "max_tokens": 16}
    },
    "console.markdown": {"A text": {"text": "Some *words*."}},
    "v1.embeddings": {"A text": {"model": "openai_chat", "input": "Hello."}},
}
"""Requests by title; PROVIDER stands for the blueprint's name."""


@openapi_app.get("/openapi.json")
def description() -> Response:
    """Every route that `ROUTES` knows: what may be asked, and what is answered."""
    paths: dict[str, Json] = {}
    for rule in current_app.url_map.iter_rules():
        if route := _of(ROUTES, rule.endpoint):
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            paths.setdefault(path, {}).update(
                {method.lower(): _operation(rule, route, method) for method in methods}
            )
    # What a GET asks for stands in its parameters.
    schemas = {
        name: schema for name, schema in _asked().items() if name != contract.JobRequest.__name__
    }
    components = {
        "schemas": {**schemas, **ERRORS},
        "headers": {
            name: {"description": words, "schema": TEXT} for name, words in HEADERS.items()
        },
        "securitySchemes": SECURITY,
    }
    info = {"title": "Byzer-LLM gateway", "version": __version__, "description": ABOUT}
    servers = [{"url": "/", "description": "Where this description came from."}]
    blueprints = {told["tags"][0]: None for row in paths.values() for told in row.values()}
    tags = [
        {"name": name, "description": TAGS.get(name, f"Chats of the provider {name}.")}
        for name in blueprints
    ]
    return jsonify(
        openapi="3.1.0", info=info, servers=servers, tags=tags, paths=paths, components=components
    )


def _of(table: dict[str, Any], endpoint: str) -> Any:
    return table.get(endpoint) or table.get(re.sub(r".*\.", "*.", endpoint))


def _operation(rule: Rule, route: Route, method: str) -> Json:
    blueprint, openai = rule.endpoint.partition(".")[0], rule.rule.startswith(OPENAI_PREFIX)
    statuses: dict[str, list[Code]] = {}
    for code in route.codes():
        status = OPENAI_STATUSES.get(code) if openai else None
        statuses.setdefault(str(status or MEANINGS[code].status), []).append(code)
        # from an address that sent too many wrong tokens: gateway/brake.py
        if code == Code.UNAUTHORIZED:
            statuses.setdefault(BRAKED, []).append(code)
    operation = {
        "operationId": rule.endpoint,
        "tags": [blueprint],
        "summary": route.summary,
        "security": (
            []
            if route.scope is None
            else [{form: [route.scope] if route.scope else []} for form in SECURITY]
        ),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": TEXT}
            for name in rule.arguments
        ],
        "responses": (
            _replies(route) | {key: _failure(key, codes, openai) for key, codes in statuses.items()}
        ),
    }
    if route.asks and method == "GET":
        operation["operationId"] = f"{rule.endpoint}_by_get"
        operation["parameters"] += _in_query(route.asks)
    elif route.asks:
        said = json.dumps(
            {title: {"value": value} for title, value in _of(EXAMPLES, rule.endpoint).items()}
        )
        examples = json.loads(said.replace("PROVIDER", blueprint))
        body = {"schema": _ref("schemas", route.asks.__name__), "examples": examples}
        operation["requestBody"] = {"required": True, "content": {"application/json": body}}
    return operation


def _in_query(asks: type[BaseModel]) -> list[Json]:
    schema = _asked()[asks.__name__]
    needed = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": part}
        for name, part in schema["properties"].items()
    ]


def _replies(route: Route) -> Json:
    later = {
        "description": "Not yet.",
        "headers": _headers("Location"),
        "content": _forms(_object(job=TEXT, state=TEXT)),
    }
    return {"200": _reply(route)} | ({"202": later} if route.pends else {})


def _forms(reply: Json) -> Json:
    """As JSON, or in plain words for those who ask for text."""
    return {"application/json": {"schema": reply}, "text/plain": {"schema": TEXT}}


def _reply(route: Route) -> Json:
    forms: Json = {"application/json": {"schema": route.reply}} if route.reply else {}
    if route.streams:
        forms[route.streams.partition(";")[0]] = STREAMS[route.streams]
    signed = ("X-Served-By", "X-Fell-Back", "X-Provider-Model") if route.scope == "chat" else ()
    return {"description": "Done.", "headers": _headers(*signed), "content": forms}


def _failure(status: str, codes: list[Code], openai: bool) -> Json:
    waiting = ["Retry-After"] if status == BRAKED or WAIT.intersection(codes) else []
    return {
        "description": "\n\n".join(f"{code}: {MEANINGS[code].message}" for code in codes),
        "headers": _headers(*waiting),
        "content": (
            {"application/json": {"schema": _ref("schemas", "OpenAIError")}}
            if openai
            else _forms(_ref("schemas", "Error"))
        ),
    }


def _headers(*names: str) -> Json:
    return {name: _ref("headers", name) for name in ("X-Request-Id", *names)}


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


@cache
def _asked() -> Json:
    """The schemas of all requests."""
    kinds = {route.asks for route in ROUTES.values() if route.asks}
    _, made = models_json_schema(
        [(kind, "validation") for kind in kinds], ref_template="#/components/schemas/{model}"
    )
    schemas: Json = dict(sorted(_told(made["$defs"]).items()))
    # pydantic tells only the first of a field's names.
    deploy = schemas["DeployRequest"]["properties"]
    older = {"deprecated": True, "description": "The older name of base_url; give one of them."}
    deploy["http_proxy"] = {**deploy["base_url"], **older}
    return schemas


# pydantic writes a limit under its own name where a validator stands before the number.
_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_AS_TEXT = {"integer": r"^[0-9]+$", "number": r"^[0-9]+(\.[0-9]+)?$"}


def _told(node: Any) -> Any:
    """pydantic's schema with fields described, and numbers that may come as strings."""
    if not isinstance(node, dict):
        return [_told(part) for part in node] if isinstance(node, list) else node
    told = {_LIMITS.get(name, name): _told(part) for name, part in node.items() if name != "title"}
    if told.get("type") == "array" and "maxLength" in told:  # for the same reason
        told["maxItems"] = told.pop("maxLength")
    for name, part in told.get("properties", {}).items():
        if name in ALSO_TEXTS:
            kinds = part.get("anyOf") or [
                {key: part.pop(key) for key in ("type", "items", "maxItems") if key in part}
            ]
            part["anyOf"] = [*kinds, TEXT]
        part |= {"description": FIELDS[name]} if name in FIELDS else {}
    if pattern := _AS_TEXT.get(str(told.get("type"))):
        told |= {"type": [told["type"], "string"], "pattern": pattern}
    return told
