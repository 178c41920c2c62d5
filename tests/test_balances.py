"""What is left at a provider, as a chat's key may ask it: beside the chats, and at no cost to
them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests import metrics
from tests.egress import tinyproxy
from tests.fronts import RawChat, chat, good
from tests.server import Server
from tests.standin.client import StandIn
from tests.standin.raw import CLOSE, HANG, RESET, Reply, whole
from tests.waiting import until

SECONDS = 20
"""Enough for a look and for GET /models, which asks the chat's process."""


@pytest.fixture
def names_of(gateway: httpx.Client, names: Callable[[], str], standin: StandIn, key: str) -> Any:
    """Deploy a chat through a provider that says balances, at the stand-in."""

    def deployed(provider: str, **more: Any) -> str:
        name = names()
        body = {"chat_name": name, "model_name": "echo", "api_key": key, **more}
        body.setdefault("base_url", standin.base_url("openai"))
        reply = gateway.post(f"/{provider}/deploy", json=body)
        assert reply.json() == {"ret": "ok"}, reply.text
        return name

    return deployed


def ask(gateway: httpx.Client, name: str, count: int = 1) -> None:
    for number in range(count):  # each its own: the same question again goes to the same replica
        body = {"chat_name": name, "content": f"hi {number}"}
        reply = gateway.post("/openai/chat", json=body)
        assert reply.status_code == 200, reply.text


def row(gateway: httpx.Client, name: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = gateway.get("/models").json()["models"]
    return next(row for row in rows if row["chat_name"] == name)


def amount(gateway: httpx.Client, name: str) -> float | None:
    balance = row(gateway, name)["balance"]
    return balance and float(balance["amount"])


@pytest.mark.parametrize(
    ("provider", "currency", "places"),
    [
        ("deepseek", "CNY", ["/user/balance"]),
        ("moonshot", "", ["/openai/v1/users/me/balance"]),
        ("openrouter", "USD", ["/openai/v1/key"]),
        (
            "custom",
            "",
            [
                "/openai/v1/dashboard/billing/subscription",
                "/openai/v1/dashboard/billing/usage",
            ],
        ),
    ],
)
def test_a_balance_is_asked_once_though_fifty_chats_pass(
    gateway: httpx.Client,
    standin: StandIn,
    names_of: Callable[..., str],
    key: str,
    provider: str,
    currency: str,
    places: list[str],
) -> None:
    standin.put_balance(key, 12.5)
    name = names_of(provider, low=20)
    assert row(gateway, name)["balance"] is None

    ask(gateway, name)
    until(lambda: amount(gateway, name) is not None, SECONDS)
    ask(gateway, name, 49)

    balance = row(gateway, name)["balance"]
    assert balance | {"at": 0} == {"amount": 12.5, "currency": currency, "at": 0}
    assert balance["at"] > 1_700_000_000
    assert row(gateway, name)["low"] == 20
    assert standin.looks(key) == places
    assert standin.count(key) == 50
    labels = {"chat": name, "currency": currency}
    assert metrics.value(gateway, "gateway_chat_balance", **labels) == 12.5
    assert metrics.value(gateway, "gateway_chat_low", chat=name) == 20


def test_a_stream_and_a_checked_deploy_look_too(
    gateway: httpx.Client, standin: StandIn, names_of: Callable[..., str], key: str
) -> None:
    standin.put_balance(key, 3)
    name = names_of("deepseek", check=True)
    until(lambda: amount(gateway, name) == 3, SECONDS)

    other = names_of("deepseek")
    body = {"chat_name": other, "content": "hi", "stream": True}
    assert gateway.post("/openai/chat", json=body).status_code == 200
    until(lambda: amount(gateway, other) == 3, SECONDS)


def test_of_several_keys_the_lowest_is_told_and_of_several_replicas_one_asks(
    gateway: httpx.Client, standin: StandIn, names_of: Callable[..., str], key: str
) -> None:
    standin.put_balance(key, 9)
    standin.put_balance(f"{key}-b", 2)
    name = names_of("deepseek", api_key=[key, f"{key}-b"], workers=3)

    ask(gateway, name, 12)
    until(lambda: amount(gateway, name) == 2, SECONDS)
    assert standin.looks(key) == standin.looks(f"{key}-b") == ["/user/balance"]


def test_a_provider_that_says_none_and_a_task_and_a_local_model_show_none(
    gateway: httpx.Client,
    standin: StandIn,
    names_of: Callable[..., str],
    names: Callable[[], str],
    key: str,
) -> None:
    standin.put_balance(key, 12.5)
    plain, rich, task = names_of("siliconflow"), names_of("deepseek"), names()
    body = {"chat_name": task, "through": rich, "prompt": "{{content}}"}
    assert gateway.post("/task/deploy", json=body).json() == {"ret": "ok"}

    ask(gateway, plain)
    ask(gateway, task)
    until(lambda: amount(gateway, rich) == 12.5, SECONDS)
    assert row(gateway, plain)["balance"] is None
    assert row(gateway, task)["balance"] is None
    assert metrics.value(gateway, "gateway_chat_balance", chat=task, currency="CNY") is None
    assert standin.looks(key) == ["/user/balance"]
    gateway.post("/task/undeploy", json={"chat_name": task})


def test_without_a_key_nobody_is_asked(raw_chat: RawChat) -> None:
    raw_chat.deploy(good("Ja"), "custom", api_key="")

    assert [raw_chat.ask(chat).words for _ in range(3)] == ["Ja"] * 3
    assert raw_chat.raw.looks == []


ODD: dict[str, Reply] = {
    "no such path": whole({}, "404 Not Found"),
    "a fault": whole({"error": "?"}, "500 Oh"),
    "a refused key": whole({"error": {"message": "no"}}, "401 No"),
    "unpaid": whole({"error": {"message": "Insufficient Balance"}}, "402 No"),
    "a page": whole(b"<!doctype html><title>Hi</title>", content_type="text/html"),
    "rubbish": whole(bytes(range(256)) * 20),
    "no HTTP": b"\0\0\0\0\r\n\r\n",
    "ten megabytes": whole(b'{"x": "' + b"x" * 10_000_000 + b'"}'),
    "ten packed megabytes": whole(
        gzip.compress(b" " * 10_000_000), headers=["Content-Encoding: gzip"]
    ),
    "elsewhere": whole({}, "302 Found", headers=["Location: http://127.0.0.1:9/user/balance"]),
    "a part": (whole({"balance_infos": [{"total_balance": "1", "currency": "CNY"}]})[:-9], CLOSE),
    "a hang": (HANG,),
    "a hang amid": (whole({"balance_infos": []})[:-2], HANG),
    "a reset": (RESET,),
}


@pytest.mark.parametrize("oddity", ODD)
def test_no_odd_reply_costs_a_chat_or_lets_it_rest(raw_chat: RawChat, oddity: str) -> None:
    raw_chat.raw.balances = lambda request: ODD[oddity]
    raw_chat.deploy(good("Ja"), "deepseek")

    assert [raw_chat.ask(chat).words for _ in range(10)] == ["Ja"] * 10
    until(lambda: raw_chat.raw.looks != [], SECONDS)
    assert [raw_chat.ask(chat).words for _ in range(10)] == ["Ja"] * 10
    row = raw_chat.row()
    assert (row["state"], row["balance"], row["keys"]["resting"]) == ("answering", None, {})
    # aiohttp repeats a GET for which a kept connection turned out to be dead
    assert len(raw_chat.raw.requests) == 20
    assert len(raw_chat.raw.looks) == (2 if oddity == "a reset" else 1)
    raw_chat.deploy(good("Nein"), "deepseek")  # and a look under way holds up no switch
    assert raw_chat.ask(chat).words == "Nein"


def test_it_is_one_get_with_the_chats_key_and_the_key_is_told_nobody(
    raw_chat: RawChat, server: Server
) -> None:
    key = "sk-raw-0123456789"
    raw_chat.raw.balances = lambda request: whole(
        {"balance_infos": [{"total_balance": "1", "currency": request.headers["authorization"]}]}
    )
    raw_chat.deploy(good("Ja"), "deepseek")
    raw_chat.ask(chat)
    until(lambda: raw_chat.row()["balance"] is not None, SECONDS)

    [look] = raw_chat.raw.looks
    assert (look.path, look.headers["authorization"], look.body) == (
        "/user/balance",
        f"Bearer {key}",
        b"",
    )
    shown = raw_chat.http.get("/models").text + raw_chat.http.get("/metrics").text
    assert key not in shown + server.log.read_text()


def test_it_goes_through_the_proxy_on_the_way(
    gateway: httpx.Client, standin: StandIn, names_of: Callable[..., str], key: str, tmp_path: Any
) -> None:
    standin.put_balance(key, 4)
    with tinyproxy(tmp_path) as port:
        name = names_of("deepseek", egress_proxy=f"http://127.0.0.1:{port}")
        ask(gateway, name)
        until(lambda: amount(gateway, name) == 4, SECONDS)
    assert standin.looks(key) == ["/user/balance"]


def test_when_a_bill_is_paid_it_is_asked_again(
    gateway: httpx.Client,
    careful: Server,
    standin: StandIn,
    names: Callable[[], str],
    key: str,
) -> None:
    name = names()
    standin.put_balance(key, -1)
    standin.script(key, ["echo", "refuse:openai-insufficient_quota"])
    body = {"chat_name": name, "api_key": key, "base_url": standin.base_url("openai")}
    assert careful.http.post("/deepseek/deploy", json=body).json() == {"ret": "ok"}
    ask(careful.http, name)
    until(lambda: amount(gateway, name) == -1, SECONDS)
    reply = careful.http.post("/openai/chat", json={"chat_name": name, "content": "hi"})
    assert reply.json()["error"]["code"] == "PAY_BILL"

    standin.put_balance(key, 100)
    standin.script(key, ["echo"])

    def paid() -> bool:
        body = {"chat_name": name, "content": "hi"}
        return careful.http.post("/openai/chat", json=body).status_code == 200

    until(paid, SECONDS)
    until(lambda: amount(gateway, name) == 100, SECONDS)
    assert standin.looks(key) == ["/user/balance"] * 2


@pytest.fixture(scope="module")
def careful(ray_head: Any, start_server: Callable[..., Server]) -> Server:
    """A gateway whose operator lets an unpaid bill be tried again after a second."""
    settings = {"GATEWAY_PROBE_SECONDS": "1", "WEB_CONCURRENCY": "1"}
    return start_server({**ray_head.environment, **settings})
