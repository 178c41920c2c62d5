"""nginx and Caddy before the gateway, and uWSGI in gunicorn's place: the real ones, with the very
files of deploy/."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead, stop
from tests.environment import TOP, clean_environment, free_port
from tests.server import Deploy, Server
from tests.slow import flood
from tests.standin.client import StandIn
from tests.starts import MAKE_RUN, refusal
from tests.streamed import ask, events, words
from tests.waiting import START_SECONDS, until

pytestmark = pytest.mark.reuses_chats

MAX_BODY_BYTES = 8 * 1024 * 1024
DEPLOY = TOP / "deploy"
UWSGI = (str(Path(sys.executable).parent / "uwsgi"), "deploy/uwsgi.ini")
A_WHILE = 30
OUR_NETWORK = "127.0.0.2"
"""Stands for an address in the operator's own networks; 127.0.0.1 for one on the outside."""


@pytest.fixture(scope="module")
def server(ray_head: RayHead, start_server: Callable[..., Server]) -> Iterator[Server]:
    """In place of the shared `server`: a gateway as it stands behind a proxy. Its access log shows
    the address that it takes for the client's."""
    behind_a_proxy = {
        "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
        "GATEWAY_OPEN": "1",
        "WEB_CONCURRENCY": "1",
    }
    started = start_server(
        {**ray_head.environment, **behind_a_proxy, "GUNICORN_CMD_ARGS": "--access-logfile=-"}
    )
    yield started
    started.stop()


@pytest.fixture(scope="module")
def gateway(server: Server) -> httpx.Client:
    """In place of the shared `gateway`: a client of this server."""
    return server.http


@dataclass(frozen=True)
class Certificate:
    """Of localhost, signed by itself."""

    pem: Path
    key: Path

    def client(self, port: int) -> httpx.Client:
        tls = ssl.create_default_context(cafile=str(self.pem))
        return httpx.Client(
            base_url=f"https://localhost:{port}", verify=tls, timeout=60, trust_env=False
        )


@dataclass(frozen=True)
class Proxy:
    """A running one. `http` talks TLS to it."""

    name: str
    tls_port: int
    plain_port: int
    http: httpx.Client

    def plain(self, source: str, request: bytes) -> bytes:
        """All that comes back from the plain port until it closes; called from the address
        `source`."""
        with socket.create_connection(
            ("127.0.0.1", self.plain_port), A_WHILE, (source, 0)
        ) as client:
            client.sendall(request)
            return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    made = Certificate(
        *(tmp_path_factory.mktemp("certificate") / name for name in ("gateway.pem", "gateway.key"))
    )
    kind = (
        "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext"
        " subjectAltName=DNS:localhost"
    )
    subprocess.run(
        ["openssl", *kind.split(), "-keyout", str(made.key), "-out", str(made.pem)],
        check=True,
        capture_output=True,
        timeout=A_WHILE,
    )
    return made


def changed(file: str, *changes: tuple[str, str]) -> str:
    """A file of deploy/ as an operator would edit it: each first text, which must stand there,
    becomes the second."""
    text = (DEPLOY / file).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def nginx(folder: Path, upstream: int, tls: int, plain: int, certificate: Certificate) -> list[str]:
    site = changed(
        "nginx.conf",
        ("127.0.0.1:8099", f"127.0.0.1:{upstream}"),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{tls} ssl;"),
        ("gateway.example.com", "localhost"),
        ("/etc/ssl/certs/gateway.pem", str(certificate.pem)),
        ("/etc/ssl/private/gateway.key", str(certificate.key)),
        ("10.0.0.0/8", f"{OUR_NETWORK}/32"),
    )
    (folder / "site.conf").write_text(site)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; gzip on; {temporary} include {folder}/site.conf; }}\n"
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    return [program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, upstream: int, tls: int, plain: int, certificate: Certificate) -> list[str]:
    site = changed(
        "Caddyfile",
        ("127.0.0.1:8099", f"127.0.0.1:{upstream}"),
        ("\ngateway.example.com {", f"\nlocalhost {{\n\ttls {certificate.pem} {certificate.key}"),
        ("10.0.0.0/8", f"{OUR_NETWORK}/32"),
        (
            "\n{\n",
            f"\n{{\nadmin off\nhttp_port {plain}\nhttps_port {tls}\ndefault_bind 127.0.0.1\n",
        ),
    )
    (folder / "Caddyfile").write_text(site)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


PROXIES = {"nginx": nginx, "caddy": caddy}
StartProxy = Callable[[str, int], Proxy]


@pytest.fixture(scope="module")
def start_proxy(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> Iterator[StartProxy]:
    """Start nginx or Caddy before a port; all of them end with the module."""
    started: list[subprocess.Popen[bytes]] = []
    clients: list[httpx.Client] = []

    def start(name: str, upstream: int) -> Proxy:
        folder = tmp_path_factory.mktemp(name)
        tls, plain = free_port(), free_port()
        command = PROXIES[name](folder, upstream, tls, plain, certificate)
        environment = {**clean_environment(), "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        log = folder / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=out, env=environment, start_new_session=True
            )
        started.append(process)
        deadline = time.monotonic() + A_WHILE
        for port in (tls, plain):
            while not listens(port):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        clients.append(certificate.client(tls))
        return Proxy(name, tls, plain, clients[-1])

    yield start
    for client in clients:
        client.close()
    for process in started:
        stop(process)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request: pytest.FixtureRequest, start_proxy: StartProxy, server: Server) -> Proxy:
    return start_proxy(request.param, server.port)


def chat(name: str, **more: Any) -> dict[str, Any]:
    return {"chat_name": name, "content": "hi", **more}


# nginx and Caddy


def test_a_chat_over_tls_is_the_gateways_own(proxy: Proxy, deploy: Deploy) -> None:
    reply = proxy.http.post(
        "/openai/chat", json=chat(deploy()), headers={"X-Request-Id": "my-own.1"}
    )

    assert (reply.status_code, reply.content) == (200, b'"openai:hi"')
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert reply.headers["X-Request-Id"] == "my-own.1"


@pytest.mark.parametrize(
    "behaviour", ["refuse:openai-insufficient_quota", "refuse:openai-invalid_api_key", "drop"]
)
def test_the_gateways_errors_pass_as_they_are(
    proxy: Proxy, gateway: httpx.Client, deploy: Deploy, behaviour: str
) -> None:
    body = chat(deploy(model_name=behaviour))
    headers = {"X-Request-Id": "the-same"}

    direct, through = (
        to.post("/openai/chat", json=body, headers=headers) for to in (gateway, proxy.http)
    )

    assert (through.status_code, through.json()) == (direct.status_code, direct.json())
    assert through.json()["error"]["message_zh"]


def hear_one_word_and_leave(
    http: httpx.Client, path: str, body: dict[str, Any], standin: StandIn, key: str
) -> None:
    """The first word comes while the provider still speaks, whose request ends when the client
    goes."""
    with http.stream("POST", path, json=body) as reply:
        answer = ""
        for piece in reply.iter_text():
            answer += piece
            if "w0" in answer:
                break
        assert "w1" not in answer
        assert standin.open(key) == 1, "the provider had said all before the first word came"

    until(lambda: standin.open(key) == 0)


@pytest.mark.parametrize("path", ["/openai/chat", "/v1/chat/completions"])
def test_a_stream_comes_word_by_word_and_ends_with_its_client(
    proxy: Proxy, deploy: Deploy, standin: StandIn, key: str, path: str
) -> None:
    name = deploy(model_name="stream:2:100")  # the second word is 50 s away
    body = {**ask(name), **chat(name)} if path.startswith("/v1") else chat(name, stream=True)

    hear_one_word_and_leave(proxy.http, path, body, standin, key)


def test_a_stream_is_whole_and_in_order(proxy: Proxy, deploy: Deploy) -> None:
    text = proxy.http.post("/v1/chat/completions", json=ask(deploy(model_name="stream:50:1"))).text

    assert words(text).split() == [f"w{n}" for n in range(50)]
    assert events(text)[-1] == "[DONE]"


def test_a_stream_that_breaks_off_says_so(proxy: Proxy, deploy: Deploy) -> None:
    text = proxy.http.post("/v1/chat/completions", json=ask(deploy(model_name="drop-mid"))).text

    last = events(text)[-1]
    assert isinstance(last, dict)
    assert last["error"]["code"] == "PROVIDER_DOWN"


def test_a_text_that_breaks_off_is_not_mistaken_for_a_whole_one(
    start_proxy: StartProxy, server: Server, deploy: Deploy
) -> None:
    proxy = start_proxy("nginx", server.port)  # Caddy 2.6 cannot: see deploy/Caddyfile
    with pytest.raises(httpx.RemoteProtocolError):
        proxy.http.post("/openai/chat", json=chat(deploy(model_name="drop-mid"), stream=True))


def test_a_body_up_to_the_limit_passes_and_one_byte_more_is_too_large(
    proxy: Proxy, deploy: Deploy
) -> None:
    body = json.dumps(chat(deploy())).encode()

    fits = proxy.http.post("/openai/chat", content=body.ljust(MAX_BODY_BYTES))
    # A connection of its own: this one is closed under the client's hands.
    too_large = proxy.http.post("/openai/chat", content=body.ljust(MAX_BODY_BYTES + 1))

    assert (fits.status_code, fits.json()) == (200, "openai:hi")
    assert (too_large.status_code, too_large.json()["error"]["code"]) == (413, "TOO_LARGE")
    assert too_large.json()["error"]["message_zh"]


@pytest.mark.parametrize(
    "spelling", ["X-Forwarded-For", "X_Forwarded_For", "X-Forwarded_For", "X_FORWARDED-FOR"]
)
def test_what_a_client_says_about_its_address_is_not_believed(
    proxy: Proxy, server: Server, spelling: str
) -> None:
    path = f"/healthz?{proxy.name}-{spelling}"
    request = (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{spelling}:"
        " 203.0.113.9\r\n\r\n".encode()
    )

    assert proxy.plain(OUR_NETWORK, request).startswith(b"HTTP/1.1 200")

    assert callers(server, path) == [OUR_NETWORK]


@pytest.mark.parametrize(
    "target",
    [
        "/metrics",
        "/metrics?x=1",
        "/metrics/",
        "//metrics",
        "/./metrics",
        "/v1/../metrics",
        "/%6Detrics",
        "/metrics%2f",
    ],
)
def test_metrics_are_not_for_the_outside(proxy: Proxy, server: Server, target: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    head, _, body = proxy.plain(OUR_NETWORK, request).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 404")
    assert json.loads(body)["error"]["code"] == "INVALID_REQUEST"
    assert '"GET /metrics' not in server.log.read_text(), "the gateway was asked"


@pytest.mark.parametrize("stream", [False, True])
def test_an_old_client_of_our_own_networks_needs_no_tls(
    proxy: Proxy, deploy: Deploy, stream: bool
) -> None:
    body = json.dumps(chat(deploy(model_name="stream:3"), stream=stream))
    # As before 1997: it says neither whom it calls, nor that it can read chunks.
    sent = f"POST /openai/chat HTTP/1.0\r\nContent-Length: {len(body):04}\r\n\r\n{body}"

    head, _, answer = proxy.plain(OUR_NETWORK, sent.encode()).partition(b"\r\n\r\n")

    assert head.split()[1] == b"200"
    assert b"chunked" not in head.lower()
    assert answer == (b"w0 w1 w2" if stream else b'"w0 w1 w2"')


def test_the_outside_needs_tls(proxy: Proxy, server: Server) -> None:
    path = f"/healthz?plain-{proxy.name}"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    head, _, body = proxy.plain("127.0.0.1", request).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 403")
    assert json.loads(body)["error"]["code"] == "FORBIDDEN"
    assert "https" in json.loads(body)["error"]["message"]
    assert path not in server.log.read_text()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_broken_tls_is_refused(proxy: Proxy, version: ssl.TLSVersion) -> None:
    old = ssl.create_default_context()
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", proxy.tls_port), A_WHILE) as plain,
        pytest.raises(ssl.SSLError),
    ):
        old.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.long
def test_slow_heads_keep_nobody_out_and_are_let_go(proxy: Proxy, deploy: Deploy) -> None:
    name = deploy()
    with flood(proxy.plain_port, 300, seconds=5) as clients:
        assert proxy.http.post("/openai/chat", json=chat(name)).json() == "openai:hi"
        until(lambda: clients.closed >= 300, 60)
        assert proxy.http.post("/openai/chat", json=chat(name)).json() == "openai:hi"


@pytest.mark.parametrize("name", PROXIES)
def test_while_the_gateway_is_down_the_proxy_says_so_in_its_shape(
    start_proxy: StartProxy, name: str
) -> None:
    reply = start_proxy(name, free_port()).http.post("/openai/chat", json=chat("shop_chat"))

    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "GATEWAY_BUSY")
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert reply.headers["Retry-After"] == "2"
    assert "网关" in reply.json()["error"]["message_zh"]


# GATEWAY_TRUSTED_PROXIES


def callers(server: Server, path: str) -> list[str]:
    """From where this path was asked for, by the gateway's access log."""
    until(lambda: path in server.log.read_text())
    return [
        line.split()[0] for line in server.log.read_text().splitlines() if f'"GET {path} ' in line
    ]


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        # the first was written by the client
        ("127.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "203.0.113.9, 198.51.100.7, 127.0.0.1", "198.51.100.7"),  # two proxies
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", "<script>", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.2", "198.51.100.7", "127.0.0.2"),  # no trusted proxy
    ],
)
def test_an_address_is_believed_of_a_trusted_proxy_only(
    server: Server, peer: str, forwarded: str, caller: str
) -> None:
    path = f"/healthz?{time.monotonic_ns()}"
    transport = httpx.HTTPTransport(local_address=peer)
    with httpx.Client(base_url=server.url, transport=transport) as client:
        client.get(path, headers={"X-Forwarded-For": forwarded})

    assert callers(server, path) == [caller]


@pytest.mark.parametrize("wrong", ["nginx", "10.0.0.1/8", "127.0.0.1;10.0.0.1", "*"])
def test_wrong_trusted_proxies_end_the_start_with_one_clear_line(wrong: str) -> None:
    line = refusal(
        MAKE_RUN, f"127.0.0.1:{free_port()}", GATEWAY_TRUSTED_PROXIES=wrong, GATEWAY_OPEN="1"
    )
    assert "GATEWAY_TRUSTED_PROXIES" in line


def test_a_proxy_before_a_gateway_open_to_everyone_ends_the_start_with_one_clear_line() -> None:
    line = refusal(MAKE_RUN, f"127.0.0.1:{free_port()}", GATEWAY_TRUSTED_PROXIES="127.0.0.1")
    for name in (
        "GATEWAY_TRUSTED_PROXIES",
        "GATEWAY_TOKENS",
        "GATEWAY_TOKENS_FILE",
        "GATEWAY_OPEN=1",
    ):
        assert name in line


# uWSGI


@pytest.fixture(scope="module")
def uwsgi(ray_head: RayHead, start_server: Callable[..., Server]) -> Iterator[Server]:
    environment = {**ray_head.environment, "WEB_CONCURRENCY": "2", "GATEWAY_ALLOW_GET": "1"}
    started = start_server(environment, command=UWSGI)
    yield started
    started.stop()


def test_uwsgi_serves_chats_and_errors(uwsgi: Server, deploy: Deploy) -> None:
    name = deploy()

    assert uwsgi.http.post("/openai/chat", json=chat(name)).json() == "openai:hi"

    def refusal() -> tuple[int, str]:
        reply = uwsgi.http.post("/openai/chat", json=chat("no-such-chat"))
        return reply.status_code, reply.json()["error"]["code"]

    # On a busy machine the second process may still be connecting, and says so.
    until(lambda: all(refusal() != (503, "CLUSTER_DOWN") for _ in range(16)))
    assert refusal() == (404, "NOT_DEPLOYED")
    assert uwsgi.http.head("/healthz").status_code == 200
    assert "AttributeError" not in uwsgi.log.read_text()


def test_uwsgi_has_the_processes_that_were_asked_for(uwsgi: Server) -> None:
    assert len(psutil.Process(uwsgi.process.pid).children()) == 2


@pytest.mark.parametrize("path", ["/openai/chat", "/v1/chat/completions"])
def test_uwsgi_streams_word_by_word_and_notices_that_its_client_has_gone(
    uwsgi: Server, deploy: Deploy, standin: StandIn, key: str, path: str
) -> None:
    name = deploy(model_name="stream:2:100")
    body = {**ask(name), **chat(name)} if path.startswith("/v1") else chat(name, stream=True)

    hear_one_word_and_leave(uwsgi.http, path, body, standin, key)


def test_uwsgi_streams_are_whole_and_one_that_breaks_off_is_not_mistaken_for_it(
    uwsgi: Server, deploy: Deploy
) -> None:
    text = uwsgi.http.post("/v1/chat/completions", json=ask(deploy(model_name="stream:50:1"))).text
    assert words(text).split() == [f"w{n}" for n in range(50)]

    with pytest.raises(httpx.RemoteProtocolError):
        uwsgi.http.post("/openai/chat", json=chat(deploy(model_name="drop-mid"), stream=True))


def test_uwsgi_reads_requests_in_chunks_and_refuses_what_is_too_large(
    uwsgi: Server, deploy: Deploy
) -> None:
    body = json.dumps(chat(deploy())).encode()

    in_chunks = uwsgi.http.post("/openai/chat", content=iter([body[:9], body[9:]]))
    fits = uwsgi.http.post("/openai/chat", content=body.ljust(MAX_BODY_BYTES))
    too_large = uwsgi.http.post("/openai/chat", content=body.ljust(MAX_BODY_BYTES + 1))

    assert in_chunks.request.headers["Transfer-Encoding"] == "chunked"
    assert in_chunks.json() == fits.json() == "openai:hi"
    assert (too_large.status_code, too_large.json()["error"]["code"]) == (413, "TOO_LARGE")


def sent_by_hand(server: Server, request: bytes) -> bytes:
    """All that comes back until uWSGI hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), A_WHILE) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_uwsgi_reads_chinese_in_a_url(uwsgi: Server, deploy: Deploy, charset: str) -> None:
    url = f"/openai/chat?format=text&chat_name={deploy()}&content=你好+%2B".encode(charset)

    for line in (b"GET %b HTTP/1.0" % url, b"POST %b HTTP/1.0\r\nContent-Length: 0" % url):
        assert sent_by_hand(uwsgi, line + b"\r\n\r\n").endswith("openai:你好 +".encode())


def test_uwsgi_tells_head_and_options_without_asking_anybody(
    uwsgi: Server, deploy: Deploy, standin: StandIn, key: str
) -> None:
    url = f"/openai/chat?chat_name={deploy()}&content=hi"

    for method in ("HEAD", "OPTIONS"):
        reply = uwsgi.http.request(method, url)
        assert (reply.status_code, reply.content) == (200, b"")
    assert set(reply.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert standin.requests(key) == []


def test_uwsgi_unpacks_a_body_and_no_bomb(uwsgi: Server, deploy: Deploy) -> None:
    packed = gzip.compress(json.dumps(chat(deploy())).encode())
    for body in (packed, iter([packed])):
        reply = uwsgi.http.post("/openai/chat", content=body, headers={"Content-Encoding": "gzip"})
        assert reply.json() == "openai:hi"
    assert (
        uwsgi.http.post("/openai/chat", content=gzip.compress(bytes(100_000_000))).status_code
        == 413
    )


@pytest.mark.parametrize("name", PROXIES)
def test_uwsgi_behind_a_proxy(
    uwsgi: Server, start_proxy: StartProxy, deploy: Deploy, name: str
) -> None:
    proxy = start_proxy(name, uwsgi.port)

    assert proxy.http.post("/openai/chat", json=chat(deploy())).json() == "openai:hi"
    text = proxy.http.post("/v1/chat/completions", json=ask(deploy(model_name="stream:5:0.5"))).text
    assert events(text)[-1] == "[DONE]"


def test_uwsgi_answers_the_chats_under_way_before_it_stops(
    ray_head: RayHead,
    start_server: Callable[..., Server],
    deploy: Deploy,
    standin: StandIn,
    key: str,
) -> None:
    uwsgi = start_server(ray_head.environment, command=UWSGI)
    slow, stream = deploy(model_name="slow:4"), deploy(model_name="stream:8:4")
    with ThreadPoolExecutor(2) as pool:
        answers = [
            pool.submit(
                httpx.post, f"{uwsgi.url}/openai/chat", json=body, timeout=60, trust_env=False
            )
            for body in (chat(slow), chat(stream, stream=True))
        ]
        until(lambda: standin.open(key) == 2)
        uwsgi.process.send_signal(signal.SIGTERM)
        whole, spoken = (answer.result() for answer in answers)

    assert (whole.status_code, whole.json()) == (200, "openai:hi")
    assert spoken.text == "w0 w1 w2 w3 w4 w5 w6 w7"
    assert uwsgi.process.wait(A_WHILE) == 0


@pytest.mark.long
def test_a_wrong_setting_ends_uwsgi_and_is_named(start_server: Callable[..., Server]) -> None:
    wrong = start_server({"GATEWAY_MAX_BODY_BYTES": "lots"}, ready=False, command=UWSGI)

    assert wrong.process.wait(START_SECONDS) != 0
    assert "GATEWAY_MAX_BODY_BYTES" in wrong.log.read_text()


WHO = """
from ipaddress import ip_network
from gateway.web.proxies import see_through

def who(environ, start_response):
    start_response("200 OK", [("Connection", "close")])
    return [environ["REMOTE_ADDR"].encode()]

application = see_through(who, (ip_network("127.0.0.1"),))
"""


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize(
    "spelling", ["X-Forwarded-For", "X_Forwarded_For", "X-Forwarded_For", "X_FORWARDED-FOR"]
)
def test_uwsgi_behind_a_proxy_believes_no_client(
    who: int, start_proxy: StartProxy, name: str, spelling: str
) -> None:
    request = f"GET / HTTP/1.0\r\nHost: localhost\r\n{spelling}: 203.0.113.9\r\n\r\n".encode()

    assert start_proxy(name, who).plain(OUR_NETWORK, request).endswith(OUR_NETWORK.encode())


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a uWSGI that says whom it takes its client for: uWSGI's log does not show what
    the gateway sees."""
    folder, port = tmp_path_factory.mktemp("who"), free_port()
    (folder / "who.py").write_text(WHO)
    command = [
        UWSGI[0],
        "--http-socket",
        f"127.0.0.1:{port}",
        "--wsgi-file",
        str(folder / "who.py"),
        "--need-app",
    ]
    with (folder / "log").open("wb") as out:
        process = subprocess.Popen(
            [*command, "--die-on-term"],
            cwd=TOP,
            env=dict(os.environ),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    until(lambda: listens(port))
    yield port
    stop(process)
