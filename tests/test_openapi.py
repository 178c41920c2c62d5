"""/openapi.json tells of every route, its examples work, and no generated request gets an answer it
does not tell."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from gateway.errors import MEANINGS, GatewayError
from gateway.web import contract, relayed_requests, validation, wire
from tests.environment import TOP, clean_environment, free_port
from tests.providers import PROVIDERS
from tests.server import Server, running_head
from tests.standin.client import StandIn

Json = dict[str, Any]
Operations = dict[tuple[str, str], Json]
"""By method and path."""

CLOSED = "http://127.0.0.1:9/v1"
"""Nobody listens there: no generated request may reach a provider."""

ANSWERS, REFUSES, SPARE = "fuzz-answers", "fuzz-refuses", ("fuzz-1", "fuzz-2")
"""Chats of the fuzzed gateway: with the stand-in; with nobody; and those that are deployed and
taken away."""

ALIKE = sorted(PROVIDERS.keys() - {"openai", "local"})
"""Providers whose routes are described as OpenAI's are, and so are not asked one by one."""

NOT_SERVED = "/api/v1/services/{path:any}"
"""Another API's paths: they only say so."""

TOKEN = "fuzz-8c1f0a"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES") or (25 if os.environ.get("LONG") else 2))
"""Generated requests for each operation and kind of data; `make fuzz` asks for many more."""

LEAST_CASES = 25 * EXAMPLES
FUZZ_SECONDS = 300 + 10 * EXAMPLES

SETTINGS = f"""
workers = 1  # Python 3.11 parses source in one thread at a time, or fails: gh-106905
continue-on-failure = true
cache.enabled = false
output.sanitization.enabled = false

[generation]
max-examples = {EXAMPLES}
deterministic = true  # a failure shall be this commit's

[phases.stateful]
enabled = false

[checks]
enabled = false
status_code_conformance.enabled = true
content_type_conformance.enabled = true
response_schema_conformance.enabled = true
unsupported_method.enabled = true

# A provider and the cluster may fail, and the description says so; the gateway itself may not.
[checks.not_a_server_error]
enabled = true
expected-statuses = ["2xx", "4xx", "502", "503", "504"]
"""


@pytest.fixture(scope="module")
def description(gateway: httpx.Client) -> Json:
    reply = gateway.get("/openapi.json")
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/json")
    report: Json = reply.json()
    return report


@pytest.fixture(scope="module")
def operations(description: Json) -> Operations:
    return {
        (method.upper(), path): report
        for path, row in description["paths"].items()
        for method, report in row.items()
    }


def test_it_is_openapi_3_1(description: Json) -> None:
    assert description["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(description).validate()


# It ends at once: the thread that looks for a cluster would go on.
ROUTES_OF_THE_APP = """
import json, os
from app import app
routes = [
    (method, rule.rule)
    for rule in app.url_map.iter_rules()
    for method in rule.methods - {"HEAD", "OPTIONS"}
]
print(json.dumps(routes), flush=True)
os._exit(0)
"""


def test_it_tells_of_every_route_of_the_app(operations: Operations) -> None:
    environment = {**clean_environment(), "RAY_ADDRESS": f"127.0.0.1:{free_port()}"}
    command = [sys.executable, "-c", ROUTES_OF_THE_APP]
    answer = subprocess.run(
        command,
        cwd=TOP,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )

    routes = {
        (method, re.sub("<(.*?)>", r"{\1}", rule))
        for method, rule in json.loads(answer.stdout.splitlines()[-1])
    }

    # the page is for people, and no part of the API
    routes -= {("GET", "/"), ("GET", "/console/{version}/{name}")}
    routes -= {("POST", NOT_SERVED)}
    assert routes == set(operations)
    assert {
        ("POST", "/zhipu/undeploy"),
        ("GET", "/v1/models/{name}"),
        ("GET", "/openapi.json"),
    } < routes
    assert len({report["operationId"] for report in operations.values()}) == len(routes)


@pytest.mark.parametrize("name", ALIKE)
def test_every_provider_is_described_alike(operations: Operations, name: str) -> None:
    def shape(owner: str) -> str:
        rows = {path: row for (_, path), row in operations.items() if path.startswith(f"/{owner}/")}
        usual = PROVIDERS[owner].base_url or PROVIDERS[owner].base_url_example
        return json.dumps(rows).replace(usual, "BASE-URL").replace(owner, "PROVIDER")

    assert shape(name) == shape("openai")
    assert "/PROVIDER/deploy" in shape(name)
    assert '"base_url": "BASE-URL"' in shape(name)


def test_it_tells_what_the_validators_take(description: Json) -> None:
    schemas = description["components"]["schemas"]
    deploy, chat = schemas["DeployRequest"]["properties"], schemas["ChatRequest"]["properties"]

    for kind in (
        contract.DeployRequest,
        contract.ChatRequest,
        contract.NamedRequest,
        relayed_requests.CompletionRequest,
    ):
        assert set(kind.model_fields) == set(schemas[kind.__name__]["properties"]) - {"http_proxy"}
    assert (deploy["api_key"]["type"], deploy["api_key"]["writeOnly"]) == ("string", True)
    assert (
        deploy["base_url"]["anyOf"]
        == deploy["http_proxy"]["anyOf"]
        == [{"type": "string"}, {"type": "null"}]
    )
    workers = {
        "type": ["integer", "string"],
        "pattern": "^[0-9]+$",
        "minimum": 1,
        "maximum": 32,
        "default": 1,
    }
    assert deploy["workers"] == {**workers, "description": "Replicas."}
    number = {"type": ["number", "string"], "pattern": r"^[0-9]+(\.[0-9]+)?$"}
    assert chat["temperature"]["anyOf"] == [
        {**number, "minimum": 0, "maximum": 2},
        {"type": "null"},
    ]


def test_it_tells_of_every_code_and_of_who_may_call(operations: Operations) -> None:
    replies = operations["POST", "/openai/chat"]["responses"]
    for code, meaning in MEANINGS.items():
        assert f"{code}: {meaning.message}" in replies[str(meaning.status)]["description"]
    assert set(replies["200"]["content"]) == {"text/plain", "text/csv", "application/json"}
    assert set(replies["200"]["headers"]) == {
        "X-Request-Id",
        "X-Served-By",
        "X-Fell-Back",
        "X-Provider-Model",
        "X-Tokens-In",
        "X-Tokens-Out",
    }
    assert set(replies["429"]["headers"]) == {"X-Request-Id", "Retry-After"}

    needed = {path: report["security"] for (_, path), report in operations.items()}
    assert needed["/zhipu/deploy"] == [
        {"bearer": ["admin"]},
        {"basic": ["admin"]},
        {"header": ["admin"]},
    ]
    assert needed["/v1/embeddings"] == [
        {"bearer": ["chat"]},
        {"basic": ["chat"]},
        {"header": ["chat"]},
    ]
    assert needed["/models"] == [{"bearer": []}, {"basic": []}, {"header": []}]
    assert needed["/openapi.json"] == needed["/healthz"] == needed["/readyz"] == []


def test_every_example_works_and_every_reply_is_as_described(
    gateway: httpx.Client,
    standin: StandIn,
    local_chat: str,
    description: Json,
    operations: Operations,
    key: str,
) -> None:
    schema = schemathesis.openapi.from_dict(description)
    asked = {
        path: report["requestBody"]["content"]
        for (_, path), report in operations.items()
        if "requestBody" in report and path.split("/")[1] not in ALIKE
    }
    # The examples of Anthropic's Messages ask it, and it is one of those that are alike.
    zhipu = {"chat_name": "zhipu_chat", "api_key": key, "base_url": standin.base_url("zhipu")}
    reply = gateway.post("/zhipu/deploy", json={**zhipu, "model_name": "echo"})
    assert reply.json() == {"ret": "ok"}
    # As an operator would: deploy, use, take away, first what others answer.
    paths = sorted(
        asked,
        key=lambda path: (
            not path.endswith("/deploy"),
            path.endswith("/undeploy"),
            not path.startswith("/task"),
        ),
    )
    try:
        for path in paths:
            owner, examples = path.split("/")[1], asked[path]["application/json"]["examples"]
            assert examples
            for title, example in examples.items():
                body = example["value"]
                if path in ("/openai/deploy", "/openai/models"):
                    body = {**body, "api_key": key, "base_url": standin.base_url("openai")}
                    if path == "/openai/deploy":
                        body["model_name"] = "echo"
                reply = gateway.post(path, json=body)
                # A job's id is the same under each provider, so its answer may be there.
                assert reply.status_code in ((200, 202) if body.get("job") else (200,)), (
                    path,
                    title,
                    reply.text,
                )
                stream = "text/event-stream" if owner == "v1" else "text/plain"
                kinds = {"json": "application/json", "text": stream, "csv": "text/csv"}
                kind = "text" if body.get("stream") else body.get("format", "json")
                content = operations["POST", path]["responses"]["200"]["content"]
                expected = kinds[kind] if "application/json" in content else next(iter(content))
                assert reply.headers["Content-Type"].startswith(expected)
                schema[path]["POST"].validate_response(reply)
    finally:
        gateway.post("/zhipu/undeploy", json={"chat_name": "zhipu_chat"})
        assert gateway.post("/local/deploy", json={"chat_name": local_chat}).json() == {"ret": "ok"}
    for path in (path for method, path in operations if method == "GET"):
        schema[path]["GET"].validate_response(gateway.get(path.replace("{name}", local_chat)))


@pytest.fixture(scope="module")
def fuzzed(start_server: Callable[..., Server], standin: StandIn) -> Iterator[Server]:
    """A gateway with a token, and with a cluster of its own: no generated name is another test's
    chat."""
    with running_head() as head:
        tokens = f"fuzz:{TOKEN}:chat,admin"
        server = start_server(
            {**head.environment, "WEB_CONCURRENCY": "1", "GATEWAY_TOKENS": tokens}
        )
        server.http.headers["X-Api-Key"] = TOKEN
        for name in (ANSWERS, REFUSES, *SPARE):
            body = {"chat_name": name, "api_key": "sk-fuzz", "model_name": "echo"}
            body["base_url"] = standin.base_url("openai") if name == ANSWERS else CLOSED
            assert server.http.post("/openai/deploy", json=body).json() == {"ret": "ok"}
        yield server
        server.stop()


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: Json
) -> None:
    """Called by schemathesis, which takes its hooks from this module."""
    choice = zlib.crc32(
        repr((case.body, case.path_parameters, case.headers)).encode("utf-8", "replace")
    )
    if choice % 8:  # else with whatever credentials were generated
        case.headers["X-Api-Key"] = TOKEN
    if "name" in case.path_parameters and choice % 3 == 0:
        case.path_parameters["name"] = ANSWERS
    case.body = harmless(case.operation.path, case.body, choice)


def harmless(path: str, body: Any, choice: int) -> Any:
    """`body`, but a chat that would be deployed reaches nobody, and by `choice` some chats are
    those that there are."""
    if isinstance(body, bytes | str):
        try:
            return harmless(
                path, wire.fields(body if isinstance(body, bytes) else body.encode()), choice
            )
        except (GatewayError, UnicodeEncodeError):
            return body
    if not isinstance(body, dict):
        return body
    owner, _, action = path.strip("/").partition("/")
    if action == "deploy":
        return (
            _reaching_nobody(owner, body, choice)
            if _accepted(contract.DeployRequest, body)
            else body
        )
    if action == "models":
        return {**body, "base_url": CLOSED} if _accepted(contract.ModelsRequest, body) else body
    if action == "undeploy":
        # Seldom one that is there: the next deploy starts a process.
        name = "fuzz-nobody" if choice % 8 else SPARE[0]
        return {"chat_name": name} if _accepted(contract.NamedRequest, body) else body
    field = "model" if owner == "v1" else "chat_name"
    return {**body, field: (body[field], ANSWERS, REFUSES)[choice % 3]} if field in body else body


def _reaching_nobody(provider: str, body: Json, choice: int) -> Json:
    """A deploy that the contract accepts, in place of one that runs. No model type: byzerllm's own
    are not for here."""
    rest = {
        name: value for name, value in body.items() if name in ("api_key", "model_name", "timeout")
    }
    rest |= {"chat_name": SPARE[choice % 2], "workers": (1, "1")[choice % 2]}
    if provider == "local":
        return {**rest, "model_name": body.get("model_name") or "/no/such.gguf"}
    return {**rest, "base_url": CLOSED, "api_key": body.get("api_key") or "sk-fuzz"}


def _accepted(kind: type[BaseModel], fields: Json) -> bool:
    try:
        validation.parse(kind, fields)
    except GatewayError:
        return False
    return True


def test_no_generated_request_gets_an_undocumented_answer(fuzzed: Server, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    program = str(Path(sys.executable).with_name("schemathesis"))
    command = [
        program,
        "--config-file=schemathesis.toml",
        "run",
        "--no-color",
        "--report-json-path=report.json",
        f"--exclude-path-regex=^/({'|'.join(ALIKE)})/",
    ]
    command.append(f"{fuzzed.url}/openapi.json")
    environment = {
        **clean_environment(),
        "PYTHONPATH": str(TOP),
        "SCHEMATHESIS_HOOKS": __name__,
        "NO_PROXY": "*",
    }

    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=FUZZ_SECONDS
    )

    print(run.stdout)
    assert run.returncode == 0, run.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["test_cases"]["generated"] >= LEAST_CASES
    assert report["operations"]["tested"] == report["operations"]["selected"] > 0
    hosts = {row["host"] for row in fuzzed.http.get("/models").json()["models"]}
    assert all(host is None or host.startswith("127.0.0.1:") for host in hosts)


NESTED = "[" * 500 + "]" * 500
LONG = "9" * 30


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        (
            "POST",
            "/openai/chat",
            f'{{"chat_name": "{ANSWERS}", "content": "x", "max_tokens": "{LONG}"}}',
            400,
        ),
        ("POST", "/v1/embeddings", f'{{"model": "{ANSWERS}", "input": {NESTED}}}', 400),
        (
            "POST",
            "/v1/chat/completions",
            f'{{"model": "{ANSWERS}", "messages": [{{"content": {NESTED}}}]}}',
            400,
        ),
        ("POST", "/openai/deploy/", "{}", 404),
    ],
    ids=["long number", "nested input", "nested messages", "a slash too many"],
)
def test_what_is_seldom_generated_is_answered_as_described(
    fuzzed: Server, method: str, path: str, body: str, status: int
) -> None:
    reply = fuzzed.http.request(method, path, content=body)

    content_type = reply.headers["Content-Type"]
    assert (reply.status_code, content_type) == (
        status,
        "application/json; charset=utf-8",
    ), reply.text
    assert reply.json()["error"]["code"] == "INVALID_REQUEST"
