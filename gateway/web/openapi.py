"""GET /openapi.json: every route in OpenAPI 3.1, from the models that validate and the table of
errors."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from flask import Blueprint, Response, current_app, jsonify
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from gateway import __version__
from gateway.errors import MEANINGS, WAIT, Code
from gateway.web import contract, services
from gateway.web.description import Description, described, description_of
from gateway.web.examples import EXAMPLES
from gateway.web.foreign_errors import OPENAI_STATUSES
from gateway.web.paths import ANTHROPIC_PREFIX, OPENAI_PREFIX
from gateway.web.schemas import ANSWER, ERRORS, STREAMS, TEXT, Json, schema_object

openapi_app = Blueprint("openapi", __name__)

ABOUT = """Legacy applications call large language models by a **chat name**; an operator puts any
provider behind it.

A body is read as what it is, JSON or form fields in any usual charset, whatever its `Content-Type`;
an empty or null field counts as not given. A chat's reply is written as `format`, `charset`, `eol`,
`status` and `lang` say: in the request, in its query, or else in the `reply` of the chat's deploy.
Where tokens are configured, send one in any of three forms; its scopes are `chat`, `admin` (deploy
and undeploy) or both. Failures have one shape and a code; an unknown path (404) and a wrong method
(405) are INVALID_REQUEST, too."""

TAGS = {
    "all": "Several chats at once.",
    "jobs": "Answers that are fetched later.",
    "v1": "OpenAI's API, and Anthropic's: the model is the chat's name.",
    "status": "What runs.",
    "usage": "What was asked, answered and paid.",
    "callers": "Who may ask.",
    "console": "For the page at /.",
    "tables": "For the page's view Bulk.",
    "openapi": "For machines.",
}
"""By blueprint; the others are providers."""

HEADERS = {
    "X-Request-Id": "The request's own, if it is harmless, or a new one; the gateway's log has it.",
    "X-Served-By": "The chat that answered.",
    "X-Fell-Back": "Why another chat answered in the place of the one that was asked.",
    "X-Provider-Model": "What the provider calls the model that answered; beside X-Served-By.",
    "X-Tokens-In": "Tokens of the question, where the provider counted them; not beside a stream.",
    "X-Tokens-Out": "Tokens of the answer, likewise.",
    "Retry-After": "Seconds to wait.",
    "Location": "Where the answer will be.",
}
SIGNED = ("X-Served-By", "X-Fell-Back", "X-Provider-Model", "X-Tokens-In", "X-Tokens-Out")
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

RATE_LIMITED = "429"
"""The status of a refused token where too many wrong ones came before (token_rate_limit.py)."""

ALSO_TEXTS = frozenset(
    {"fallback", "chat_names", "history", "reply", "choices", "fields", "options"}
    | {"price", "budget"}
)
"""Fields that are lists or objects, and in a form, which has only texts, are written as one."""


@openapi_app.get("/openapi.json")
@described(Description("This description.", schema_object(openapi=TEXT), scope=None, fails=()))
def description() -> Response:
    """Return every route that is described: what may be asked, and what is answered."""
    paths: dict[str, Json] = {}
    for rule in current_app.url_map.iter_rules():
        if route := description_of(current_app.view_functions[rule.endpoint]):
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            paths.setdefault(path, {}).update(
                {method.lower(): _operation(rule, route, method) for method in methods}
            )
    # What a GET asks for stands in its parameters.
    schemas = {
        name: schema for name, schema in _requests().items() if name != contract.JobRequest.__name__
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
    blueprints = {
        operation["tags"][0]: None for row in paths.values() for operation in row.values()
    }
    tags = [
        {"name": name, "description": TAGS.get(name, f"Chats of the provider {name}.")}
        for name in blueprints
    ]
    return jsonify(
        openapi="3.1.0", info=info, servers=servers, tags=tags, paths=paths, components=components
    )


def _of(table: dict[str, Any], endpoint: str) -> Any:
    return table.get(endpoint) or table.get(re.sub(r".*\.", "*.", endpoint))


def _operation(rule: Rule, route: Description, method: str) -> Json:
    blueprint, openai = rule.endpoint.partition(".")[0], rule.rule.startswith(OPENAI_PREFIX)
    statuses: dict[str, list[Code]] = {}
    for code in route.codes():
        status = OPENAI_STATUSES.get(code) if openai else None
        statuses.setdefault(str(status or MEANINGS[code].status), []).append(code)
        if code == Code.UNAUTHORIZED:
            statuses.setdefault(RATE_LIMITED, []).append(code)
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
            _replies(route)
            | {key: _failure(key, codes, rule.rule) for key, codes in statuses.items()}
        ),
    }
    if route.takes and method == "GET":
        operation["operationId"] = f"{rule.endpoint}_by_get"
        operation["parameters"] += _in_query(route.takes)
    elif route.takes:
        written = json.dumps(
            {title: {"value": value} for title, value in _of(EXAMPLES, rule.endpoint).items()}
        )
        examples = json.loads(_filled(written, blueprint))
        body = {"schema": _ref("schemas", route.takes.__name__), "examples": examples}
        operation["requestBody"] = {"required": True, "content": {"application/json": body}}
    return operation


def _filled(examples: str, blueprint: str) -> str:
    """Return examples as those of a blueprint, if it is a provider's."""
    provider = services.providers().get(blueprint)
    base_url = provider.base_url or provider.base_url_example if provider else ""
    return examples.replace("PROVIDER", blueprint).replace("BASE-URL", base_url)


def _in_query(takes: type[BaseModel]) -> list[Json]:
    schema = _requests()[takes.__name__]
    needed = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": part}
        for name, part in schema["properties"].items()
    ]


def _replies(route: Description) -> Json:
    later = {
        "description": "Not yet.",
        "headers": _headers("Location"),
        "content": _forms(schema_object(job=TEXT, state=TEXT)),
    }
    return {"200": _reply(route)} | ({"202": later} if route.pends else {})


def _forms(reply: Json) -> Json:
    """Return a reply as JSON, or in plain words for those who ask for text."""
    return {"application/json": {"schema": reply}, "text/plain": {"schema": TEXT}}


def _reply(route: Description) -> Json:
    forms: Json = {"application/json": {"schema": route.reply}} if route.reply else {}
    if route.streams:
        forms[route.streams.partition(";")[0]] = STREAMS[route.streams]
    if route.reply is ANSWER:
        forms["text/csv"] = {"schema": {**TEXT, "description": "With format=csv: one line."}}
    signed = SIGNED if route.scope == "chat" else ()
    return {"description": "Done.", "headers": _headers(*signed), "content": forms}


def _failure(status: str, codes: list[Code], path: str) -> Json:
    waiting = ["Retry-After"] if status == RATE_LIMITED or WAIT.intersection(codes) else []
    return {
        "description": "\n\n".join(f"{code}: {MEANINGS[code].message}" for code in codes),
        "headers": _headers(*waiting),
        "content": (
            {"application/json": {"schema": _ref("schemas", shape)}}
            if (shape := _foreign_shape(path))
            else _forms(_ref("schemas", "Error"))
        ),
    }


def _foreign_shape(path: str) -> str:
    """Return whose errors those of a route look like; "": they are our own."""
    if path.startswith(ANTHROPIC_PREFIX):
        return "AnthropicError"
    return "OpenAIError" if path.startswith(OPENAI_PREFIX) else ""


def _headers(*names: str) -> Json:
    return {name: _ref("headers", name) for name in ("X-Request-Id", *names)}


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


@cache
def _requests() -> Json:
    """Return the schemas of all requests."""
    routes = map(description_of, current_app.view_functions.values())
    kinds = {route.takes for route in routes if route and route.takes}
    _, made = models_json_schema(
        [(kind, "validation") for kind in kinds], ref_template="#/components/schemas/{model}"
    )
    schemas: Json = dict(sorted(_schema(made["$defs"]).items()))
    # pydantic tells only the first of a field's names.
    deploy = schemas["DeployRequest"]["properties"]
    older = {"deprecated": True, "description": "The older name of base_url; give one of them."}
    deploy["http_proxy"] = {**deploy["base_url"], **older}
    return schemas


# pydantic writes a limit under its own name where a validator stands before the number.
_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_AS_TEXT = {"integer": r"^[0-9]+$", "number": r"^[0-9]+(\.[0-9]+)?$"}


def _schema(node: Any) -> Any:
    """Return pydantic's schema with numbers that may come as strings."""
    if not isinstance(node, dict):
        return [_schema(part) for part in node] if isinstance(node, list) else node
    schema = {
        _LIMITS.get(name, name): _schema(part) for name, part in node.items() if name != "title"
    }
    if schema.get("type") == "array" and "maxLength" in schema:  # for the same reason
        schema["maxItems"] = schema.pop("maxLength")
    for name, part in schema.get("properties", {}).items():
        if name in ALSO_TEXTS:
            kinds = part.get("anyOf") or [
                {key: part.pop(key) for key in ("type", "items", "maxItems") if key in part}
            ]
            part["anyOf"] = [*kinds, TEXT]
    if pattern := _AS_TEXT.get(str(schema.get("type"))):
        schema |= {"type": [schema["type"], "string"], "pattern": pattern}
    return schema
