"""What callers may use and chats may cost: right across processes, whatever is killed."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.fronts import RawChat, good
from tests.processes import actor_process
from tests.server import Server
from tests.standin.raw import RESET, RawProvider, chunk, event, opening, piece
from tests.waiting import until

ADMIN = "admin-token-1"
TOKENS = 13
"""Of one answer."""

USAGE = {"prompt_tokens": 10, "completion_tokens": 3}
PRICE = {"in": 100_000, "out": 0, "currency": "CNY"}
"""One answer costs 1 CNY."""

LIMITS = {
    "minute": "limit=20/min",
    "day": "limit=5/day",
    "tokens": f"limit={10 * TOKENS}tokens/day",
    "money": "limit=3CNY/month",
    "leaves": "limit=4000tokens/day",
    "fails": "limit=4000tokens/day",
    "several": "limit=2/day",
    "killed": "limit=8/day",
    "eager": "limit=2/min,5/day",
    "repeats": "limit=3/day",
    "shop": "chats=shop_*",
    "listed": "limit=9/min,7CNY/day",
}
ANSWERING = good("Ja", **USAGE)


def token(name: str) -> str:
    return f"{name}-token-0001"


@pytest.fixture(scope="module")
def server(
    start_server: Callable[..., Server],
    ray_head: RayHead,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """In place of the shared `server`: one whose tokens have limits."""
    lines = [f"ops:{ADMIN}:admin,chat", f"free:{token('free')}:chat"]
    lines += [f"{name}:{token(name)}:chat {words}" for name, words in LIMITS.items()]
    folder = tmp_path_factory.mktemp("state") / "ledger"
    settings = {"GATEWAY_TOKENS": "\n".join(lines), "GATEWAY_STATE": str(folder)}
    started = start_server({**ray_head.environment, **settings}, ready=False)
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
    chat.deploy(ANSWERING, price=PRICE, model_name=new_name, timeout=60)
    return chat


def ask(
    server: Server, chat: str, caller: str, path: str = "/openai/chat", **more: Any
) -> httpx.Response:
    """Ask on a connection of its own, so that any process may take it."""
    headers = {"X-Api-Key": token(caller), "Connection": "close"}
    body = {"chat_name": chat, "content": f"{time.monotonic()}", **more}
    return httpx.post(f"{server.url}{path}", json=body, headers=headers, timeout=60)


def asked_at_once(server: Server, chat: str, caller: str, count: int) -> Counter[str]:
    """Return how many of so many questions, from 64 callers at once, ended with each code."""
    with ThreadPoolExecutor(64) as pool:
        replies = list(pool.map(lambda _: ask(server, chat, caller), range(count)))
    return Counter(code(reply) for reply in replies)


def code(reply: httpx.Response) -> str:
    return "OK" if reply.status_code == 200 else str(reply.json()["error"]["code"])


def row(gateway: httpx.Client, name: str) -> dict[str, Any]:
    rows = gateway.get("/models").json()["models"]
    return next(row for row in rows if row["chat_name"] == name)


def test_requests_are_limited_exactly_across_processes(
    server: Server, chat: RawChat, raw: RawProvider
) -> None:
    before = time.monotonic()
    codes = asked_at_once(server, chat.name, "minute", 200)
    assert time.monotonic() - before < 60, "a minute has passed: nothing is shown"
    assert codes == {"OK": 20, "OVER_LIMIT": 180}
    assert len(raw.requests) == 20


def test_a_refusal_says_which_limit_when_to_ask_again_and_what_to_do(
    server: Server, chat: RawChat
) -> None:
    for _ in range(5):
        assert ask(server, chat.name, "day").json() == "Ja"
    refused = ask(server, chat.name, "day")
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (429, "OVER_LIMIT")
    assert error["message"].startswith("The token 'day' is at its limit of 5/day. Wait")
    assert error["message_zh"].startswith("令牌 'day' 已达到上限 5/day。")
    assert 0 < int(refused.headers["Retry-After"]) <= 25 * 3600
    spoken = ask(server, chat.name, "day", status=200, lang="en")
    assert spoken.text.startswith("ERROR OVER_LIMIT: The token 'day'")


def test_callers_are_listed_with_what_is_used_and_without_their_tokens(
    server: Server, gateway: httpx.Client, chat: RawChat
) -> None:
    assert ask(server, chat.name, "listed").json() == "Ja"

    reply = gateway.get("/callers")

    rows = {row["name"]: row for row in reply.json()["callers"]}
    assert rows.keys() == {"ops", "free", *LIMITS}
    assert rows["listed"] == {
        **{"name": "listed", "scopes": ["chat"], "chats": [], "tokens": 1},
        "limits": [
            {"limit": "9/min", "amount": 9, "unit": "requests", "per": "min", "used": 1},
            {"limit": "7CNY/day", "amount": 7, "unit": "CNY", "per": "day", "used": 1},
        ],
    }
    assert (rows["shop"]["chats"], rows["shop"]["limits"]) == (["shop_*"], [])
    assert (rows["ops"]["scopes"], rows["free"]["limits"]) == (["admin", "chat"], [])
    assert not [name for name in rows if token(name) in reply.text]
    assert "token-0001" not in reply.text
    assert ADMIN not in reply.text
    own = gateway.get("/callers", headers={"X-Api-Key": token("day")}).json()["callers"]
    assert [(row["name"], row["limits"][0]["limit"]) for row in own] == [("day", "5/day")]


@pytest.mark.parametrize("caller", ["tokens", "money"])
def test_tokens_and_money_are_limited_but_for_what_is_in_flight(
    server: Server, chat: RawChat, raw: RawProvider, caller: str
) -> None:
    most = {"tokens": 10, "money": 3}[caller]
    codes = asked_at_once(server, chat.name, caller, 200)
    assert set(codes) == {"OK", "OVER_LIMIT"}
    assert most <= codes["OK"] <= most + 64
    assert len(raw.requests) == codes["OK"]
    assert code(ask(server, chat.name, caller)) == "OVER_LIMIT"


@pytest.mark.parametrize("path", ["/openai/chat", "/v1/chat/completions", "/all/chat"])
def test_who_leaves_a_stream_before_its_count_comes_is_charged_a_guess(
    server: Server, chat: RawChat, path: str
) -> None:
    words = [piece(event(chunk("four "))) for _ in range(20)]
    slow = [step for word in words for step in (word, 0.5)]  # /all/chat sees at a word who has left
    chat.deploy([opening(), *words, 0.5, *slow], timeout=60)
    before = used(server, "leaves")

    asked = {"content": "x" * 400, "messages": [{"role": "user", "content": "x" * 400}]}
    names = {"chat_name": chat.name, "model": chat.name, "chat_names": chat.name}
    fields = FIELDS[path]
    with httpx.stream(
        "POST",
        f"{server.url}{path}",
        json={name: value for name, value in {**asked, **names}.items() if name in fields}
        | {"stream": True},
        headers={"X-Api-Key": token("leaves")},
    ) as reply:
        assert reply.status_code == 200
        heard = ""
        for text in reply.iter_text():
            heard += text
            if heard.count("four") >= 20:
                break

    until(lambda: used(server, "leaves") > before, 20)
    assert 100 < used(server, "leaves") - before < 200


def test_what_nobody_counts_is_a_guess(server: Server, chat: RawChat) -> None:
    chat.deploy(good("x" * 400))
    before = used(server, "leaves")
    reply = ask(server, chat.name, "leaves")
    assert (code(reply), "X-Tokens-In" in reply.headers) == ("OK", False)
    until(lambda: used(server, "leaves") >= before + 100, 20)


@pytest.mark.parametrize("path", ["/openai/chat", "/v1/chat/completions", "/all/chat"])
def test_what_a_stream_took_that_broke_off_counts(server: Server, chat: RawChat, path: str) -> None:
    words = [piece(event(chunk("four "))) for _ in range(20)]
    chat.deploy([opening(), *words, RESET])
    before = used(server, "fails")
    fields = {"content": "x" * 400, "messages": [{"role": "user", "content": "x" * 400}]}
    names = {"chat_name": chat.name, "model": chat.name, "chat_names": chat.name}
    body = {name: value for name, value in {**fields, **names}.items() if name in FIELDS[path]}
    with suppress(httpx.TransportError):  # so it is told to who reads plain text
        httpx.post(
            f"{server.url}{path}",
            json=body | {"stream": True},
            headers={"X-Api-Key": token("fails")},
        )
    until(lambda: used(server, "fails") > before, 20)
    assert 100 < used(server, "fails") - before < 200


@pytest.mark.parametrize(
    ("path", "more"),
    [("/openai/chat", {}), ("/openai/chat", {"wait": 20}), ("/all/chat", {})],
)
def test_answers_that_did_not_fit_were_paid_for(
    server: Server, chat: RawChat, path: str, more: dict[str, Any]
) -> None:
    chat.deploy(ANSWERING)
    before = used(server, "fails")
    fields = {"content": "yes?", "messages": [{"role": "user", "content": "yes?"}]}
    names = {"chat_name": chat.name, "model": chat.name, "chat_names": chat.name}
    body = {name: value for name, value in {**fields, **names}.items() if name in FIELDS[path]}
    reply = httpx.post(
        f"{server.url}{path}",
        json=body | {"choices": ["left", "right"]} | more,
        headers={"X-Api-Key": token("fails")},
    )
    assert "BAD_ANSWER" in reply.text
    until(lambda: used(server, "fails") - before == 2 * TOKENS, 20)


FIELDS = {
    "/openai/chat": ("chat_name", "content"),
    "/v1/chat/completions": ("model", "messages"),
    "/all/chat": ("chat_names", "content"),
}


def used(server: Server, caller: str) -> int:
    """How many tokens a caller has used of its limit."""
    rows = server.http.get("/callers").json()["callers"]
    return next(int(row["limits"][0]["used"]) for row in rows if row["name"] == caller)


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/openai/chat", {}),
        ("/openai/chat", {"stream": True}),
        ("/openai/chat", {"wait": 20}),
        ("/v1/chat/completions", {}),
        ("/v1/chat/completions", {"stream": True}),
        ("/all/chat", {}),
    ],
)
def test_a_limit_holds_at_every_front_and_for_nobody_else(
    server: Server, chat: RawChat, path: str, more: dict[str, Any]
) -> None:
    until(lambda: code(ask(server, chat.name, "several")) == "OVER_LIMIT")
    headers = {"X-Api-Key": token("several")}
    bodies: dict[str, dict[str, Any]] = {
        "/openai/chat": {"chat_name": chat.name, "content": "hi"},
        "/v1/chat/completions": {
            "model": chat.name,
            "messages": [{"role": "user", "content": "hi"}],
        },
        "/all/chat": {"chat_names": chat.name, "content": "hi"},
    }
    reply = httpx.post(server.url + path, json={**bodies[path], **more}, headers=headers)
    if path == "/all/chat":
        assert reply.json()[chat.name]["error"]["code"] == "OVER_LIMIT"
    else:
        assert reply.status_code == 429
        assert "OVER_LIMIT" in reply.text
    assert code(ask(server, chat.name, "free")) == "OK"


def test_whoever_fetches_an_answer_again_uses_nothing(server: Server, chat: RawChat) -> None:
    body = {"request_id": f"{chat.name}-once", "content": "hi"}
    for _ in range(6):
        assert ask(server, chat.name, "repeats", **body).json() == "Ja"
    for _ in range(2):
        assert code(ask(server, chat.name, "repeats")) == "OK"
    assert code(ask(server, chat.name, "repeats")) == "OVER_LIMIT"


def test_what_was_used_outlives_the_store(server: Server, chat: RawChat, ray_head: RayHead) -> None:
    for _ in range(6):
        assert code(ask(server, chat.name, "killed")) == "OK"
    usage = {"by": "caller"}
    until(lambda: '"killed"' in server.http.get("/usage", params=usage).text)
    until(
        lambda: (
            next(
                one["requests"]
                for one in server.http.get("/usage", params=usage).json()["usage"]
                if one["caller"] == "killed"
            )
            == 6
        )
    )
    actor_process(ray_head, "Store").kill()
    codes = [code(ask(server, chat.name, "killed")) for _ in range(4)]
    assert codes == ["OK", "OK", "OVER_LIMIT", "OVER_LIMIT"]


def test_what_was_refused_is_not_used_also_after_the_store_is_lost(
    server: Server, chat: RawChat, ray_head: RayHead
) -> None:
    until(lambda: time.time() % 60 < 30, 40)  # or the limit of a minute may begin anew
    codes = Counter(code(ask(server, chat.name, "eager")) for _ in range(20))
    assert codes == {"OK": 2, "OVER_LIMIT": 18}
    usage = {"by": "caller"}
    until(lambda: '"requests":20' in _row(server.http.get("/usage", params=usage), "eager"))
    actor_process(ray_head, "Store").kill()

    def used_today() -> float:
        rows = server.http.get("/callers").json()["callers"]
        return next(float(row["limits"][1]["used"]) for row in rows if row["name"] == "eager")

    until(lambda: used_today() == 2, 20)


def _row(reply: httpx.Response, caller: str) -> str:
    rows = [row for row in reply.json()["usage"] if row["caller"] == caller]
    return json.dumps(rows, separators=(",", ":"))


def test_for_a_token_of_some_chats_there_are_no_others(
    server: Server, chat: RawChat, raw: RawProvider, new_name: str
) -> None:
    own, headers = f"shop_{new_name}", {"X-Api-Key": token("shop")}
    RawChat(server.http, own, raw).deploy(ANSWERING)
    task = {"chat_name": f"shop_task_{new_name}", "through": chat.name, "prompt": "{{content}}"}
    assert server.http.post("/task/deploy", json=task).status_code == 200

    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as http:
        names = {model["chat_name"] for model in http.get("/models").json()["models"]}
        assert names == {own, task["chat_name"]}
        assert {model["id"] for model in http.get("/v1/models").json()["data"]} == names
        assert {one["chat_name"] for one in http.get("/console/state").json()["models"]} == names
        assert set(http.post("/all/chat", json={"content": "hi"}).json()) == names

        message = [{"role": "user", "content": "hi"}]
        for path, body in (
            ("/openai/chat", {"chat_name": chat.name, "content": "hi"}),
            ("/task/chat", {"chat_name": chat.name, "content": "hi", "nonsense": "1"}),
            ("/openai/chat", {"chat_name": chat.name, "content": "hi", "job": True}),
            ("/v1/chat/completions", {"model": chat.name, "messages": message}),
            ("/v1/embeddings", {"model": chat.name, "input": "hi"}),
        ):
            reply = http.post(path, json=body)
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "NOT_DEPLOYED")
        outcome = http.post(
            "/all/chat", json={"chat_names": [chat.name, own], "content": "hi"}
        ).json()
        assert outcome[chat.name]["error"]["code"] == "NOT_DEPLOYED"
        assert outcome[own]["answer"] == "Ja"
        assert http.get(f"/v1/models/{chat.name}").status_code == 404
        assert http.get("/metrics").json()["error"]["code"] == "FORBIDDEN"
        assert (
            chat.name
            not in http.post("/v1/rerank", json={"model": own, "query": "", "documents": []}).text
        )

        assert http.post("/openai/chat", json={"chat_name": own, "content": "hi"}).json() == "Ja"
        # what answers a task is the operator's affair
        question = {"chat_name": task["chat_name"], "content": "hi"}
        assert http.post("/task/chat", json=question).json() == "Ja"


def test_a_chat_rests_when_its_budget_is_spent_and_its_chain_answers(
    server: Server, raw: RawProvider, new_name: str, chat: RawChat
) -> None:
    spent = RawChat(server.http, new_name + "-spent", raw)
    budget = {"money": 3, "per": "month"}
    spent.deploy(ANSWERING, price=PRICE, budget=budget)
    for _ in range(3):
        assert code(ask(server, spent.name, "free")) == "OK"
    until(lambda: code(ask(server, spent.name, "free")) == "OVER_BUDGET")
    # at once in every process: they tell one another each second
    until(
        lambda: {code(ask(server, spent.name, "free")) for _ in range(16)} == {"OVER_BUDGET"},
        10,
    )
    refused = ask(server, spent.name, "free")
    assert (refused.status_code, refused.json()["error"]["provider"]) == (402, None)
    assert new_name in refused.json()["error"]["message_zh"]
    status = row(server.http, spent.name)
    assert (status["state"], status["resting"]["code"]) == ("resting", "OVER_BUDGET")
    assert status["budget"]["money"] == 3
    assert status["budget"]["spent_money"] >= 3
    assert status["resting"]["until"] > time.time()
    raw.requests.clear()

    chain = {"chat_name": spent.name, "fallback": chat.name}
    assert server.http.post("/openai/fallback", json=chain).status_code == 200
    reply = ask(server, spent.name, "free")
    assert (reply.json(), reply.headers["X-Served-By"]) == ("Ja", chat.name)
    assert reply.headers["X-Fell-Back"] == "OVER_BUDGET"
    job = ask(server, spent.name, "free", wait=20)
    assert job.headers["X-Fell-Back"] == "OVER_BUDGET"
    assert [request.json["model"] for request in raw.requests] == [chat.name, chat.name]

    spent.deploy(ANSWERING, price=PRICE, budget={"money": 1000, "per": "month"})
    assert ask(server, spent.name, "free").headers["X-Served-By"] == spent.name
    assert row(server.http, spent.name)["state"] == "answering"


def test_a_budget_of_tokens_needs_no_price(server: Server, raw: RawProvider, new_name: str) -> None:
    spent = RawChat(server.http, new_name, raw)
    spent.deploy(ANSWERING, budget='{"tokens": 20, "per": "day"}')
    until(lambda: code(ask(server, spent.name, "free")) == "OVER_BUDGET", 30)
    # the process that is asked may hear of it a second later
    until(lambda: row(server.http, spent.name)["budget"]["spent_tokens"] >= 20)

    def of_all() -> str:
        outcome = httpx.post(
            f"{server.url}/all/chat",
            json={"chat_names": spent.name, "content": "hi"},
            headers={"X-Api-Key": token("free")},
        )
        return str(outcome.json()[spent.name].get("error", {}).get("code"))

    until(lambda: of_all() == "OVER_BUDGET", 30)
    v1 = {"model": spent.name, "messages": [{"role": "user", "content": "hi"}]}
    reply = server.http.post("/v1/chat/completions", json=v1)
    assert (reply.status_code, reply.headers["x-should-retry"]) == (402, "false")


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"money": 5}, "budget: money: its chat needs a price"),
        ({"per": "month"}, "must name money or tokens"),
        ({"tokens": 5, "per": "year"}, "budget.per"),
        ({"tokens": 0}, "budget.tokens"),
        ("5", "budget"),
    ],
)
def test_a_wrong_budget_is_named(
    gateway: httpx.Client, raw: RawProvider, new_name: str, budget: Any, words: str
) -> None:
    body = {"chat_name": new_name, "api_key": "sk-x", "base_url": raw.base_url, "budget": budget}
    error = gateway.post("/openai/deploy", json=body).json()["error"]
    assert error["code"] == "INVALID_REQUEST"
    assert words in error["message"]
