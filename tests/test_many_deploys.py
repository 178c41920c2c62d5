"""A chat that is deployed and undeployed leaves nothing behind, however often: MANY_DEPLOYS=1000
takes ten minutes.

Each has a name of its own, answers once, and is gone. Looked at are the gateway's and the
directory's processes, Ray's actors, and the files of Ray's session. docs/decisions.md has the
result.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead
from tests.processes import actor_processes
from tests.server import Server
from tests.standin.client import StandIn
from tests.waiting import until

MANY = int(os.environ.get("MANY_DEPLOYS", "24"))
AT_ONCE = 3
WARM_UP = 8
GROWN_MB = 12 + MANY // 50
"""Some 15 kB of each deploy stay, in all three processes together; where was not looked for."""


def left(head: RayHead, processes: list[psutil.Process]) -> dict[str, int]:
    """How much there is of all that might be left."""
    folder = Path(head.folder)
    return {
        "threads": sum(process.num_threads() for process in processes),
        "files": sum(process.num_fds() for process in processes),
        "processes": len(psutil.Process(head.process.pid).children(recursive=True)),
        "model actors": len(actor_processes(head, "ModelActor")),
        "sockets": sum(path.is_socket() for path in folder.rglob("*")),
        "MB": round(sum(process.memory_full_info().uss for process in processes) / 1e6),
        "logs": sum(path.is_file() for path in folder.rglob("*")),
    }


@pytest.fixture
def churn(gateway: httpx.Client, standin: StandIn, key: str) -> Callable[[int], str]:
    """Deploy a chat of a new name, have it answer, and undeploy it; some do so at once."""

    def turn(number: int) -> str:
        name = f"churn-{os.getpid()}-{number}"
        body = {
            "api_key": key,
            "base_url": standin.base_url("openai"),
            "model_name": "echo",
            "chat_name": name,
        }
        assert gateway.post("/openai/deploy", json=body).json() == {"ret": "ok"}
        assert (
            gateway.post("/openai/chat", json={"chat_name": name, "content": "hi"}).json()
            == "openai:hi"
        )
        assert gateway.post("/openai/undeploy", json={"chat_name": name}).json() == {"ret": "ok"}
        return name

    return turn


@pytest.mark.long
def test_what_is_deployed_and_undeployed_leaves_nothing_behind(
    server: Server, ray_head: RayHead, gateway: httpx.Client, churn: Callable[[int], str]
) -> None:
    lasting = [
        *psutil.Process(server.process.pid).children(),
        *actor_processes(ray_head, "Directory"),
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(churn, range(WARM_UP)))
        time.sleep(5)
        before, gone = left(ray_head, lasting), []
        for name in pool.map(churn, range(WARM_UP, WARM_UP + MANY)):
            gone.append(name)
            if len(gone) % 50 == 0:
                print(f"\n{len(gone)}: {left(ray_head, lasting)}", end="", flush=True)

    assert (
        gateway.post("/openai/chat", json={"chat_name": gone[-1], "content": "hi"}).status_code
        == 404
    )
    assert not {row["chat_name"] for row in gateway.get("/models").json()["models"]} & set(gone)
    print(f"\nbefore: {before}\nafter:  {left(ray_head, lasting)}")

    def nothing_more() -> bool:
        after = left(ray_head, lasting)
        slack = {"threads": 8, "files": 8, "MB": GROWN_MB, "logs": 8}
        return all(after[what] <= before[what] + slack.get(what, 0) for what in before)

    until(nothing_more)
