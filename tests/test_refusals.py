"""Every way in which a provider says no becomes one code that says who must act."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.standin.client import StandIn
from tests.standin.refusals import DIALECTS, REFUSALS, Dialect, Refusal

Chats = dict[Dialect, str]
KEYS: dict[Dialect, str] = {dialect: f"sk-refused-{dialect}-0123456789" for dialect in DIALECTS}


@pytest.fixture(scope="module")
def chats(gateway: httpx.Client) -> Iterator[Chats]:
    """One chat per provider; the tests script what its provider says."""
    names: Chats = {dialect: f"refused-{dialect}" for dialect in KEYS}
    yield names
    for name in names.values():
        gateway.post("/openai/undeploy", json={"chat_name": name})


def ask(
    gateway: httpx.Client, chats: Chats, standin: StandIn, dialect: Dialect, behaviour: str
) -> httpx.Response:
    # Deployed anew, since a chat rests after some refusals.
    body = {
        "chat_name": chats[dialect],
        "api_key": KEYS[dialect],
        "base_url": standin.base_url(dialect),
        "timeout": 3,
    }
    assert gateway.post(f"/{dialect}/deploy", json=body).status_code == 200
    standin.script(KEYS[dialect], [behaviour])
    return gateway.post(
        f"/{dialect}/chat", json={"chat_name": chats[dialect], "content": "a private question"}
    )


STATUS = {
    "PAY_BILL": 402,
    "TOO_LARGE": 413,
    "CONTENT_BLOCKED": 422,
    "SLOW_DOWN": 429,
    "BAD_KEY": 502,
    "NO_SUCH_MODEL": 502,
    "BAD_UPSTREAM_REQUEST": 502,
    "PROVIDER_DOWN": 502,
    "PROVIDER_BUSY": 503,
    "TIMEOUT": 504,
}


WEEKLY = "zhipu-1310"
"""A limit whose words alone say how long to wait: longer than anybody is told to."""


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_each_refusal_has_its_code(
    gateway: httpx.Client, chats: Chats, standin: StandIn, refusal: Refusal
) -> None:
    reply = ask(gateway, chats, standin, refusal.dialect, f"refuse:{refusal.name}")

    error = reply.json()["error"]
    assert (error["code"], reply.status_code) == (refusal.code, STATUS[refusal.code])
    assert (error["provider"], error["chat_name"]) == (refusal.dialect, chats[refusal.dialect])
    assert error["provider_status"] == refusal.status
    assert error["request_id"] == reply.headers["X-Request-Id"]
    assert error["message"].isascii()
    assert not error["message_zh"].isascii()
    assert "private question" not in reply.text
    assert KEYS[refusal.dialect] not in reply.text
    assert reply.headers["Content-Type"].startswith("application/json")
    assert ("Retry-After" in reply.headers) == (refusal.code in ("SLOW_DOWN", "PROVIDER_BUSY"))
    if refusal.code in ("SLOW_DOWN", "PROVIDER_BUSY"):
        said = "3600" if refusal.name == WEEKLY else "2"
        assert reply.headers["Retry-After"] == refusal.headers.get("Retry-After", said)


@pytest.mark.parametrize("dialect", KEYS)
@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        ("drop", "PROVIDER_DOWN"),
        ("drop-mid", "PROVIDER_DOWN"),
        ("garbage", "PROVIDER_DOWN"),
        ("truncated", "PROVIDER_DOWN"),
        ("wrong-types", "PROVIDER_DOWN"),
        ("no-choices", "PROVIDER_DOWN"),
        ("null-content", "PROVIDER_DOWN"),
        ("big:34000000", "PROVIDER_DOWN"),
        ("hang", "TIMEOUT"),
        ("drip", "TIMEOUT"),
        ("redirect:http://127.0.0.1:1/elsewhere", "BAD_UPSTREAM_REQUEST"),
    ],
)
def test_a_provider_that_misbehaves_is_told_apart(
    gateway: httpx.Client,
    chats: Chats,
    standin: StandIn,
    dialect: Dialect,
    behaviour: str,
    code: str,
) -> None:
    reply = ask(gateway, chats, standin, dialect, behaviour)

    assert (reply.status_code, reply.json()["error"]["code"]) == (STATUS[code], code)


def test_a_provider_that_is_not_there_is_down_at_once(
    gateway: httpx.Client, chat_name: str
) -> None:
    dead = {"chat_name": chat_name, "api_key": "sk-x", "base_url": "http://127.0.0.1:9/v1"}
    assert gateway.post("/openai/deploy", json=dead).status_code == 200

    reply = gateway.post("/openai/chat", json={"chat_name": chat_name, "content": "hi"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "PROVIDER_DOWN")
    assert "127.0.0.1:9" in reply.json()["error"]["message"]


def test_an_unpaid_account_is_asked_once_only(
    gateway: httpx.Client, chats: Chats, standin: StandIn
) -> None:
    before = standin.count(KEYS["openai"])
    ask(gateway, chats, standin, "openai", "refuse:openai-insufficient_quota")
    assert standin.count(KEYS["openai"]) == before + 1


def test_a_large_answer_arrives_whole(
    gateway: httpx.Client, chats: Chats, standin: StandIn
) -> None:
    assert ask(gateway, chats, standin, "openai", "big:3000000").json() == "x" * 3_000_000
