"""The paths that callers try for a route's own: answered as the route, or told which one is
meant."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import Any

import httpx
import pytest

from gateway.web.paths import meant
from tests.server import Deploy, Server
from tests.waiting import until

CHAT = "/v1/chat/completions"
MEANT = {
    "/v1/chat/completions/": CHAT,
    "//v1///chat//completions": CHAT,
    "/chat/completions": CHAT,
    "/v1/v1/chat/completions": CHAT,
    "/v1/chat/completions/chat/completions": CHAT,
    "/api/paas/v4/chat/completions": CHAT,
    "/api/paas/v4//chat/completions/": CHAT,
    "/compatible-mode/v1/chat/completions": CHAT,
    "/api/v1/chat/completions": CHAT,
    "/openai/v1/chat/completions": CHAT,
    "/completions": "/v1/completions",
    "/embeddings/": "/v1/embeddings",
    "/api/paas/v4/embeddings": "/v1/embeddings",
    "/openai/v1/models": "/v1/models",
    "/api/v1/models/shop_chat": "/v1/models/shop_chat",
    "/v1/models/": "/v1/models",
    "/openai//chat": "/openai/chat",
    "/zhipu/chat/": "/zhipu/chat",
    "//all/chat": "/all/chat",
    "/models/": "/models",
    "/jobs/abc/": "/jobs/abc",
    "/responses": "/v1/responses",
    "/v1/v1/messages": "/v1/messages",
    "/v1/v1/messages/count_tokens": "/v1/messages/count_tokens",
    "/v1/messages/messages": "/v1/messages",
    "/api/paas/v4/rerank": "/v1/rerank",
    "/openai/v1/images/generations/": "/v1/images/generations",
    "/moderations": "/v1/moderations",
}
OWN = (
    *(
        "",
        "/",
        CHAT,
        "/v1/completions",
        "/v1/models",
        "/v1/models/completions",
        "/models",
        "/openai/chat",
        "/all/chat",
    ),
    *(
        "/v1",
        "/chat",
        "/v2/chat/completions",
        "/v1/chat/completions/x",
        "/api/paas/v4/async/chat/completions",
    ),
)
HIDDEN = (
    *(
        "/metrics/",
        "//metrics",
        "/v1//metrics",
        "/console//state",
        "/console/state/",
        "//",
        "/openapi.json/",
    ),
    *(
        "/openai//deploy",
        "/openai/deploy/",
        "/zhipu/undeploy/",
        "//zhipu/undo",
        "/local/fallback/",
        "/readyz/",
    ),
    *(
        "/v1/metrics",
        "/openai/v1/metrics",
        "/api/v1/deploy",
        "/v1/../metrics",
        "/v1/..//metrics",
        "/chat/../metrics/",
    ),
)
"""Proxies hide by their paths what operates or watches the gateway: no other path leads there."""


@pytest.mark.parametrize("path", MEANT)
def test_a_path_leads_to_the_route_that_is_meant(path: str) -> None:
    assert meant(path) == MEANT[path]


@pytest.mark.parametrize("path", OWN)
def test_a_path_of_its_own_stays(path: str) -> None:
    assert meant(path) == path


@pytest.mark.parametrize("path", HIDDEN)
def test_no_other_path_leads_to_what_a_proxy_hides(server: Server, path: str) -> None:
    for method in ("GET", "POST"):
        status, reply, _ = sent(
            server, method, path, {"chat_name": "x"} if method == "POST" else None
        )
        assert (status, reply["error"]["code"]) == (404, "INVALID_REQUEST"), (path, reply)


def sent(server: Server, method: str, path: str, body: Any = None) -> tuple[int, Any, str | None]:
    """The status, JSON and id of the reply to a request whose path is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, json.dumps(body).encode() if body else None)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read()), reply.getheader("X-Request-Id")


@pytest.mark.parametrize("path", [path for path, route in MEANT.items() if route == CHAT])
def test_a_chat_is_answered_under_whatever_path_clients_try(
    server: Server, deploy: Deploy, path: str
) -> None:
    body = {"model": (name := deploy("zhipu")), "messages": [{"role": "user", "content": "hi"}]}

    status, reply, request_id = sent(server, "POST", path, body)

    assert status == 200, reply  # and no redirect
    assert reply["choices"][0]["message"]["content"] == "zhipu:hi"
    until(lambda: str(request_id) in server.log.read_text())
    [line] = (line for line in server.log.read_text().splitlines() if str(request_id) in line)
    assert (json.loads(line)["path"], json.loads(line)["chat"]) == (CHAT, name)


@pytest.mark.parametrize("path", ["/openai//chat", "/zhipu/chat/", "//zhipu//chat//"])
def test_slashes_do_not_keep_an_old_program_from_its_answer(
    server: Server, deploy: Deploy, path: str
) -> None:
    status, reply, _ = sent(server, "POST", path, {"chat_name": deploy("zhipu"), "content": "hi"})

    assert (status, reply) == (200, "zhipu:hi")


def test_an_error_under_another_path_of_v1s_has_openais_shape(gateway: httpx.Client) -> None:
    reply = gateway.post(
        "/api/paas/v4/chat/completions", json={"model": "no-such-chat", "messages": [{}]}
    )

    assert (reply.status_code, reply.json()["error"]["type"]) == (404, "not_found_error")


def test_what_operates_the_gateway_has_one_path_which_is_told(gateway: httpx.Client) -> None:
    error = gateway.post("/openai//deploy/", json={}).json()["error"]

    assert error["message"].startswith("POST /openai//deploy/: Not Found. Ask for /openai/deploy.")
    assert "请使用 /openai/deploy。" in error["message_zh"]
    assert "Ask for" not in gateway.post("/nowhere/", json={}).json()["error"]["message"]


DASHSCOPE = "/api/v1/services/aigc/text-generation/generation"


def openai_s(body: Any) -> str:
    assert body["error"]["type"] == "invalid_request_error"
    return str(body["error"]["message"])


def anthropic_s(body: Any) -> str:
    assert body.keys() == {"type", "error", "request_id"}
    assert body["type"] == "error"
    assert body["error"].keys() == {"type", "message"}
    assert body["error"]["type"] == "invalid_request_error"
    return str(body["error"]["message"])


def dashscope_s(body: Any) -> str:
    assert body.keys() == {"code", "message", "request_id"}
    assert body["code"] == "INVALID_REQUEST"
    return str(body["message"])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/responses", openai_s),
        ("/openai/v1/responses", openai_s),
        ("/responses", openai_s),
        ("/api/paas/v4/rerank", openai_s),
        ("/v1/messages", anthropic_s),
        ("/messages", anthropic_s),
        ("/v1/v1/messages/count_tokens", anthropic_s),
    ],
)
def test_what_is_wrong_is_said_in_its_clients_shape(
    gateway: httpx.Client, path: str, message: Any
) -> None:
    reply = gateway.post(path, json={"messages": [{}], "query": "x", "documents": []})

    assert reply.status_code == 400
    assert "model: " in message(reply.json())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (DASHSCOPE, dashscope_s),
        (f"{DASHSCOPE}/", dashscope_s),
        ("/api/v1/services/embeddings/text-embedding/text-embedding", dashscope_s),
    ],
)
def test_what_is_not_served_is_said_in_its_clients_shape_with_the_address_to_use(
    gateway: httpx.Client, path: str, message: Any
) -> None:
    reply = gateway.post(path, json={"model": "some-chat"})

    assert reply.status_code == 400
    assert "Use its OpenAI-compatible POST /v1/chat/completions" in message(reply.json())
