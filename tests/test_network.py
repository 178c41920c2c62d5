"""What the network does to chats between two machines, and on the way to a provider. `make
test-network`"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.environment import TOP, free_port
from tests.fronts import good
from tests.load import ANSWERED, load, print_recovery
from tests.network import HERE, NEVER, THERE, Cluster, Dns, Sniffer, cluster, ip
from tests.server import Server, running_head
from tests.standin.raw import RawProvider, Reply, Request, completion, whole
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    os.environ.get("NETWORK") != "1", reason="make test-network runs it: it takes minutes"
)

KEY = "sk-a-key-that-crosses-no-cable"
PROMPT, ANSWER = "a prompt for nobody else", "an answer for nobody else"


@pytest.fixture(scope="module", autouse=True)
def loopback() -> None:
    ip("link", "set", "lo", "up")


def deploy(server: Server, name: str, base_url: str, **more: Any) -> None:
    body = {"chat_name": name, "api_key": KEY, "base_url": base_url, "model_name": "m", **more}
    reply = server.http.post("/openai/deploy", json=body)
    assert reply.json() == {"ret": "ok"}, reply.text


def ask(server: Server, name: str, content: str = "hi") -> httpx.Response:
    return server.http.post("/openai/chat", json={"chat_name": name, "content": content})


# Two machines.


@pytest.fixture
def provider() -> Iterator[RawProvider]:
    """A provider that both machines reach, and that tells what it was asked."""

    def echo(request: Request) -> Reply:
        return 0.2, whole(completion("openai:" + request.json["messages"][-1]["content"]))

    with RawProvider("0.0.0.0") as provider:
        provider.script = echo
        yield provider


def spread(server: Server, name: str, provider: RawProvider, both: Cluster) -> None:
    """Deploy a chat with replicas on both machines."""
    base_url = f"http://{HERE}:{provider.server_address[1]}/v1"

    def on_both() -> bool:
        deploy(server, name, base_url, workers=4)
        for number in range(16):
            ask(server, name, f"question {number}")  # the same one would go to the same replica
        if callers(provider) == {HERE, THERE}:
            return True
        # the other node is not there yet
        server.http.post("/openai/undeploy", json={"chat_name": name})
        return False

    until(on_both, 300)


def callers(provider: RawProvider, since: int = 0) -> set[str]:
    """Who asked the provider."""
    return {request.address for request in provider.requests[since:]}


@pytest.mark.parametrize("seconds", [12, 100], ids=["short", "until the node is given up"])
def test_a_node_that_is_cut_off_loses_no_chat_and_joins_again(
    provider: RawProvider, start_server: Callable[..., Server], seconds: int
) -> None:
    with cluster() as (node, both):
        server = start_server(both.environment)
        spread(server, "spread", provider, both)
        with load(server.url, "spread", clients=20) as chats:
            chats.answered_again(0, 30)
            node.unplug()
            cut = time.monotonic()
            again = chats.answered_again(cut, 60)
            time.sleep(seconds)
            node.plug()
            plugged = time.monotonic()
            if seconds > 60:
                # Ray itself has a node end that it gave up; systemd would start it again.
                both.other.wait(120)
                until(lambda: both.joined(2), 300)
                deploy(
                    server, "spread", f"http://{HERE}:{provider.server_address[1]}/v1", workers=6
                )
            since = len(provider.requests)
            until(lambda: callers(provider, since) == {HERE, THERE}, 60)
            print(f"\nthe other node answers {time.monotonic() - plugged:.1f} s after it is back")
        print_recovery(f"a node cut off for {seconds} s", chats, cut, again)
        slow = sum(one.seconds > 2 for one in chats.asked)
        print(f"slower than 2 s: {slow}")
        server.stop()

    assert set(chats.failed()) == set(), chats.failed()
    assert chats.outcomes(cut)[ANSWERED] > 100
    assert chats.slowest(ANSWERED) < 20


@pytest.mark.parametrize("tls", [False, True], ids=["as it comes", "RAY_USE_TLS"])
def test_what_crosses_the_cable(
    provider: RawProvider, start_server: Callable[..., Server], tmp_path: Path, tls: bool
) -> None:
    with cluster(**(certificates(tmp_path) if tls else {})) as (_, both):
        # A real provider is asked under HTTPS.
        sniffer = Sniffer(but=provider.server_address[1])
        server = start_server(both.environment)
        spread(server, "spread", provider, both)
        provider.script = good(ANSWER)
        since = len(provider.requests)
        for number in range(16):
            assert ask(server, "spread", f"{PROMPT} {number}").json() == ANSWER
        assert callers(provider, since) == {HERE, THERE}
        server.stop()
        crossed = sniffer.end()

    words = {"prompt": PROMPT, "answer": ANSWER, "key": KEY}
    seen = {name for name, text in words.items() if text.encode() in crossed}
    print(f"\ncrossed in the clear: {seen or 'nothing'}")
    # Ray's token crosses, too, packed by HTTP/2, which hides nothing.
    assert seen == (set() if tls else {"key"})


def test_a_node_that_was_not_upgraded_is_named(
    provider: RawProvider, start_server: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "cryptography.py").write_text(
        "raise ImportError(\"No module named 'cryptography'\")"
    )
    with cluster(str(tmp_path)) as (_, both):
        server = start_server(both.environment)

        def errors() -> set[str]:
            deploy(server, "spread", f"http://{HERE}:{provider.server_address[1]}/v1", workers=4)
            replies = [ask(server, "spread", f"question {number}") for number in range(8)]
            server.http.post("/openai/undeploy", json={"chat_name": "spread"})
            return {
                reply.json()["error"]["message"] for reply in replies if reply.status_code != 200
            }

        until(lambda: errors() != set(), 300)
        [message] = errors()
        server.stop()
    assert "No module named 'cryptography'" in message
    assert "Install requirements.txt there" in message


def certificates(folder: Path) -> dict[str, str]:
    """What docs/operations.md has an operator make and set, done here."""
    words = (TOP / "docs/operations.md").read_text().replace("/etc/byzer-gateway", str(folder))
    script, settings, *_ = re.findall(
        r"```\w+\n(.*?)```", words.partition("<!-- ray-tls -->")[2], re.DOTALL
    )
    subprocess.run(["sh", "-e", "-c", script], check=True, timeout=60)
    return dict(line.split("=", 1) for line in settings.splitlines())


# The way to a provider.


@pytest.fixture(scope="module")
def dns(tmp_path_factory: pytest.TempPathFactory) -> Dns:
    return Dns(tmp_path_factory.mktemp("dns"))


@pytest.fixture(scope="module")
def alone(dns: Dns, start_server: Callable[..., Server]) -> Iterator[Server]:
    """A gateway whose cluster asks that name server."""
    with running_head() as head:
        server = start_server(head.environment)
        yield server
        server.stop()


@pytest.fixture
def near() -> Iterator[RawProvider]:
    with RawProvider("127.0.0.2") as provider:
        provider.script = good("here")
        yield provider


def test_a_name_without_an_answer_costs_seconds_and_its_own_chat_only(
    dns: Dns, alone: Server, near: RawProvider
) -> None:
    dns.names["never.test"] = ("127.0.0.2", NEVER)
    port = near.server_address[1]
    deploy(alone, "other", near.base_url)
    deploy(alone, "never", f"http://never.test:{port}/v1")
    deploy(alone, "falls-back", f"http://never.test:{port}/v1", fallback="other")
    started = time.monotonic()
    with ThreadPoolExecutor(24) as pool:
        lost = [pool.submit(ask, alone, "never") for _ in range(20)]
        passed = [pool.submit(ask, alone, "falls-back") for _ in range(4)]
        until(lambda: dns.asked["never.test"] > 0)
        assert [ask(alone, "other").json() for _ in range(20)] == ["here"] * 20
        assert {one.result().json()["error"]["code"] for one in lost} == {"PROVIDER_DOWN"}
        assert {one.result().json() for one in passed} == {"here"}
    seconds = time.monotonic() - started
    print(f"\na name without an answer: told after {seconds:.1f} s")
    assert seconds < 40

    dns.names["never.test"] = ("127.0.0.2", 0)
    until(lambda: ask(alone, "never").json() == "here", 60)


@pytest.mark.parametrize(("seconds", "code"), [(3, ""), (30, "PROVIDER_DOWN")])
def test_a_slow_name_is_waited_for_as_long_as_a_connection(
    dns: Dns, alone: Server, near: RawProvider, seconds: float, code: str
) -> None:
    dns.names["slow.test"] = ("127.0.0.2", seconds)
    deploy(alone, "slow", f"http://slow.test:{near.server_address[1]}/v1")
    reply = ask(alone, "slow").json()
    assert (reply == "here") if not code else (reply["error"]["code"] == code)


@pytest.fixture
def moving(dns: Dns, alone: Server) -> Iterator[tuple[RawProvider, RawProvider]]:
    """A provider at its address, and the same at its next one. Whoever asks is told which."""
    port = free_port()
    dns.names["moving.test"] = ("127.0.0.2", 0)
    with RawProvider("127.0.0.3", port) as new, RawProvider("127.0.0.2", port) as old:
        old.script, new.script = good("old"), good("new")
        deploy(alone, "moving", f"http://moving.test:{port}/v1")
        assert [ask(alone, "moving").json() for _ in range(10)] == ["old"] * 10
        with suppress(RuntimeError):
            yield old, new


def test_a_provider_whose_old_address_dies_is_asked_at_its_new_one(
    dns: Dns, alone: Server, moving: tuple[RawProvider, RawProvider]
) -> None:
    old, _ = moving
    dns.names["moving.test"] = ("127.0.0.3", 0)
    assert ask(alone, "moving").json() == "old"
    old.vanish()
    assert [ask(alone, "moving").json() for _ in range(20)] == ["new"] * 20


def test_a_provider_that_moved_is_asked_at_its_new_address_though_the_old_one_answers(
    dns: Dns, alone: Server, moving: tuple[RawProvider, RawProvider]
) -> None:
    dns.names["moving.test"] = ("127.0.0.3", 0)
    moved = time.monotonic()
    answers: list[str] = []
    while "new" not in answers[-1:]:
        answers.append(ask(alone, "moving").json())
        assert time.monotonic() - moved < 90
        time.sleep(0.5)
    print(f"\nasked at its new address after {time.monotonic() - moved:.0f} s of use")
    assert set(answers) == {"old", "new"}
