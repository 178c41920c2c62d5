"""Keys are in memory only; prompts and answers are in no log. And the search that says so does find
a planted leak."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from gateway.actors.deployments import DEPLOY_SECONDS
from gateway.commands.ray_head import RayHead
from tests.environment import clean_environment
from tests.processes import actor_process, contents
from tests.server import Server
from tests.standin.client import StandIn
from tests.standin.refusals import DIALECTS, REFUSALS
from tests.waiting import until

KEY = "sk-planted-7f3a9c51e2d84b06"
PROMPT = "prompt-marker-5d2e8f"
ANSWER = "answer-marker-9b1c4a"


def answers(gateway: httpx.Client, chat: dict[str, str]) -> bool:
    return gateway.post("/openai/chat", json=chat).is_success


def in_files(needle: bytes, *places: Path) -> Iterator[str]:
    for place in places:
        for path in [place, *place.rglob("*")]:
            if path.is_file() and not path.is_symlink() and needle in contents(path):
                yield f"file {path}"


def in_processes(needle: bytes) -> Iterator[str]:
    """Every process's arguments and environment, but for this test's own and those above it."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in Path("/proc").iterdir():
        for what in (
            ("cmdline", "environ")
            if process.name.isdigit() and int(process.name) not in mine
            else ()
        ):
            try:
                if needle in (process / what).read_bytes():
                    yield f"{what} of {process.name}"
            except OSError:
                continue  # it has ended, or is not ours to read


def in_control_store(needle: bytes, head: RayHead) -> Iterator[str]:
    """The whole memory of Ray's control store: whatever is kept in any of its tables is there."""
    gcs = next(
        p
        for p in psutil.Process(head.process.pid).children(recursive=True)
        if "gcs_server" in p.name()
    )
    ranges = re.findall(
        r"^([0-9a-f]+)-([0-9a-f]+) rw", Path(f"/proc/{gcs.pid}/maps").read_text(), re.M
    )
    with Path(f"/proc/{gcs.pid}/mem").open("rb", buffering=0) as memory:
        for start, end in ((int(a, 16), int(b, 16)) for a, b in ranges):
            try:
                memory.seek(start)
                if needle in memory.read(end - start):
                    yield f"memory of the control store at {start:x}"
            except (OSError, OverflowError):
                continue  # not readable, such as [vvar]


STATE = """
import json, os, ray
from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_list
ray.init(address=os.environ["RAY_ADDRESS"], namespace="default", log_to_driver=False)
print(ray._private.state.actors(), ray._private.state.jobs())
print(ray.util.list_named_actors(all_namespaces=True))
spaces = (b"fun", b"job", b"session", b"cluster", b"dashboard", b"_ray_internal", b"serve")
for space in (None, *spaces):
    for key in _internal_kv_list(b"", namespace=space):
        print(key, _internal_kv_get(key, namespace=space))
"""


def in_state(needle: bytes, head: RayHead) -> Iterator[str]:
    """What Ray tells of actors and jobs, and everything in its key-value store."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **head.environment}
    command = [sys.executable, "-c", STATE]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=True)
    assert b"ModelActor" in done.stdout
    if needle in done.stdout:
        yield "Ray's state"


def everywhere(needle: str, head: RayHead, server: Server) -> list[str]:
    raw = needle.encode()
    return [
        *in_files(raw, head.folder, server.log),
        *in_processes(raw),
        *in_control_store(raw, head),
        *in_state(raw, head),
    ]


@pytest.fixture(scope="module")
def replies(
    server: Server, gateway: httpx.Client, ray_head: RayHead, standin: StandIn
) -> Iterator[dict[str, httpx.Response]]:
    """A life with this key: deployed, chatting, failing in every way, killed, deployed again,
    listed."""
    seen: dict[str, httpx.Response] = {}
    chats = {dialect: f"secret-{dialect}" for dialect in DIALECTS}

    def post(what: str, path: str, body: dict[str, object]) -> None:
        # Stock byzerllm deploys in three processes that import for seconds each.
        seen[what] = gateway.post(path, json=body, timeout=DEPLOY_SECONDS * 1.5)

    for dialect, name in chats.items():
        body = {
            "chat_name": name,
            "api_key": KEY,
            "base_url": standin.base_url(dialect),
            "model_name": "echo",
        }
        post(f"deploy {dialect}", f"/{dialect}/deploy", {**body, "timeout": 2})
        post(f"bad deploy {dialect}", f"/{dialect}/deploy", {**body, "workers": "none"})
        post(f"bad key {dialect}", f"/{dialect}/deploy", {**body, "api_key": KEY + " x"})
        behaviours = [
            f"say:{ANSWER}",
            "drop",
            "drop-mid",
            "garbage",
            "wrong-types",
            "hang",
            "redirect:http://x/" + KEY,
        ]
        for behaviour in behaviours + [
            f"refuse:{row.name}" for row in REFUSALS if row.dialect == dialect
        ]:
            # it rests after some
            post(f"deploy for {behaviour}", f"/{dialect}/deploy", {**body, "timeout": 2})
            standin.script(KEY, [behaviour])
            post(
                f"{dialect} {behaviour}", f"/{dialect}/chat", {"chat_name": name, "content": PROMPT}
            )
        post(f"deploy {dialect} again", f"/{dialect}/deploy", {**body, "timeout": 2})
    standin.script(KEY, [f"say:{ANSWER}"])
    stock = {
        "chat_name": "secret-stock",
        "api_key": KEY,
        "base_url": standin.base_url("openai"),
        "model_name": "echo",
    }
    post("deploy stock", "/openai/deploy", {**stock, "model_type": "saas/reasoning_openai"})
    post("chat stock", "/openai/chat", {"chat_name": "secret-stock", "content": PROMPT})
    for victim in ("ModelActor", "Directory"):
        actor_process(ray_head, victim).kill()
        for name in chats.values():
            chat = {"chat_name": name, "content": "hi"}
            until(partial(answers, gateway, chat))
    post(
        "redeploy",
        "/zhipu/deploy",
        {**stock, "chat_name": "secret-openai", "base_url": standin.base_url("zhipu")},
    )
    seen["models"] = gateway.get("/models")
    yield seen
    for name in (*chats.values(), "secret-stock"):
        gateway.post("/openai/undeploy", json={"chat_name": name})


def test_the_key_is_nowhere_but_in_memory(
    replies: dict[str, httpx.Response], ray_head: RayHead, server: Server, standin: StandIn
) -> None:
    assert replies["openai drop"].status_code == 502
    assert (replies["deploy stock"].status_code, replies["chat stock"].json()) == (200, ANSWER)
    assert standin.count(KEY) > len(REFUSALS), "the key was not even used"

    assert [what for what, reply in replies.items() if KEY in reply.text + str(reply.headers)] == []
    assert everywhere(KEY, ray_head, server) == []


def test_prompts_and_answers_are_in_no_log(
    replies: dict[str, httpx.Response], ray_head: RayHead, server: Server
) -> None:
    assert replies["zhipu " + f"say:{ANSWER}"].json() == ANSWER
    for marker in (PROMPT, ANSWER):
        assert list(in_files(marker.encode(), ray_head.folder, server.log)) == []


PLANT_ARGUMENT = """
import os, ray, sys
ray.init(address=os.environ["RAY_ADDRESS"], namespace="default", log_to_driver=False)
@ray.remote(num_cpus=0)
class Leaky:
    def __init__(self, api_key): pass
    def ready(self): return True
leaky = Leaky.options(name="leaky", lifetime="detached").remote(sys.stdin.read())
ray.get(leaky.ready.remote())
"""


@pytest.mark.parametrize("leak", ["log", "argument", "environment", "creation argument"])
def test_a_planted_leak_is_found(
    leak: str, ray_head: RayHead, server: Server, replies: dict[str, httpx.Response]
) -> None:
    planted = f"sk-leaked-{leak.replace(' ', '-')}-{time.time_ns()}"
    process: subprocess.Popen[bytes] | None = None
    if leak == "log":
        (ray_head.folder / "ray" / "session_latest" / "logs" / "planted.log").write_text(
            f"key={planted}"
        )
    elif leak == "argument":
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", planted])
    elif leak == "environment":
        process = subprocess.Popen(["/bin/sleep", "60"], env={"API_KEY": planted})
    else:
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **ray_head.environment}
        subprocess.run(
            [sys.executable, "-c", PLANT_ARGUMENT],
            input=planted,
            text=True,
            env=environment,
            timeout=120,
            check=True,
        )
    try:
        matches = everywhere(planted, ray_head, server)
    finally:
        if process:
            process.kill()
            process.wait()
    assert matches, f"a key in a {leak} was not found"


def test_the_gateways_tokens_are_in_no_process_of_rays() -> None:
    token = "dG9rZW4tb2Ytc2hvcA"
    head = RayHead(
        {
            **clean_environment(),
            "GATEWAY_TOKENS": f"shop:{token}:chat,admin",
            "GATEWAY_TOKEN": token,
            "GATEWAY_NOTIFY": f"https://hook.example/{token}",
        }
    )
    try:
        until(head.up)
        processes = [
            head.process.pid,
            *(child.pid for child in psutil.Process(head.process.pid).children(True)),
        ]
        assert len(processes) > 2
        assert [
            pid for pid in processes if token.encode() in contents(Path(f"/proc/{pid}/environ"))
        ] == []
    finally:
        head.stop()
