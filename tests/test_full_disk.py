"""A full disk under TMPDIR, or under the ledger, ends no gateway process and no request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil

from gateway.commands.ray_head import RayHead
from tests.environment import free_port
from tests.metrics import value
from tests.server import Server
from tests.small_disk import fill, small_disk
from tests.standin.client import StandIn
from tests.waiting import until

SAID = "no room to count requests"


def workers(server: Server) -> set[int]:
    return {child.pid for child in psutil.Process(server.process.pid).children()}


def test_processes_go_on_when_there_is_no_room_to_count_and_count_when_there_is(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    with small_disk(tmp_path, 1 << 20) as disk:
        ballast = fill(disk)
        nowhere = {
            "TMPDIR": str(disk),
            "RAY_ADDRESS": f"127.0.0.1:{free_port()}",
            "WEB_CONCURRENCY": "2",
        }
        server = start_server(nowhere, ready=False)
        server.wait_until("/healthz")
        began = workers(server)
        until(lambda: server.log.read_text().count(SAID) == len(began))
        for number in range(50):
            assert server.http.get(f"/models/{number}").status_code == 404
            assert server.http.get("/models").status_code == 503
        assert server.http.get("/metrics").status_code == 200
        ballast.unlink()

        def counted() -> bool:
            server.http.get("/models", headers={"Connection": "close"})
            return bool(
                value(
                    server.http,
                    "gateway_requests_total",
                    route="/models",
                    chat="",
                    code="CLUSTER_DOWN",
                )
            )

        until(counted, 20)
        assert workers(server) == began
        assert server.log.read_text().count(SAID) == len(began)
        server.stop()


def test_chats_go_on_when_the_ledger_has_no_room_and_it_catches_up(
    start_server: Callable[..., Server],
    ray_head: RayHead,
    standin: StandIn,
    key: str,
    new_name: str,
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path, 1 << 20) as disk:
        server = start_server({**ray_head.environment, "GATEWAY_STATE": str(disk / "state")})
        base_url = standin.base_url("openai")
        body = {"api_key": key, "base_url": base_url, "model_name": "echo", "chat_name": new_name}
        assert server.http.post("/openai/deploy", json=body).status_code == 200

        def requests() -> int:
            rows = server.http.get("/usage", params={"by": "chat"}).json()["usage"]
            return sum(row["requests"] for row in rows if row["chat"] == new_name)

        def ask(count: int) -> None:
            for number in range(count):
                question = {"chat_name": new_name, "content": f"{number}"}
                assert server.http.post("/openai/chat", json=question).status_code == 200

        ask(3)
        until(lambda: requests() == 3)
        ballast = fill(disk)
        ask(20)
        until(lambda: "the ledger: " in server.log.read_text())
        ask(20)
        assert requests() == 3
        ballast.unlink()
        until(lambda: requests() == 43)
        assert standin.count(key) == 43
        server.http.post("/openai/undeploy", json={"chat_name": new_name})
        server.stop()
