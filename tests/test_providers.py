"""Each provider says no in its own words, and each front hears it: the code, the rest and the
fallback are right. And each is asked as it wants to be asked."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest

from tests.fronts import RawChat, assert_refused, chat, chat_stream, good, of, v1
from tests.providers import PROVIDERS, RELAYED
from tests.standin.raw import whole
from tests.unit.refusal_rows import SAYS, rows_of

STATES = {
    "PAY_BILL": "resting",
    "BAD_KEY": "resting",
    "SLOW_DOWN": "resting",  # as long as the provider said
    "CONTENT_BLOCKED": "answering",
}


def refusal_of(provider: str, code: str) -> bytes:
    """A refusal of a provider as it was seen."""
    row = next(row for row in rows_of(provider) if row.code == code)
    wait = ["Retry-After: 30"] if code == "SLOW_DOWN" else []
    return whole(row.wire, f"{row.status} No", headers=wait)


@pytest.mark.parametrize("code", STATES)
@pytest.mark.parametrize("provider", SAYS)
def test_a_refusal_leads_to_its_code_its_rest_and_its_fallback_on_every_front(
    raw_chat: RawChat, spare: str, provider: str, code: str
) -> None:
    for front in (chat, chat_stream, v1):
        raw_chat.deploy(refusal_of(provider, code), provider, fallback=spare)
        own = {} if front is v1 else {"provider": provider}

        outcome = raw_chat.ask(front, **own)

        assert_refused(front, outcome, code)
        assert (raw_chat.state(), len(raw_chat.raw.requests)) == (STATES[code], 1), of(front)


def deploy_row(http: httpx.Client, name: str, provider: str, **more: str) -> dict[str, str]:
    """Deploy a chat; return what GET /models tells of it."""
    body = {"chat_name": name, "api_key": "sk-0123456789", **more}
    reply = http.post(f"/{provider}/deploy", json=body)
    assert reply.json() == {"ret": "ok"}, reply.text
    rows = http.get("/models").json()["models"]
    return dict(next(row for row in rows if row["chat_name"] == name))


def test_a_key_and_a_name_are_enough_for_every_provider_with_an_address_of_its_own(
    gateway: httpx.Client, chat_name: str
) -> None:
    for name in RELAYED:
        provider = PROVIDERS[name]
        if provider.base_url:
            row = deploy_row(gateway, chat_name, name)
            host = urlsplit(provider.base_url).hostname
            facts = [row[field] for field in ("provider", "model_type", "model_name", "host")]
            assert facts == [name, provider.model_types[0], provider.model_name, host]


@pytest.mark.parametrize("provider", [name for name in RELAYED if not PROVIDERS[name].base_url])
def test_a_provider_without_an_address_of_its_own_says_that_it_wants_one(
    gateway: httpx.Client, chat_name: str, provider: str
) -> None:
    reply = gateway.post(
        f"/{provider}/deploy", json={"chat_name": chat_name, "api_key": "sk-0123456789"}
    )

    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (400, "INVALID_REQUEST")
    for words in (error["message"], error["message_zh"]):
        assert "base_url" in words
        assert PROVIDERS[provider].base_url_example in words


@pytest.mark.parametrize(
    ("key", "header"), [("", None), ("sk-0123456789", "Bearer sk-0123456789")], ids=["none", "one"]
)
def test_a_server_of_ones_own_needs_no_key_and_is_sent_none(
    raw_chat: RawChat, key: str, header: str | None
) -> None:
    raw_chat.deploy(good("Ja"), "custom", api_key=key, model_name="qwen3:8b")

    assert raw_chat.ask(chat, provider="custom").words == "Ja"
    [request] = raw_chat.raw.requests
    assert request.headers.get("authorization") == header
    assert request.json["model"] == "qwen3:8b"


def test_azure_is_sent_its_key_in_a_header_of_its_own(raw_chat: RawChat) -> None:
    raw_chat.deploy(good("Ja"), "azure", model_name="our-deployment")

    assert raw_chat.ask(chat, provider="azure", max_tokens=5).words == "Ja"
    [request] = raw_chat.raw.requests
    assert request.headers["api-key"] == "sk-raw-0123456789"
    assert "authorization" not in request.headers
    assert request.json["max_completion_tokens"] == 5


def test_a_type_of_stock_byzerllm_is_relayed_by_whose_it_is_wherever_it_is_deployed(
    raw_chat: RawChat,
) -> None:
    # Its own code, which OpenAI's table does not know.
    unpaid = {"type": "error", "error": {"type": "billing_error", "message": "No."}}
    raw_chat.deploy(whole(unpaid, "403 No"), "openai", model_type="saas/claude")

    assert raw_chat.ask(chat).code == "PAY_BILL"
    rows = raw_chat.http.get("/models").json()["models"]
    [row] = [row for row in rows if row["chat_name"] == raw_chat.name]
    assert (row["provider"], row["model_name"]) == (
        "anthropic",
        PROVIDERS["anthropic"].model_name,
    )


def test_a_model_that_must_think_is_asked_once_more_without_the_switch(raw_chat: RawChat) -> None:
    row = next(row for row in rows_of("openrouter") if b"mandatory" in row.wire)
    refusal, answer = whole(row.wire, "400 No"), good("Ja")
    raw_chat.deploy(
        lambda request: refusal if "reasoning" in request.json else answer(request), "openrouter"
    )

    assert [raw_chat.ask(chat, provider="openrouter").words for _ in range(2)] == ["Ja", "Ja"]
    assert ["reasoning" in request.json for request in raw_chat.raw.requests] == [
        True,
        False,
        False,
    ]
