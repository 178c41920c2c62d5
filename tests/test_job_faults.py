"""Jobs under attack: patient pollers by the thousand, processes that stall or end, and a store that
is killed.

What is paid for is counted at the stand-in for the provider.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import psutil
import pytest

from gateway.actors.job_store import GATHER_SECONDS, LOST_SECONDS
from gateway.commands.ray_head import RayHead
from tests.asking import ask
from tests.processes import actor_processes
from tests.server import Deploy, Server, running_head
from tests.standin.client import StandIn
from tests.waiting import until

POLLERS = 1100
PATIENCE = 120


@pytest.fixture
def start_one(
    start_server: Callable[..., Server], ray_head: RayHead
) -> Iterator[Callable[..., Server]]:
    """Start gateways of one process each on the same cluster."""
    servers: list[Server] = []

    def start(**environment: str) -> Server:
        servers.append(
            start_server({**ray_head.environment, "WEB_CONCURRENCY": "1", **environment})
        )
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def worker(server: Server) -> psutil.Process:
    """The gateway process itself, of a server that has one."""
    [process] = psutil.Process(server.process.pid).children()
    return process


def fetch(server: Server, job: str, wait: float = PATIENCE) -> tuple[int, str]:
    """The status, and the answer or the error's code."""
    with httpx.Client(base_url=server.url, timeout=PATIENCE + 30, trust_env=False) as http:
        reply = http.get(f"/jobs/{job}", params={"wait": wait})
    body = reply.json()
    return reply.status_code, (
        body if isinstance(body, str) else body.get("state") or body["error"]["code"]
    )


async def polled(port: int, jobs: list[str], connected: asyncio.Event) -> list[tuple[str, str]]:
    """What each of many patient pollers got: the status line and the body."""
    left = POLLERS

    async def poll(job: str) -> tuple[str, str]:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET /jobs/{job}?wait={PATIENCE} HTTP/1.1\r\nHost: localhost\r\nConnection:"
            " close\r\n\r\n".encode()
        )
        await writer.drain()
        left -= 1
        if not left:
            connected.set()
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        return head.partition("\r\n")[0], body.strip()

    return await asyncio.gather(*(poll(jobs[number % len(jobs)]) for number in range(POLLERS)))


def test_1100_patient_pollers_take_no_place_of_others_and_nothing_is_paid_twice(
    server: Server,
    gateway: httpx.Client,
    deploy: Deploy,
    standin: StandIn,
    key: str,
    names: Callable[[], str],
) -> None:
    slow, quick = deploy(model_name=f"slow:{LOST_SECONDS * 2}"), deploy(chat_name=names())
    jobs = [
        ask(gateway, slow, job=True, content=f"question {number}").json()["job"]
        for number in range(10)
    ]

    async def flood() -> tuple[list[tuple[str, str]], list[int]]:
        connected = asyncio.Event()
        pollers = asyncio.create_task(polled(server.port, jobs, connected))
        await connected.wait()
        others = await asyncio.to_thread(meanwhile)
        return await pollers, others

    def meanwhile() -> list[int]:
        statuses = []
        for number in range(20):
            session = {"session": "beside-pollers", "content": f"turn {number}"}
            statuses += [
                ask(gateway, quick, **session).status_code,
                gateway.get("/healthz").status_code,
            ]
            statuses.append(
                ask(
                    gateway, quick, request_id=f"{quick}.{number}", content=f"q {number}"
                ).status_code
            )
            time.sleep(0.5)
        return statuses

    answers, others = asyncio.run(flood())

    assert others == [200] * 60
    assert set(answers) == {
        ("HTTP/1.1 200 OK", json.dumps(f"openai:question {number}")) for number in range(10)
    }
    assert standin.count(key) == len(jobs) + 40


def fetch_patiently(server: Server, job: str) -> tuple[int, str]:
    """As `fetch`, again where there is no place yet: the test itself takes one now and then."""
    while (reply := fetch(server, job)) == (503, "GATEWAY_BUSY"):
        time.sleep(0.05)
    return reply


def test_who_waits_is_bounded_and_has_not_asked_where_there_is_no_place(
    start_one: Callable[..., Server], deploy: Deploy, standin: StandIn, key: str
) -> None:
    small = start_one(GATEWAY_MAX_IN_FLIGHT="3")
    job = ask(small.http, deploy(model_name="slow:12"), job=True).json()["job"]
    with ThreadPoolExecutor(3) as pool:
        waiting: list[Future[tuple[int, str]]] = [
            pool.submit(fetch_patiently, small, job) for _ in range(3)
        ]
        until(lambda: fetch(small, job, 0.1) == (503, "GATEWAY_BUSY"))

        assert fetch(small, job, 0) == (202, "PENDING")
        assert small.http.get("/healthz").status_code == 200
        assert [one.result() for one in waiting] == [(200, "openai:hi")] * 3
    assert standin.count(key) == 1


# tests/unit/test_job_runner.py shows the same without a cluster
@pytest.mark.long
def test_a_stalled_process_keeps_its_job(
    start_one: Callable[..., Server], server: Server, deploy: Deploy, standin: StandIn, key: str
) -> None:
    stalled = start_one()
    job = ask(stalled.http, deploy(model_name="slow:3"), job=True).json()["job"]
    until(lambda: standin.count(key) == 1)
    process = worker(stalled)
    process.send_signal(signal.SIGSTOP)
    try:
        assert fetch(server, job, LOST_SECONDS * 2) == (202, "PENDING")
    finally:
        process.send_signal(signal.SIGCONT)

    assert fetch(server, job) == (200, "openai:hi")
    assert standin.count(key) == 1


# tests/unit/test_job_runner.py shows the same without a cluster
@pytest.mark.long
def test_the_job_of_a_killed_process_is_taken_over_once_and_then_ends(
    start_one: Callable[..., Server], server: Server, deploy: Deploy, standin: StandIn, key: str
) -> None:
    first, second = start_one(), start_one()
    job = ask(first.http, deploy(model_name="slow:8"), job=True).json()["job"]
    until(lambda: standin.count(key) == 1)
    worker(first).kill()

    with ThreadPoolExecutor(8) as pool:
        pollers = [pool.submit(fetch, second, job) for _ in range(8)]
        until(lambda: standin.count(key) == 2)
        worker(second).kill()
        for poller in pollers:
            assert isinstance(poller.exception(), httpx.TransportError)

    with ThreadPoolExecutor(8) as pool:
        last = set(pool.map(lambda _: fetch(server, job), range(8)))
    assert last == {(500, "INTERNAL")}
    assert standin.count(key) == 2


@pytest.fixture
def own_cluster(start_server: Callable[..., Server]) -> Iterator[tuple[RayHead, Server, Server]]:
    """A cluster with two gateways: whoever shared it would be told for an hour that answers were
    lost."""
    with running_head() as head:
        servers = [start_server({**head.environment, "WEB_CONCURRENCY": "1"}) for _ in range(2)]
        yield head, servers[0], servers[1]
        for server in servers:
            server.stop()


def test_a_killed_store_loses_nothing_that_is_under_way_and_blames_no_caller(
    own_cluster: tuple[RayHead, Server, Server], standin: StandIn, key: str
) -> None:
    head, server, other = own_cluster
    gateway, name = server.http, "survivor"
    model = {
        "api_key": key,
        "base_url": standin.base_url("openai"),
        "model_name": "slow:6",
        "chat_name": name,
    }
    assert gateway.post("/openai/deploy", json=model).json() == {"ret": "ok"}
    before = {"request_id": f"{name}.before", "content": "before"}
    assert ask(gateway, name, **before).json() == "openai:before"
    during = {"request_id": f"{name}.during", "content": "during"}
    ask(gateway, name, **during, job=True)
    assert fetch(other, f"{name}.during", 0) == (202, "PENDING")
    [store] = actor_processes(head, "Store")
    store.kill()

    with ThreadPoolExecutor(3) as pool:
        asked = pool.submit(lambda: ask(other.http, name, **during).json())
        fetched = [pool.submit(fetch, one, f"{name}.during") for one in (server, other)]
        assert asked.result() == "openai:during"
        assert [one.result() for one in fetched] == [(200, "openai:during")] * 2
    assert standin.count(key) == 2

    time.sleep(GATHER_SECONDS)
    lost = gateway.get(f"/jobs/{name}.before", params={"wait": 5})
    assert (lost.status_code, lost.json()["error"]["code"]) == (503, "CLUSTER_DOWN")
    assert int(lost.headers["Retry-After"]) >= 1
    assert ask(other.http, name, **before).json() == "openai:before"
    assert standin.count(key) == 3


def test_answers_are_kept_for_as_long_as_the_operator_says(
    start_one: Callable[..., Server], deploy: Deploy
) -> None:
    short = start_one(GATEWAY_KEEP_ANSWERS="2")
    job = ask(short.http, deploy(model_name="slow:2"), job=True).json()["job"]
    assert fetch(short, job) == (200, "openai:hi")
    until(lambda: fetch(short, job, 0)[0] != 200, 20)

    reply = short.http.get(f"/jobs/{job}", params={"lang": "zh", "format": "text"})
    assert "结果保存 2 秒。" in reply.text
    assert reply.status_code == 404
