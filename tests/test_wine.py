"""VBScript and JScript with Windows' COM objects, run by Wine: `make test-wine`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.environment import clean_environment
from tests.fronts import RawChat, good
from tests.runtimes import EXAMPLES, SECONDS, TASK, Ask, Said, ask, needed
from tests.server import CALLER, Deploy, Server

pytestmark = pytest.mark.skipif(
    os.environ.get("WINE") != "1", reason="make test-wine runs it: Wine takes 700 MB"
)

WINHTTP, XMLHTTP = "WinHttp.WinHttpRequest.5.1", "MSXML2.XMLHTTP"
# Wine's own VBScript cannot create XMLHTTP: it wants a site of its host, and Wine's cscript has
# none.
CLIENTS = [
    ("vbscript/chat.vbs", WINHTTP),
    ("jscript/chat.js", WINHTTP),
    ("jscript/chat.js", XMLHTTP),
]
TASKS = [(script.replace("chat.", "task."), com_object) for script, com_object in CLIENTS]

CHINESE = """你好，镕誠：50% & 3+4=7? "\\'#$`"""
"""Wine's cscript prints into a buffer of a byte for each character, and crashes when Chinese
overflows it. "zhipu:" and this are 31 characters, which take 37 bytes of the 40 that Wine's heap
gives for 31."""


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A new Chinese Windows without a screen; what runs in it ends with the tests."""
    locales, prefix = tmp_path_factory.mktemp("locales"), tmp_path_factory.mktemp("wine")
    made = {
        "WINEPREFIX": str(prefix),
        "WINEDEBUG": "-all",
        "LOCPATH": str(locales),
        "LC_ALL": "zh_CN.UTF-8",
    }

    def run(*command: str, check: bool = True) -> None:
        environment = {**clean_environment(), **made}
        subprocess.run(
            command, env=environment, check=check, timeout=3 * SECONDS, capture_output=True
        )

    run(needed("localedef"), "-i", "zh_CN", "-f", "UTF-8", str(locales / "zh_CN.UTF-8"))
    run(needed("wineboot"), "--init")
    yield made
    run(needed("wineserver"), "--kill", check=False)  # it says no when it has ended by itself


@pytest.fixture(params=CLIENTS, ids=" ".join)
def asked(request: pytest.FixtureRequest, windows: Mapping[str, str], guarded: Server) -> Ask:
    """Let a script ask a chat with one of the objects. Its console speaks GBK, whatever went over
    the wire."""
    script, com_object = request.param
    command = (needed("wine"), "cscript", "//nologo", dos_path(EXAMPLES / script))

    def run(chat_name: str, *arguments: str, token: str = CALLER) -> Said:
        environment = {**windows, "HTTP_OBJECT": com_object}
        return ask(
            command,
            guarded.port,
            chat_name,
            arguments,
            token,
            shown_in="gbk",
            environment=environment,
        )

    return run


def dos_path(path: Path) -> str:
    return "Z:" + str(path).replace("/", "\\")


def test_chinese_comes_back_as_it_was_sent(asked: Ask, deploy: Deploy) -> None:
    answer = asked(deploy("zhipu"), CHINESE)

    assert (answer.code, answer.out) == (0, f"zhipu:{CHINESE}\r\n")


def test_the_local_model_answers(asked: Ask, local_chat: str) -> None:
    answer = asked(local_chat, "Hi")  # what this model answers to it is always short

    assert answer.code == 0
    assert answer.out.strip()


def test_a_chat_that_is_not_deployed_is_an_error_that_says_so(asked: Ask) -> None:
    answer = asked("no-such-chat", CHINESE)

    assert answer.code != 0
    assert answer.out.startswith("ERROR NOT_DEPLOYED: ")


def test_an_unpaid_bill_is_an_error_that_says_so(asked: Ask, deploy: Deploy) -> None:
    answer = asked(deploy(model_name="refuse:openai-insufficient_quota"), CHINESE)

    assert answer.code != 0
    assert answer.out.startswith("ERROR PAY_BILL: ")


def test_a_caller_with_a_wrong_token_is_told(asked: Ask) -> None:
    answer = asked("no-such-chat", CHINESE, token="wrong")

    assert answer.code != 0
    assert answer.out.startswith("ERROR UNAUTHORIZED: ")


@pytest.mark.parametrize("asked", TASKS, indirect=True, ids=" ".join)
def test_a_task_sorts_a_mail_that_arrives_as_it_was(
    asked: Ask, raw_chat: RawChat, names: Callable[[], str]
) -> None:
    name, mail = names(), f"{CHINESE} 台灯坏了 100%25 & refund=+1"  # nothing of it is printed
    raw_chat.deploy(good("refund"))
    order = {"chat_name": name, "through": raw_chat.name, "reply": {"format": "text"}, **TASK}
    assert raw_chat.http.post("/task/deploy", json=order).status_code == 200

    assert asked(name, "镕誠", mail)[:2] == (0, "refund: to the cashier\r\n")
    raw_chat.raw.script = good("complaint")
    assert asked(name)[:2] == (0, "complaint: to the office\r\n")
    raw_chat.raw.script = good("I cannot say.")
    failed = asked(name, "镕誠", mail)

    assert failed.code != 0
    assert failed.out.startswith("ERROR BAD_ANSWER: ")
    first = raw_chat.raw.requests[0].json["messages"][-1]["content"]
    assert first.startswith(f"Sort this mail of 镕誠: {mail}\n")
