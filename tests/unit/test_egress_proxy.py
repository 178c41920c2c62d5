"""A proxy's URL in all its forms, and what may not be connected to on either side of it."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from gateway.actors.model import has_its_key
from gateway.actors.upstream import Upstream
from gateway.addresses import EgressProxy
from gateway.byte_budget import ByteBudget
from gateway.errors import GatewayError
from gateway.protocol import ModelConfig
from gateway.providers.questions import Question, QuestionRules
from gateway.settings import SettingError, load
from llm_openai import OPENAI

URLS = {
    "http://10.0.0.9:3128": ("10.0.0.9:3128", "", "http://10.0.0.9:3128"),
    " http://Proxy.Example:80/ ": ("proxy.example:80", "", "http://proxy.example:80"),
    "http://[::1]:3128": ("[::1]:3128", "", "http://[::1]:3128"),
    "http://u:p%40%2F%3A@h:1": ("h:1", "u:p@/:", "http://u:p%40%2F%3A@h:1"),
    "http://u@h:1": ("h:1", "u:", "http://u:@h:1"),
    "http://0x7f.1:1": ("127.0.0.1:1", "", "http://127.0.0.1:1"),
}


@pytest.mark.parametrize("url", URLS)
def test_a_proxys_url_is_read(url: str) -> None:
    proxy = EgressProxy.from_url(url)

    assert (proxy.netloc, proxy.login, proxy.url) == URLS[url]
    assert EgressProxy.from_url(proxy.url) == proxy


@pytest.mark.parametrize(
    "url",
    [
        "h:1",
        "http://h",
        "http://h:0",
        "http://h:99999",
        "https://h:1",
        "http://:1",
        "http://h:1/p",
        "http://h:1?q",
        "http://h:1#f",
        "http://se cret@h:1",
        "http://secret\n@h:1",
        "http://[secret@h:1",
    ],
)
def test_what_is_none_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ValueError, match="must be an HTTP proxy's URL") as caught:
        EgressProxy.from_url(url)
    assert "secret" not in str(caught.value)

    with pytest.raises(SettingError, match=r"^GATEWAY_EGRESS_PROXY must be") as stopped:
        load({"GATEWAY_EGRESS_PROXY": url})
    assert "secret" not in str(stopped.value)


def test_the_settings_proxy_may_be_private_and_link_local_only_if_it_is_listed() -> None:
    assert load({"GATEWAY_EGRESS_PROXY": "http://10.0.0.9:3128"}).egress_proxy
    metadata = {"GATEWAY_EGRESS_PROXY": "http://u:secret@169.254.169.254:80"}
    with pytest.raises(SettingError, match="GATEWAY_UPSTREAM_HOSTS could allow it"):
        load(metadata)
    listed = load({**metadata, "GATEWAY_UPSTREAM_HOSTS": "169.254.169.254"})
    assert listed.egress_proxy == metadata["GATEWAY_EGRESS_PROXY"]
    assert "secret" not in repr(listed)


def asked(base_url: str, proxy: str) -> str:
    """The error of a question through a proxy."""

    async def ask() -> None:
        upstream = Upstream(
            provider="openai",
            base_url=base_url,
            api_key="sk-x",
            hop="x",
            key_header="Authorization",
            endpoints={},
            dialect=OPENAI.dialect,
            rules=QuestionRules("x", OPENAI.traits(), {}),
            timeout=5,
            trusted=False,
            answers=ByteBudget(1),
            proxy=EgressProxy.from_url(proxy),
        )
        try:
            await upstream.ask(Question("/chat/completions", b"{}"))
        finally:
            await upstream.close()

    with pytest.raises(GatewayError) as caught:
        asyncio.run(ask())
    return caught.value.detail


@pytest.mark.parametrize("host", ["169.254.169.254", "[64:ff9b::a9fe:a9fe]", "[fd20:ce::254]"])
def test_no_proxy_is_asked_for_a_guarded_address(host: str) -> None:
    assert "is a link-local or metadata address" in asked(
        f"https://{host}/v1", "http://127.0.0.1:9"
    )


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd20:ce::254]"])
def test_no_proxy_is_at_a_guarded_address(host: str) -> None:
    words = asked("https://api.example.com/v1", f"http://u:secret@{host}:9")

    assert f"The proxy {host}:9 (egress_proxy) cannot be reached" in words
    assert "link-local or metadata" in words
    assert "secret" not in words


def test_a_chat_that_lost_its_way_out_is_not_opened_beside_it() -> None:
    def opens(**more: str) -> bool:
        config = {"needs_key": False, "api_key": "", "egress_host": "", "egress_proxy": "", **more}
        return has_its_key(cast("ModelConfig", config))

    assert opens()
    assert not opens(egress_host="10.0.0.9:3128")
    assert opens(egress_host="10.0.0.9:3128", egress_proxy="http://10.0.0.9:3128")
