"""What pages of other sites can do in a browser that reaches a gateway without tokens: nothing.

No cluster runs here: what is let in meets CLUSTER_DOWN, and what is not, FORBIDDEN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from gateway.settings import SettingError, load
from tests.browser import FLAGS
from tests.environment import free_port
from tests.raw_http import raw_reply
from tests.runtimes import needed
from tests.server import Server
from tests.standin.client import StandIn
from tests.waiting import until

CHAT = {"chat_name": "x", "content": "hello"}
NAMES = "llm.example.com, 例子.测试"


@pytest.fixture(scope="module")
def alone(start_server: Callable[..., Server]) -> Callable[..., Server]:
    """Start a gateway without a cluster."""

    def start(**settings: str) -> Server:
        nowhere = {
            "RAY_ADDRESS": f"127.0.0.1:{free_port()}",
            "WEB_CONCURRENCY": "1",
            "GATEWAY_ALLOW_GET": "1",
        }
        server = start_server({**nowhere, **settings}, ready=False)
        server.wait_until("/healthz")
        until(lambda: server.http.get("/readyz").status_code == 503)
        return server

    return start


@pytest.fixture(scope="module")
def server(alone: Callable[..., Server]) -> Server:
    """In place of the shared `server`: a gateway without a cluster, for which names are set."""
    return alone(GATEWAY_HOSTS=NAMES)


def code(reply: httpx.Response) -> str:
    return str(reply.json()["error"]["code"])


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "LOCALHOST:1", "[::1]:8099", "[::1]", "192.168.0.7:8099",
     "llm.example.com", "LLM.example.com.:443", "xn--fsqu00a.xn--0zwm56d"],
)  # fmt: skip
def test_addresses_localhost_and_what_the_operator_names_are_served(
    server: Server, host: str
) -> None:
    assert server.http.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8099",
        "x",
        "localhost.evil.example",
        "127.0.0.1.evil",
        "llm.example.com.evil.example",
        "[::1].evil",
        "a@localhost",
    ],
)
@pytest.mark.parametrize("path", ["/", "/healthz", "/models", "/metrics", "/jobs/x", "/nonsense"])
def test_another_name_is_not_served_on_any_route(server: Server, host: str, path: str) -> None:
    reply = server.http.get(path, headers={"Host": host})
    assert (reply.status_code, code(reply)) == (403, "FORBIDDEN")
    assert "GATEWAY_HOSTS" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/zhipu/deploy", "/zhipu/chat", "/v1/chat/completions", "/all/chat"]
)
def test_another_name_asks_for_nothing(server: Server, path: str) -> None:
    for host, codes in (
        ("evil.example", {"FORBIDDEN"}),
        ("localhost", {"CLUSTER_DOWN", "INVALID_REQUEST"}),
    ):
        assert code(server.http.post(path, json=CHAT, headers={"Host": host})) in codes


def test_http_1_0_needs_no_host(server: Server) -> None:
    assert raw_reply(server, b"GET /healthz HTTP/1.0\r\n\r\n").split()[1] == b"200"


def test_with_tokens_every_name_is_served(alone: Callable[..., Server]) -> None:
    server = alone(GATEWAY_TOKENS="shop:c2hvcC10b2tlbi0x:chat")
    assert server.http.get("/healthz", headers={"Host": "evil.example"}).status_code == 200
    server.stop()


FROM_ELSEWHERE: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://elsewhere.example"},
    {"Origin": "null"},
]
FROM_HERE: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://127.0.0.1:8099"},
]


@pytest.mark.parametrize(
    "path", ["/zhipu/chat", "/v1/chat/completions", "/all/chat", "/console/markdown"]
)
def test_pages_of_other_sites_do_not_chat(server: Server, path: str) -> None:
    for headers in FROM_ELSEWHERE:
        refused = server.http.post(path, data=CHAT, headers=headers)
        assert (refused.status_code, code(refused)) == (403, "FORBIDDEN"), headers
    for headers in FROM_HERE:
        assert code(server.http.post(path, data=CHAT, headers=headers)) in (
            "CLUSTER_DOWN",
            "INVALID_REQUEST",
        ), headers


def test_nor_by_get(server: Server) -> None:
    refused = server.http.get("/zhipu/chat", params=CHAT, headers=FROM_ELSEWHERE[0])
    assert (refused.status_code, code(refused)) == (403, "FORBIDDEN")
    assert code(server.http.get("/zhipu/chat", params=CHAT)) == "CLUSTER_DOWN"


def test_the_operator_can_let_them_chat_and_nothing_else(alone: Callable[..., Server]) -> None:
    server = alone(GATEWAY_CROSS_SITE="1")
    for headers in FROM_ELSEWHERE:
        assert code(server.http.post("/zhipu/chat", data=CHAT, headers=headers)) == "CLUSTER_DOWN"
        assert (
            code(server.http.post("/zhipu/undeploy", data={"chat_name": "x"}, headers=headers))
            == "FORBIDDEN"
        )
    server.stop()


@pytest.fixture(scope="module")
def misled() -> Iterator[Browser]:
    """A browser whose resolver was told that evil.example is this machine."""
    with sync_playwright() as playwright:
        flags = [*FLAGS, "--host-resolver-rules=MAP evil.example 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=needed("chromium"), args=flags)
        yield browser
        browser.close()


def test_a_browser_that_is_misled_by_its_resolver_reads_nothing(
    misled: Browser, server: Server
) -> None:
    page = misled.new_page()
    reply = page.goto(f"http://evil.example:{server.port}/")
    assert reply
    asked: list[Any] = page.evaluate(
        """async (paths) => Promise.all(paths.map(async (path) => (await fetch(path)).status))""",
        ["/models", "/console/state", "/healthz"],
    )
    assert (reply.status, asked) == (403, [403, 403, 403])
    page.close()


def test_a_form_of_another_site_costs_nothing(
    misled: Browser, server: Server, standin: StandIn
) -> None:
    page = misled.new_page()
    page.goto(f"{standin.url.replace('127.0.0.1', 'evil.example')}/_requests/count")
    page.set_content(f"""<form method="post" action="{server.url}/zhipu/chat" enctype="text/plain">
        <input name='{{"chat_name": "x", "content": "' value='hello"}}'></form>""")
    with page.expect_navigation() as navigation:
        page.evaluate("document.forms[0].submit()")
    assert navigation.value.status == 403
    assert "FORBIDDEN" in page.content()
    page.close()


def test_a_link_from_another_site_opens_the_console(
    misled: Browser, server: Server, standin: StandIn
) -> None:
    page = misled.new_page()
    page.goto(f"{standin.url.replace('127.0.0.1', 'evil.example')}/_requests/count")
    page.set_content(f'<a href="{server.url}/">look</a>')
    with page.expect_navigation() as navigation:
        page.get_by_text("look").click()
    assert navigation.value.status == 200
    page.close()


@pytest.mark.parametrize("hosts", ["a b/c", "http://llm.example.com", "llm.example.com:8099", "*"])
def test_what_is_no_name_stops_the_start(hosts: str) -> None:
    with pytest.raises(SettingError, match="GATEWAY_HOSTS"):
        load({"GATEWAY_HOSTS": hosts})


FORWARDED = (
    "SCRIPT_NAME: /x",
    "Script-Name: /x",
    "PATH_INFO: /metrics",
    "X-Forwarded-Prefix: /x",
    "X-Script-Name: /x",
    "X-Original-URL: /metrics",
    "X-Rewrite-URL: /metrics",
)


@pytest.mark.parametrize("header", FORWARDED)
@pytest.mark.parametrize("path", ["/x/metrics", "/x/healthz", "/x"])
def test_a_path_is_what_was_asked_for_whatever_a_header_says(
    server: Server, header: str, path: str
) -> None:
    # A proxy that hides /metrics looks at the path.
    reply = raw_reply(server, f"GET {path} HTTP/1.0\r\n{header}\r\n\r\n".encode())
    assert reply.split()[1] == b"404"


def test_no_reply_is_taken_for_another_kind_than_its_own(server: Server) -> None:
    for path, status in (
        ("/", 200),
        ("/healthz", 200),
        ("/models", 503),
        ("/nonsense", 404),
        ("/openapi.json", 200),
    ):
        reply = server.http.get(path)
        assert (reply.status_code, reply.headers["X-Content-Type-Options"]) == (status, "nosniff")
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in raw_reply(
        server, b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n"
    )
