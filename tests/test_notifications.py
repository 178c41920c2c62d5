"""People are told: once, by one of two processes, whatever is killed, and never a secret.

Each channel of the server is played by the stand-in, or is a real mail server; every message is
about some chat, by whose name a test knows its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead
from tests.mail_server import PASSWORD, USER, MailServer, mail_server, make_certificate
from tests.processes import actor_process
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.waiting import until

MARK = f"K7-{os.getpid()}"
"""Part of every robot's key, and of every secret that signs."""

WECOM, FLAKY, HOOK = f"{MARK}-wecom", f"{MARK}-flaky", f"{MARK}-hook"
DINGTALK, FEISHU = f"signed-{MARK}-ding", f"signed-{MARK}-fei"
ROBOTS = (WECOM, FLAKY, HOOK, DINGTALK, FEISHU)
PROMPT = "prompt-marker-41f7"
UNPAID, REFUSED = "refuse:openai-insufficient_quota", "refuse:openai-invalid_api_key"

QUIET_SECONDS = 14
"""Longer than two looks, and than the time between two messages: what would be told twice is told
by then."""

TURN_SECONDS = 20 + QUIET_SECONDS
"""The same where another process must take the turn first."""


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mail_server(make_certificate(tmp_path_factory.mktemp("mail"))) as server:
        yield server


@pytest.fixture(scope="module")
def server(
    start_server: Callable[..., Server],
    ray_head: RayHead,
    standin: StandIn,
    mails: MailServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """In place of the shared `server`: two processes that tell five robots and a reader of mail."""
    robots = f"{standin.url}/robots"
    file = tmp_path_factory.mktemp("notify") / "notify"
    file.touch(0o600)
    file.write_text(
        f"# the team\nwecom+{robots}/wecom/send?key={WECOM}\n"
        f"dingtalk+{robots}/dingtalk/send?access_token={DINGTALK}#SEC{DINGTALK}\n"
        f"feishu+{robots}/feishu/hook/{FEISHU}#SEC{FEISHU}\n{robots}/webhook/hook/{HOOK}\n"
        f"smtp://{USER.replace('@', '%40')}:{PASSWORD}@127.0.0.1:{mails.port}/?to=o@b.example\n"
    )
    started = start_server(
        {
            **ray_head.environment,
            "WEB_CONCURRENCY": "2",
            "GATEWAY_PROBE_SECONDS": "1",
            "GATEWAY_NOTIFY_FILE": str(file),
            "GATEWAY_NOTIFY": f"wecom+{robots}/wecom/send?key={FLAKY}",
        }
    )
    yield started
    started.stop()


@pytest.fixture(scope="module")
def gateway(server: Server) -> httpx.Client:
    """In place of the shared `gateway`: this server's."""
    return server.http


class Chats:
    """Chats that begin and end to rest, and what is told of them."""

    def __init__(self, gateway: httpx.Client, standin: StandIn, mails: MailServer) -> None:
        self.gateway, self.standin, self.mails = gateway, standin, mails

    def ask(self, name: str) -> str:
        reply = self.gateway.post("/openai/chat", json={"chat_name": name, "content": PROMPT})
        return "OK" if reply.is_success else str(reply.json()["error"]["code"])

    def rest(self, name: str, key: str, refusal: str = UNPAID) -> None:
        self.standin.script(key, [refusal])
        assert self.ask(name) in ("PAY_BILL", "BAD_KEY")

    def pay(self, name: str, key: str) -> None:
        self.standin.script(key, ["say:hello"])
        until(lambda: self.ask(name) == "OK")

    def messages(self, robot: str) -> list[str]:
        """What a robot took, or was sent to no avail."""
        return [
            str(one["body"]) for one in self.standin.requests(robot) if one["dialect"] == "take"
        ]

    def texts(self) -> dict[str, list[str]]:
        """What each channel took."""
        return {"mail": self.mails.texts(), **{robot: self.messages(robot) for robot in ROBOTS}}

    def count(self, words: str) -> dict[str, int]:
        """How often each channel was told so."""
        return {channel: "\n".join(texts).count(words) for channel, texts in self.texts().items()}

    def wait(self, words: str) -> None:
        """Until every channel was told so once."""
        until(lambda: set(self.count(words).values()) == {1}, 60)


@pytest.fixture
def chats(gateway: httpx.Client, standin: StandIn, mails: MailServer) -> Chats:
    return Chats(gateway, standin, mails)


def test_an_unpaid_bill_is_told_once_everywhere_and_its_end_too(
    chats: Chats, deploy: Deploy, key: str
) -> None:
    name = deploy()
    chats.rest(name, key)
    begin = f"Chat {name} rests: its bill at openai is not paid."
    chats.wait(begin)
    for _ in range(3):  # it goes on resting
        chats.ask(name)
    time.sleep(QUIET_SECONDS)
    assert set(chats.count(begin).values()) == {1}

    chats.pay(name, key)
    chats.wait(f"Chat {name} answers again")
    time.sleep(QUIET_SECONDS)
    assert set(chats.count(f"Chat {name} ").values()) == {2}
    assert [one for texts in chats.texts().values() for one in texts if PROMPT in one] == []
    assert [one["dialect"] for one in chats.standin.requests(DINGTALK)] == ["take", "take"]


def test_a_webhook_is_told_as_data(chats: Chats, deploy: Deploy, key: str) -> None:
    name = deploy()
    chats.rest(name, key, REFUSED)
    chats.wait(f"Chat {name} rests: openai refuses its key.")
    conditions = [row for one in chats.standin.requests(HOOK) for row in one["body"]["conditions"]]
    row = {"event": "begun", "kind": "resting", "name": name, "detail": "BAD_KEY"}
    assert [one for one in conditions if one["name"] == name] == [row]


def test_a_robot_that_says_no_inside_a_200_is_told_again_and_gathers_meanwhile(
    chats: Chats, deploy: Deploy, key: str, server: Server
) -> None:
    first, other = deploy(), deploy()
    chats.standin.script(FLAKY, ["refuse:99", "status:503"])
    before = len(chats.standin.requests(FLAKY))
    chats.rest(first, key)
    until(lambda: len(chats.standin.requests(FLAKY)) == before + 2, 60)
    chats.rest(other, key)
    chats.standin.script(FLAKY, ["take"])
    chats.wait(f"Chat {other} rests")
    time.sleep(QUIET_SECONDS)

    assert chats.count(f"Chat {first} rests")[FLAKY] == 1
    [message] = [one for one in chats.messages(FLAKY) if other in one]
    assert f"Chat {first} rests" in message
    log = server.log.read_text()
    assert log.count("it refuses with code 99") == 1
    assert log.count("it answers HTTP 503") == 1
    assert log.count("takes messages again") == 1


def test_a_chain_of_which_nothing_is_left_is_told(chats: Chats, deploy: Deploy, key: str) -> None:
    spare = deploy()
    name = deploy(fallback=[spare])
    chats.rest(name, key)
    words = f"Nobody answers chat {name} any more: it and its fallback ({spare})"
    chats.wait(words)

    chats.pay(spare, key)
    chats.wait(f"Chat {name} is answered again")


def test_a_lost_key_is_told_and_that_it_is_back(
    chats: Chats, deploy: Deploy, ray_head: RayHead, new_name: str
) -> None:
    deploy("zhipu", chat_name=new_name)
    actor_process(ray_head, "ModelActor").kill()
    actor_process(ray_head, "Directory").kill()
    until(lambda: chats.ask(new_name) == "NEED_KEY")
    chats.wait(f"Chat {new_name} needs its key")

    deploy("zhipu", chat_name=new_name)
    chats.wait(f"Chat {new_name} has its key again")


def test_whoever_is_killed_nothing_is_told_twice_and_the_next_one_goes_on(
    chats: Chats, deploy: Deploy, key: str, server: Server, ray_head: RayHead
) -> None:
    name = deploy()
    chats.rest(name, key)
    begin = f"Chat {name} rests"
    chats.wait(begin)
    time.sleep(6)  # the other process has heard of it

    actor_process(ray_head, "Store").kill()
    psutil.Process(server.process.pid).children()[0].kill()
    time.sleep(TURN_SECONDS)
    assert set(chats.count(begin).values()) == {1}

    for process in psutil.Process(server.process.pid).children():
        process.kill()
    server.wait_until()
    time.sleep(TURN_SECONDS)
    assert set(chats.count(begin).values()) == {1}
    chats.pay(name, key)
    chats.wait(f"Chat {name} answers again")


def test_no_key_secret_or_prompt_is_in_a_log_or_a_process_of_rays(
    server: Server, ray_head: RayHead, chats: Chats
) -> None:
    assert chats.messages(WECOM), "nobody was told: the other tests of this file come first"
    logs = [server.log, *(path for path in ray_head.folder.rglob("*") if path.is_file())]
    needles = [MARK, PASSWORD, PROMPT, f"SEC{DINGTALK}", "/robots/"]
    for path in logs:
        content = b"" if path.is_symlink() else path.read_bytes()
        assert [one for one in needles if one.encode() in content] == [], path
    for process in psutil.Process(ray_head.process.pid).children(True):
        for place in ("environ", "cmdline"):
            content = Path(f"/proc/{process.pid}/{place}").read_bytes()
            assert MARK.encode() not in content
