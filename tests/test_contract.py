"""The contract that legacy applications rely on: deploy, chat, undeploy, and what they answer."""

from __future__ import annotations

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.server import Deploy
from tests.standin.client import StandIn
from tests.standin.refusals import DIALECTS, Dialect

pytestmark = pytest.mark.reuses_chats


def chat(
    gateway: httpx.Client, name: str, content: str = "hello", provider: str = "openai", **more: Any
) -> Any:
    reply = gateway.post(f"/{provider}/chat", json={"chat_name": name, "content": content, **more})
    assert reply.status_code == 200, reply.text
    return reply.json()


def error(reply: httpx.Response) -> tuple[int, str, str]:
    body = reply.json()["error"]
    assert body["request_id"] == reply.headers["X-Request-Id"]
    return reply.status_code, body["code"], body["message"]


@pytest.mark.parametrize("provider", DIALECTS)
def test_a_deployed_chat_answers_with_a_bare_json_string_in_ascii(
    gateway: httpx.Client, deploy: Deploy, provider: str
) -> None:
    name = deploy(provider)

    reply = gateway.post(f"/{provider}/chat", json={"chat_name": name, "content": "你好"})

    assert reply.content == f'"{provider}:\\u4f60\\u597d"'.encode()
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    assert reply.headers["Content-Length"] == str(len(reply.content))
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("provider", "model_type"),
    [
        ("openai", "saas/openai"),
        ("openai", "saas/official_openai"),
        ("zhipu", "saas/zhipu"),
        ("tongwen", "saas/qianwen"),
    ],
)
def test_the_model_types_in_the_wild_are_accepted_with_every_field_of_the_contract(
    gateway: httpx.Client,
    standin: StandIn,
    chat_name: str,
    key: str,
    provider: Dialect,
    model_type: str,
) -> None:
    whole = {
        "api_key": key,
        "chat_name": chat_name,
        "model_name": "echo",
        "model_type": model_type,
        "http_proxy": standin.base_url(provider),
        "workers": "2",
    }

    assert gateway.post(f"/{provider}/deploy", json=whole).json() == {"ret": "ok"}

    assert chat(gateway, chat_name) == f"{provider}:hello"
    [seen] = standin.requests(key)
    assert seen["headers"]["Authorization"] == f"Bearer {key}"
    [listed] = [
        row for row in gateway.get("/models").json()["models"] if row["chat_name"] == chat_name
    ]
    assert (listed["replicas"], listed["model_type"]) == (2, model_type)


def test_old_clients_are_understood_whatever_content_type_they_declare(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    body = f'{{"chat_name": "{deploy()}", "content": "hi"}}'
    for declared in (
        "",
        "text/plain",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
    ):
        reply = gateway.post("/openai/chat", content=body, headers={"Content-Type": declared})
        assert reply.json() == "openai:hi"


def test_a_chat_answers_under_every_provider_and_is_switched_in_place(
    gateway: httpx.Client, deploy: Deploy, chat_name: str
) -> None:
    deploy("zhipu", chat_name=chat_name)
    assert [chat(gateway, chat_name, provider=p) for p in DIALECTS] == ["zhipu:hello"] * 3

    deploy("tongwen", chat_name=chat_name)
    assert [chat(gateway, chat_name, provider=p) for p in DIALECTS] == ["tongwen:hello"] * 3


def test_only_the_options_that_were_given_are_sent_on(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str
) -> None:
    name = deploy()

    chat(gateway, name)
    chat(gateway, name, system="Be brief.", temperature="0", top_p=0.5, max_tokens="7")
    chat(
        gateway,
        name,
        history=[{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}],
    )

    plain, full, longer = (seen["body"] for seen in standin.requests(key))
    hello = {"role": "user", "content": "hello"}
    assert plain == {"model": "echo", "messages": [hello], "stream": False}
    assert full == {
        "model": "echo",
        "messages": [{"role": "system", "content": "Be brief."}, hello],
        "temperature": 0.0,
        "top_p": 0.5,
        "max_tokens": 7,
        "stream": False,
    }
    turns = [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]
    assert longer == {"model": "echo", "messages": [*turns, hello], "stream": False}


@pytest.mark.parametrize(
    "content", ["<_image_>/etc/hostname</_image_>", '{"input": "x"}', "[1]", "null", '"\x00']
)
def test_text_that_byzerllm_would_reinterpret_reaches_the_provider_as_it_is(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str, content: str
) -> None:
    assert chat(gateway, deploy(), content) == f"openai:{content}"
    [seen] = standin.requests(key)
    assert seen["body"]["messages"] == [{"role": "user", "content": content}]


def test_an_undeployed_chat_is_gone_from_every_process(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    name = deploy()
    for _ in range(8):  # so that both processes know it
        chat(gateway, name)

    assert gateway.post("/zhipu/undeploy", json={"chat_name": name}).json() == {"ret": "ok"}

    for _ in range(8):
        reply = gateway.post(
            "/openai/chat",
            json={"chat_name": name, "content": "hi"},
            headers={"Connection": "close"},
        )
        assert error(reply)[:2] == (404, "NOT_DEPLOYED")
    assert error(gateway.post("/openai/undeploy", json={"chat_name": name}))[:2] == (
        404,
        "NOT_DEPLOYED",
    )
    assert name not in gateway.get("/models").text


def test_models_tells_everything_but_the_key(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str
) -> None:
    name = deploy("zhipu", "echo", workers=2, timeout=30)

    reply = gateway.get("/models")

    [row] = [row for row in reply.json()["models"] if row["chat_name"] == name]
    assert row.pop("since").startswith("20")
    assert row.pop("created") > 0
    assert row == {
        "chat_name": name,
        "provider": "zhipu",
        "model_type": "saas/zhipu",
        "model_name": "echo",
        "host": standin.url.removeprefix("http://"),
        "replicas": 2,
        "state": "answering",
        "in_flight": 0,
        "fallback": [],
        "reply": {},
        "resting": None,
        "options": {},
        "thinking": None,
        "left_out": [],
        "keys": {"count": 1, "resting": {}},
        "egress_proxy": None,
        "task": None,
        "price": None,
        "budget": None,
        "balance": None,
        "low": None,
    }
    assert key not in reply.text


def test_this_process_lives_and_the_cluster_answers(gateway: httpx.Client) -> None:
    assert (gateway.get("/healthz").status_code, gateway.get("/readyz").status_code) == (200, 200)


def test_the_same_name_deployed_at_once_through_many_connections_has_one_winner(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, chat_name: str
) -> None:
    keys = [f"sk-race-{n}" for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(
            pool.map(lambda k: deploy(chat_name=chat_name, api_key=k, model_name=f"say:{k}"), keys)
        )

    answer = {chat(gateway, chat_name) for _ in range(10)}

    assert len(answer) == 1
    [winner] = answer
    assert standin.count(winner) == 10


def test_different_names_deployed_at_once_never_mix_their_keys(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, names: Callable[[], str]
) -> None:
    keys = {names(): f"sk-own-{n}" for n in range(6)}
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda item: deploy(chat_name=item[0], api_key=item[1]), keys.items()))

    for name, own in keys.items():
        chat(gateway, name, content=name)
        [seen] = standin.requests(own)
        assert seen["body"]["messages"][0]["content"] == name


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"chat_name": None}, "chat_name"),
        ({"chat_name": ""}, "chat_name"),
        ({"chat_name": "a b"}, "chat_name"),
        ({"chat_name": "a\n"}, "chat_name"),
        ({"chat_name": "x" * 65}, "chat_name"),
        ({"chat_name": "名"}, "chat_name"),
        ({"chat_name": "a#1"}, "chat_name"),
        ({"api_key": None}, "api_key"),
        ({"api_key": "two words"}, "api_key"),
        ({"api_key": "sk-\r\nX-Evil: 1"}, "api_key"),
        ({"api_key": 5}, "api_key"),
        ({"api_key": ["sk-1", 5]}, "api_key"),
        ({"api_key": ",".join(map(str, range(65)))}, "api_key"),
        ({"options": "nonsense"}, "options"),
        ({"options": {"messages": []}}, "options"),
        ({"options": {"extra_body": 1}}, "options"),
        ({"options": {"thinking": "perhaps"}}, "options"),
        ({"options": {"stop": "x" * 20_000}}, "options"),
        ({"thinking": "perhaps"}, "thinking"),
        ({"model_type": "saas/nonsense"}, "model_type"),
        ({"model_type": "saas/../../evil"}, "model_type"),
        ({"model_type": "saas/zhipu"}, "model_type"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "file:///etc/passwd"}, "base_url"),
        ({"base_url": "http://user:pw@x/v1"}, "base_url"),
        ({"base_url": "http://x:99999/v1"}, "base_url"),
        ({"base_url": "http:///v1"}, "base_url"),
        ({"base_url": None, "http_proxy": "nonsense"}, "http_proxy"),
        ({"http_proxy": "http://127.0.0.1:1"}, "http_proxy"),
        ({"workers": 0}, "workers"),
        ({"workers": 33}, "workers"),
        ({"workers": "many"}, "workers"),
        ({"workers": 1.5}, "workers"),
        ({"workers": True}, "workers"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "NaN"}, "timeout"),
        ({"timeout": 1e9}, "timeout"),
        ({"modle_name": "x"}, "modle_name"),
    ],
)
def test_a_wrong_deploy_names_the_field_and_never_the_key(
    gateway: httpx.Client, chat_name: str, change: dict[str, Any], field: str
) -> None:
    body = {
        "chat_name": chat_name,
        "api_key": "sk-secret-of-mine",
        "base_url": "http://127.0.0.1:1/v1",
        **change,
    }
    reply = gateway.post(
        "/openai/deploy", json={name: value for name, value in body.items() if value is not None}
    )

    status, code, message = error(reply)
    assert (status, code) == (400, "INVALID_REQUEST")
    assert message.startswith(f"{field}: ")
    assert reply.json()["error"]["message_zh"].startswith(f"{field}：")
    assert "sk-secret-of-mine" not in reply.text
    assert "evil" not in reply.text.lower() or field == "model_type"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"content": None}, "content"),
        ({"content": ""}, "content"),
        ({"content": 5}, "content"),
        ({"chat_name": None}, "chat_name"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"history": "x"}, "history"),
        ({"history": [{"role": "robot", "content": "x"}]}, "history.0.role"),
        ({"histroy": []}, "histroy"),
    ],
)
def test_a_wrong_chat_names_the_field(
    gateway: httpx.Client, change: dict[str, Any], field: str
) -> None:
    body = {"chat_name": "any", "content": "hi", **change}
    reply = gateway.post(
        "/openai/chat", json={name: value for name, value in body.items() if value is not None}
    )

    status, code, message = error(reply)
    assert (status, code) == (400, "INVALID_REQUEST")
    assert message.startswith(f"{field}: ")


@pytest.mark.parametrize(
    "body", [b"", b"  ", b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b"[" * 5000, b"1" * 5000]
)
def test_a_body_that_is_no_object_is_a_clear_error(gateway: httpx.Client, body: bytes) -> None:
    status, code, message = error(gateway.post("/openai/chat", content=body))

    assert (status, code) == (400, "INVALID_REQUEST")
    assert message.startswith("The body ")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no-such-page", 404),
        ("GET", "/nonsense", 404),
        ("POST", "/nobody/chat", 404),
        ("GET", "/openai/chat", 405),
        ("DELETE", "/models", 405),
    ],
)
def test_no_route_answers_with_html(
    gateway: httpx.Client, method: str, path: str, status: int
) -> None:
    reply = gateway.request(method, path)

    assert error(reply)[:2] == (status, "INVALID_REQUEST")
    assert status != 405 or reply.headers["Allow"]


def test_a_body_over_the_limit_is_refused_and_the_limit_named(gateway: httpx.Client) -> None:
    status, code, message = error(
        gateway.post("/openai/chat", content=b"x" * (8 * 1024 * 1024 + 1))
    )

    assert (status, code) == (413, "TOO_LARGE")
    assert "GATEWAY_MAX_BODY_BYTES" in message


def test_a_request_id_is_echoed_if_it_is_harmless(gateway: httpx.Client) -> None:
    assert (
        gateway.get("/healthz", headers={"X-Request-Id": "order-42.a"}).headers["X-Request-Id"]
        == "order-42.a"
    )
    assert gateway.get("/healthz", headers={"X-Request-Id": "a b"}).headers["X-Request-Id"] != "a b"


def test_the_openai_package_path_may_end_a_base_url(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn
) -> None:
    assert (
        chat(gateway, deploy(base_url=standin.base_url("openai") + "/chat/completions"))
        == "openai:hello"
    )


def test_a_reply_in_a_chinese_charset_is_read(gateway: httpx.Client, deploy: Deploy) -> None:
    assert "\ufffd" not in chat(gateway, deploy(model_name="gbk"))


def test_a_key_may_hold_any_printable_ascii(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn
) -> None:
    odd = base64.b64encode(bytes(range(64))).decode() + "!#$%&'*:;"
    assert chat(gateway, deploy(api_key=odd)) == "openai:hello"
    assert standin.count(odd) == 1
