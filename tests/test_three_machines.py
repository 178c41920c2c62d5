"""What becomes of chats when one of three machines fails, and how long it takes: the table of
docs/scaling.md. `make nodes`; CI runs its short form."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests import next_version
from tests.environment import TOP
from tests.load import ANSWERED, HANG_SECONDS, Load, load
from tests.machines import ADDRESSES, ASIDE_PORT, CALLER, OTHER_RAY, Site, three_machines
from tests.network import HERE, Machine
from tests.standin.raw import (
    DONE,
    LAST,
    RawProvider,
    Reply,
    Request,
    chunk,
    completion,
    event,
    opening,
    piece,
    whole,
)
from tests.waiting import until

HEAD, SECOND, THIRD = ADDRESSES
CHATS, STREAMS = 80, 20
CHAT_SECONDS = 0.6
SLOW_SECONDS = 3.0
"""What takes longer than this, all is not well."""

HEADINGS = (
    "| what happens | asked | failed | fallen back | asked twice | slowest, s | all well after, s |"
)
RULE = "| --- | --- | --- | --- | --- | --- | --- |"

nodes = pytest.mark.skipif(
    os.environ.get("NODES") != "1", reason="make nodes runs it: it takes minutes"
)


def echo(name: str) -> Callable[[Request], Reply]:
    """A provider that repeats each question under its own name."""

    def reply(request: Request) -> Reply:
        text = f"{name}:{request.json['messages'][-1]['content']}"
        if not request.streams:
            return CHAT_SECONDS, whole(completion(text))
        steps: list[bytes | float] = [opening()]
        for half in (text[: len(text) // 2], text[len(text) // 2 :]):
            steps += [piece(event(chunk(half))), CHAT_SECONDS / 2]
        return [*steps, piece(event(chunk(finish="stop")) + DONE), LAST]

    return reply


@dataclass
class Field:
    """Three machines, and two providers that both reach; `shop` is asked at the first, and falls
    back to the second."""

    site: Site
    main: RawProvider
    spare: RawProvider

    def spread(self) -> bool:
        """Deploy anew, since replicas that had to move stay where they are, and say whether all
        machines have some: a node may have joined too late."""
        for name in ("shop", "spare"):
            self.site.http.post("/openai/undeploy", json={"chat_name": name})
        self.deploy(self.site.http)
        self.main.requests.clear()
        for number in range(24):
            body = {"chat_name": "shop", "content": f"where {number}"}
            self.site.http.post("/openai/chat", json=body, headers={"X-Api-Key": CALLER})
        return self.callers() == set(ADDRESSES)

    def deploy(self, operator: httpx.Client) -> None:
        for name, provider, more in (
            ("spare", self.spare, {"workers": 3}),
            ("shop", self.main, {"workers": 6, "fallback": "spare"}),
        ):
            base_url = f"http://{HERE}:{provider.server_address[1]}/v1"
            body = {"chat_name": name, "api_key": "sk-of-the-field", "model_name": "m", **more}
            reply = operator.post("/openai/deploy", json={**body, "base_url": base_url})
            assert reply.json() == {"ret": "ok"}, reply.text

    def callers(self) -> set[str]:
        return {request.address for request in self.main.requests[-40:]}

    def asked(self) -> Counter[str]:
        """How often each question came to a provider."""
        requests = [*self.main.requests, *self.spare.requests]
        return Counter(request.json["messages"][-1]["content"] for request in requests)


@pytest.fixture
def field() -> Iterator[Field]:
    with three_machines() as site, RawProvider("0.0.0.0") as main, RawProvider("0.0.0.0") as spare:
        main.script, spare.script = echo("main"), echo("spare")
        yield Field(site, main, spare)


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    rows: list[str] = []
    yield rows
    print("\n\n" + "\n".join([HEADINGS, RULE, *rows]))


@contextmanager
def under_load(field: Field, table: list[str], what: str) -> Iterator[Load]:
    """Chats and streams, before, while and after something happens; the table has a row for it."""
    until(lambda: field.site.ready() and field.spread(), 120)
    field.main.requests.clear()
    field.spare.requests.clear()
    with load(field.site.url, "shop", "main spare", CHATS + STREAMS, CALLER, STREAMS) as chats:
        chats.answered_again(0, 30)
        time.sleep(5)
        began = time.monotonic()
        yield chats
        time.sleep(10)
    bad = [one for one in chats.asked if one.outcome != ANSWERED or one.seconds > SLOW_SECONDS]
    well = max((one.ended - began for one in bad), default=0.0)
    twice = sum(times > 1 for times in field.asked().values())
    failed = ", ".join(f"{n} {code}" for code, n in sorted(chats.failed().items())) or "0"
    slowest = max(one.seconds for one in chats.asked)
    cells = (
        len(chats.asked),
        failed,
        len(field.spare.requests),
        twice,
        f"{slowest:.1f}",
        f"{well:.1f}",
    )
    table.append(f"| {what} | " + " | ".join(map(str, cells)) + " |")
    print("\n" + table[-1])
    assert f"no answer within {HANG_SECONDS} s" not in chats.failed(), "a chat hangs"
    assert not [outcome for outcome in chats.failed() if "wrong" in outcome]
    assert chats.failed().total() <= CHATS + STREAMS, "more than was under way"


@nodes
def test_a_machine_loses_its_power_and_comes_back(field: Field, table: list[str]) -> None:
    with under_load(field, table, "the third machine loses its power, back after 10 s"):
        field.site.power_off(THIRD)
        time.sleep(10)
        field.site.power_on(THIRD)
        until(field.site.ready, 120)


@nodes
@pytest.mark.parametrize(
    ("what", "seconds", "share"),
    [("is slowed to 200 ms", 0.1, 0.0), ("has a cable that loses a twentieth", 0.0, 0.05)],
)
def test_a_machine_is_reached_badly(
    field: Field, table: list[str], what: str, seconds: float, share: float
) -> None:
    with (
        under_load(field, table, f"the third {what}, for 15 s"),
        field.site.machines[THIRD].disturbed(seconds, share),
    ):
        time.sleep(15)


@nodes
@pytest.mark.parametrize(
    ("ways", "cut", "mend"),
    [("one way", Machine.mute, Machine.unmute), ("both ways", Machine.unplug, Machine.plug)],
    ids=["one way", "both ways"],
)
def test_a_machine_is_cut_off(
    field: Field,
    table: list[str],
    ways: str,
    cut: Callable[[Machine], None],
    mend: Callable[[Machine], None],
) -> None:
    with under_load(field, table, f"the third cut off, for 15 s, {ways}"):
        cut(field.site.machines[THIRD])
        time.sleep(15)
        mend(field.site.machines[THIRD])


@nodes
def test_the_head_loses_its_power_and_comes_back(field: Field, table: list[str]) -> None:
    with under_load(field, table, "the head's machine loses its power, back after 3 s"):
        field.site.power_off(HEAD)
        time.sleep(3)
        field.site.power_on(HEAD)
        until(field.site.ready, 120)


@nodes
def test_each_gateway_is_replaced_by_the_next_version(
    field: Field, table: list[str], tmp_path: Path
) -> None:
    """What is under way ends first; Caddy asks another machine meanwhile."""
    tree = next_version.copy(tmp_path)
    next_version.upgrade(tree)
    with under_load(field, table, "each gateway replaced by the next version"):
        for address in ADDRESSES:
            field.site.stop_gateway(address)
            field.site.start_gateway(address, tree)
            until(field.site.ready, 60)
            time.sleep(6)  # until Caddy has looked, too


@nodes
def test_each_node_is_started_anew(field: Field, table: list[str]) -> None:
    """As for a new version of Python or of the system; a cluster has one version of Ray."""
    with under_load(field, table, "each machine's Ray started anew, the head's last"):
        for address in (SECOND, THIRD, HEAD):
            field.site.start_node_anew(address)
            until(field.site.ready, 60)
            time.sleep(5)


@nodes
def test_each_machine_moves_to_a_cluster_of_another_version_of_ray(
    field: Field, table: list[str]
) -> None:
    """As docs/scaling.md has it: the chats are deployed in the new cluster before Caddy knows of a
    gateway there, and the old head is the last to move."""
    site = field.site
    with under_load(field, table, "each machine moved to a cluster of another Ray"):
        for address in (THIRD, SECOND, HEAD):
            site.stop_gateway(address)
            site.move_node(address, THIRD)
            if address == THIRD:
                site.start_gateway(address, port=ASIDE_PORT)
                with site.client(f"http://{address}:{ASIDE_PORT}") as aside:
                    until(lambda: aside.get("/readyz").status_code == 200, 60)
                    field.deploy(aside)
                site.stop_gateway(address)
            site.start_gateway(address)
            until(site.ready, 60)
            time.sleep(12)  # until Caddy has looked twice
    assert all(OTHER_RAY.resolve() in site.raylet(address).parents for address in ADDRESSES)


def _may_have_machines() -> bool:
    namespaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "true"]
    return os.geteuid() == 0 and subprocess.run(namespaces, check=False).returncode == 0


@pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("caddy") and shutil.which("redis-check-rdb")),
    reason="tests/install-packages installs them",
)
def test_in_short_a_machine_that_loses_its_power_loses_what_it_had_under_way_and_no_more() -> None:
    """In namespaces of its own."""
    if not _may_have_machines():
        pytest.skip("only root may have networks of its own")
    only = "test_a_machine_loses_its_power_and_comes_back"
    command = [
        "unshare",
        "--net",
        "--mount",
        sys.executable,
        "-m",
        "pytest",
        "-s",
        __file__,
        "-k",
        only,
    ]
    ended = subprocess.run(
        command,
        cwd=TOP,
        env={**os.environ, "NODES": "1"},
        timeout=240,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-6000:]
