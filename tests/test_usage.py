"""The ledger: each answer is counted once, wherever it came from and whatever was killed."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead
from tests.environment import TOP, clean_environment
from tests.fronts import RawChat, good
from tests.processes import actor_process, actor_processes
from tests.server import Server
from tests.standin.raw import (
    RawProvider,
    Reply,
    Request,
    completion,
    whole,
)
from tests.waiting import until

ADMIN, SHOP, WEB = "admin-token-1", "shop-token-01", "web-token-001"
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 4},
}
ANSWERING = good("Ja", **USAGE)

PRICE = {"in": 4, "out": 16, "cached": 1, "currency": "CNY"}
COST = (6 * 4 + 4 * 1 + 3 * 16) / 1_000_000
"""Of one answer, in CNY."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state") / "ledger"


@pytest.fixture(scope="module")
def server(
    start_server: Callable[..., Server], ray_head: RayHead, folder: Path
) -> Iterator[Server]:
    """In place of the shared `server`: one with tokens and a ledger."""
    tokens = f"ops:{ADMIN}:admin,chat\nshop:{SHOP}:chat\nweb:{WEB}:chat"
    started = start_server(
        {**ray_head.environment, "GATEWAY_TOKENS": tokens, "GATEWAY_STATE": str(folder)},
        ready=False,
    )
    started.http.headers["X-Api-Key"] = ADMIN
    started.wait_until()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def gateway(server: Server) -> httpx.Client:
    """In place of the shared `gateway`: an admin of this server."""
    return server.http


@pytest.fixture
def chat(gateway: httpx.Client, raw: RawProvider, new_name: str) -> RawChat:
    """A chat with a price, whose name is new."""
    chat = RawChat(gateway, new_name, raw)
    chat.deploy(ANSWERING, price=PRICE)
    return chat


def usage(gateway: httpx.Client, token: str = ADMIN, **query: str) -> list[dict[str, Any]]:
    reply = gateway.get("/usage", params=query, headers={"X-Api-Key": token})
    assert reply.status_code == 200, reply.text
    rows: list[dict[str, Any]] = reply.json()["usage"]
    return rows


def of_chat(gateway: httpx.Client, name: str, **query: str) -> dict[str, Any]:
    rows = usage(gateway, by="chat", **query)
    return next((row for row in rows if row["chat"] == name), {"requests": 0})


def ask(gateway: httpx.Client, name: str, token: str = SHOP, **more: Any) -> httpx.Response:
    body = {"chat_name": name, "content": "hi", **more}
    return gateway.post("/openai/chat", json=body, headers={"X-Api-Key": token})


def test_each_answer_is_counted_once_wherever_it_came_from(
    gateway: httpx.Client, chat: RawChat
) -> None:
    name = chat.name
    v1 = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
    assert ask(gateway, name).json() == "Ja"
    assert ask(gateway, name, stream=True).text == "Ja"
    assert ask(gateway, name, request_id=f"{name}.1").json() == "Ja"
    assert ask(gateway, name, request_id=f"{name}.1").json() == "Ja"  # the same answer
    job = ask(gateway, name, job=True).json()["job"]
    assert gateway.get(f"/jobs/{job}?wait=20", headers={"X-Api-Key": SHOP}).json() == "Ja"
    shop = {"X-Api-Key": SHOP}
    for stream in (False, True):
        every = {"chat_names": name, "content": "hi", "stream": stream}
        assert "Ja" in gateway.post("/all/chat", json=every, headers=shop).text
        body = {**v1, "stream": stream}
        assert "Ja" in gateway.post("/v1/chat/completions", json=body, headers=shop).text

    asked = len(chat.raw.requests)
    until(lambda: of_chat(gateway, name)["requests"] == asked == 8)

    row = of_chat(gateway, name)
    assert (row["tokens_in"], row["tokens_out"], row["cached"]) == (80, 24, 32)
    assert row["money"]["CNY"] == pytest.approx(8 * COST)
    [detail] = [
        row for row in usage(gateway, by="caller,chat,provider,model,code") if row["chat"] == name
    ]
    assert (detail["caller"], detail["provider"], detail["model"]) == ("shop", "openai", "m-7")
    assert f'gateway_money_total{{chat="{name}",currency="CNY"}}' in gateway.get("/metrics").text


def test_a_question_that_is_repeated_while_it_is_under_way_is_paid_for_once(
    gateway: httpx.Client, chat: RawChat
) -> None:
    late: Reply = (1.0, whole(completion("Ja", usage=USAGE)))
    chat.raw.script = lambda request: late
    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(lambda _: ask(gateway, chat.name).json(), range(3)))

    assert replies == ["Ja"] * 3
    until(lambda: of_chat(gateway, chat.name)["requests"] == 3)
    assert of_chat(gateway, chat.name)["tokens_in"] == 10 * len(chat.raw.requests) < 30


def test_errors_and_fallbacks_are_told_apart(
    gateway: httpx.Client, chat: RawChat, raw: RawProvider, names: Callable[[], str]
) -> None:
    spare = RawChat(gateway, names(), raw)
    spare.deploy(ANSWERING)
    refusal = {"error": {"message": "unpaid", "code": "insufficient_quota"}}

    def script(request: Request) -> Reply:
        unpaid = request.json["model"] == "unpaid"
        return whole(refusal, "429 No") if unpaid else ANSWERING(request)

    chat.deploy(script, model_name="unpaid", price=PRICE)
    ask(gateway, chat.name)
    chat.deploy(script, model_name="unpaid", fallback=[spare.name])
    ask(gateway, chat.name)

    until(lambda: of_chat(gateway, chat.name)["requests"] == 2)
    row = of_chat(gateway, chat.name)
    assert (row["errors"], row["errors_by_code"], row["fell_back"]) == (1, {"PAY_BILL": 1}, 1)
    [served] = [
        row for row in usage(gateway, by="chat,served_by") if row["served_by"] == spare.name
    ]
    assert (served["chat"], served["money"]) == (chat.name, {})


def test_when_a_chat_could_not_answer_is_told_and_who_did(
    gateway: httpx.Client, chat: RawChat, raw: RawProvider, names: Callable[[], str]
) -> None:
    spare = RawChat(gateway, names(), raw)
    spare.deploy(ANSWERING)
    task = {"chat_name": names(), "through": chat.name, "prompt": "{{content}}"}
    refusal = {"error": {"message": "unpaid", "code": "insufficient_quota"}}
    unpaid = whole(refusal, "429 No")

    def rests(**query: str) -> list[dict[str, Any]]:
        reply = gateway.get("/rests", params={"chat_name": chat.name, **query})
        assert reply.status_code == 200, reply.text
        return list(reply.json()["rests"])

    def script(request: Request) -> Reply:
        return unpaid if request.json["model"] == "unpaid" else ANSWERING(request)

    chat.deploy(script, model_name="unpaid")
    assert gateway.post("/task/deploy", json=task).json() == {"ret": "ok"}
    began = int(time.time())
    assert ask(gateway, chat.name).status_code == 402
    chain = {"chat_name": chat.name, "fallback": [spare.name]}
    assert gateway.post("/openai/fallback", json=chain).json() == {"ret": "ok"}
    assert ask(gateway, chat.name).json() == "Ja"
    assert ask(gateway, chat.name, stream=True).text == "Ja"
    assert ask(gateway, chat.name, request_id=f"{chat.name}.1").json() == "Ja"
    assert ask(gateway, str(task["chat_name"])).json() == "Ja"
    until(lambda: (rests() or [{"requests": 0}])[0]["requests"] == 5)
    [rest] = rests()
    assert (rest["code"], rest["until"]) == ("PAY_BILL", None)
    assert rest["answered_by"] == {spare.name: 4}
    assert began <= rest["since"] <= time.time()

    chat.deploy(ANSWERING)
    assert ask(gateway, chat.name).json() == "Ja"
    until(lambda: rests()[0]["until"] is not None)
    assert rests(to="2026-01-01") == []
    assert rests() == [{**rest, "until": rests()[0]["until"]}]
    wrong = gateway.get("/rests", params={"from": "2026-99-99"})
    assert "from: 2026-99-99 is no day" in wrong.json()["error"]["message"]
    assert gateway.get("/rests", headers={"X-Api-Key": SHOP}).status_code == 403
    gateway.post("/task/undeploy", json={"chat_name": task["chat_name"]})


def test_usage_says_how_long_answers_took(gateway: httpx.Client, chat: RawChat) -> None:
    late: Reply = (0.7, whole(completion("Ja", usage=USAGE)))
    chat.raw.script = lambda request: late
    ask(gateway, chat.name)
    until(lambda: of_chat(gateway, chat.name)["requests"] == 1)

    assert 0.6 < of_chat(gateway, chat.name)["seconds"]["p50"] < 5
    assert usage(gateway, by="caller,chat")[0]["seconds"] is None
    own = usage(gateway, SHOP, by="chat")
    assert [row["seconds"] for row in own if row["chat"] == chat.name] == [None]
    table = gateway.get("/usage", params={"by": "chat", "format": "csv"}).text
    assert table.splitlines()[0].endswith(",p50,p99")
    assert "p50" not in gateway.get("/usage", params={"by": "code", "format": "csv"}).text


def test_a_caller_sees_its_own_usage_and_an_admin_all(gateway: httpx.Client, chat: RawChat) -> None:
    for token in (SHOP, WEB, WEB):
        ask(gateway, chat.name, token)
    until(lambda: of_chat(gateway, chat.name)["requests"] == 3)

    def callers(token: str) -> dict[str, int]:
        rows = usage(gateway, token, by="caller,chat")
        return {row["caller"]: row["requests"] for row in rows if row["chat"] == chat.name}

    assert callers(ADMIN) == {"shop": 1, "web": 2}
    assert callers(WEB) == {"web": 2}
    assert gateway.get("/usage", headers={"X-Api-Key": "wrong-token"}).status_code == 401


def test_usage_is_a_table_for_old_programs_and_people(
    gateway: httpx.Client, chat: RawChat, server: Server
) -> None:
    ask(gateway, chat.name)
    until(lambda: of_chat(gateway, chat.name)["requests"] == 1)
    today = time.strftime("%Y-%m-%d")
    query = {"by": "day,chat", "from": today, "to": today}

    reply = gateway.get("/usage", params={**query, "format": "csv", "charset": "gbk"})
    assert reply.headers["Content-Type"] == "text/csv; charset=gbk"
    header, *rows = csv.reader(io.StringIO(reply.content.decode("gbk"), newline=""))
    row = dict(zip(header, next(row for row in rows if row[1] == chat.name), strict=True))
    assert (row["day"], row["tokens_in"], row["money_CNY"]) == (today, "10", f"{COST:.6f}")
    assert chat.name in gateway.get("/usage", params={**query, "format": "text"}).text

    command = [sys.executable, "-m", "gateway", "usage", "--url", server.url, "--by", "chat"]
    environment = {**clean_environment(), "GATEWAY_TOKEN": ADMIN}
    table = subprocess.run(
        command, cwd=TOP, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert any(line.startswith(chat.name) for line in table.stdout.splitlines())


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"by": "key"}, "by: 'key' is none of day, caller"),
        ({"from": "yesterday"}, "from: "),
        ({"wrong": "1"}, "wrong: is no field of this request"),
    ],
)
def test_what_cannot_be_told_is_named(
    gateway: httpx.Client, query: dict[str, str], words: str
) -> None:
    reply = gateway.get("/usage", params=query)
    assert reply.status_code == 400
    assert words in reply.text


def test_a_killed_writer_loses_and_doubles_nothing(
    gateway: httpx.Client, chat: RawChat, ray_head: RayHead
) -> None:
    def some(caller: int) -> int:
        mails = (f"mail {caller}.{number}" for number in range(40))
        return sum(ask(gateway, chat.name, content=mail).status_code == 200 for mail in mails)

    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(some, range(4))
        for _ in range(3):
            time.sleep(0.7)
            until(lambda: bool(actor_processes(ray_head, "Ledger")))
            actor_process(ray_head, "Ledger").kill()
        answered = sum(answers)

    assert answered == len(chat.raw.requests) == 160
    until(lambda: of_chat(gateway, chat.name)["requests"] == 160, 60)
    time.sleep(3)  # a batch that was handed over twice would show by now
    assert of_chat(gateway, chat.name)["tokens_in"] == 1600


def test_a_gateway_process_that_ends_hands_over_what_it_has(
    gateway: httpx.Client, chat: RawChat, server: Server
) -> None:
    before = psutil.Process(server.process.pid).children()
    for _ in range(6):
        ask(gateway, chat.name)
    os.kill(server.process.pid, signal.SIGHUP)
    until(lambda: not any(one.is_running() for one in before), 60)
    server.wait_until()
    until(lambda: of_chat(gateway, chat.name)["requests"] == 6)


def test_the_book_is_its_owners_and_holds_no_words(
    gateway: httpx.Client, chat: RawChat, folder: Path
) -> None:
    assert ask(gateway, chat.name, content="a secret question").json() == "Ja"
    until(lambda: of_chat(gateway, chat.name)["requests"] == 1)
    assert folder.stat().st_mode & 0o077 == 0
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
        held = file.read_bytes()
        assert not any(word in held for word in (b"secret", b"sk-raw", SHOP.encode()))


def test_without_a_folder_nothing_is_kept(
    start_server: Callable[..., Server], ray_head: RayHead
) -> None:
    other = start_server({**ray_head.environment, "WEB_CONCURRENCY": "1"})
    reply = other.http.get("/usage")
    assert (reply.status_code, "GATEWAY_STATE" in reply.text) == (400, True)
    other.stop()
