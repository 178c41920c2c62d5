"""`python -m gateway bulk`: each row is asked once, whatever happens, and written in order."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import sqlite3
import subprocess
import termios
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.commands.ray_head import RayHead, stop
from gateway.tables.xlsx import XlsxTable
from tests.bulk import LIMIT_SECONDS, Bulk
from tests.fronts import RawChat, good
from tests.server import CALLER, Deploy, Server
from tests.standin.client import StandIn
from tests.standin.raw import Reply, Request
from tests.waiting import until

KILLS = 20

BLOCKED = "refuse:openai-content_policy_violation"
UNPAID = "refuse:openai-insufficient_quota"
TOO_FAST = "refuse:openai-slow_down"


@pytest.fixture
def bulk(tmp_path: Path, server: Server, chat_name: str) -> Bulk:
    """A run about `chat_name`, whose provider is yet to be deployed."""
    return Bulk(tmp_path, server, chat_name)


def contents(standin: StandIn, key: str) -> Counter[str]:
    """How often each content was asked."""
    return Counter(one["body"]["messages"][-1]["content"] for one in standin.requests(key))


def rows_of(texts: list[str]) -> list[list[str]]:
    return [["content"], *([text] for text in texts)]


def answers_of(texts: list[str]) -> list[list[str]]:
    return [["content", "answer", "error"], *([text, f"openai:{text}", ""] for text in texts)]


def mails(count: int) -> list[str]:
    return [f"mail {number}" for number in range(count)]


def test_a_row_in_is_the_same_row_out_with_its_answer_in_order(
    bulk: Bulk, deploy: Deploy, chat_name: str, standin: StandIn, key: str
) -> None:
    # What the chat's deploy says of its replies is for old programs.
    deploy(chat_name=chat_name, reply={"format": "text", "status": 200, "charset": "gbk"})
    texts = [*mails(40), "mail 1", 'two\r\nlines, and a "quote"', "=1+1"]
    bulk.write([["id", "content", "answer"], *([str(n), t, "x"] for n, t in enumerate(texts))])

    code, said = bulk.run("--at-once", "8")

    assert code == 0, said
    header, *rows = bulk.rows()
    assert header == ["id", "content", "answer", "answer_2", "error"]
    assert rows == [[str(n), t, "x", f"openai:{t}", ""] for n, t in enumerate(texts)]
    assert contents(standin, key) == Counter(texts)
    assert "43 of 43 rows have an answer (0 not asked now), 0 an error. Tokens: " in said
    assert "Tokens: 0 in" not in said
    assert not bulk.progress.exists()


def test_a_task_is_asked_with_its_columns_and_each_of_its_fields_is_a_column(
    bulk: Bulk, raw_chat: RawChat, chat_name: str
) -> None:
    def script(request: Request) -> Reply:
        mail = request.json["messages"][0]["content"].partition("\n")[0]
        return good(json.dumps({"mail": mail, "sum": 12.50}))(request)

    raw_chat.deploy(script)
    order: dict[str, Any] = {"chat_name": chat_name, "through": raw_chat.name}
    order |= {"prompt": "{{customer}} writes: {{content}}", "reply": {"format": "text"}}
    order["fields"] = "mail,sum:number"
    assert raw_chat.http.post("/task/deploy", json=order).status_code == 200
    bulk.write([["Kunde", "n", "Text"], *(["Ann", str(n), f"mail {n}"] for n in range(9))])

    code, said = bulk.run("--column", "customer=Kunde", "--column", "content=Text")

    raw_chat.http.post("/task/undeploy", json={"chat_name": chat_name})
    assert code == 0, said
    header, *rows = bulk.rows()
    assert header == ["Kunde", "n", "Text", "mail", "sum", "error"]
    assert rows == [
        ["Ann", str(n), f"mail {n}", f"Ann writes: mail {n}", "12.5", ""] for n in range(9)
    ]


def test_killed_twenty_times_each_row_is_asked_once(
    bulk: Bulk, deploy: Deploy, chat_name: str, standin: StandIn, key: str
) -> None:
    deploy(chat_name=chat_name, model_name="slow:0.1")
    texts = [f"mail {number // 2}" for number in range(440)]  # each text twice
    bulk.write(rows_of(texts))
    chance = random.Random()  # noqa: S311

    for _ in range(KILLS):
        enough = standin.count(key) + chance.randint(0, 12)
        process = bulk.start()
        until(lambda: standin.count(key) >= enough)  # noqa: B023 - it is called here
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    code, said = bulk.run("--at-once", "32")

    assert code == 0, said
    assert bulk.rows() == answers_of(texts)
    assert contents(standin, key) == Counter(texts)
    assert "(0 not asked now)" not in said


def test_ctrl_c_lets_come_in_what_is_under_way_and_says_how_to_go_on(
    bulk: Bulk, deploy: Deploy, chat_name: str, standin: StandIn, key: str
) -> None:
    deploy(chat_name=chat_name, model_name="slow:0.5")
    texts = mails(24)
    bulk.write(rows_of(texts))
    for number in (signal.SIGINT, signal.SIGTERM):
        enough = standin.count(key) + 4
        process = bulk.start()
        until(lambda: standin.count(key) >= enough)  # noqa: B023 - it is called here
        process.send_signal(number)
        _, said = process.communicate(timeout=LIMIT_SECONDS)
        assert process.returncode == 130
        assert "answers under way" in said
        assert "The same command goes on" in said
        assert "Traceback" not in said
        assert bulk.rows() == answers_of(texts[: standin.count(key)])

    assert bulk.run()[0] == 0
    assert bulk.rows() == answers_of(texts)
    assert contents(standin, key) == Counter(texts)


def test_who_is_too_fast_waits_and_no_longer_than_is_said(
    bulk: Bulk, deploy: Deploy, chat_name: str, standin: StandIn, key: str
) -> None:
    deploy(chat_name=chat_name)
    bulk.write(rows_of(mails(4)))
    standin.script(key, ["echo", TOO_FAST])
    code, said = bulk.run("--at-once", "1", "--patience", "3")
    assert code == 1
    assert "Waiting 2 s: SLOW_DOWN: The provider's rate limit is reached." in said
    assert "more would be over --patience 3." in said
    assert bulk.rows() == answers_of(["mail 0"])

    standin.script(key, ["refuse:openai-server_is_overloaded", "echo"])
    code, said = bulk.run("--at-once", "2")
    assert code == 0, said
    assert bulk.rows() == answers_of(mails(4))
    assert "Waiting" in said


def test_a_provider_that_is_down_is_asked_again_and_no_gateway_is_waited_for_in_vain(
    bulk: Bulk, deploy: Deploy, chat_name: str, standin: StandIn, key: str
) -> None:
    deploy(chat_name=chat_name)
    bulk.write(rows_of(["hi"]))
    code, said = bulk.run("--url", "http://127.0.0.1:1", "--patience", "1")
    assert code == 1
    assert "GATEWAY_DOWN: The gateway cannot be reached (ConnectError)." in said
    assert "over --patience 1." in said

    standin.script(key, ["refuse:openai-server_error", "echo"])
    code, said = bulk.run()
    assert (code, bulk.rows()) == (0, answers_of(["hi"])), said
    assert "Waiting 2 s: PROVIDER_DOWN: " in said


def test_a_row_that_failed_says_why_and_is_asked_again_by_the_next_run(
    bulk: Bulk, deploy: Deploy, chat_name: str, standin: StandIn, key: str
) -> None:
    deploy(chat_name=chat_name)
    bulk.write(rows_of(mails(4)))
    standin.script(key, ["echo", BLOCKED, "refuse:openai-context_length_exceeded", "echo", BLOCKED])
    code, said = bulk.run("--at-once", "1")
    assert code == 3
    assert "2 of 4 rows have an answer" in said
    assert "2 an error (CONTENT_BLOCKED 1, TOO_LARGE 1)" in said
    _, first, blocked, large, last = bulk.rows()
    assert (first, last) == (["mail 0", "openai:mail 0", ""], ["mail 3", "openai:mail 3", ""])
    assert (blocked[:2], large[:2]) == (["mail 1", ""], ["mail 2", ""])
    assert blocked[2].startswith("CONTENT_BLOCKED: The provider's content filter refused")
    assert large[2].startswith("TOO_LARGE: ")

    standin.script(key, ["echo"])
    code, said = bulk.run("--at-once", "1")
    assert (code, bulk.rows()) == (0, answers_of(mails(4))), said
    assert contents(standin, key) == Counter(
        ["mail 0", "mail 1", "mail 1", "mail 2", "mail 2", "mail 3"]
    )


def test_an_error_of_all_rows_stops_the_run_and_nothing_is_lost(
    bulk: Bulk, deploy: Deploy, chat_name: str, standin: StandIn, key: str
) -> None:
    bulk.write(rows_of(mails(30)))
    code, said = bulk.run()
    assert (code, bulk.out.exists(), bulk.progress.exists()) == (1, False, False)
    assert f"NOT_DEPLOYED: there is no chat {chat_name}." in said

    deploy(chat_name=chat_name)
    standin.script(key, [*["echo"] * 10, UNPAID])
    code, said = bulk.run()
    assert code == 1
    assert "PAY_BILL: The provider says the account is unpaid" in said
    assert "The same command goes on" in said
    unpaid = standin.count(key) - 10
    assert 1 <= unpaid <= 4

    standin.script(key, [])
    deploy(chat_name=chat_name)
    code, said = bulk.run()
    assert (code, bulk.rows()) == (0, answers_of(mails(30))), said
    assert standin.count(key) == 30 + unpaid


def test_a_provider_that_is_down_for_all_stops_the_run(
    bulk: Bulk, deploy: Deploy, chat_name: str
) -> None:
    deploy(chat_name=chat_name, model_name="refuse:openai-unsupported_value")
    bulk.write(rows_of(mails(40)))
    code, said = bulk.run("--at-once", "2")
    assert code == 1
    assert "20 rows in a row failed, the last with BAD_UPSTREAM_REQUEST" in said


def test_columns_are_found_by_their_names_or_named_and_what_is_missing_costs_nothing(
    bulk: Bulk, deploy: Deploy, chat_name: str, standin: StandIn, key: str
) -> None:
    deploy(chat_name=chat_name)
    bulk.write([["Kunde", "Text", "Regel"], ["Ann", "hi", "Be brief."], ["Bob", "", ""]])
    code, said = bulk.run()
    assert (code, standin.count(key)) == (1, 0)
    assert "content: no column is called so, or several are; there are 'Kunde', 'Text'" in said
    code, said = bulk.run("--column", "content=Text", "--column", "mood=Kunde")
    assert (code, standin.count(key)) == (1, 0)
    assert "INVALID_REQUEST: mood: is no field of this request" in said

    bulk.progress.unlink()
    bulk.out.unlink()
    code, said = bulk.run("--column", "content=Text", "--column", "system=Regel")
    assert code == 0, said
    assert bulk.rows()[1:] == [["Ann", "hi", "Be brief.", "openai:hi", ""], ["Bob"] + [""] * 4]
    [question] = standin.requests(key)
    assert question["body"]["messages"][0] == {"role": "system", "content": "Be brief."}

    bulk.write([["one", "hello"]])
    code, said = bulk.run("--no-header", "--column", "content=2", out="plain.csv")
    assert (bulk.folder / "plain.csv").read_text() == "one,hello,openai:hello,\n", said


def test_gbk_in_is_gbk_out(bulk: Bulk, deploy: Deploy, chat_name: str) -> None:
    deploy(chat_name=chat_name)
    texts = ["我的包裹还没有到", "退款什么时候到账"]
    bulk.write([["content"], *([text] for text in texts)], "gbk")
    for options in ((), ("--charset", "gbk")):
        code, said = bulk.run(*options, environment={"LANG": "zh_CN.UTF-8"})
        assert code == 0, said
        assert bulk.rows("gbk") == answers_of(texts)
        assert "共 2 行，2 行已有回答" in said
        bulk.out.unlink()


def test_what_a_charset_lacks_is_not_lost(
    bulk: Bulk, deploy: Deploy, chat_name: str, standin: StandIn, key: str
) -> None:
    deploy(chat_name=chat_name, model_name="say:好 é")
    bulk.write([["content"], ["café"], ["crème"]], "cp1252")
    code, said = bulk.run("--charset", "cp1252")
    assert code == 0
    assert bulk.rows("cp1252")[1:] == [["café", "? é", ""], ["crème", "? é", ""]]
    assert "2 cells hold what OUT's charset lacks" in said

    code, said = bulk.run("--charset", "cp1252", "--out-charset", "utf-8")
    assert (code, standin.count(key)) == (0, 2)
    assert bulk.rows()[1:] == [["café", "好 é", ""], ["crème", "好 é", ""]]


def test_excels_own_file_in_and_out(bulk: Bulk, deploy: Deploy, chat_name: str) -> None:
    deploy(chat_name=chat_name, model_name="say:=1+1")
    bulk.write([["content", "n"], ["hi", "007"]])
    code, said = bulk.run(out="one.xlsx")
    assert code == 0, said
    code, said = bulk.run(source="one.xlsx", out="two.xlsx", environment={"COLUMNS": "80"})
    assert code == 0, said
    table = XlsxTable(bulk.folder / "two.xlsx")
    assert table.columns == ["content", "n", "answer", "error", "answer_2", "error_2"]
    assert list(table.rows()) == [["hi", "007", "=1+1", "", "=1+1", ""]]

    code, said = bulk.run(source="one.xlsx")
    assert code == 0, said
    assert bulk.rows("utf-8-sig")[1:] == [["hi", "007", "=1+1", "", "'=1+1", ""]]


def test_another_out_has_new_answers_and_none_is_written_over(
    bulk: Bulk, deploy: Deploy, chat_name: str, standin: StandIn, key: str
) -> None:
    deploy(chat_name=chat_name)
    bulk.write(rows_of(["hi"]))
    assert bulk.run()[0] == 0
    code, said = bulk.run()
    assert code == 1
    assert "out.csv is there already, and no unfinished run wrote it." in said

    deploy(chat_name=chat_name, model_name="say:better")
    assert bulk.run(out="new.csv")[0] == 0
    assert "hi,better," in (bulk.folder / "new.csv").read_text()
    assert standin.count(key) == 2

    standin.script(key, [BLOCKED])
    assert bulk.run(out="other.csv")[0] == 3
    code, said = bulk.run("--choices", "a,b", out="other.csv")
    assert code == 1
    assert "other.csv.progress is of a run with other settings" in said


def test_the_gateway_keeps_no_answer_that_is_written_down(
    bulk: Bulk, deploy: Deploy, chat_name: str, gateway: httpx.Client, standin: StandIn, key: str
) -> None:
    deploy(chat_name=chat_name)
    standin.script(key, ["echo", "echo", BLOCKED])
    bulk.write(rows_of(mails(3)))
    assert bulk.run("--at-once", "1")[0] == 3
    store = sqlite3.connect(bulk.progress)
    names = [name for (name,) in store.execute("SELECT id FROM answers")]
    store.close()
    assert len(names) == 2
    assert [gateway.get(f"/jobs/{name}").status_code for name in names] == [404, 404]


def test_one_run_at_a_time_writes_a_file(
    bulk: Bulk, deploy: Deploy, chat_name: str, standin: StandIn, key: str
) -> None:
    deploy(chat_name=chat_name, model_name="slow:5")
    bulk.write(rows_of(["hi"]))
    process = bulk.start()
    until(lambda: standin.count(key) == 1)
    code, said = bulk.run()
    assert code == 1
    assert "Does another run write" in said
    process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, standin.count(key)) == (0, 1)


def test_a_token_comes_from_the_environment_or_a_file(
    bulk: Bulk, deploy: Deploy, chat_name: str, guarded: Server
) -> None:
    deploy(chat_name=chat_name)
    bulk.write(rows_of(["hi"]))
    guarded_bulk = Bulk(bulk.folder, guarded, chat_name)
    code, said = guarded_bulk.run(environment={"GATEWAY_TOKEN": "wrong-token-1"})
    assert code == 1
    assert "UNAUTHORIZED: This gateway needs a token" in said
    assert "wrong-token-1" not in said
    assert guarded_bulk.run(environment={"GATEWAY_TOKEN": CALLER})[0] == 0
    (bulk.folder / "token").write_text(f"{CALLER}\n")
    file = str(bulk.folder / "token")
    assert guarded_bulk.run("--token-file", file, out="two.csv")[0] == 0


def test_a_gateway_that_restarts_is_waited_for(
    bulk: Bulk,
    deploy: Deploy,
    chat_name: str,
    standin: StandIn,
    key: str,
    ray_head: RayHead,
    start_server: Callable[..., Server],
) -> None:
    deploy(chat_name=chat_name, model_name="slow:0.1")
    environment = {**ray_head.environment, "WEB_CONCURRENCY": "1"}
    first = start_server(environment)
    bulk.write(rows_of(mails(30)))
    process = Bulk(bulk.folder, first, chat_name).start()
    until(lambda: standin.count(key) >= 8)
    stop(first.process)
    second = start_server({**environment, "GATEWAY_BIND": f"127.0.0.1:{first.port}"}, ready=False)
    _, said = process.communicate(timeout=LIMIT_SECONDS)
    second.stop()

    assert process.returncode == 0, said
    assert "Waiting" in said
    assert "GATEWAY_DOWN" in said
    assert bulk.rows() == answers_of(mails(30))
    assert contents(standin, key) == Counter(mails(30))


def test_a_terminal_sees_rows_errors_tokens_and_the_time_left(
    bulk: Bulk, deploy: Deploy, chat_name: str, standin: StandIn, key: str
) -> None:
    deploy(chat_name=chat_name, model_name="slow:0.1")
    standin.script(key, ["slow:0.1", BLOCKED, "slow:0.1"])
    bulk.write(rows_of(mails(20)))
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    process = subprocess.Popen(bulk.command(), stderr=theirs, env={**os.environ, "LANG": "C.UTF-8"})
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # the terminal's other end is closed
        os.close(ours)
    assert process.wait(LIMIT_SECONDS) == 3
    assert b"20/20 rows, 1 errors, " in shown
    assert b" tokens, 00:00 left" in shown


@pytest.mark.parametrize(
    ("missing", "source", "words"),
    [
        ("python_calamine", "in.xlsx", "pip install -r requirements-xlsx.txt"),
        ("httpx", "in.csv", "pip install -r requirements.txt"),
    ],
)
def test_what_is_not_installed_is_said(
    bulk: Bulk, tmp_path: Path, missing: str, source: str, words: str
) -> None:
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError(name={missing!r})")
    code, said = bulk.run(source=source, environment={"PYTHONPATH": str(tmp_path)})
    assert code == 1
    assert missing in said
    assert words in said
