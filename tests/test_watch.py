"""What an operator sees of each request: a line in the log, and metrics that are right across the
processes."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.environment import free_port
from tests.metrics import value
from tests.processes import actor_process
from tests.server import GUNICORN, Deploy, Server
from tests.standin.client import StandIn
from tests.waiting import until

TOKENS = "ops:sk-watch-admin:chat,admin\napp:sk-watch-app:chat"
PROMPT, SECRET = "a-prompt-nobody-else-should-read", "sk-key-nobody-should-read"


def lines(server: Server) -> list[dict[str, Any]]:
    """The log's lines about requests."""
    return [
        json.loads(line)
        for line in server.log.read_text().splitlines()
        if line.startswith('{"time"')
    ]


def line(server: Server, request_id: str) -> dict[str, Any]:
    """The one line of a request; it is written when the reply has been sent."""
    until(lambda: any(row["request_id"] == request_id for row in lines(server)), 20)
    [row] = [row for row in lines(server) if row["request_id"] == request_id]
    return row


def test_a_chat_is_one_line_of_json(
    server: Server, gateway: httpx.Client, deploy: Deploy, key: str
) -> None:
    name = deploy(model_name="slow:0.2")
    reply = gateway.post("/zhipu/chat", json={"chat_name": name, "content": PROMPT})

    row = line(server, reply.headers["X-Request-Id"])
    assert {**row, "time": "", "ms": 0, "provider_ms": 0, "tokens_in": 0, "tokens_out": 0} == {
        **{
            "time": "",
            "request_id": reply.headers["X-Request-Id"],
            "client": "127.0.0.1",
            "token": None,
        },
        **{
            "method": "POST",
            "path": "/zhipu/chat",
            "chat": name,
            "served_by": name,
            "fell_back": None,
        },
        **{"code": "OK", "status": 200, "ms": 0, "provider_ms": 0, "tokens_in": 0, "tokens_out": 0},
    }
    assert time.strptime(row["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert row["ms"] > row["provider_ms"] > 200
    assert row["tokens_in"] > 0
    assert row["tokens_out"] > 0
    log = server.log.read_text()
    assert PROMPT not in log
    assert key not in log


def test_a_failure_and_a_fallback_say_their_codes(
    server: Server, gateway: httpx.Client, deploy: Deploy
) -> None:
    second = deploy()
    unpaid = deploy(model_name="refuse:openai-insufficient_quota")
    failed = gateway.post("/openai/chat", json={"chat_name": unpaid, "content": "hi"})
    gateway.post("/openai/fallback", json={"chat_name": unpaid, "fallback": second})
    helped = gateway.post("/openai/chat", json={"chat_name": unpaid, "content": "hi"})

    row = line(server, failed.headers["X-Request-Id"])
    assert (row["chat"], row["code"], row["status"], row["served_by"]) == (
        unpaid,
        "PAY_BILL",
        402,
        None,
    )
    row = line(server, helped.headers["X-Request-Id"])
    assert (row["chat"], row["code"], row["served_by"], row["fell_back"]) == (
        unpaid,
        "OK",
        second,
        "PAY_BILL",
    )
    assert (
        value(gateway, "gateway_fallbacks_total", chat=unpaid, served_by=second, code="PAY_BILL")
        == 1
    )
    assert value(gateway, "gateway_chat_resting", chat=unpaid, code="PAY_BILL") == 1
    assert value(gateway, "gateway_chat_answerable", chat=unpaid) == 1
    gateway.post("/openai/fallback", json={"chat_name": unpaid, "fallback": ""})
    assert value(gateway, "gateway_chat_answerable", chat=unpaid) == 0
    assert value(gateway, "gateway_chat_resting", chat=second, code="PAY_BILL") is None


@pytest.mark.parametrize("path", ["/openai/chat", "/v1/chat/completions"])
def test_a_stream_is_told_with_its_tokens_when_it_has_ended(
    server: Server, gateway: httpx.Client, deploy: Deploy, path: str
) -> None:
    name = deploy("zhipu", "stream:4:3")  # Zhipu counts tokens, asked or not
    body = (
        {"chat_name": name, "content": "hi"}
        if path == "/openai/chat"
        else {"model": name, "messages": [{"role": "user", "content": "hi"}]}
    )
    reply = gateway.post(path, json={**body, "stream": True})

    row = line(server, reply.headers["X-Request-Id"])
    assert row["ms"] > 3000 > row["provider_ms"]
    assert row["tokens_out"] > 0
    assert "\1" not in reply.text


def test_a_stream_that_breaks_off_says_why(
    server: Server, gateway: httpx.Client, deploy: Deploy
) -> None:
    body = {
        "model": deploy(model_name="drop-mid"),
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }
    reply = gateway.post("/v1/chat/completions", json=body)
    row = line(server, reply.headers["X-Request-Id"])
    assert (row["status"], row["code"]) == (200, "PROVIDER_DOWN")


def test_metrics_are_the_sum_of_all_processes(gateway: httpx.Client, deploy: Deploy) -> None:
    name = deploy()
    for _ in range(30):
        chat = {"chat_name": name, "content": "hi"}
        assert (
            gateway.post("/openai/chat", json=chat, headers={"Connection": "close"}).status_code
            == 200
        )

    counted = {"route": "/openai/chat", "chat": name, "code": "OK"}
    until(lambda: value(gateway, "gateway_requests_total", **counted) == 30, 20)
    for _ in range(6):
        assert value(gateway, "gateway_requests_total", **counted) == 30
    assert (value(gateway, "gateway_tokens_total", chat=name, direction="in") or 0) >= 30
    assert value(gateway, "gateway_cluster_up") == 1
    assert value(gateway, "gateway_chat_replicas", chat=name) == 1
    assert value(gateway, "gateway_chat_need_key", chat=name) == 0
    # The one that asks; a reply is there before its request has ended.
    until(lambda: value(gateway, "gateway_in_flight") == 1, 20)


def test_names_that_nobody_deployed_are_not_kept(gateway: httpx.Client) -> None:
    gateway.post("/openai/chat", json={"chat_name": "nobody-deployed-this", "content": "hi"})
    until(
        lambda: (
            (
                value(
                    gateway,
                    "gateway_requests_total",
                    route="/openai/chat",
                    chat="",
                    code="NOT_DEPLOYED",
                )
                or 0
            )
            > 0
        ),
        20,
    )
    assert "nobody-deployed-this" not in gateway.get("/metrics").text


def test_a_token_is_logged_by_its_name_and_wanted_for_metrics(
    start_server: Callable[..., Server],
    ray_head: RayHead,
    standin: StandIn,
    names: Callable[[], str],
) -> None:
    server = start_server(
        {
            **ray_head.environment,
            "GATEWAY_TOKENS": TOKENS,
            "LOG_FORMAT": "text",
            "WEB_CONCURRENCY": "1",
        }
    )
    admin = {"X-Api-Key": "sk-watch-admin"}
    name = names()
    body = {
        "chat_name": name,
        "api_key": SECRET,
        "base_url": standin.base_url("openai"),
        "model_name": "echo",
    }
    assert server.http.post("/openai/deploy", json=body, headers=admin).status_code == 200
    chat = {"chat_name": name, "content": PROMPT}
    assert (
        server.http.post(
            "/openai/chat", json=chat, headers={"X-Api-Key": "sk-watch-app"}
        ).status_code
        == 200
    )
    assert server.http.get("/metrics").status_code == 401
    assert server.http.get("/metrics", headers={"X-Api-Key": "sk-watch-app"}).status_code == 200
    server.http.get("/healthz")

    until(lambda: "200 OK POST /openai/chat" in server.log.read_text(), 20)
    log = server.log.read_text()
    [report] = [row for row in log.splitlines() if " POST /openai/chat " in row]
    assert "token=app" in report
    assert f"chat={name}" in report
    for hidden in (PROMPT, SECRET, "sk-watch-app", "sk-watch-admin", "healthz"):
        assert hidden not in log


def test_the_log_holds_only_what_this_service_says(
    server: Server, gateway: httpx.Client, deploy: Deploy, ray_head: RayHead
) -> None:
    breaks = {"chat_name": deploy(model_name="drop-mid"), "content": "hi", "stream": True}
    with pytest.raises(httpx.RemoteProtocolError):
        gateway.post("/openai/chat", json=breaks)
    name = deploy()
    actor_process(ray_head, "ModelActor").kill()  # of which Ray would tell at length
    until(
        lambda: gateway.post("/openai/chat", json={"chat_name": name, "content": "hi"}).is_success
    )

    chatter = ("byzerllm", "pyjava", "raylet", "SIGTERM", "Traceback")
    of_ray = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ [DIWEC] ")
    log = server.log.read_text().splitlines()
    assert [row for row in log if of_ray.match(row) or any(word in row for word in chatter)] == []


def test_requests_go_on_while_nobody_reads_the_log_and_their_lines_come_later(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    fifo = tmp_path / "stdout"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDWR)  # a pipe, which holds 64 kB, with a reader who stalls
    command = "sh", "-c", 'exec >"$0"; exec "$@"', str(fifo), *GUNICORN
    nowhere = {"RAY_ADDRESS": f"127.0.0.1:{free_port()}", "WEB_CONCURRENCY": "1"}
    server = start_server(nowhere, ready=False, command=command)
    server.wait_until("/healthz")

    for _ in range(500):
        assert server.http.get("/models", timeout=10).status_code == 503

    log = b""
    os.set_blocking(reader, False)

    def all_lines() -> bool:
        nonlocal log
        try:
            while piece := os.read(reader, 1 << 16):
                log += piece
        except BlockingIOError:
            return log.count(b"\n") >= 500
        return False

    until(all_lines, 20)
    assert all(json.loads(row)["path"] == "/models" for row in log.splitlines())
    server.stop()
    os.close(reader)
