"""Real old runtimes run the clients of examples/: what an owner would copy works, in Chinese, and
shows errors."""

from __future__ import annotations

import itertools
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.egress import listener
from tests.environment import TOP, free_port
from tests.fronts import RawChat, good
from tests.runtimes import (
    CHINESE,
    EXAMPLES,
    MAIL,
    SECONDS,
    TASK,
    Ask,
    Said,
    ask,
    needed,
    npm_installed,
)
from tests.server import CALLER, Deploy, Server

NODE = TOP / "tests" / "clients" / "node-0.10"


@dataclass(frozen=True)
class Client:
    """How an owner builds and runs it. `{here}` is examples/, `{built}` a folder of the test's
    own. `errors`: what its task's deploy says of them."""

    run: str
    build: str = ""
    charset: str = "utf-8"
    errors: Mapping[str, int] = field(default_factory=dict)


CLIENTS = {
    "bash /dev/tcp": Client("bash {here}/bash/chat.sh"),
    "COBOL": Client("{built}/chat", "cobc -x -o {built}/chat {here}/cobol/chat.cob", charset="gbk"),
    "gawk /inet": Client("gawk -b -f {here}/gawk/chat.awk"),
    "Java HttpURLConnection": Client(
        "java -cp {built} Chat", "javac -d {built} {here}/java/Chat.java"
    ),
    "Mono HttpWebRequest": Client(
        "mono {built}/Chat.exe", "mcs -out:{built}/Chat.exe {here}/csharp/Chat.cs"
    ),
    "Node 0.10": Client("{node} {here}/node/chat.js"),
    "Pascal fphttpclient": Client(
        "{built}/chat", "fpc -FE{built} {here}/pascal/chat.pas", charset="gbk"
    ),
    "Perl HTTP::Tiny": Client("perl {here}/perl/http_tiny.pl"),
    "Perl LWP": Client("perl {here}/perl/lwp.pl"),
    "PHP": Client("php {here}/php/chat.php"),
    "REXX": Client("regina {here}/rexx/chat.rexx", charset="gbk"),
    "SWI-Prolog": Client("swipl {here}/prolog/chat.pl"),
    "Tcl http 1.0": Client("tclsh {here}/tcl/http1.tcl"),
    "Tcl http 2": Client("tclsh {here}/tcl/http2.tcl"),
}

TASKS = {
    "bash /dev/tcp": Client("bash {here}/bash/task.sh"),
    "COBOL": Client("{built}/task", "cobc -x -o {built}/task {here}/cobol/task.cob", charset="gbk"),
    "gawk /inet": Client("gawk -b -f {here}/gawk/task.awk"),
    "Java HttpURLConnection": Client(
        "java -cp {built} Task", "javac -d {built} {here}/java/Task.java"
    ),
    "Mono WebClient": Client(
        "mono {built}/Task.exe", "mcs -out:{built}/Task.exe {here}/csharp/Task.cs"
    ),
    "Node 0.10": Client("{node} {here}/node/task.js"),
    "Pascal fphttpclient": Client(
        "{built}/task", "fpc -FE{built} {here}/pascal/task.pas", charset="gbk"
    ),
    "Perl LWP": Client("perl {here}/perl/task.pl"),
    "PHP": Client("php {here}/php/task.php", errors={"status": 200}),
    "REXX": Client("regina {here}/rexx/task.rexx", charset="gbk", errors={"status": 200}),
    "SWI-Prolog": Client("swipl {here}/prolog/task.pl"),
    "Tcl http 1.0": Client("tclsh {here}/tcl/task.tcl"),
}


@pytest.fixture(scope="module")
def names(gateway: httpx.Client) -> Iterator[Callable[[], str]]:
    """In place of the shared `names`: one, which each test deploys anew, since a switch in place
    takes no start of a process."""
    yield itertools.repeat("old-client").__next__
    gateway.post("/openai/undeploy", json={"chat_name": "old-client"})


def ready(chosen: Client, built: Path) -> tuple[str, ...]:
    """Build a client, and return its command."""
    places = {"here": EXAMPLES, "built": built}
    if "{node}" in chosen.run:
        places["node"] = npm_installed(NODE) / "node_modules" / ".bin" / "node"

    def command(line: str) -> tuple[str, ...]:
        program, *rest = (part.format(**places) for part in line.split())
        return needed(program), *rest

    if chosen.build:
        build = command(chosen.build)
        ended = subprocess.run(build, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return command(chosen.run)


@pytest.fixture(scope="module", params=CLIENTS)
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[str, ...], str]:
    """A client, built: its command and its charset."""
    chosen = CLIENTS[request.param]
    return ready(chosen, tmp_path_factory.mktemp("built")), chosen.charset


@pytest.fixture
def asked(client: tuple[tuple[str, ...], str], guarded: Server) -> Ask:
    """Let the client ask a chat; with the token, unless another is given."""
    command, charset = client

    def run(
        chat_name: str, question: str | None, token: str = CALLER, port: int = guarded.port
    ) -> Said:
        return ask(command, port, chat_name, (question,) if question else (), token, charset)

    return run


def test_chinese_comes_back_as_it_was_sent(asked: Ask, deploy: Deploy) -> None:
    assert asked(deploy("zhipu"), CHINESE) == (0, f"zhipu:{CHINESE}\n", "")


def test_without_a_question_it_says_hello_in_chinese(asked: Ask, deploy: Deploy) -> None:
    assert asked(deploy("zhipu"), None) == (0, "zhipu:你好\n", "")


def test_the_local_model_answers(asked: Ask, local_chat: str) -> None:
    answer = asked(local_chat, "Hi")  # what this model answers to it is always short

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.strip()


def test_a_chat_that_is_not_deployed_is_an_error_that_says_so(asked: Ask) -> None:
    answer = asked("no-such-chat", CHINESE)

    assert answer.code != 0
    assert answer.out == ""
    assert answer.err.startswith("ERROR NOT_DEPLOYED: ")


def test_an_unpaid_bill_is_an_error_that_says_so(asked: Ask, deploy: Deploy) -> None:
    answer = asked(deploy(model_name="refuse:openai-insufficient_quota"), CHINESE)

    assert answer.code != 0
    assert answer.out == ""
    assert answer.err.startswith("ERROR PAY_BILL: ")


def test_a_caller_without_a_token_is_told(asked: Ask) -> None:
    answer = asked("no-such-chat", CHINESE, token="")

    assert answer.code != 0
    assert answer.out == ""
    assert answer.err.startswith("ERROR UNAUTHORIZED: ")


def test_a_gateway_that_is_not_there_is_an_error(asked: Ask) -> None:
    answer = asked("no-such-chat", CHINESE, port=free_port())

    assert answer.code != 0
    assert answer.out == ""
    assert answer.err.strip()


def cut_off(connection: socket.socket) -> None:
    """Answer with half of what is promised, as a proxy does whose gateway went away."""
    connection.settimeout(0.3)
    with suppress(OSError):
        while connection.recv(65536):
            pass
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 40\r\n"
        b"Connection: close\r\n\r\nTake 50 mg, but never "
    )


def test_an_answer_that_is_cut_off_is_an_error(asked: Ask) -> None:
    with listener(cut_off) as port:
        answer = asked("any-chat", "hi", port=port)

    assert answer.code != 0
    assert answer.out == ""
    assert answer.err.strip()


# Tasks: one form of three fields, and one comparison.


@pytest.fixture(scope="module", params=TASKS)
def task_client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Client, tuple[str, ...]]:
    """A client that asks a task, built, and its command."""
    chosen = TASKS[request.param]
    return chosen, ready(chosen, tmp_path_factory.mktemp("built"))


@pytest.fixture
def sorted_mail(
    task_client: tuple[Client, tuple[str, ...]], guarded: Server, raw_chat: RawChat
) -> Iterator[Callable[..., Said]]:
    """Let the client have a mail sorted by a task, whose model says what the test wants."""
    chosen, command = task_client
    raw_chat.deploy(good("refund"))
    reply = {"format": "text", "charset": chosen.charset, **chosen.errors}
    order = {"chat_name": "sort_mail", "through": raw_chat.name, "reply": reply, **TASK}
    deployed = raw_chat.http.post("/task/deploy", json=order)
    assert deployed.status_code == 200, deployed.text

    def run(model: str, *arguments: str, name: str = "", token: str = CALLER) -> Said:
        raw_chat.raw.script = good(model)
        return ask(command, guarded.port, name, arguments, token, chosen.charset)

    yield run
    raw_chat.http.post("/task/undeploy", json={"chat_name": "sort_mail"})


def test_a_task_sorts_a_mail_that_arrives_as_it_was(
    sorted_mail: Callable[..., Said], raw_chat: RawChat
) -> None:
    assert sorted_mail("Refund.", "镕誠", MAIL) == (0, "refund: to the cashier\n", "")
    assert sorted_mail("complaint") == (0, "complaint: to the office\n", "")

    prompts = [request.json["messages"][-1]["content"] for request in raw_chat.raw.requests]
    first, second = (prompt.replace("\r\n", "\n") for prompt in prompts)  # forms end lines so
    assert first.startswith(f"Sort this mail of 镕誠: {MAIL}\n")
    assert second.startswith("Sort this mail of Ann: My lamp broke. I want my money back.\n")


def test_a_task_that_fails_is_an_error_that_says_so(sorted_mail: Callable[..., Said]) -> None:
    stubborn = sorted_mail("I cannot say.", "镕誠", MAIL)
    unknown = sorted_mail("refund", "镕誠", MAIL, name="no-such-task")

    assert stubborn.err.startswith("ERROR BAD_ANSWER: ")
    assert unknown.err.strip()
    for failed in (stubborn, unknown):
        assert failed.code != 0
        assert failed.out == ""


def test_a_tasks_answer_that_is_cut_off_goes_to_nobody(
    task_client: tuple[Client, tuple[str, ...]],
) -> None:
    chosen, command = task_client
    with listener(cut_off) as port:
        answer = ask(command, port, "any-task", (), CALLER, chosen.charset)

    assert (answer.code == 0, answer.out) == (False, "")
