"""Providers that are reached through a proxy: a real one, and those that fail in every way."""

from __future__ import annotations

import base64
import json
import re
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.doctor import Report
from tests.egress import Tap, answering, hanging, hung_up, listener, no_proxy, tinyproxy
from tests.environment import clean_environment, free_port
from tests.fronts import FRONTS, SPARE, Front, RawChat, chat, good, of, v1, v1_stream
from tests.server import Server
from tests.standin.raw import RawProvider, whole
from tests.waiting import until

KEY = "sk-egress-4c1d90b7a2"
PROMPT = "egress-prompt-77e1"
PASSWORD = "word-5e0f"
LOGIN = f"clerk:{PASSWORD}"
ENCODED = "clerk:w%6Frd-5e0f"


class SecureProvider(RawProvider):
    """A provider behind TLS, whose certificate names localhost."""

    def __init__(self, certificate: Path) -> None:
        super().__init__()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    @property
    def base_url(self) -> str:
        return f"https://localhost:{self.server_address[1]}/v1"

    def get_request(self) -> Any:
        connection, address = super().get_request()
        # Its own thread shakes hands, when it reads.
        return (
            self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False),
            address,
        )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("egress") / "provider.pem"
    kind = (
        "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
        " -addext subjectAltName=DNS:localhost"
    )
    command = ["openssl", *kind.split(), "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture(scope="module")
def tapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Tap]]:
    """The port of a tinyproxy that wants LOGIN, and the tap before it."""
    folder = tmp_path_factory.mktemp("tinyproxy")
    with tinyproxy(folder, LOGIN.replace(":", " ")) as port:
        tap = Tap(port)
        with listener(tap) as tapped_port:
            yield tapped_port, tap


@pytest.fixture(scope="module")
def behind(
    certificate: Path, tapped: tuple[int, Tap], start_server: Callable[..., Server]
) -> Iterator[Server]:
    """A gateway whose operator has set the way out, on a cluster that trusts the certificate and
    whose environment names a proxy that is not there."""
    nobody = f"http://127.0.0.1:{free_port()}"
    variables = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"), nobody)
    head = RayHead(
        {**clean_environment(), **variables, "NO_PROXY": "", "SSL_CERT_FILE": f"{certificate}.crt"}
    )
    try:
        until(head.up)
        setting = f"http://{ENCODED}@127.0.0.1:{tapped[0]}"
        server = start_server(
            {**head.environment, **variables, "NO_PROXY": "", "GATEWAY_EGRESS_PROXY": setting}
        )
        yield server
        server.stop()
    finally:
        head.stop()


def requests_of(tap: Tap) -> list[str]:
    """The CONNECTs that a proxy was sent."""
    return [line.decode() for line in re.findall(rb"CONNECT [^\r]*", tap.heard)]


def row(http: httpx.Client, name: str) -> dict[str, Any]:
    rows = http.get("/models").json()["models"]
    return next(one for one in rows if one["chat_name"] == name)


def test_the_operators_proxy_carries_https_and_sees_no_key(
    behind: Server, tapped: tuple[int, Tap], certificate: Path
) -> None:
    port, tap = tapped
    tap.heard.clear()
    with SecureProvider(certificate) as provider:
        secure = RawChat(behind.http, "secure", provider)
        secure.deploy(good("Ja"), api_key=KEY)
        for front in (chat, v1, v1_stream, chat):
            assert secure.ask(front, PROMPT).words == "Ja"

        received = provider.requests
        assert [(one.connection, one.number) for one in received] == [
            (1, number) for number in range(1, 5)
        ]
        assert {one.headers["authorization"] for one in received} == {f"Bearer {KEY}"}
        assert PROMPT in received[0].body.decode()
        assert "proxy-authorization" not in received[0].headers
        target = f"localhost:{provider.server_address[1]}"

    assert requests_of(tap) == [f"CONNECT {target} HTTP/1.1"]
    for secret in (KEY, PROMPT):
        assert secret.encode() not in tap.heard
    assert base64.b64encode(LOGIN.encode()) in tap.heard  # so the tap does hear

    shown = row(behind.http, "secure")
    assert shown["egress_proxy"] == f"127.0.0.1:{port}"
    assert not [part for part in ("clerk", PASSWORD, ENCODED) if part in json.dumps(shown)]
    until(lambda: '"secure"' in behind.log.read_text())
    assert PASSWORD not in behind.log.read_text()


def test_a_deploy_may_say_that_it_needs_no_proxy(
    behind: Server, tapped: tuple[int, Tap], certificate: Path
) -> None:
    # Nor is one of the environment's used then.
    tapped[1].heard.clear()
    with SecureProvider(certificate) as provider:
        direct = RawChat(behind.http, "direct", provider)
        direct.deploy(good("Ja"), egress_proxy="")

        assert direct.ask(chat).words == "Ja"
    assert not tapped[1].heard
    assert row(behind.http, "direct")["egress_proxy"] is None


def test_a_local_model_takes_no_way_out(behind: Server, tapped: tuple[int, Tap]) -> None:
    assert behind.http.post("/local/deploy", json={"chat_name": "here"}).json() == {"ret": "ok"}
    assert row(behind.http, "here")["egress_proxy"] is None

    body = {"chat_name": "here", "egress_proxy": "http://127.0.0.1:3128"}
    error = behind.http.post("/local/deploy", json=body).json()["error"]
    assert error["message"].startswith("egress_proxy: ")


def test_stock_byzerllm_goes_past_no_proxy_in_silence(behind: Server) -> None:
    body = {"chat_name": "stock", "api_key": KEY, "model_type": "saas/sparkdesk"}
    error = behind.http.post("/openai/deploy", json=body).json()["error"]

    assert (error["code"], error["message"][:14]) == ("INVALID_REQUEST", "egress_proxy: ")


@pytest.mark.parametrize("front", FRONTS, ids=of)
def test_a_deploys_proxy_carries_http_too(
    raw_chat: RawChat, tapped: tuple[int, Tap], front: Front
) -> None:
    port, tap = tapped
    tap.heard.clear()
    raw_chat.deploy(good("Ja"), egress_proxy=f"http://{ENCODED}@localhost:{port}")

    assert [raw_chat.ask(front).words for _ in range(2)] == ["Ja", "Ja"]

    target = f"127.0.0.1:{raw_chat.raw.server_address[1]}"
    assert requests_of(tap) == [f"CONNECT {target} HTTP/1.1"]
    assert {one.connection for one in raw_chat.raw.requests} == {1}


def test_all_keys_of_a_chat_share_it(raw_chat: RawChat, tapped: tuple[int, Tap]) -> None:
    unpaid = whole({"error": {"code": "insufficient_quota", "message": "x"}}, "429 No")
    tapped[1].heard.clear()
    raw_chat.deploy(
        lambda request: (
            unpaid if request.headers["authorization"].endswith("1") else good("Ja")(request)
        ),
        api_key="sk-key-number-1,sk-key-number-2",
        egress_proxy=f"http://{ENCODED}@127.0.0.1:{tapped[0]}",
    )

    assert raw_chat.ask(chat).words == "Ja"
    assert len(requests_of(tapped[1])) == 2


echoed = base64.b64encode(LOGIN.encode()).decode()
FAULTS: dict[str, tuple[Callable[[Any], None], str, str]] = {
    "403": (no_proxy("403 Filtered"), "answered '403 Filtered'", "403 Filtered"),
    "407": (no_proxy("407 Proxy Authentication Required"), "user and password", "用户名与密码"),
    "502": (no_proxy("502 Bad Gateway"), "answered '502 Bad Gateway'", "502 Bad Gateway"),
    "quotes the password": (no_proxy(f"407 No {PASSWORD}"), "answered '407'", "407"),
    "quotes the login": (no_proxy(f"403 Not {echoed}"), "answered '403'", "403"),
    "SSH": (answering(b"SSH-2.0-OpenSSH_9.6\r\n"), "as an HTTP proxy does", "HTTP 代理"),
    "a web page": (answering(b"<html>200 OK</html>"), "as an HTTP proxy does", "HTTP 代理"),
    "half a head": (answering(b"HTTP/1.1 200 Conn"), "broke off", "断开"),
    "nothing": (hung_up, "broke off", "断开"),
    "hangs": (hanging, "within 5 s", "5 秒"),
    "an endless head": (
        answering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000),
        "",
        "",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_proxy_that_gives_no_way_is_named_and_passed_over(
    raw_chat: RawChat, spare: str, fault: str
) -> None:
    handle, words, words_zh = FAULTS[fault]
    with listener(handle) as port:
        proxy = f"http://{ENCODED}@127.0.0.1:{port}"
        raw_chat.deploy(good("Ja"), egress_proxy=proxy, api_key=KEY, timeout=30)
        started = time.monotonic()
        error = raw_chat.ask(chat).error
        assert time.monotonic() - started < 15

        assert error["code"] == "PROVIDER_DOWN"
        if words:
            assert f"127.0.0.1:{port}" in error["message"]
            assert (words in error["message"], words_zh in error["message_zh"]) == (True, True)
        for secret in (PASSWORD, ENCODED, echoed, KEY):
            assert secret not in json.dumps(error)

        raw_chat.deploy(good("Ja"), egress_proxy=proxy, fallback=spare)
        outcome = raw_chat.ask(chat)
        assert (outcome.words, outcome.fell_back) == (SPARE, "PROVIDER_DOWN")
    assert raw_chat.raw.requests == []


def test_a_proxy_that_is_not_there_is_named(raw_chat: RawChat) -> None:
    port = free_port()
    raw_chat.deploy(good("Ja"), egress_proxy=f"http://127.0.0.1:{port}")

    error = raw_chat.ask(chat).error

    assert error["code"] == "PROVIDER_DOWN"
    assert f"The proxy 127.0.0.1:{port} (egress_proxy) cannot be reached" in error["message"]
    assert "无法连接" in error["message_zh"]


def test_a_real_proxy_says_that_it_wants_a_login_and_that_nobody_is_there(
    raw_chat: RawChat, tapped: tuple[int, Tap]
) -> None:
    with ExitStack() as stack:
        stack.callback(raw_chat.deploy, good("Ja"))
        for login in ("", "clerk:wrong-77@"):
            raw_chat.deploy(good("Ja"), egress_proxy=f"http://{login}127.0.0.1:{tapped[0]}")
            error = raw_chat.ask(chat).error
            assert (error["code"], "wrong-77" in json.dumps(error)) == ("PROVIDER_DOWN", False)
            assert "user and password in its URL" in error["message"]

        nobody = f"http://127.0.0.1:{free_port()}/v1"
        proxy = f"http://{ENCODED}@127.0.0.1:{tapped[0]}"
        raw_chat.deploy(good("Ja"), egress_proxy=proxy, base_url=nobody)
        error = raw_chat.ask(chat).error
        assert (error["code"], "answered '5" in error["message"]) == ("PROVIDER_DOWN", True), error


WRONG = {
    "no port": f"http://{ENCODED}@127.0.0.1",
    "socks": f"socks5://{ENCODED}@127.0.0.1:1080",
    "a path": f"http://{ENCODED}@127.0.0.1:3128/x",
    "a raw password": f"http://clerk:p/{PASSWORD}@127.0.0.1:3128",
    "link-local": f"http://{ENCODED}@169.254.169.254:3128",
    "link-local, spelled otherwise": f"http://{ENCODED}@0xa9fea9fe:3128",
}


@pytest.mark.parametrize("url", WRONG)
def test_a_wrong_proxy_is_refused_by_name_without_its_password(
    gateway: httpx.Client, chat_name: str, url: str
) -> None:
    body = {"chat_name": chat_name, "api_key": KEY, "egress_proxy": WRONG[url]}
    error = gateway.post("/openai/deploy", json=body).json()["error"]

    assert error["code"] == "INVALID_REQUEST"
    assert error["message"].startswith("egress_proxy: ")
    assert error["message_zh"].startswith("egress_proxy：")
    assert not [part for part in (PASSWORD, ENCODED) if part in json.dumps(error)]


def test_a_proxy_leads_to_no_guarded_address(
    gateway: httpx.Client, chat_name: str, tapped: tuple[int, Tap]
) -> None:
    tapped[1].heard.clear()
    body = {
        "chat_name": chat_name,
        "api_key": KEY,
        "base_url": "http://169.254.169.254/v1",
        "egress_proxy": f"http://{ENCODED}@127.0.0.1:{tapped[0]}",
    }
    error = gateway.post("/openai/deploy", json=body).json()["error"]

    assert error["message"].startswith("base_url: 169.254.169.254 is a link-local")
    assert not tapped[1].heard


def test_the_doctor_looks_for_providers_on_the_way_out(tapped: tuple[int, Tap]) -> None:
    with RawProvider() as provider:
        host = provider.base_url.removesuffix("/v1")
        setting = {"GATEWAY_EGRESS_PROXY": f"http://{ENCODED}@127.0.0.1:{tapped[0]}"}
        report = Report(setting, host)

    report.line("ok", f"provider: {host} is reached through 127.0.0.1:{tapped[0]}")
    assert PASSWORD not in report.ended.stdout
    assert [one.headers["host"] for one in provider.requests] == [host.removeprefix("http://")]
