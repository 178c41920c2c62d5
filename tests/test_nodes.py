"""A cluster of several nodes: replicas on each, and one of the nodes killed under load."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
import pytest

from gateway.channel import frame
from gateway.commands.ray_head import RayHead, stop
from gateway.frames import Kind
from tests.further_node import actors_of, start_node
from tests.load import ANSWERED, load, print_recovery
from tests.processes import control_store
from tests.server import Server, running_head
from tests.standin.client import StandIn
from tests.waiting import until


@pytest.fixture(scope="module")
def nodes(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RayHead, subprocess.Popen[bytes]]]:
    with running_head() as head:
        node = start_node(head, tmp_path_factory.mktemp("node"))
        yield head, node
        stop(node)


@pytest.fixture(scope="module")
def wide(
    nodes: tuple[RayHead, subprocess.Popen[bytes]], start_server: Callable[..., Server]
) -> Iterator[Server]:
    server = start_server(nodes[0].environment)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def spread(
    nodes: tuple[RayHead, subprocess.Popen[bytes]], wide: Server, standin: StandIn
) -> Iterator[str]:
    """A chat with replicas on both nodes."""
    body = {"chat_name": "spread", "api_key": "sk-spread", "model_name": "slow:0.2", "workers": 4}

    def on_both() -> bool:
        deployed = wide.http.post(
            "/openai/deploy", json={**body, "base_url": standin.base_url("openai")}
        )
        assert deployed.json() == {"ret": "ok"}, deployed.text
        if 0 < len(actors_of(nodes[1])) < 4:
            return True
        # the node is not there yet
        wide.http.post("/openai/undeploy", json={"chat_name": "spread"})
        return False

    until(on_both)
    yield "spread"
    wide.http.post("/openai/undeploy", json={"chat_name": "spread"})


def test_replicas_on_both_nodes_answer_and_stream(
    nodes: tuple[RayHead, subprocess.Popen[bytes]], wide: Server, spread: str, standin: StandIn
) -> None:
    ask = {"chat_name": spread, "content": "hi"}
    for _ in range(16):
        assert wide.http.post("/openai/chat", json=ask).json() == "openai:hi"
        assert wide.http.post("/openai/chat", json={**ask, "stream": True}).text == "openai:hi"

    # The gateway is on the head's node, so it talks to the other one over TLS, and only to that.
    elsewhere = {process.pid for process in actors_of(nodes[1])}
    listening = {pid for pid in elsewhere if open_ports(pid)}
    assert listening == elsewhere


def open_ports(pid: int) -> list[tuple[str, int]]:
    """The ports of a model actor that let gateway processes in: Ray's own are on all addresses."""
    rows = psutil.Process(pid).net_connections("tcp")
    return [
        (row.laddr.ip, row.laddr.port)
        for row in rows
        if row.status == psutil.CONN_LISTEN and row.laddr.ip not in ("0.0.0.0", "::")
    ]


def test_a_port_lets_nobody_in_who_does_not_know_the_secret(
    nodes: tuple[RayHead, subprocess.Popen[bytes]], wide: Server, spread: str
) -> None:
    for _ in range(8):
        wide.http.post("/openai/chat", json={"chat_name": spread, "content": "hi"})
    host, port = open_ports(actors_of(nodes[1])[0].pid)[0]
    request = b'["answer","/chat/completions","spread",""]\n{"messages":[]}'
    for knock in (b"0" * 64, request, b"x" * 5000):
        for stranger in (socket.create_connection((host, port), timeout=20), secured(host, port)):
            with stranger, suppress(ConnectionResetError):
                stranger.sendall(frame(Kind.REQUEST, knock) + frame(Kind.REQUEST, request))
                assert stranger.recv(1000) == b""


def secured(host: str, port: int) -> ssl.SSLSocket:
    """A connection under TLS, of somebody who takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection((host, port), timeout=20))


def test_a_control_store_that_is_killed_is_missed_on_no_node(
    nodes: tuple[RayHead, subprocess.Popen[bytes]], wide: Server, spread: str
) -> None:
    before = {process.pid for process in actors_of(nodes[1])}
    store = control_store(nodes[0])
    with load(wide.url, spread) as chats:
        chats.answered_again(0, 30)
        store.kill()
        killed = time.monotonic()
        again = chats.answered_again(killed, 60)
        time.sleep(5)
    print_recovery("the control store of two nodes", chats, killed, again)

    assert not chats.failed()
    assert {process.pid for process in actors_of(nodes[1])} == before


def test_a_node_that_is_killed_under_load_loses_no_chat(
    nodes: tuple[RayHead, subprocess.Popen[bytes]], wide: Server, spread: str
) -> None:
    with load(wide.url, spread) as chats:
        chats.answered_again(0, 30)
        os.killpg(nodes[1].pid, signal.SIGKILL)
        killed = time.monotonic()
        again = chats.answered_again(killed, 60)
        time.sleep(5)
    print_recovery("one node of two", chats, killed, again)

    assert set(chats.failed()) == set(), chats.failed()
    assert chats.outcomes(killed)[ANSWERED] > 100

    def told_of() -> list[int]:
        # The directory may have been on that node too, and says CLUSTER_DOWN until it is back.
        return [row["replicas"] for row in wide.http.get("/models").json().get("models", [])]

    until(lambda: told_of() == [4])  # on the node that is left
