"""The key holder deploys the operator's files, keeps them deployed, and says what is wrong with
them, once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.environment import TOP, clean_environment, free_port
from tests.server import Deploy, Server
from tests.standin.client import StandIn

SECONDS = 60


class KeyHolder:
    """deploy/keyholder.py as a process of its own, a folder of files, and what it said."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.chats = folder / "chats"
        self.chats.mkdir()
        self.log = folder / "log"
        # A proxy that nobody runs: what went there would not arrive.
        proxy = {"http_proxy": f"http://127.0.0.1:{free_port()}"}
        self.environment = {**clean_environment(), **proxy, "CHATS": str(self.chats), **environment}

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "deploy/keyholder.py"],
                cwd=TOP,
                env=self.environment,
                stdout=out,
                stderr=out,
            )

    def write(self, file: str, request: dict[str, Any] | str, mode: int = 0o600) -> Path:
        """Put a file there in one step, as editors do."""
        new = self.chats.parent / "new"
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        new.write_text(request if isinstance(request, str) else json.dumps(request))
        new.chmod(mode)
        return new.rename(self.chats / file)

    def said(self) -> str:
        return self.log.read_text()

    def wait_until_it_says(self, words: str) -> None:
        until(lambda: words in self.said(), self.said)

    def rounds(self, seconds: float = 7) -> None:
        """Time in which it looks three times; for what it must not do."""
        time.sleep(seconds)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def until(true: Callable[[], bool], explain: Callable[[], str]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)


@pytest.fixture
def holder(tmp_path: Path, server: Server) -> Iterator[KeyHolder]:
    holder = KeyHolder(tmp_path, {"GATEWAY_URL": server.url})
    holder.start()
    yield holder
    holder.end()


@pytest.fixture
def request_for(
    standin: StandIn, key: str, names: Callable[[], str]
) -> Callable[..., dict[str, Any]]:
    """A file's contents: a new chat at the stand-in."""

    def new(provider: str = "zhipu", **more: Any) -> dict[str, Any]:
        base_url = standin.base_url(provider)  # type: ignore[arg-type]
        chat = {
            "chat_name": more.pop("chat_name", None) or names(),
            "api_key": key,
            "model_name": "echo",
        }
        return {"provider": provider, **chat, "base_url": base_url, **more}

    return new


@pytest.fixture
def ask(gateway: httpx.Client) -> Callable[[str], Any]:
    def asked(name: str) -> Any:
        return gateway.post("/openai/chat", json={"chat_name": name, "content": "hi"}).json()

    return asked


RequestFor = Callable[..., dict[str, Any]]
Ask = Callable[[str], Any]


def test_a_file_is_deployed_and_its_key_is_nowhere_to_be_seen(
    holder: KeyHolder, request_for: RequestFor, ask: Ask, standin: StandIn, key: str
) -> None:
    chat = request_for()
    holder.write("shop.json", chat)

    holder.wait_until_it_says(f"{chat['chat_name']}: deployed at zhipu.")

    assert ask(chat["chat_name"]) == "zhipu:hi"
    assert standin.requests(key)[-1]["headers"]["Authorization"] == f"Bearer {key}"
    process = psutil.Process(holder.process.pid)
    assert key not in holder.said() + str(process.cmdline()) + str(process.environ())


def test_a_chat_that_is_gone_comes_back(
    holder: KeyHolder, request_for: RequestFor, ask: Ask, gateway: httpx.Client
) -> None:
    chat = request_for()
    holder.write("shop.json", chat)
    holder.wait_until_it_says("deployed at zhipu.")

    gateway.post("/openai/undeploy", json={"chat_name": chat["chat_name"]})

    until(lambda: ask(chat["chat_name"]) == "zhipu:hi", holder.said)


def test_a_switch_by_hand_stands_until_the_file_is_edited(
    holder: KeyHolder, request_for: RequestFor, ask: Ask, deploy: Deploy
) -> None:
    chat = request_for()
    name = chat["chat_name"]
    holder.write("shop.json", chat)
    holder.wait_until_it_says("deployed at zhipu.")
    time.sleep(1.1)  # the gateway tells the time of a deploy in whole seconds

    deploy("tongwen", chat_name=name)
    holder.rounds()
    assert ask(name) == "tongwen:hi"
    holder.end()
    holder.start()
    holder.rounds()
    assert ask(name) == "tongwen:hi", "a key holder that was killed knows no better"

    holder.write("shop.json", request_for("openai", chat_name=name))
    holder.wait_until_it_says("deployed at openai.")
    assert ask(name) == "openai:hi"


def test_a_file_that_others_can_read_is_refused_and_holds_nobody_up(
    holder: KeyHolder, request_for: RequestFor, ask: Ask
) -> None:
    loose, sound = request_for(), request_for()
    path = holder.write("a.json", loose, mode=0o644)
    holder.write("b.json", sound)

    holder.wait_until_it_says(f"{sound['chat_name']}: deployed")
    holder.rounds()
    assert holder.said().count(f"chmod 600 {path}") == 1
    assert ask(loose["chat_name"])["error"]["code"] == "NOT_DEPLOYED"

    path.chmod(0o600)
    holder.wait_until_it_says(f"{loose['chat_name']}: deployed")


WRONG = {
    "comma.json": (
        '{"provider": "zhipu",\n"api_key": "sk-not-said",}',
        "comma.json: is no JSON (line 2",
    ),
    "list.json": ('["sk-not-said"]', "list.json: must hold one JSON object"),
    "none.json": ('{"chat_name": "a", "api_key": "sk-not-said"}', 'none.json: "provider" must be'),
    "path.json": (
        '{"chat_name": "b", "api_key": "sk-not-said", "provider": "../models"}',
        'path.json: "provider" must',
    ),
    "who.json": (
        '{"chat_name": "c", "api_key": "sk-not-said", "provider": "nobody"}',
        "c: INVALID_REQUEST",
    ),
    "typo.json": (
        '{"chat_name": "d", "api_key": "sk-not-said", "provider": "zhipu", "modle": 1}',
        "d: INVALID_REQUEST",
    ),
    "nameless.json": (
        '{"api_key": "sk-not-said", "provider": "zhipu"}',
        'nameless.json: "chat_name" is missing',
    ),
}


def test_each_wrong_file_is_named_once(holder: KeyHolder) -> None:
    for file, (contents, _) in WRONG.items():
        holder.write(file, contents)
    holder.write("chat.json.example", "is not looked at")

    for _, words in WRONG.values():
        holder.wait_until_it_says(words)
    holder.rounds()

    assert {words: holder.said().count(words) for _, words in WRONG.values()} == {
        words: 1 for _, words in WRONG.values()
    }
    assert "sk-not-said" not in holder.said()
    assert "example" not in holder.said()


def test_two_files_for_one_chat_are_told_apart(holder: KeyHolder, request_for: RequestFor) -> None:
    chat = request_for()
    holder.write("a.json", chat)
    holder.write("b.json", {**chat, "provider": "openai"})

    holder.wait_until_it_says(f"b.json: another file deploys {chat['chat_name']} already")
    holder.wait_until_it_says("deployed at zhipu.")
    holder.rounds()
    assert "deployed at openai." not in holder.said()


def test_a_deploy_that_fails_is_said_once_and_tried_again(
    holder: KeyHolder, request_for: RequestFor, ask: Ask, standin: StandIn, key: str
) -> None:
    standin.script(key, ["refuse:openai-invalid_api_key"] * 2 + ["echo"])
    chat = request_for("openai", check=True)
    holder.write("shop.json", chat)

    holder.wait_until_it_says("deployed at openai.")

    assert holder.said().count("BAD_KEY") == 1
    assert key not in holder.said()
    assert ask(chat["chat_name"]) == "openai:hi"


def test_a_deploy_that_takes_long_holds_nobody_up(
    holder: KeyHolder, request_for: RequestFor, ask: Ask
) -> None:
    slow, swift = request_for("openai", model_name="hang", check=True, timeout=15), request_for()
    holder.write("a.json", slow)
    holder.write("b.json", swift)

    holder.wait_until_it_says(f"{swift['chat_name']}: deployed at zhipu.")

    assert slow["chat_name"] not in holder.said()
    assert ask(swift["chat_name"]) == "zhipu:hi"


def test_chats_may_stand_in_for_each_other(
    holder: KeyHolder, request_for: RequestFor, gateway: httpx.Client, names: Callable[[], str]
) -> None:
    one, other, last = names(), names(), names()
    # Renamed into place before the first look or after it: either way, all three end with their
    # chains.
    holder.write("1.json", request_for(chat_name=one, fallback=f"{other}, {last}"))
    holder.write("2.json", request_for(chat_name=other, fallback=[one]))
    holder.write("3.json", request_for(chat_name=last))

    def chains() -> dict[str, list[str]]:
        rows = gateway.get("/models").json()["models"]
        return {
            row["chat_name"]: row["fallback"]
            for row in rows
            if row["chat_name"] in (one, other, last)
        }

    until(lambda: chains() == {one: [other, last], other: [one], last: []}, holder.said)


def test_a_chain_is_set_when_its_chats_are_there_though_by_another_process(
    holder: KeyHolder, request_for: RequestFor, gateway: httpx.Client, names: Callable[[], str]
) -> None:
    """Under systemd the file that is new ends the process that waited for it."""
    name, spare = names(), names()
    holder.end()
    holder.write("shop.json", request_for(chat_name=name, fallback=spare))
    time.sleep(1.1)  # GET /models says in whole seconds when it was deployed
    holder.start()
    holder.wait_until_it_says(f"{name}: deployed at zhipu, for now without its fallback.")
    holder.end()
    holder.write("spare.json", request_for(chat_name=spare))
    holder.start()
    holder.wait_until_it_says(f"{name}: its fallback is {spare}.")
    rows = {row["chat_name"]: row for row in gateway.get("/models").json()["models"]}
    assert rows[name]["fallback"] == [spare]


def test_a_task_is_deployed_after_the_chat_that_answers_it(
    holder: KeyHolder, request_for: RequestFor, ask: Ask, gateway: httpx.Client
) -> None:
    chat = request_for()
    task = f"{chat['chat_name']}-task"
    order = {"provider": "task", "chat_name": task, "prompt": "Sort: {{content}}"}
    holder.write("a-task.json", {**order, "through": chat["chat_name"]})
    holder.write("chat.json", chat)

    holder.wait_until_it_says(f"{task}: deployed at task.")

    assert ask(task) == "zhipu:Sort: hi"
    assert "INVALID_REQUEST" not in holder.said()
    gateway.post("/task/undeploy", json={"chat_name": task})
    until(lambda: ask(task) == "zhipu:Sort: hi", holder.said)
    holder.end()
    gateway.post("/task/undeploy", json={"chat_name": task})


def test_a_gateway_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    holder = KeyHolder(tmp_path, {"GATEWAY_BIND": f"0.0.0.0:{free_port()}"})
    holder.start()
    holder.wait_until_it_says("Waiting for the gateway: no gateway answers at http://127.0.0.1:")
    holder.rounds()
    assert len(holder.said().splitlines()) == 1
    assert holder.process.poll() is None
    holder.end()


def test_it_ends_at_once_on_sigterm(holder: KeyHolder) -> None:
    holder.wait_until_it_says("The gateway answers at")
    holder.process.send_signal(signal.SIGTERM)
    assert holder.process.wait(5) == 0


def test_a_credential_that_is_older_than_its_file_ends_it_to_be_loaded_anew(
    tmp_path: Path, server: Server, request_for: RequestFor
) -> None:
    # systemd copies the files once, at the start; their names and times are seen in the folder
    # itself.
    copies = tmp_path / "credentials"
    copies.mkdir()
    holder = KeyHolder(tmp_path, {"GATEWAY_URL": server.url, "CREDENTIALS_DIRECTORY": str(copies)})
    chat = request_for()
    path = holder.write("shop.json", chat)
    (copies / "chats_shop.json").write_bytes(path.read_bytes())
    holder.start()
    holder.wait_until_it_says(f"{chat['chat_name']}: deployed")

    os.utime(path)

    assert holder.process.wait(SECONDS) == 0
    assert "shop.json has changed" in holder.said()
    holder.start()
    assert holder.process.wait(SECONDS) == 0, "the copy is still the old one"
