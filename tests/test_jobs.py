"""Time, for clients that have little of it: jobs, repeats that are not paid for twice, and
sessions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead
from tests.asking import ask
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.waiting import until

pytestmark = pytest.mark.reuses_chats

APP, OTHER = "jobs-app-1d0c", "jobs-other-77aa"


@pytest.fixture(scope="module")
def needs_tokens(start_server: Callable[..., Server], ray_head: RayHead) -> Iterator[Server]:
    """A gateway whose callers have tokens, and where repeats do not join."""
    tokens = f"app:{APP}:chat\nother:{OTHER}:chat"
    server = start_server(
        {**ray_head.environment, "GATEWAY_TOKENS": tokens, "GATEWAY_JOIN_REPEATS": "0"}
    )
    server.http.headers["X-Api-Key"] = APP
    yield server
    server.stop()


def test_a_job_has_an_id_at_once_and_its_answer_later(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    name = deploy(model_name="slow:2")
    begun = ask(gateway, name, job=True)

    assert begun.status_code == 202
    assert begun.json() == {
        "job": begun.headers["Location"].removeprefix("/jobs/"),
        "state": "PENDING",
    }
    pending = gateway.get(begun.headers["Location"])
    assert (pending.status_code, pending.json()) == (202, begun.json())
    answer = gateway.get(begun.headers["Location"], params={"wait": 30})
    assert (answer.status_code, answer.json()) == (200, "openai:hi")
    assert answer.headers["X-Served-By"] == name
    again = gateway.get(begun.headers["Location"], params={"format": "text"})
    assert again.text == "openai:hi"


def test_a_job_has_an_id_at_once_though_its_end_is_there_sooner(gateway: httpx.Client) -> None:
    missing = "nobody-deployed-this"  # nothing ends sooner than what need not be asked
    with ThreadPoolExecutor(32) as pool:
        begun = list(pool.map(lambda _: ask(gateway, missing, job=True), range(600)))

    assert {(one.status_code, one.json().get("state")) for one in begun} == {(202, "PENDING")}
    ended = gateway.get(begun[0].headers["Location"], params={"wait": 20})
    assert (ended.status_code, ended.json()["error"]["code"]) == (404, "NOT_DEPLOYED")
    assert missing not in gateway.get("/metrics").text, "callers may invent names"


def test_a_job_that_is_asked_for_again_is_its_answer_once_that_is_there(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str
) -> None:
    name = deploy()
    first = ask(gateway, name, job=True, request_id="polled.1")
    assert gateway.get(first.headers["Location"], params={"wait": 20}).json() == "openai:hi"

    assert ask(gateway, name, job=True, request_id="polled.1").json() == "openai:hi"
    assert standin.count(key) == 1


def test_an_answer_says_its_tokens_whole_or_as_a_job_and_none_where_nobody_counted(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    name = deploy()
    whole = ask(gateway, name)
    job = ask(gateway, name, request_id="counted-1")
    for reply in (whole, job, ask(gateway, name, request_id="counted-1")):
        assert int(reply.headers["X-Tokens-In"]) > 0
        assert int(reply.headers["X-Tokens-Out"]) > 0
    silent = ask(gateway, deploy(chat_name=name, model_name="usage-never"))
    assert silent.status_code == 200
    assert not {"X-Tokens-In", "X-Tokens-Out"} & set(silent.headers)


def test_a_job_that_was_fetched_is_forgotten_by_its_caller_alone(
    needs_tokens: Server, gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str
) -> None:
    name, job = deploy(), "/jobs/fetched-1"
    http = needs_tokens.http
    assert ask(http, name, request_id="fetched-1").json() == "openai:hi"
    assert http.delete(job, headers={"X-Api-Key": OTHER}).json() == {"ret": "ok"}
    assert http.get(job).json() == "openai:hi"

    assert http.delete(job).json() == {"ret": "ok"}
    assert http.get(job).status_code == 404
    assert http.delete(job).json() == {"ret": "ok"}
    assert ask(http, name, request_id="fetched-1").json() == "openai:hi"
    assert standin.count(key) == 2


def test_a_job_for_those_who_read_no_json(gateway: httpx.Client, deploy: Deploy) -> None:
    name = deploy(model_name="slow:2", reply={"format": "text", "status": 200})
    begun = gateway.post("/openai/chat", content=f"chat_name={name}&content=hi&job=1")

    assert begun.status_code == 200
    word, _, job = begun.text.partition(" ")
    assert word == "PENDING"
    assert gateway.get(f"/jobs/{job}?wait=30").text == "openai:hi"


def test_an_answer_is_written_as_whoever_fetches_it_reads(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    job = ask(gateway, deploy(), job=True).headers["Location"]
    assert gateway.get(f"{job}?wait=30").text == '"openai:hi"'
    assert gateway.get(job, headers={"Accept": "text/plain"}).text == "openai:hi"


def test_a_name_that_no_chat_has_is_in_no_metric(gateway: httpx.Client) -> None:
    for more in ({"wait": 20}, {"job": True}, {"job": True, "status": 200}):
        ask(gateway, "invented-by-a-caller", **more)
    assert "invented-by-a-caller" not in gateway.get("/metrics").text


def test_a_job_that_fails_says_why_and_falls_back_before_it_does(
    gateway: httpx.Client, deploy: Deploy, names: Callable[[], str]
) -> None:
    unpaid = deploy(model_name="refuse:openai-insufficient_quota", chat_name=names())
    failed = gateway.get(ask(gateway, unpaid, job=True).headers["Location"] + "?wait=30")
    assert (failed.status_code, failed.json()["error"]["code"]) == (402, "PAY_BILL")

    second = deploy("zhipu", chat_name=names())
    gateway.post("/openai/fallback", json={"chat_name": unpaid, "fallback": second})
    helped = gateway.get(ask(gateway, unpaid, job=True).headers["Location"] + "?wait=30")
    assert (helped.json(), helped.headers["X-Fell-Back"]) == ("zhipu:hi", "PAY_BILL")
    for _ in range(2):
        gateway.get(helped.request.url.path)
    counted = f'gateway_fallbacks_total{{chat="{unpaid}",code="PAY_BILL",served_by="{second}"}} 1.0'
    assert counted in gateway.get("/metrics").text


def test_wait_gives_the_answer_if_it_is_there_in_time_else_the_job(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    name = deploy(model_name="slow:3")

    begun = ask(gateway, name, wait=0.5)
    assert begun.status_code == 202
    assert ask(gateway, name, wait=30).json() == "openai:hi"
    assert gateway.get(begun.headers["Location"], params={"wait": 30}).json() == "openai:hi"


def test_a_job_survives_the_gateway_process_that_asked(
    server: Server, gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str
) -> None:
    name = deploy(model_name="slow:4")
    done = ask(gateway, name, wait=30, request_id="survivor.done")
    assert done.json() == "openai:hi"
    under_way = [
        ask(gateway, name, job=True, request_id=f"survivor.{n}").headers["Location"]
        for n in range(4)
    ]
    until(lambda: standin.count(key) == 5)

    for worker in psutil.Process(server.process.pid).children():
        worker.kill()
        until(lambda: gateway.get("/healthz", headers={"Connection": "close"}).status_code == 200)
    server.wait_until()

    assert gateway.get("/jobs/survivor.done").json() == "openai:hi"
    for job in under_way:  # taken over by whoever is asked for it
        assert gateway.get(job, params={"wait": 60}).json() == "openai:hi"


def test_the_same_request_id_is_answered_once(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str, new_name: str
) -> None:
    name = deploy(model_name="slow:1")
    with ThreadPoolExecutor(4) as pool:
        answer = list(pool.map(lambda _: ask(gateway, name, request_id=new_name).json(), range(4)))
    later = ask(gateway, name, request_id=new_name, format="text").text

    assert (set(answer), later) == ({"openai:hi"}, "openai:hi")
    assert standin.count(key) == 1
    other = ask(gateway, name, request_id=new_name, content="something else")
    assert (other.status_code, other.json()["error"]["message"][:12]) == (400, "request_id: ")


def test_a_request_id_that_failed_may_be_asked_again(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str, new_name: str
) -> None:
    name = deploy(chat_name=new_name)
    standin.script(key, ["garbage", "echo"])

    assert ask(gateway, name, request_id=f"{new_name}.again").status_code == 502
    assert ask(gateway, name, request_id=f"{new_name}.again").json() == "openai:hi"


def test_a_question_repeated_while_the_first_is_under_way_is_not_paid_twice(
    server: Server, deploy: Deploy, standin: StandIn, key: str
) -> None:
    name = deploy(model_name="slow:2", workers=2)

    def repeat(_: int) -> str:
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as connection:
            return str(ask(connection, name).json())

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(repeat, range(6))) == {"openai:hi"}

    # Two gateway processes, two replicas: all repeats met.
    assert standin.count(key) == 1
    assert repeat(0) == "openai:hi"
    assert standin.count(key) == 2, "what was answered is asked anew"


def test_a_client_that_drops_its_connection_and_repeats_joins_its_own_question(
    server: Server, deploy: Deploy, standin: StandIn, key: str
) -> None:
    name = deploy(model_name="slow:2")
    with (
        pytest.raises(httpx.ReadTimeout),
        httpx.Client(base_url=server.url, timeout=0.5, trust_env=False) as impatient,
    ):
        ask(impatient, name)
    assert ask(server.http, name).json() == "openai:hi"
    assert standin.count(key) == 1


def test_a_repeat_does_not_wait_with_the_model_that_was_replaced(
    server: Server, deploy: Deploy, standin: StandIn, key: str
) -> None:
    """An operator may have switched because of what hangs there."""
    name = deploy(model_name="slow:10")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, server.http, name)
        until(lambda: standin.count(key) == 1)
        deploy("zhipu", chat_name=name)

        assert ask(server.http, name).json() == "zhipu:hi"
        assert not first.done()
        assert first.result(60).json() == "openai:hi"


def test_repeats_do_not_join_where_the_operator_says_so_nor_in_streams_nor_on_v1(
    gateway: httpx.Client, needs_tokens: Server, deploy: Deploy, standin: StandIn, key: str
) -> None:
    name = deploy(model_name="slow:1")
    chat = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
    calls: list[Callable[[], httpx.Response]] = [
        lambda: ask(needs_tokens.http, name),
        lambda: ask(gateway, name, stream=True),
        lambda: gateway.post("/v1/chat/completions", json=chat),
    ]
    with ThreadPoolExecutor(6) as pool:
        for reply in pool.map(lambda call: call(), calls * 2):
            assert reply.status_code == 200
    assert standin.count(key) == 6


def test_only_the_token_that_asked_may_read_a_job(needs_tokens: Server, deploy: Deploy) -> None:
    name = deploy()
    job = ask(needs_tokens.http, name, job=True, request_id="mine").headers["Location"]
    assert needs_tokens.http.get(job, params={"wait": 30}).json() == "openai:hi"

    other = needs_tokens.http.get(job, headers={"X-Api-Key": OTHER})
    assert (other.status_code, other.json()["error"]["code"]) == (404, "INVALID_REQUEST")
    assert needs_tokens.http.get(job, headers={"X-Api-Key": "nobody's"}).status_code == 401
    theirs = needs_tokens.http.post(
        "/openai/chat",
        json={"chat_name": name, "content": "other", "request_id": "mine"},
        headers={"X-Api-Key": OTHER},
    )
    assert theirs.json() == "openai:other"


def test_a_session_remembers_survives_a_switch_and_forgets(
    gateway: httpx.Client, needs_tokens: Server, deploy: Deploy, standin: StandIn, key: str
) -> None:
    def heard() -> list[str]:
        return [turn["content"] for turn in standin.requests(key)[-1]["body"]["messages"]]

    name = deploy()
    ask(gateway, name, content="one", session="order-42")
    deploy("zhipu", chat_name=name)
    ask(gateway, name, content="two", session="order-42", system="Be brief.")
    assert heard() == ["Be brief.", "one", "openai:one", "two"]
    gateway.get(
        ask(gateway, name, content="three", session="order-42", job=True).headers["Location"]
        + "?wait=30"
    )
    ask(gateway, name, content="four", session="order-42", stream=True)
    until(
        lambda: (
            ask(gateway, name, content="five", session="order-42").is_success
            and "zhipu:four" in heard()
        ),
        20,
    )
    assert heard()[:7] == ["one", "openai:one", "two", "zhipu:two", "three", "zhipu:three", "four"]

    for other, session in ((gateway, "order-43"), (needs_tokens.http, "order-42")):
        ask(other, name, content="alone", session=session)
        assert heard() == ["alone"]
    ask(gateway, name, content="anew", session="order-42", reset=True)
    assert heard() == ["anew"]
    once = {"session": "order-42", "request_id": f"{name}-once"}
    for _ in range(2):  # a repeat forgets nothing
        ask(gateway, name, content="once", reset=True, **once)
    assert heard() == ["once"]
    ask(gateway, name, content="then", session="order-42")
    assert heard() == ["once", "zhipu:once", "then"]


def test_a_session_is_bounded(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str
) -> None:
    name = deploy(model_name="say:ok")
    for number in range(23):
        assert ask(gateway, name, content=f"q{number}", session="long").json() == "ok"
    last = standin.requests(key)[-1]["body"]["messages"]
    assert [last[0]["content"], len(last)] == ["q2", 41]

    ask(gateway, name, content="x" * 40_000, session="long")
    ask(gateway, name, content="y", session="long")
    assert len(standin.requests(key)[-1]["body"]["messages"]) == 3


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"session": "s", "history": [{"role": "user", "content": "x"}]}, "history"),
        ({"reset": True}, "reset"),
        ({"stream": True, "job": True}, "stream"),
        ({"stream": True, "wait": 1}, "stream"),
        ({"wait": -1}, "wait"),
        ({"wait": 1000}, "wait"),
        ({"request_id": "a b"}, "request_id"),
        ({"session": "x" * 65}, "session"),
    ],
)
def test_what_does_not_go_together_is_named(
    gateway: httpx.Client, more: dict[str, Any], field: str
) -> None:
    reply = ask(gateway, "any", **more)

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert reply.json()["error"]["message"].startswith(f"{field}: ")


def test_a_job_that_is_not_kept_says_for_how_long_they_are(gateway: httpx.Client) -> None:
    reply = gateway.get("/jobs/no-such-job")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "INVALID_REQUEST")
    assert "for an hour" in reply.json()["error"]["message"]


def test_a_job_under_way_is_finished_before_its_process_stops(
    start_server: Callable[..., Server], ray_head: RayHead, gateway: httpx.Client, deploy: Deploy
) -> None:
    stopping = start_server({**ray_head.environment, "WEB_CONCURRENCY": "1"})
    job = ask(stopping.http, deploy(model_name="slow:4"), job=True).headers["Location"]
    began = time.monotonic()
    stopping.process.terminate()
    assert stopping.process.wait(60) == 0

    answer = gateway.get(job, params={"wait": 0})
    assert answer.json() == "openai:hi"
    assert time.monotonic() - began > 2
