"""POST /<provider>/models: what a provider offers to a key, before anything is deployed."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gateway.protocol import EMBEDDED
from tests.egress import listener, no_proxy
from tests.environment import free_port
from tests.server import CALLER, Server
from tests.standin.client import StandIn
from tests.standin.raw import CLOSE, RawProvider, Reply, whole
from tests.standin.refusals import DIALECTS, Dialect

KEY = "sk-offered-31b7c0de"


def offer(http: httpx.Client, provider: str = "openai", **body: Any) -> httpx.Response:
    return http.post(f"/{provider}/models", json={"api_key": KEY, **body})


@pytest.mark.parametrize("provider", DIALECTS)
def test_a_providers_models_are_listed(
    gateway: httpx.Client, standin: StandIn, provider: Dialect
) -> None:
    chats = gateway.get("/models").json()

    reply = offer(gateway, provider, base_url=standin.base_url(provider))

    assert (reply.status_code, reply.json()) == (200, {"models": ["echo", "slow"]}), reply.text
    assert gateway.get("/models").json() == chats


@pytest.mark.parametrize(
    ("provider", "row", "code"),
    [
        ("openai", "openai-invalid_api_key-echo", "BAD_KEY"),
        ("openai", "openai-insufficient_quota", "PAY_BILL"),
        ("zhipu", "zhipu-1113", "PAY_BILL"),
    ],
)
def test_a_key_is_known_before_it_is_deployed(
    server: Server, standin: StandIn, key: str, provider: Dialect, row: str, code: str
) -> None:
    standin.script(key, [f"refuse:{row}"])

    reply = offer(server.http, provider, api_key=key, base_url=standin.base_url(provider))

    error = reply.json()["error"]
    assert (error["code"], error["provider"]) == (code, provider)
    assert key not in json.dumps(error)
    assert key not in server.log.read_text()


def asked(http: httpx.Client, raw: RawProvider, *reply: Any) -> Any:
    """The list, or the error, that a provider's reply becomes."""
    answer: Reply = reply if len(reply) > 1 or not isinstance(reply[0], bytes) else reply[0]
    raw.script = lambda request: answer
    body = offer(http, base_url=raw.base_url).json()
    return body.get("models", body.get("error"))


def test_it_is_one_get_with_the_providers_key(gateway: httpx.Client, raw: RawProvider) -> None:
    names = asked(gateway, raw, whole({"models": [{"name": "models/b"}, {"name": "a"}]}))

    assert names == ["a", "b"]
    [request] = raw.requests
    assert (request.headers["authorization"], request.body) == (f"Bearer {KEY}", b"")


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        ([whole({}, "404 Not Found")], "BAD_UPSTREAM_REQUEST", "has no list of models"),
        ([whole(b"<html>no</html>", "405 No")], "BAD_UPSTREAM_REQUEST", "has no list of models"),
        ([whole({"error": {"message": "?"}}, "401 No")], "BAD_KEY", ""),
        ([whole({"error": {"message": "Account overdue"}})], "PAY_BILL", ""),
        ([whole(b"<html><title>Hi</title></html>")], "PROVIDER_DOWN", "A web page came"),
        ([whole({"ok": True})], "PROVIDER_DOWN", ""),
        ([whole(b"[" + b'"x",' * 2_000_000)], "PROVIDER_DOWN", "larger than"),
        ([whole({"data": []})[:-3], CLOSE], "PROVIDER_DOWN", "broke off"),
        ([whole({}, "302 Found", headers=["Location: http://x/"])], "BAD_UPSTREAM_REQUEST", "x"),
        ([CLOSE], "PROVIDER_DOWN", "closed the connection"),
    ],
    ids=str,
)
def test_what_is_no_list_is_one_of_our_errors(
    gateway: httpx.Client, raw: RawProvider, reply: list[Any], code: str, words: str
) -> None:
    error = asked(gateway, raw, *reply)

    assert error["code"] == code, error
    assert words in error["message"]
    assert KEY not in json.dumps(error)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "http://169.254.169.254"}, "base_url"),
        ({"egress_proxy": "x"}, "egress_proxy"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "sk-a,sk-b"}, "api_key"),
        ({"chat_name": "x"}, "chat_name"),
    ],
)
def test_a_wrong_field_is_named(gateway: httpx.Client, body: dict[str, str], field: str) -> None:
    reply = offer(gateway, **body)

    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (400, "INVALID_REQUEST")
    assert error["message"].startswith(f"{field}: ")


def test_a_key_in_the_url_is_refused(gateway: httpx.Client) -> None:
    reply = gateway.post(f"/openai/models?api_key={KEY}", json={})

    assert reply.json()["error"]["message"].startswith("api_key: must not stand in a URL")


def test_it_takes_the_way_out_and_no_server_is_no_surprise(
    gateway: httpx.Client, standin: StandIn
) -> None:
    with listener(no_proxy("403 Filtered")) as port:
        proxy = f"http://127.0.0.1:{port}"
        error = offer(gateway, base_url=standin.base_url("openai"), egress_proxy=proxy).json()[
            "error"
        ]
    assert (error["code"], "403 Filtered" in error["message"]) == ("PROVIDER_DOWN", True)

    error = offer(gateway, base_url=f"http://127.0.0.1:{free_port()}").json()["error"]
    assert error["code"] == "PROVIDER_DOWN"


def test_local_models_are_those_of_this_machine(gateway: httpx.Client) -> None:
    assert gateway.post("/local/models", json={}).json() == {"models": [EMBEDDED]}


def test_only_who_may_deploy_may_ask(guarded: Server) -> None:
    headers = {"Authorization": f"Bearer {CALLER}"}
    reply = guarded.http.post("/openai/models", json={"api_key": KEY}, headers=headers)

    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert guarded.http.post("/openai/models", json={}).status_code == 401
