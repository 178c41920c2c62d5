"""Nothing hangs, nothing is lost: limits of time and number."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.server import GUNICORN, Deploy, Server
from tests.standin.client import StandIn
from tests.waiting import until

HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_64_chats_at_once_are_all_answered_with_their_own_answer(
    server: Server, deploy: Deploy
) -> None:
    name = deploy(model_name="slow:2")

    def ask(number: int) -> tuple[str, float]:
        # A connection each, so that both processes take part.
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
            started = time.monotonic()
            reply = client.post(
                "/openai/chat", json={"chat_name": name, "content": f"question {number}"}
            )
            return reply.json(), time.monotonic() - started

    with ThreadPoolExecutor(64) as pool:
        words = list(pool.map(ask, range(64)))

    assert [answer for answer, _ in words] == [f"openai:question {number}" for number in range(64)]
    assert max(seconds for _, seconds in words) < 20, "one after the other would take 128 s"


def test_more_chats_than_the_usual_limit_of_files_are_held_at_once(
    start_server: Callable[..., Server],
    ray_head: RayHead,
    deploy: Deploy,
    standin: StandIn,
    key: str,
) -> None:
    few_files = ("bash", "-c", 'ulimit -S -n 256 && exec "$@"', "bash", *GUNICORN)
    small = start_server({**ray_head.environment, "WEB_CONCURRENCY": "1"}, command=few_files)
    name = deploy(model_name="slow:3")

    def ask(number: int) -> int:
        json = {"chat_name": name, "content": f"question {number}"}
        return httpx.post(
            f"{small.url}/openai/chat", json=json, timeout=60, trust_env=False
        ).status_code

    with ThreadPoolExecutor(300) as pool:
        assert set(pool.map(ask, range(300))) == {200}
    assert standin.count(key) == 300
    small.stop()


def test_four_workers_fit_two_cores(gateway: httpx.Client, deploy: Deploy) -> None:
    name = deploy(workers=4)

    assert (
        gateway.post("/openai/chat", json={"chat_name": name, "content": "hi"}).json()
        == "openai:hi"
    )
    fewer = deploy(workers="1", chat_name=name)
    [row] = [row for row in gateway.get("/models").json()["models"] if row["chat_name"] == fewer]
    assert row["replicas"] == 1
    assert (
        gateway.post("/openai/chat", json={"chat_name": name, "content": "hi"}).json()
        == "openai:hi"
    )


@pytest.mark.parametrize("behaviour", ["hang", "drip", "slow:30"])
def test_a_chat_ends_at_its_own_timeout(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str, behaviour: str
) -> None:
    name = deploy(model_name=behaviour, timeout=1)
    started = time.monotonic()

    reply = gateway.post("/openai/chat", json={"chat_name": name, "content": "hi"})

    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "TIMEOUT")
    assert 1 <= time.monotonic() - started < 10
    assert "1 s" in reply.json()["error"]["message"]
    until(lambda: standin.open(key) == 0, 5)  # the provider's request is not left open


def test_chats_beyond_the_limit_are_told_to_wait_and_the_rest_still_answers(
    start_server: Callable[..., Server],
    ray_head: RayHead,
    deploy: Deploy,
    standin: StandIn,
    key: str,
) -> None:
    small = start_server(
        {**ray_head.environment, "GATEWAY_MAX_IN_FLIGHT": "2", "WEB_CONCURRENCY": "1"}
    )
    name = deploy(model_name="slow:3")
    ask = {"chat_name": name, "content": "hi"}
    with ThreadPoolExecutor(2) as pool:
        asks = [{**ask, "content": f"question {number}"} for number in range(2)]
        taken = [
            pool.submit(httpx.post, f"{small.url}/openai/chat", json=one, timeout=60)
            for one in asks
        ]
        deadline = time.monotonic() + 20
        while standin.open(key) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)

        refused = small.http.post("/openai/chat", json=ask)

        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "GATEWAY_BUSY")
        assert int(refused.headers["Retry-After"]) >= 1
        assert small.http.get("/healthz").status_code == 200
        assert [call.result().status_code for call in taken] == [200, 200]
    assert small.http.post("/openai/chat", json=ask).status_code == 200
    small.stop()


def test_clients_that_keep_their_connections_keep_no_one_waiting(
    start_server: Callable[..., Server], ray_head: RayHead
) -> None:
    # 34 threads
    small = start_server(
        {**ray_head.environment, "GATEWAY_MAX_IN_FLIGHT": "1", "WEB_CONCURRENCY": "1"}
    )
    with ExitStack() as rest:
        clients = [
            rest.enter_context(socket.create_connection(("127.0.0.1", small.port), 60))
            for _ in range(100)
        ]
        for client in clients:
            client.sendall(HEALTHZ)
            assert client.recv(65536).startswith(b"HTTP/1.1 200")

        small.process.send_signal(signal.SIGTERM)
        assert small.process.wait(60) == 0, "chats under way would have 120 s, and there are none"


def test_a_reply_goes_out_in_one_piece(server: Server) -> None:
    def first_piece(client: socket.socket) -> bytes:
        """Looked for without a pause: who sleeps is woken late enough for a second piece to be
        there, too."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                return client.recv(65536, socket.MSG_DONTWAIT)
        raise TimeoutError

    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        for _ in range(50):
            client.sendall(HEALTHZ)
            head, _, body = first_piece(client).partition(b"\r\n\r\n")
            assert body
            assert f"Content-Length: {len(body)}\r\n".encode() in head


@pytest.mark.parametrize(
    "request_line",
    [
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        (
            b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length:"
            b" 3\r\n\r\n{}"
        ),
        b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: nonsense\r\n\r\n{}",
        (
            b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:"
            b" chunked\r\n\r\nzz\r\n"
        ),
    ],
)
def test_what_is_no_http_gets_the_error_shape_too(server: Server, request_line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(request_line)
        reply = b""
        while piece := client.recv(65536):
            reply += piece
            if b"\r\n\r\n" in reply and reply.endswith(b"}}"):
                break

    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4")
    assert json.loads(body)["error"]["code"] in ("INVALID_REQUEST", "TOO_LARGE")
    assert b"<" not in body


def test_a_client_that_falls_silent_is_let_go(server: Server) -> None:
    begun = b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\n"
    promised = begun + b"Content-Length: 5000\r\n\r\n{"

    def reply_to(sent: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", server.port), timeout=180) as client:
            client.sendall(sent)
            reply = b""
            # The connection may be kept: the reply is at its end with its JSON.
            while not reply.endswith(b"}}\n") and (more := client.recv(65536)):
                reply += more
            return reply

    with ThreadPoolExecutor(2) as pool:
        headless, bodiless = pool.map(reply_to, (begun, promised))

    assert headless == b""
    assert b"The body could not be read to its end" in bodiless
