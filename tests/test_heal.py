"""What is killed under 50 chats in flight comes back by itself, with the keys that are still in
memory.

Each test says what failed, with which code, and how long it took (pytest -s). The bounds are for a
hang, not a race: on an idle machine a model actor is back in 2 s, and chats are answered 2 s after
a cluster is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead, stop
from tests.environment import TOP, clean_environment, free_port
from tests.load import DROPPED, REFUSED, load, print_recovery
from tests.processes import actor_process, actor_processes, control_store
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.waiting import until

HEARD_SECONDS = 5
"""After which all gateway processes have told a new directory what they knew; they look every
2 s."""


def deploy_task(http: httpx.Client, name: str, through: str) -> None:
    body = {"chat_name": name, "through": through, "prompt": "Sort: {{content}}"}
    assert http.post("/task/deploy", json=body).status_code == 200


def test_a_killed_model_actor_answers_again_and_no_chat_is_lost(
    server: Server, deploy: Deploy, ray_head: RayHead, standin: StandIn, key: str
) -> None:
    name = deploy(model_name="slow:0.3")
    with load(server.url, name) as chats:
        chats.answered_again(0, 30)
        actor_process(ray_head, "ModelActor").kill()
        killed = time.monotonic()
        again = chats.answered_again(killed, 60)
    print_recovery("a model actor's process", chats, killed, again)

    assert not chats.failed()
    assert standin.requests(key)[-1]["headers"]["Authorization"] == f"Bearer {key}"


def test_a_killed_replica_of_several_loses_no_chat(
    server: Server, deploy: Deploy, ray_head: RayHead
) -> None:
    name = deploy(model_name="slow:0.3", workers=3)
    with load(server.url, name) as chats:
        chats.answered_again(0, 30)
        actor_process(ray_head, "ModelActor").kill()
        killed = time.monotonic()
        again = chats.answered_again(killed, 60)
        time.sleep(3)  # it comes back and takes its share again
    print_recovery("one replica of three", chats, killed, again)

    assert not chats.failed()


def test_a_request_that_ends_its_process_is_not_asked_again_and_again(
    gateway: httpx.Client, deploy: Deploy, ray_head: RayHead, standin: StandIn, key: str
) -> None:
    name = deploy(model_name="hang")
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(
            gateway.post, "/openai/chat", json={"chat_name": name, "content": "poison"}
        )
        for asked in (1, 2):
            until(lambda asked=asked: standin.count(key) == asked)  # type: ignore[misc]
            actor_process(ray_head, "ModelActor").kill()
        error = reply.result(60).json()["error"]

    assert (error["code"], error["chat_name"]) == ("CLUSTER_DOWN", name)
    assert standin.count(key) == 2


def test_a_killed_directory_loses_no_chat(
    server: Server, deploy: Deploy, ray_head: RayHead
) -> None:
    name = deploy(model_name="slow:0.3")
    with load(server.url, name) as chats:
        chats.answered_again(0, 30)
        actor_process(ray_head, "Directory").kill()
        killed = time.monotonic()
        again = chats.answered_again(killed, 60)
        until(lambda: server.http.get("/models").status_code == 200)
    print_recovery("the directory", chats, killed, again)

    assert not chats.failed()


def test_a_killed_control_store_is_noticed_by_nobody(
    server: Server, deploy: Deploy, ray_head: RayHead
) -> None:
    name = deploy(model_name="slow:0.3")
    refused = []
    with load(server.url, name) as chats:
        chats.answered_again(0, 30)
        store = control_store(ray_head)
        store.kill()
        killed = time.monotonic()
        while time.monotonic() < killed + HEARD_SECONDS:
            for path in ("/readyz", "/models"):
                reply = server.http.get(path)
                refused += [reply.text] if reply.status_code != 200 else []
        again = chats.answered_again(killed, 60)
    print_recovery("the control store", chats, killed, again)

    assert not chats.failed()
    assert not refused
    assert control_store(ray_head) != store
    assert deploy(model_name="echo") != name


def test_a_killed_gateway_process_drops_only_the_chats_it_held_and_is_replaced(
    server: Server, deploy: Deploy
) -> None:
    name = deploy(model_name="slow:0.3")
    master = psutil.Process(server.process.pid)
    with load(server.url, name) as chats:
        chats.answered_again(0, 30)
        victim, other = master.children()
        victim.kill()
        killed = time.monotonic()
        again = chats.answered_again(killed, 60)
        until(lambda: len(set(master.children()) - {victim}) == 2)
        server.wait_until()
    print_recovery("a gunicorn worker", chats, killed, again)

    assert set(chats.failed()) <= {DROPPED}
    assert chats.failed().total() <= 50
    assert other in master.children()
    # The one that asks, and none of those that died with their process.
    until(lambda: "gateway_in_flight 1.0" in server.http.get("/metrics").text, 20)


@pytest.fixture
def supervised(tmp_path: Path, ray_head: RayHead) -> Iterator[tuple[str, psutil.Process]]:
    """A gateway under supervisord, as it may run where there is no systemd: its address, and
    supervisord."""
    url = f"127.0.0.1:{free_port()}"
    environment = {**clean_environment(), **ray_head.environment, "GATEWAY_BIND": url}
    gunicorn = f"{sys.executable} -m gunicorn -c gunicorn.conf.py app:app"
    (tmp_path / "conf").write_text(
        f"[supervisord]\nlogfile={tmp_path}/log\npidfile={tmp_path}/pid\n"
        f"[program:gateway]\ncommand={gunicorn}\ndirectory={TOP}\nstartretries=1000\n"
        f"stdout_logfile={tmp_path}/gateway.log\nredirect_stderr=true\nstopwaitsecs=30\nkillasgroup=true\n"
    )
    command = [
        sys.executable,
        "-m",
        "supervisor.supervisord",
        "--nodaemon",
        "-c",
        str(tmp_path / "conf"),
    ]
    supervisor = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    yield url, psutil.Process(supervisor.pid)
    stop(supervisor)


@pytest.mark.long  # tests/test_boot.py kills one, too
def test_a_killed_gunicorn_master_is_started_again_by_its_supervisor(
    supervised: tuple[str, psutil.Process], deploy: Deploy
) -> None:
    address, supervisor = supervised
    name = deploy(model_name="slow:0.3")
    with httpx.Client(base_url=f"http://{address}", trust_env=False) as http:
        until(lambda: http.get("/readyz").status_code == 200)
    with load(f"http://{address}", name) as chats:
        chats.answered_again(0, 30)
        [master] = supervisor.children()
        master.kill()
        killed = time.monotonic()
        # Its orphaned workers end their chats and leave the port to the next.
        until(lambda: len({*supervisor.children(recursive=True)} - {master}) == 3)
        again = chats.answered_again(time.monotonic(), 60) + time.monotonic() - killed
    print_recovery("gunicorn's master", chats, killed, again)

    assert set(chats.failed()) <= {DROPPED, REFUSED, "CLUSTER_DOWN"}


def test_a_killed_directory_knows_everything_again(
    gateway: httpx.Client, deploy: Deploy, ray_head: RayHead, chat_name: str
) -> None:
    name = deploy(workers=2)
    task = f"{name}-task"
    deploy_task(gateway, task, name)
    both = (name, task)
    before = [row for row in gateway.get("/models").json()["models"] if row["chat_name"] in both]
    actor_process(ray_head, "Directory").kill()

    # Chats go on: they do not pass through the directory.
    chat = {"chat_name": name, "content": "hi"}
    assert [gateway.post("/openai/chat", json=chat).status_code for _ in range(20)] == [200] * 20
    sort = {"chat_name": task, "content": "hi"}
    assert [gateway.post("/task/chat", json=sort).json() for _ in range(5)] == [
        "openai:Sort: hi"
    ] * 5

    deadline = time.monotonic() + 60
    while (reply := gateway.get("/models")).status_code != 200:
        assert time.monotonic() < deadline, reply.text
        time.sleep(0.2)
    until(
        lambda: (
            [row for row in gateway.get("/models").json()["models"] if row["chat_name"] in both]
            == before
        )
    )
    assert gateway.post("/task/undeploy", json={"chat_name": task}).status_code == 200
    deploy(chat_name=chat_name)
    assert gateway.post("/openai/undeploy", json={"chat_name": name}).status_code == 200


def test_a_chat_that_was_undeployed_just_before_the_directory_was_killed_stays_away(
    gateway: httpx.Client, deploy: Deploy, ray_head: RayHead
) -> None:
    name = deploy()
    deploy_task(gateway, f"{name}-task", name)
    for gone in (f"{name}-task", name):
        assert gateway.post("/openai/undeploy", json={"chat_name": gone}).status_code == 200
    actor_process(ray_head, "Directory").kill()
    until(lambda: gateway.get("/models").status_code == 200)
    time.sleep(HEARD_SECONDS)  # every gateway process has told the new directory what it knew

    rows = {row["chat_name"] for row in gateway.get("/models").json()["models"]}
    assert rows.isdisjoint({name, f"{name}-task"})


def test_a_directory_that_is_slow_at_first_answers_when_its_callers_have_given_up(
    gateway: httpx.Client, ray_head: RayHead
) -> None:
    former = actor_process(ray_head, "Directory")
    former.kill()
    until(lambda: [p for p in actor_processes(ray_head, "Directory") if p != former] != [])
    slow = actor_process(ray_head, "Directory")
    slow.suspend()
    try:
        for _ in range(3):  # each gives up after 2 s, and Ray cancels what it asked
            assert gateway.get("/readyz", headers={"Connection": "close"}).status_code in (503, 504)
    finally:
        slow.resume()

    until(lambda: gateway.get("/readyz").status_code == 200)
    until(lambda: gateway.get("/models").status_code == 200)


def test_a_chat_whose_actor_and_directory_die_together_says_need_key(
    gateway: httpx.Client, deploy: Deploy, ray_head: RayHead, chat_name: str
) -> None:
    deploy("zhipu", chat_name=chat_name)
    both = [actor_process(ray_head, kind) for kind in ("ModelActor", "Directory")]
    for process in both:
        process.kill()

    chat = {"chat_name": chat_name, "content": "hi"}
    deadline = time.monotonic() + 60
    while (code := gateway.post("/openai/chat", json=chat).json()["error"]["code"]) != "NEED_KEY":
        assert code == "CLUSTER_DOWN", "an application would give up"
        assert time.monotonic() < deadline, code

    deploy("zhipu", chat_name=chat_name)
    assert gateway.post("/openai/chat", json=chat).json() == "zhipu:hi"


@pytest.fixture(scope="module")
def joined_later(
    start_server: Callable[..., Server],
) -> Iterator[tuple[httpx.Response, RayHead, Server]]:
    """A gateway that was there before its cluster: what it said to /readyz then; and both."""
    head = RayHead(clean_environment(), start=False)
    server = start_server(head.environment, ready=False)
    server.wait_until("/healthz")
    reply = server.http.get("/readyz")
    head.start()
    server.wait_until()
    yield reply, head, server
    server.stop()
    head.stop()


@pytest.fixture
def own_cluster(joined_later: tuple[httpx.Response, RayHead, Server]) -> tuple[RayHead, Server]:
    """A cluster and a gateway that tests may break, if they mend them."""
    _, head, server = joined_later
    return head, server


def ray_stop(head: RayHead) -> None:
    # All of it: a control store that is still about to end would be taken for the next one, at
    # whose port it is, and take that one's node along.
    processes = psutil.Process(head.process.pid).children(recursive=True)
    os.killpg(head.process.pid, signal.SIGTERM)
    _, left = psutil.wait_procs(processes, 60)
    assert not left


# That what kills a raylet is got over, tests/test_boot.py sees.
def test_a_lost_cluster_is_said_at_once_and_found_again_with_its_chats(
    own_cluster: tuple[RayHead, Server], standin: StandIn
) -> None:
    head, server = own_cluster
    paid = {
        "chat_name": "paid",
        "api_key": "sk-kept-nowhere",
        "base_url": standin.base_url("openai"),
    }
    paid["model_name"] = "slow:0.3"
    assert server.http.post("/openai/deploy", json=paid).status_code == 200
    assert server.http.post("/local/deploy", json={"chat_name": "free"}).status_code == 200
    deploy_task(server.http, "sorted", "free")
    processes = psutil.Process(server.process.pid).children()

    with load(server.url, "paid") as chats:
        chats.answered_again(0, 30)
        ended = time.monotonic()
        ray_stop(head)
        head.process.wait(60)
        until(lambda: server.http.get("/readyz").status_code == 503)
        assert server.http.get("/healthz").status_code == 200
        assert server.http.get("/models").json()["error"]["code"] == "CLUSTER_DOWN"
        reply = server.http.post("/openai/chat", json={"chat_name": "paid", "content": "hi"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "CLUSTER_DOWN")
        assert "Retry-After" in reply.headers
        head.start()
        until(head.up)
        returned = time.monotonic()
        # Its key was kept nowhere: whoever holds it deploys again.
        until(lambda: "NEED_KEY" in chats.failed(returned))
        until(lambda: server.http.post("/openai/deploy", json=paid).status_code == 200)
        again = chats.answered_again(returned, 60)
    print_recovery("the cluster", chats, returned, again)
    print(f"slowest CLUSTER_DOWN: {chats.slowest('CLUSTER_DOWN', ended):.1f} s")

    assert set(chats.failed()) <= {"CLUSTER_DOWN", "NEED_KEY"}
    assert chats.slowest("CLUSTER_DOWN", ended) < 10
    # The local model needs no key, so it is back by itself.
    free = {"chat_name": "free", "content": "Hi", "max_tokens": 5}
    until(lambda: server.http.post("/local/chat", json=free).status_code == 200)
    assert server.http.post("/task/chat", json={**free, "chat_name": "sorted"}).status_code == 200
    # what changes in the new cluster is known at once, too
    for number in range(5):
        order = {"chat_name": "sorted", "through": "free", "prompt": f"{number}"}
        assert server.http.post("/task/deploy", json=order).status_code == 200
        content = server.http.post("/task/chat", json={"chat_name": "sorted", "content": "x"})
        assert "content: is no variable" in content.text, content.text
    assert psutil.Process(server.process.pid).children() == processes, (
        "a gateway process was restarted"
    )


def test_a_gateway_without_a_cluster_says_so_and_joins_one_that_comes_later(
    joined_later: tuple[httpx.Response, RayHead, Server],
) -> None:
    before, _, server = joined_later
    assert (before.status_code, before.json()["error"]["code"]) == (503, "CLUSTER_DOWN")
    server.wait_until()


def test_a_gateway_process_ends_gracefully_with_its_chats_answered(
    start_server: Callable[..., Server],
    ray_head: RayHead,
    deploy: Deploy,
    standin: StandIn,
    key: str,
) -> None:
    server = start_server({**ray_head.environment, "WEB_CONCURRENCY": "1"})
    name = deploy(model_name="slow:4")
    replies: list[httpx.Response] = []
    ask = {"chat_name": name, "content": "hi"}
    caller = threading.Thread(
        target=lambda: replies.append(httpx.post(f"{server.url}/openai/chat", json=ask, timeout=60))
    )
    caller.start()
    deadline = time.monotonic() + 20
    while not standin.open(key):
        assert time.monotonic() < deadline
        time.sleep(0.05)

    server.process.terminate()
    caller.join(60)

    assert [reply.json() for reply in replies] == ["openai:hi"]
    assert server.process.wait(60) == 0
    assert "SIGTERM received" not in server.log.read_text(), "Ray's own handler ended the process"
