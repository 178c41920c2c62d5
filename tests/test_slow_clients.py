"""Clients that send or read next to nothing keep nobody waiting, and are let go."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from gateway.web.worker import MOST_OF_ONE
from tests.environment import TOP, clean_environment
from tests.server import GUNICORN, Deploy, Server
from tests.slow import BEGUN, flood

PATIENCE = 10
"""Seconds that a client waits for an answer which takes none: what is held up at all is held up for
longer."""

ENDS_SECONDS = 75
"""A slow client is let go after 30 s, or after two waits of 30 s each."""

CLOSING = b"GET /healthz HTTP/1.0\r\n\r\n"


@pytest.fixture(scope="module")
def small(start_server: Callable[..., Server], ray_head: RayHead) -> Iterator[Server]:
    """A gateway of one process with 40 threads and at most 600 files."""
    few_files = ("bash", "-c", 'ulimit -n 600 && exec "$@"', "bash", *GUNICORN)
    settings = {"WEB_CONCURRENCY": "1", "GATEWAY_MAX_IN_FLIGHT": "8"}
    started = start_server({**ray_head.environment, **settings}, command=few_files)
    yield started
    started.stop()


def goes_on(server: Server, name: str) -> None:
    """Health and chats, each on a connection of its own."""
    for number in range(10):
        with httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False) as client:
            assert client.get("/healthz").status_code == 200
            reply = client.post("/openai/chat", json={"chat_name": name, "content": f"{number}"})
            assert reply.json() == f"openai:{number}", reply.text


def test_5000_slow_heads_keep_nobody_waiting(server: Server, deploy: Deploy) -> None:
    name = deploy()
    with flood(server.port, 5000):
        goes_on(server, name)
        time.sleep(25)  # a byte more of each
        goes_on(server, name)


@pytest.mark.parametrize(
    "first", [BEGUN, b"", b"\r\n", b"GET", b"GET /healthz HTTP/1.1\r\n\r\nGET /hea"]
)
def test_where_files_are_few_the_oldest_give_way(
    small: Server, deploy: Deploy, first: bytes
) -> None:
    name = deploy()
    with flood(small.port, 700, first, 1) as clients:
        goes_on(small, name)
        assert clients.closed
    assert "Traceback" not in small.log.read_text()


def test_who_does_not_hang_up_keeps_nobody_waiting(small: Server, deploy: Deploy) -> None:
    name = deploy()
    with flood(small.port, 100, CLOSING, again=False):
        goes_on(small, name)


def test_a_body_that_nobody_wants_is_not_waited_for(
    start_server: Callable[..., Server], ray_head: RayHead
) -> None:
    settings = {
        "WEB_CONCURRENCY": "1",
        "GATEWAY_MAX_IN_FLIGHT": "1",
        "GATEWAY_TOKENS": "app:a-token-of-mine:chat",
    }
    guarded = start_server({**ray_head.environment, **settings})
    unwanted = b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n{"
    # at 5 s each, in 33 threads, they would take 45 s
    with flood(guarded.port, 300, unwanted, again=False):
        for _ in range(5):
            assert (
                httpx.get(f"{guarded.url}/healthz", timeout=PATIENCE, trust_env=False).status_code
                == 200
            )
    guarded.stop()


def dripping(server: Server, sent: bytes) -> bytes:
    """What comes back for a request that goes on byte by byte, until the server hangs up."""
    deadline = time.monotonic() + ENDS_SECONDS
    with socket.create_connection(("127.0.0.1", server.port), 1) as client:
        client.sendall(sent)
        reply = b""
        while time.monotonic() < deadline:
            try:
                client.sendall(b"x")
                piece = client.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return reply
            if not piece:
                return reply
            reply += piece
    raise AssertionError("it was not let go")


def sipped(server: Server, name: str, size: int) -> int:
    """How much of a long answer reaches a client that reads 200 bytes a second, and what is there
    at the end."""
    body = json.dumps({"chat_name": name, "content": "hi"}).encode()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(ENDS_SECONDS)
        client.connect(("127.0.0.1", server.port))
        client.sendall(
            b"POST /openai/chat HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        count = 0
        for _ in range(ENDS_SECONDS):
            count += len(client.recv(200))
            time.sleep(1)  # slow, which is what is tested
        try:
            while count < size and (piece := client.recv(65536)):
                count += len(piece)
        except ConnectionResetError:
            pass
        return count


@pytest.mark.long
def test_slow_clients_are_let_go(server: Server, deploy: Deploy) -> None:
    size = 12_000_000
    name = deploy(model_name=f"big:{size}")
    rest = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + BEGUN
    body = b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n{"
    chunks = (
        b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:"
        b" chunked\r\n\r\nffff\r\n"
    )
    with ThreadPoolExecutor(5) as pool:
        heads = [pool.submit(dripping, server, sent) for sent in (BEGUN, rest, body, chunks)]
        sip = pool.submit(sipped, server, name, size)
        begun, after_another, half_a_body, half_a_chunk = (reply.result() for reply in heads)

        assert begun == b""
        assert after_another.count(b"HTTP/1.1 200") == 1
        for reply in (half_a_body, half_a_chunk):
            assert reply.startswith(b"HTTP/1.1 400")
            assert b"The body could not be read to its end" in reply
        assert sip.result() < size


@pytest.mark.long
def test_a_slow_client_that_sends_enough_is_waited_for(server: Server, deploy: Deploy) -> None:
    body = json.dumps({"chat_name": deploy(), "content": "hi"}).encode()
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        for piece in (
            b"POST /openai/chat HTTP/1.0\r\nContent",
            b"-Length: %d\r\n\r\n" % len(body),
            body[:9],
            body[9:],
        ):
            client.sendall(piece)
            time.sleep(5)  # slow, which is what is tested
        assert b"".join(iter(lambda: client.recv(65536), b"")).endswith(b'\r\n\r\n"openai:hi"')


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_head_may_come_byte_by_byte(server: Server, end: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /healthz HTTP/1.0" + end + b"X: y" + end + end:
            client.sendall(bytes([byte]))
            time.sleep(0.01)
        assert client.recv(65536).startswith(b"HTTP/1.0 200 ")


def test_several_requests_may_come_in_any_pieces(server: Server) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        three = one * 2 + one.replace(b"Host", b"Connection: close\r\nHost")
        for piece in (three[:60], three[60:70], three[70:]):
            client.sendall(piece)
            time.sleep(0.1)
        reply = b"".join(iter(lambda: client.recv(65536), b""))
    assert reply.count(b"HTTP/1.1 200 ") == 3


def test_a_head_that_never_ends_is_refused(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        client.sendall(BEGUN + b"y: z\r\nX-" * 10000)
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_one_address_has_a_share_of_the_connections_that_wait(tmp_path: Path) -> None:
    # In a network of its own, since loopback has no limit.
    apart = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*apart, "true"], capture_output=True, timeout=60, check=False).returncode:
        pytest.skip("this machine lets nobody have a network of their own")
    settings = {
        "GATEWAY_BIND": "192.0.2.1:8099",
        "GATEWAY_TOKENS": "app:a-token-of-mine:chat",
        "WEB_CONCURRENCY": "1",
    }
    settings["RAY_ADDRESS"] = "127.0.0.1:9"
    with (tmp_path / "log").open("w") as log:
        ended = subprocess.run(
            [*apart, sys.executable, "-m", "tests.one_address"],
            env={**clean_environment(), **settings},
            cwd=TOP,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            timeout=120,
            check=False,
        )
    assert ended.stdout == f"{MOST_OF_ONE}\n", (tmp_path / "log").read_text()
