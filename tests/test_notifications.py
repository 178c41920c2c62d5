"""People are told: once, by one of two processes, whatever is killed, and never a secret.

Each channel of the server is played by the stand-in, or is a real mail server; every message is
about some chat, by whose name a test knows its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead
from tests.mail_server import PASSWORD, USER, MailServer, mail_server, make_certificate
from tests.processes import actor_process, contents
from tests.server import Server
from tests.standin.client import StandIn
from tests.waiting import until

MARK = f"K7-{os.getpid()}"
"""Part of every robot's key, and of every secret that signs."""

WECOM, FLAKY, HOOK = f"{MARK}-wecom", f"{MARK}-flaky", f"{MARK}-hook"
DINGTALK, FEISHU = f"signed-{MARK}-ding", f"signed-{MARK}-fei"
ROBOTS = (WECOM, FLAKY, HOOK, DINGTALK, FEISHU)
PROMPT = "prompt-marker-41f7"
ADMIN, CALLER = "admin-token-41f7", "caller-token-41f7"
UNPAID, REFUSED = "refuse:openai-insufficient_quota", "refuse:openai-invalid_api_key"

HEARD_SECONDS = 6
"""After which every process knows what was told; each shows the board what it knows every 5 s."""


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
            "GATEWAY_TOKENS": f"ops:{ADMIN}:admin,chat\ntill:{CALLER}:chat limit=1/day",
            "GATEWAY_STATE": str(file.parent / "state"),
        },
        ready=False,
    )
    started.http.headers["X-Api-Key"] = ADMIN
    started.wait_until()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def gateway(server: Server) -> httpx.Client:
    """In place of the shared `gateway`: this server's."""
    return server.http


class Story:
    """Chats that begin and end to rest, and what each channel was told of them."""

    def __init__(self, gateway: httpx.Client, standin: StandIn, mails: MailServer) -> None:
        self._gateway, self._standin, self._mails = gateway, standin, mails
        self.names = {
            what: f"{what}-{os.getpid()}"
            for what in ("bill", "bad", "shop", "spare", "spent", "lost", "late", "low")
        }

    def deploy(self, what: str, provider: str = "openai", **more: object) -> None:
        name = self.names[what]
        base = {"base_url": self._standin.base_url("openai"), "model_name": "echo", **more}
        body = {"chat_name": name, "api_key": self.key(what), **base}
        assert self._gateway.post(f"/{provider}/deploy", json=body).json() == {"ret": "ok"}

    def key(self, what: str) -> str:
        return f"sk-{MARK}-{what}"

    def ask(self, what: str, token: str = ADMIN) -> str:
        body = {"chat_name": self.names[what], "content": PROMPT}
        reply = self._gateway.post("/openai/chat", json=body, headers={"X-Api-Key": token})
        return "OK" if reply.is_success else str(reply.json()["error"]["code"])

    def rest(self, what: str, refusal: str = UNPAID) -> None:
        self._standin.script(self.key(what), [refusal])
        assert self.ask(what) in ("PAY_BILL", "BAD_KEY")

    def pay(self, *chats: str) -> None:
        for what in chats:
            self._standin.script(self.key(what), ["say:hello"])
        for what in chats:
            until(lambda what=what: self.ask(what) == "OK")  # type: ignore[misc]

    def messages(self, robot: str) -> list[str]:
        """What a robot took."""
        sent = self._standin.requests(robot)
        return [str(one["body"]) for one in sent if one["dialect"] == "take"]

    def texts(self) -> dict[str, str]:
        """All that each channel took."""
        robots = {robot: self.messages(robot) for robot in ROBOTS}
        return {
            name: "\n".join(all_) for name, all_ in {"mail": self._mails.texts(), **robots}.items()
        }

    def sentence(self, words: str) -> str:
        """A sentence's beginning, with the names of this story's chats."""
        return words.format_map(self.names)

    def wait(self, *sentences: str) -> None:
        """Until every channel was told all of them."""
        sought = [self.sentence(words) for words in sentences]
        until(lambda: all(words in text for text in self.texts().values() for words in sought), 120)


BEGUN = (
    "Chat {bill} rests: its bill at openai is not paid.",
    "Chat {bad} rests: openai refuses its key.",
    "Chat {spare} rests: its bill at openai is not paid.",
    "Nobody answers chat {shop} any more: it and its fallback ({spare}) all rest",
    "Chat {lost} needs its key: the cluster has lost it.",
    "Chat {spent} rests: its own budget is spent.",
    "Chat {spent} has spent ",
    "The balance of chat {low} at deepseek is 12.5 CNY, under the 20 ",
    "Caller till is over its limit (1/day) and is refused.",
)
ENDED = (
    "Chat {bill} answers again: its bill",
    "Chat {bad} answers again: its key",
    "Chat {spare} answers again",
    "Chat {shop} is answered again",
    "Chat {lost} has its key again",
    "Chat {spent} answers again: its budget",
)
LATE = "Chat {late} rests: its bill at openai is not paid."


def tell_beginnings(story: Story, standin: StandIn, ray_head: RayHead) -> None:
    """Have everything begin, while one robot takes nothing at first."""
    standin.script(FLAKY, ["refuse:99", "take"])
    for what in ("bill", "bad", "spare"):
        story.deploy(what)
    story.deploy("spent", budget={"tokens": 1, "per": "day"})
    story.deploy("shop", fallback=story.names["spare"])
    for what in ("bill", "spare", "shop"):
        story.rest(what)
    story.rest("bad", REFUSED)
    standin.put_balance(story.key("low"), 12.5)
    story.deploy("low", "deepseek", low=20)
    assert story.ask("low") == "OK"
    story.deploy("lost")  # the last one: its actor is the one that is killed
    assert [story.ask("spent", CALLER) for _ in range(2)] == ["OK", "OVER_LIMIT"]
    both = [actor_process(ray_head, kind) for kind in ("ModelActor", "Directory")]
    for process in both:
        process.kill()
    until(lambda: story.ask("lost") == "NEED_KEY")
    story.wait(*BEGUN)


@pytest.fixture(scope="module")
def story(
    gateway: httpx.Client, server: Server, standin: StandIn, mails: MailServer, ray_head: RayHead
) -> Iterator[Story]:
    """Things begin; the store and a process are killed; they end; all processes are killed; one
    more thing begins, and is told by a process that has told nothing before."""
    story = Story(gateway, standin, mails)
    tell_beginnings(story, standin, ray_head)
    time.sleep(HEARD_SECONDS)

    actor_process(ray_head, "Store").kill()
    master = psutil.Process(server.process.pid)
    master.children()[0].kill()
    story.pay("bill", "bad", "spare")
    story.deploy("lost")
    story.deploy("spent", budget={"tokens": 1_000_000, "per": "day"})
    story.wait(*ENDED)
    time.sleep(HEARD_SECONDS)

    for process in master.children():
        process.kill()
    server.wait_until()
    story.deploy("late")
    story.rest("late")
    story.wait(LATE)
    yield story
    for name in ("shop", "bill", "bad", "spare", "spent", "lost", "late", "low"):
        gateway.post("/openai/undeploy", json={"chat_name": story.names[name]})


@pytest.mark.parametrize("words", [*BEGUN, *ENDED, LATE])
def test_everything_is_told_once_to_everyone_whoever_was_killed(story: Story, words: str) -> None:
    counts = {channel: text.count(story.sentence(words)) for channel, text in story.texts().items()}
    assert counts == dict.fromkeys(counts, 1)
    assert len(counts) == 6


def test_a_rest_that_another_answers_for_is_told_with_its_fallback(story: Story) -> None:
    # The fallback rested, too, when this was told.
    words = story.sentence("Chat {shop} rests: its bill at openai is not paid.")
    assert {text.count(words) for text in story.texts().values()} == {1}


def test_a_robot_that_says_no_inside_a_200_is_told_again_and_gathers(
    story: Story, server: Server, standin: StandIn
) -> None:
    sent = standin.requests(FLAKY)
    assert [one["dialect"] for one in sent[:2]] == ["refuse", "take"]
    assert sent[1]["at"] - sent[0]["at"] > 9
    first = story.messages(FLAKY)[0]
    assert all(story.sentence(words) in first for words in BEGUN[:4])

    log = server.log.read_text()
    for words in ("it refuses with code 99: ", "takes messages again"):
        assert log.count(words) == 1


def test_each_channel_gets_few_messages(story: Story, standin: StandIn) -> None:
    for robot in ROBOTS:
        times = [one["at"] for one in standin.requests(robot)]
        assert len(times) <= 9
        assert all(later - earlier > 9 for earlier, later in pairwise(times))


def test_signatures_are_right_and_nothing_was_refused(story: Story, standin: StandIn) -> None:
    for robot in (WECOM, DINGTALK, FEISHU, HOOK):
        assert {one["dialect"] for one in standin.requests(robot)} == {"take"}


def test_a_webhook_is_told_as_data(story: Story, standin: StandIn) -> None:
    rows = [row for one in standin.requests(HOOK) for row in one["body"]["conditions"]]
    mine = [row for row in rows if row["name"] == story.names["bad"]]
    row = {"kind": "resting", "name": story.names["bad"], "detail": "BAD_KEY"}
    assert mine == [{"event": "begun", **row}, {"event": "ended", **row}]


def test_mail_says_in_its_subject_what_is_wrong(story: Story, mails: MailServer) -> None:
    assert all(mail["Subject"].startswith("Byzer-LLM gateway: ") for mail in mails.mails)
    assert set(mails.logins) == {True}


def test_no_key_secret_or_prompt_is_in_a_log_a_message_or_a_process_of_rays(
    story: Story, server: Server, ray_head: RayHead
) -> None:
    needles = [MARK, PASSWORD, PROMPT, ADMIN, CALLER, "/robots/"]
    for text in story.texts().values():
        assert [one for one in needles if one in text] == []
    for path in (server.log, *(path for path in ray_head.folder.rglob("*") if path.is_file())):
        content = b"" if path.is_symlink() else contents(path)
        assert [one for one in needles if one.encode() in content] == [], path
    for process in psutil.Process(ray_head.process.pid).children(True):
        for place in ("environ", "cmdline"):
            assert MARK.encode() not in contents(Path(f"/proc/{process.pid}/{place}"))
