"""Never without an answer: switch with a check, undo, fall back, rest."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.standin.refusals import REFUSALS, Refusal
from tests.waiting import until

pytestmark = pytest.mark.reuses_chats

FALL_BACK_ON = {
    *("PAY_BILL", "BAD_KEY", "NO_SUCH_MODEL", "NEED_KEY"),
    *("SLOW_DOWN", "PROVIDER_BUSY", "PROVIDER_DOWN", "TIMEOUT"),
}


@pytest.fixture(scope="module")
def careful(ray_head: RayHead, start_server: Callable[..., Server]) -> Iterator[Server]:
    """A gateway beside the others whose operator has set what can be set about deploys."""
    settings = {
        "CHECK": "1",
        "UPSTREAM_HOSTS": "127.0.0.1",
        "PROBE_SECONDS": "1",
        "UNDO_SECONDS": "1",
    }
    set_so = {f"GATEWAY_{name}": value for name, value in settings.items()}
    server = start_server({**ray_head.environment, **set_so, "WEB_CONCURRENCY": "1"})
    yield server
    server.stop()


SWITCHES = 200 if os.environ.get("LONG") else 60


def ask(gateway: httpx.Client, name: str) -> httpx.Response:
    return gateway.post("/openai/chat", json={"chat_name": name, "content": "hi"})


def row(gateway: httpx.Client, name: str) -> dict[str, Any]:
    [matches] = [row for row in gateway.get("/models").json()["models"] if row["chat_name"] == name]
    return dict(matches)


def test_switches_between_two_providers_under_50_chats_fail_none(
    server: Server, gateway: httpx.Client, deploy: Deploy, chat_name: str
) -> None:
    deploy("openai", "slow:0.05", chat_name=chat_name)
    done = False
    answers: list[Any] = []

    def chats(_: int) -> None:
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
            while not done:
                answers.append(ask(client, chat_name).json())

    with ThreadPoolExecutor(50) as pool:
        running = [pool.submit(chats, number) for number in range(50)]
        for number in range(SWITCHES):
            deploy(("zhipu", "openai")[number % 2], "slow:0.05", chat_name=chat_name)
        done = True
        for chat in running:
            chat.result()

    assert set(map(str, answers)) == {"openai:hi", "zhipu:hi"}
    assert len(answers) > SWITCHES


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        ("refuse:openai-invalid_api_key", "BAD_KEY"),
        ("refuse:openai-insufficient_quota", "PAY_BILL"),
        ("refuse:openai-model_not_found", "NO_SUCH_MODEL"),
        ("drop", "PROVIDER_DOWN"),
    ],
)
def test_a_deploy_that_fails_its_check_says_why_and_changes_nothing(
    gateway: httpx.Client,
    deploy: Deploy,
    standin: StandIn,
    chat_name: str,
    behaviour: str,
    code: str,
) -> None:
    deploy("zhipu", chat_name=chat_name)
    new = {
        "chat_name": chat_name,
        "api_key": "sk-new",
        "base_url": standin.base_url("openai"),
        "check": True,
    }

    reply = gateway.post("/openai/deploy", json={**new, "model_name": behaviour})

    assert reply.json()["error"]["code"] == code
    assert ask(gateway, chat_name).json() == "zhipu:hi"


def test_a_deploy_that_passes_its_check_asked_one_question(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str
) -> None:
    name = deploy(check=True, workers=3)
    assert standin.count(key) == 1
    assert ask(gateway, name).json() == "openai:hi"


def test_the_operator_can_have_every_deploy_checked(
    careful: Server, standin: StandIn, chat_name: str
) -> None:
    new = {"chat_name": chat_name, "api_key": "sk-new", "base_url": standin.base_url("openai")}
    bad = {**new, "model_name": "refuse:openai-invalid_api_key"}

    assert careful.http.post("/openai/deploy", json=bad).json()["error"]["code"] == "BAD_KEY"
    assert careful.http.post("/openai/deploy", json={**bad, "check": False}).status_code == 200


def test_undo_brings_back_what_was_there_with_its_key(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, chat_name: str, key: str
) -> None:
    deploy("zhipu", chat_name=chat_name)
    deploy("openai", chat_name=chat_name, api_key="sk-other")
    assert ask(gateway, chat_name).json() == "openai:hi"

    assert gateway.post("/openai/undo", json={"chat_name": chat_name}).json() == {"ret": "ok"}

    assert ask(gateway, chat_name).json() == "zhipu:hi"
    assert standin.requests(key)[-1]["headers"]["Authorization"] == f"Bearer {key}"
    assert gateway.post("/openai/undo", json={"chat_name": chat_name}).status_code == 200
    assert ask(gateway, chat_name).json() == "openai:hi"


def test_there_is_nothing_to_undo_after_a_first_deploy(
    gateway: httpx.Client, deploy: Deploy, new_name: str
) -> None:
    reply = gateway.post("/openai/undo", json={"chat_name": deploy(chat_name=new_name)})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "INVALID_REQUEST")


@pytest.fixture
def chain(deploy: Deploy, chat_name: str) -> Callable[..., str]:
    """Deploy a chat whose second link answers; redeployed for each row, since a chat rests after
    some refusals."""
    second = deploy("zhipu", api_key="sk-second")

    def first(provider: str, model_name: str, **more: Any) -> str:
        return deploy(provider, model_name, chat_name=chat_name, fallback=second, timeout=2, **more)

    return first


@pytest.mark.parametrize("dialect", ["openai", "zhipu", "tongwen"])
def test_every_refusal_is_answered_by_the_next_link_or_is_the_callers_own(
    gateway: httpx.Client, chain: Callable[..., str], dialect: str
) -> None:
    def outcome(refusal: Refusal) -> tuple[int, str]:
        reply = ask(gateway, chain(dialect, f"refuse:{refusal.name}"))
        if reply.status_code == 200:
            assert reply.json() == "zhipu:hi"
            assert reply.headers["X-Served-By"] != "first"
            return 200, reply.headers["X-Fell-Back"]
        return 0, reply.json()["error"]["code"]

    rows = [row for row in REFUSALS if row.dialect == dialect]
    assert {row.name: outcome(row) for row in rows} == {
        row.name: (200 if row.code in FALL_BACK_ON else 0, row.code) for row in rows
    }


@pytest.mark.parametrize("behaviour", ["drop", "garbage", "hang"])
def test_a_provider_that_fails_is_answered_for_in_every_form(
    gateway: httpx.Client, chain: Callable[..., str], behaviour: str
) -> None:
    name = chain("openai", behaviour)
    messages = [{"role": "user", "content": "hi"}]

    plain = ask(gateway, name)
    text = gateway.post("/openai/chat", json={"chat_name": name, "content": "hi", "stream": True})
    whole = gateway.post("/v1/chat/completions", json={"model": name, "messages": messages})
    stream = gateway.post(
        "/v1/chat/completions", json={"model": name, "messages": messages, "stream": True}
    )

    assert (plain.json(), text.text) == ("zhipu:hi", "zhipu:hi")
    assert (whole.json()["choices"][0]["message"]["content"], whole.json()["model"]) == (
        "zhipu:hi",
        name,
    )
    assert f'"model":"{name}"' in stream.text
    assert stream.text.endswith("data: [DONE]\n\n")
    for reply in (plain, text, whole, stream):
        assert reply.headers["X-Fell-Back"] in ("PROVIDER_DOWN", "TIMEOUT")
        assert reply.headers["X-Served-By"] != name


def test_when_every_link_fails_the_first_ones_error_is_told(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    second = deploy("zhipu", "refuse:zhipu-1302")
    name = deploy("openai", "refuse:openai-insufficient_quota", fallback=[second])

    error = ask(gateway, name).json()["error"]
    assert (error["code"], error["chat_name"]) == ("PAY_BILL", name)


def test_a_chain_can_be_changed_alone_and_wrong_ones_are_refused(
    gateway: httpx.Client, deploy: Deploy, new_name: str
) -> None:
    other = deploy("zhipu")
    name = deploy(model_name="drop")
    assert ask(gateway, name).status_code == 502

    assert gateway.post("/openai/fallback", json={"chat_name": name, "fallback": other}).json() == {
        "ret": "ok"
    }
    assert [ask(gateway, name).json() for _ in range(6)] == ["zhipu:hi"] * 6
    assert row(gateway, name)["fallback"] == [other]

    for wrong in (name, "no-such-chat", f"{other},{other}", "a b"):
        reply = gateway.post("/openai/fallback", json={"chat_name": name, "fallback": wrong})
        assert reply.status_code == 400
        assert reply.json()["error"]["message"].startswith("fallback")
    missing = gateway.post("/openai/fallback", json={"chat_name": new_name, "fallback": other})
    assert missing.status_code == 404

    assert gateway.post("/openai/fallback", json={"chat_name": name, "fallback": ""}).json() == {
        "ret": "ok"
    }
    assert {ask(gateway, name).status_code for _ in range(6)} == {502}


@pytest.mark.parametrize("name", ["openai-insufficient_quota", "openai-invalid_api_key"])
def test_an_unpaid_or_refused_account_rests_and_is_not_asked_again_until_deployed_anew(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, chat_name: str, key: str, name: str
) -> None:
    deploy(model_name="echo", chat_name=chat_name)
    standin.script(key, [f"refuse:{name}"])
    first = ask(gateway, chat_name).json()["error"]
    asked = standin.count(key)

    for _ in range(10):
        assert ask(gateway, chat_name).json()["error"]["code"] == first["code"]

    assert standin.count(key) == asked
    report = row(gateway, chat_name)
    assert (report["state"], report["resting"]["code"]) == ("resting", first["code"])

    standin.script(key, [])
    deploy(model_name="echo", chat_name=chat_name)
    assert ask(gateway, chat_name).json() == "openai:hi"
    assert row(gateway, chat_name)["state"] == "answering"


def test_a_resting_chat_is_probed_by_a_real_request_and_comes_back(
    careful: Server, standin: StandIn, chat_name: str, key: str
) -> None:
    new = {
        "chat_name": chat_name,
        "api_key": key,
        "base_url": standin.base_url("openai"),
        "model_name": "echo",
    }
    assert careful.http.post("/openai/deploy", json=new).status_code == 200
    standin.script(key, ["refuse:openai-insufficient_quota"])
    assert ask(careful.http, chat_name).status_code == 402
    standin.script(key, [])

    until(lambda: ask(careful.http, chat_name).status_code == 200, 20)


def test_a_rate_limit_rests_as_long_as_the_provider_said(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, chat_name: str, key: str
) -> None:
    [refusal, *_] = [
        row for row in REFUSALS if row.code == "SLOW_DOWN" and "Retry-After" in row.headers
    ]
    deploy(refusal.dialect, f"refuse:{refusal.name}", chat_name=chat_name)

    replies = [ask(gateway, chat_name) for _ in range(5)]

    assert {reply.status_code for reply in replies} == {429}
    assert standin.count(key) == 1
    assert 0 < int(replies[-1].headers["Retry-After"]) <= int(refusal.headers["Retry-After"])


def test_a_provider_that_is_down_again_and_again_is_left_alone_for_a_while(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str
) -> None:
    name = deploy(model_name="garbage")

    for _ in range(20):
        assert ask(gateway, name).json()["error"]["code"] == "PROVIDER_DOWN"

    assert standin.count(key) == 5
    assert row(gateway, name)["resting"]["code"] == "PROVIDER_DOWN"


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "①⑥⑨。②⑤④。①⑥⑨。②⑤④",
        "2852039166",
        "[64:ff9b::a9fe:a9fe]",
        "[fd20:ce::254]",
    ],
)
@pytest.mark.parametrize("model_type", ["saas/openai", "saas/reasoning_openai"])
def test_a_key_is_not_sent_to_link_local_or_metadata_addresses(
    gateway: httpx.Client, chat_name: str, model_type: str, host: str
) -> None:
    url = f"http://{host}/v1"
    new = {"chat_name": chat_name, "api_key": "sk-x", "base_url": url, "model_type": model_type}
    reply = gateway.post("/openai/deploy", json=new)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "INVALID_REQUEST")
    assert reply.json()["error"]["message"].startswith("base_url: ")


def test_the_operator_can_restrict_the_hosts(
    careful: Server, standin: StandIn, chat_name: str
) -> None:
    new = {"chat_name": chat_name, "api_key": "sk-x", "base_url": "http://localhost:9/v1"}

    refused = careful.http.post("/openai/deploy", json=new)

    assert "GATEWAY_UPSTREAM_HOSTS" in refused.json()["error"]["message"]
    allowed = {**new, "base_url": standin.base_url("openai")}
    assert careful.http.post("/openai/deploy", json=allowed).status_code == 200


def test_a_base_url_that_leads_back_to_the_gateway_is_noticed(
    server: Server, deploy: Deploy, new_name: str
) -> None:
    deploy(chat_name=new_name, model_name=new_name, base_url=f"{server.url}/v1")

    error = ask(server.http, new_name).json()["error"]

    assert error["code"] == "BAD_UPSTREAM_REQUEST"
    assert "from this gateway itself" in error["provider_message"]
    assert server.chats(new_name) == 0


def test_another_gateways_question_is_answered(gateway: httpx.Client, deploy: Deploy) -> None:
    body = {"chat_name": deploy(), "content": "hi"}
    reply = gateway.post("/openai/chat", json=body, headers={"X-Byzer-Gateway": "0123456789abcdef"})
    assert reply.json() == "openai:hi"


def test_a_redirect_takes_no_key_elsewhere(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str
) -> None:
    elsewhere = f"{standin.url}/zhipu/elsewhere/chat/completions"
    reply = ask(gateway, deploy(model_name=f"redirect:{elsewhere}"))

    assert reply.json()["error"]["code"] == "BAD_UPSTREAM_REQUEST"
    assert [seen["dialect"] for seen in standin.requests(key)] == ["openai"]


def test_a_new_base_url_needs_the_key_again(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn
) -> None:
    moved = {"chat_name": deploy(), "base_url": standin.base_url("zhipu")}
    assert (
        gateway.post("/openai/deploy", json=moved)
        .json()["error"]["message"]
        .startswith("api_key: ")
    )


def test_several_chats_answer_one_question_together(
    gateway: httpx.Client, deploy: Deploy, local_chat: str, key: str
) -> None:
    fast, slow = deploy("zhipu", "echo"), deploy("openai", "slow:2")
    unpaid = deploy("openai", "refuse:openai-insufficient_quota", fallback=fast)
    names = [fast, slow, unpaid, local_chat, "no-such-chat"]
    started = time.monotonic()

    answer = gateway.post(
        "/all/chat", json={"content": "hi", "chat_names": names, "max_tokens": 5}
    ).json()

    assert time.monotonic() - started < 10
    assert list(answer) == names
    assert (answer[fast]["answer"], answer[slow]["answer"]) == ("zhipu:hi", "openai:hi")
    assert answer[fast]["seconds"] < answer[slow]["seconds"]
    assert min(answer[fast]["tokens"], answer[local_chat]["tokens"]) > 0
    assert (answer[unpaid]["error"]["code"], answer["no-such-chat"]["error"]["code"]) == (
        "PAY_BILL",
        "NOT_DEPLOYED",
    )


def test_all_are_asked_unless_some_are_named_and_none_is_waited_for_beyond_the_timeout(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    fast, never = deploy(), deploy(model_name="hang", timeout=30)
    started = time.monotonic()

    answer = gateway.post("/all/chat", json={"content": "hi", "timeout": 5, "max_tokens": 5}).json()

    assert time.monotonic() - started < 10
    assert answer[fast]["answer"] == "openai:hi"
    assert answer[never]["error"]["code"] == "TIMEOUT"


def test_several_chats_speak_line_by_line_as_they_come(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn
) -> None:
    quick, slow = deploy("zhipu", "stream:3:0.1"), deploy("openai", "stream:3:3")
    down, never = (
        deploy(model_name="garbage"),
        deploy(model_name="hang", api_key="sk-never", timeout=60),
    )
    names = [quick, slow, down, never]

    reply = gateway.post(
        "/all/chat", json={"content": "hi", "chat_names": names, "stream": True, "timeout": 8}
    )

    lines = [json.loads(line) for line in reply.text.splitlines()]
    by_name = {name: [line for line in lines if line["chat_name"] == name] for name in names}
    for name in (quick, slow):
        assert "".join(line.get("text", "") for line in by_name[name]).split() == ["w0", "w1", "w2"]
        assert by_name[name][-1]["done"]
        assert by_name[name][-1]["tokens"] > 0
    assert by_name[down][-1]["error"]["code"] == "PROVIDER_DOWN"
    assert by_name[never][-1]["error"]["code"] == "TIMEOUT"
    order = [line["chat_name"] for line in lines]
    # Who speaks first is chance, since both begin at once; who is done first is not.
    assert max(i for i, name in enumerate(order) if name == quick) < max(
        i for i, n in enumerate(order) if n == slow
    )


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_that_is_named_many_times_is_asked_once(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str, stream: bool
) -> None:
    first, second = deploy(), deploy("zhipu", api_key=f"{key}-2")
    names = [first, second, *[first] * 62]

    reply = gateway.post("/all/chat", json={"content": "hi", "chat_names": names, "stream": stream})

    assert reply.status_code == 200
    assert (standin.count(key), standin.count(f"{key}-2")) == (1, 1)
    if not stream:
        assert list(reply.json()) == [first, second]


def test_a_switch_keeps_the_chain_unless_another_is_given(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    other = deploy("zhipu")
    name = deploy(fallback=other)

    deploy("tongwen", "drop", chat_name=name)
    assert ask(gateway, name).json() == "zhipu:hi"

    deploy("tongwen", "drop", chat_name=name, fallback=[])
    assert ask(gateway, name).status_code == 502


def test_a_deploy_can_be_undone_for_a_while_only(
    careful: Server, standin: StandIn, chat_name: str
) -> None:
    new = {
        "chat_name": chat_name,
        "api_key": "sk-x",
        "base_url": standin.base_url("openai"),
        "model_name": "echo",
    }
    for _ in range(2):
        assert careful.http.post("/openai/deploy", json=new).status_code == 200
    time.sleep(1.1)  # what is tested is that time passes

    assert careful.http.post("/openai/undo", json={"chat_name": chat_name}).status_code == 400


def test_a_chat_that_is_deployed_again_and_again_goes_on_answering(
    gateway: httpx.Client, deploy: Deploy, chat_name: str
) -> None:
    for _ in range(30):
        deploy(chat_name=chat_name)
        for _ in range(3):
            assert ask(gateway, chat_name).json() == "openai:hi"
