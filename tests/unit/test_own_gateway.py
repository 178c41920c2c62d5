"""A command asks its gateway beside any proxy, and shows no token."""

from __future__ import annotations

import pytest

from gateway.commands import own_gateway
from gateway.commands.run import _ready
from tests.egress import listener


def test_a_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def answer(connection: object) -> None:
        asked.append(connection.recv(1000))  # type: ignore[attr-defined]
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n{}")  # type: ignore[attr-defined]

    with listener(answer) as gateway, listener(answer) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert _ready(f"http://127.0.0.1:{gateway}")
    assert [line.split(b"\r")[0] for line in asked] == [b"GET /readyz HTTP/1.1"]


@pytest.mark.parametrize("text", ["secret-1\nsecret-2", "secret\x00", "密钥-12345"])
def test_what_is_no_token_is_not_shown(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(SystemExit) as refused:
        own_gateway.checked(text, "GATEWAY_TOKEN")
    assert (
        str(refused.value) == "GATEWAY_TOKEN: must be one token, on one line, of ASCII characters."
    )
    assert own_gateway.checked(" a token\n", "GATEWAY_TOKEN") == "a token"
