"""Everything at once for a while: chats, streams, deploys, undeploys, clients that leave, providers
that fail.

`make soak` takes 10 minutes, `make test-long` 40 seconds (SOAK_SECONDS). In the end every request
has had just the outcome that its kind of request has, nothing is left over, and no process has
grown. Memory is each process's own (USS: pages that it shares with nobody), from the middle of the
run to its end, since pools and arenas fill up in the beginning.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead
from tests.processes import actor_processes
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.waiting import until

SECONDS = int(os.environ.get("SOAK_SECONDS", "40"))
GROWN_MB = 12
"""What a process may gain in the second half, garbage that is not collected yet included."""

WORDS = " ".join(f"w{number}" for number in range(20))
numbers = itertools.count()

Client = Callable[[httpx.Client], str]


def whole_chat(http: httpx.Client, name: str, *said_by: str) -> str:
    """`answered`, or what else came."""
    content = f"question {next(numbers)}"
    reply = http.post("/openai/chat", json={"chat_name": name, "content": content})
    if reply.status_code != 200:
        return str(reply.json()["error"]["code"])
    return (
        "answered"
        if reply.json() in [f"{who}:{content}" for who in said_by]
        else f"wrong: {reply.text}"
    )


def text_stream(http: httpx.Client, name: str, leave: bool = False) -> str:
    answer = ""
    chat = {"chat_name": name, "content": "hi", "stream": True}
    try:
        with http.stream("POST", "/openai/chat", json=chat) as reply:
            if reply.status_code != 200:
                reply.read()
                return str(reply.json()["error"]["code"])
            for piece in reply.iter_text():
                answer += piece
                if leave:
                    return "left"
    except httpx.RemoteProtocolError:
        return "broke off"
    return "answered" if answer == WORDS else f"wrong: {answer}"


def event_stream(http: httpx.Client, name: str) -> str:
    body = {"model": name, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    text = http.post("/v1/chat/completions", json=body).text
    places = [text.find(f'"{word}') for word in WORDS.split()]
    return (
        "answered"
        if "[DONE]" in text and places == sorted(places) and places[0] > 0
        else f"wrong: {text}"
    )


def weights(processes: list[psutil.Process]) -> dict[int, float]:
    """The USS in MB of each."""
    return {process.pid: process.memory_full_info().uss / 1e6 for process in processes}


@pytest.fixture(scope="module")
def server(
    start_server: Callable[..., Server],
    ray_head: RayHead,
    tmp_path_factory: pytest.TempPathFactory,
) -> Server:
    """In place of the shared `server`: one with a ledger."""
    folder = str(tmp_path_factory.mktemp("state"))
    return start_server({**ray_head.environment, "GATEWAY_STATE": folder})


@pytest.fixture(scope="module")
def gateway(server: Server) -> httpx.Client:
    """In place of the shared `gateway`: this one."""
    return server.http


@pytest.fixture
def clients(
    server: Server, deploy: Deploy, names: Callable[[], str], standin: StandIn, key: str
) -> dict[str, tuple[int, Client, str]]:
    """Kinds of clients: how many at once, what each does again and again, and the outcomes that it
    may have."""
    main, words, down, hangs = (
        deploy(),
        deploy(model_name="stream:20:0.2"),
        deploy(model_name="drop"),
        names(),
    )
    deploy(model_name="hang", chat_name=hangs, timeout=1)
    unpaid = deploy(model_name="refuse:openai-insufficient_quota", fallback=[main])
    # Of these, whose answers nobody has whole, the provider counts what the gateway cannot know.
    breaks = deploy(model_name="drop-mid", api_key=f"{key}-left")
    left = deploy(model_name="stream:20:0.2", api_key=f"{key}-left")
    churned = names()
    turn = itertools.count()

    def switch(http: httpx.Client) -> str:
        provider = ("zhipu", "openai")[next(turn) % 2]
        body = {
            "api_key": key,
            "base_url": standin.base_url(provider),  # type: ignore[arg-type]
            "model_name": "echo",
            "chat_name": main,
        }
        return http.post(f"/{provider}/deploy", json=body).text.strip()

    def churn(http: httpx.Client) -> str:
        body = {
            "api_key": key,
            "base_url": standin.base_url("openai"),
            "model_name": "echo",
            "chat_name": churned,
        }
        deployed = http.post("/openai/deploy", json={**body, "workers": 2}).text.strip()
        answer = whole_chat(http, churned, "openai")
        return (
            f"{deployed} {answer} "
            + http.post("/openai/undeploy", json={"chat_name": churned}).text.strip()
        )

    ok = '{"ret":"ok"}'
    return {
        "chats": (8, lambda http: whole_chat(http, main, "openai", "zhipu"), "answered"),
        "text streams": (4, lambda http: text_stream(http, words), "answered"),
        "event streams": (4, lambda http: event_stream(http, words), "answered"),
        "clients that leave": (3, lambda http: text_stream(http, left, leave=True), "left"),
        "an unpaid chat with a fallback": (
            2,
            lambda http: whole_chat(http, unpaid, "openai", "zhipu"),
            "answered",
        ),
        "a provider that hangs up": (2, lambda http: whole_chat(http, down), "PROVIDER_DOWN"),
        # After five times the chat rests for a while, and says so before it begins.
        "a provider that breaks off": (
            2,
            lambda http: text_stream(http, breaks),
            "broke off|PROVIDER_DOWN",
        ),
        "a provider that says nothing": (2, lambda http: whole_chat(http, hangs), "TIMEOUT"),
        "switches": (1, switch, ok),
        "deploys and undeploys": (1, churn, f"{ok} answered {ok}"),
    }


def ledger_tokens(server: Server) -> int:
    """The tokens of whole answers, in and out."""
    rows = server.http.get("/usage", params={"by": "code"}).json()["usage"]
    return sum(row["tokens_in"] + row["tokens_out"] for row in rows)


@pytest.mark.long
def test_a_soak_leaves_no_request_unaccounted_for_and_nothing_behind(
    server: Server,
    ray_head: RayHead,
    standin: StandIn,
    key: str,
    clients: dict[str, tuple[int, Client, str]],
) -> None:
    gateway = psutil.Process(server.process.pid).children()
    directory = actor_processes(ray_head, "Directory")
    lasting = [*gateway, *directory, *actor_processes(ray_head, "ModelActor")]
    sockets, threads = [p.num_fds() for p in gateway], [p.num_threads() for p in gateway]
    outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in clients}
    done = threading.Event()

    def again_and_again(kind: str, client: Client) -> None:
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
            while not done.is_set():
                outcomes[kind][client(http)] += 1

    at_once = sum(count for count, _, _ in clients.values())
    with ThreadPoolExecutor(at_once) as pool:
        running = [
            pool.submit(again_and_again, kind, one)
            for kind, (count, one, _) in clients.items()
            for _ in range(count)
        ]
        try:
            time.sleep(SECONDS / 2)
            middle = weights(lasting)
            time.sleep(SECONDS / 2)
            end = weights(lasting)
        finally:
            done.set()
        for client in running:
            client.result(120)

    for kind, seen in outcomes.items():
        print(f"\n{kind}: {dict(seen)}", end="")
    grown = {pid: round(end[pid] - middle[pid], 1) for pid in end}
    print(
        f"\nUSS gained from the middle to the end, MB: {grown}; in the end"
        f" { ({k: round(v) for k, v in end.items()}) }"
    )

    for kind, (_, _, expected) in clients.items():
        assert outcomes[kind]
        assert set(outcomes[kind]) <= set(expected.split("|")), kind
    assert max(grown.values()) < GROWN_MB
    # Every token that the provider counted is in the ledger, once.
    until(lambda: ledger_tokens(server) == standin.tokens(key))
    print(f"tokens: {standin.tokens(key)}")
    # Nobody's request is left at the provider; the deployed chats' processes and no others are left
    # in the cluster.
    until(lambda: standin.open(key) == 0)
    chats = {p.pid for p in lasting} - {p.pid for p in (*gateway, *directory)}
    until(lambda: {p.pid for p in actor_processes(ray_head, "ModelActor")} == chats)
    # gunicorn keeps a thread for each client that there was at once.
    until(
        lambda: all(
            p.num_threads() <= before + at_once for p, before in zip(gateway, threads, strict=True)
        )
    )
    # A process keeps a connection to each model actor that it talked to.
    allowed = 2 * len(chats) + 4
    print(f"sockets and files: {sockets} before, {[p.num_fds() for p in gateway]} after")
    until(
        lambda: all(
            p.num_fds() <= before + allowed for p, before in zip(gateway, sockets, strict=True)
        )
    )
    in_flight = {
        row["chat_name"]: row["in_flight"] for row in server.http.get("/models").json()["models"]
    }
    assert set(in_flight.values()) == {0}
