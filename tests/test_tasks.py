"""Tasks: the prompt lives in the gateway, and a program says what differs from one question to the
next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.fronts import RawChat, good, of, v1, v1_stream
from tests.server import Server
from tests.standin.raw import Reply, Request, whole

PROMPT = "Sort this mail of {{customer}}: {{content}}"

Task = Callable[..., str]


def prompt_of(request: Request) -> str:
    """The last thing that the provider was asked."""
    return str(request.json["messages"][-1]["content"])


def saying_the_prompt(request: Request) -> Reply:
    """A provider whose answer is what it was asked."""
    return good(prompt_of(request))(request)


@pytest.fixture
def task(gateway: httpx.Client, raw_chat: RawChat, names: Callable[[], str]) -> Iterator[Task]:
    """Deploy a task through `raw_chat`, and return its name."""
    raw_chat.deploy(saying_the_prompt)
    tasks: list[str] = []

    def deploy(prompt: str = PROMPT, **more: Any) -> str:
        name = more.pop("chat_name", None) or names()
        tasks.append(name)
        body = {"chat_name": name, "through": raw_chat.name, "prompt": prompt, **more}
        reply = gateway.post("/task/deploy", json=body)
        assert (reply.status_code, reply.json()) == (200, {"ret": "ok"}), reply.text
        return name

    yield deploy
    for name in tasks:
        gateway.post("/task/undeploy", json={"chat_name": name})


def wrong(reply: httpx.Response) -> tuple[int, str, str]:
    error = reply.json()["error"]
    return reply.status_code, error["code"], error["message"]


def test_a_task_asks_its_chat_with_its_prompt_and_options(
    gateway: httpx.Client, raw_chat: RawChat, task: Task
) -> None:
    name = task(system="You work for {{shop}}.", options={"temperature": 0, "max_tokens": 9})
    body = {"chat_name": name, "customer": "Ann", "content": "My lamp broke.", "shop": "Lux"}

    reply = gateway.post("/openai/chat", json={**body, "max_tokens": 5})

    assert reply.json() == "Sort this mail of Ann: My lamp broke."
    assert reply.headers["X-Served-By"] == raw_chat.name
    [request] = raw_chat.raw.requests
    assert request.json["messages"][0] == {"role": "system", "content": "You work for Lux."}
    assert (request.json["temperature"], request.json["max_tokens"]) == (0, 5)


def test_a_task_is_asked_by_form_by_get_and_in_old_charsets(
    gateway: httpx.Client, task: Task
) -> None:
    name = task("邮件（{{客户}}）：{{content}}", reply={"format": "text"})
    form = {"chat_name": name, "content": "灯坏了", "客户": "安娜"}

    plain = gateway.post("/task/chat", data=form)
    query = gateway.post(f"/task/chat?{urlencode(form)}")
    old = urlencode({k: v.encode("gbk") for k, v in form.items() if k != "客户"})
    old += "&" + urlencode({"客户".encode("gbk"): "安娜".encode("gbk")})
    gbk = gateway.post("/task/chat", content=old + "&charset=gbk")

    assert plain.text == query.text == "邮件（安娜）：灯坏了"
    assert gbk.content.decode("gbk") == "邮件（安娜）：灯坏了"


@pytest.mark.parametrize("front", [v1, v1_stream], ids=of)
def test_on_v1_the_last_user_message_is_the_content(
    raw_chat: RawChat, task: Task, front: Any
) -> None:
    name = task(system="Be {{mood}}.")
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "My lamp broke."},
    ]

    outcome = front(raw_chat.http, name, "", messages=messages, customer="Ann", mood="kind", seed=1)

    assert outcome.words == "Sort this mail of Ann: My lamp broke."
    [request] = raw_chat.raw.requests
    assert request.json["messages"][:3] == [
        {"role": "system", "content": "Be kind.\n\nBe brief."},
        *messages[1:3],
    ]
    assert request.json["seed"] == 1
    assert "customer" not in request.json


def test_v1_keeps_the_pictures_of_a_message(raw_chat: RawChat, task: Task) -> None:
    name = task("Look: {{content}}")
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    content = [{"type": "text", "text": "What is it?"}, picture]

    v1(raw_chat.http, name, "", messages=[{"role": "user", "content": content}])

    [request] = raw_chat.raw.requests
    assert request.json["messages"][0]["content"] == [
        {"type": "text", "text": "Look: What is it?"},
        picture,
    ]


def test_v1_has_no_other_endpoint_for_a_task(gateway: httpx.Client, task: Task) -> None:
    status, code, words = wrong(
        gateway.post("/v1/embeddings", json={"model": task(), "input": "x"})
    )
    assert (status, code) == (400, "INVALID_REQUEST")
    assert "/embeddings" in words


def test_all_chat_asks_tasks_and_chats_together(
    gateway: httpx.Client, raw_chat: RawChat, task: Task
) -> None:
    first, second = task(), task("Is this rude: {{content}}", choices=["yes", "no"])
    raw_chat.raw.script = lambda request: good(
        "no" if "rude" in prompt_of(request) else prompt_of(request)
    )(request)
    body = {"chat_names": [first, second, raw_chat.name], "content": "Hm", "customer": "Ann"}

    outcomes = gateway.post("/all/chat", json=body).json()

    assert {name: outcome["answer"] for name, outcome in outcomes.items()} == {
        first: "Sort this mail of Ann: Hm",
        second: "no",
        raw_chat.name: "Hm",
    }
    missing = gateway.post("/all/chat", json={"chat_names": [first, second], "content": "Hm"})
    assert missing.json()[first]["error"]["code"] == "INVALID_REQUEST"
    assert missing.json()[second]["answer"] == "no"
    assert wrong(gateway.post("/all/chat", json={**body, "colour": "red"}))[1:2] == (
        "INVALID_REQUEST",
    )


def test_a_job_and_its_request_id_know_a_task(
    gateway: httpx.Client, raw_chat: RawChat, task: Task
) -> None:
    name = task()
    body = {"chat_name": name, "content": "Hm", "customer": "Ann", "request_id": f"{name}.1"}

    first = gateway.post("/task/chat", json=body)
    task("Changed: {{content}} {{customer}}", chat_name=name)
    again = gateway.post("/task/chat", json={**body, "wait": 20, "format": "json"})
    other = gateway.post("/task/chat", json={**body, "customer": "Bob"})
    job = gateway.post("/task/chat", json={**body, "request_id": f"{name}.2", "job": True})
    later = gateway.get(f"/jobs/{job.json()['job']}", params={"wait": 20})

    assert first.json() == again.json() == "Sort this mail of Ann: Hm"
    assert wrong(other)[1] == "INVALID_REQUEST"
    assert later.json() == "Changed: Hm Ann"
    assert len(raw_chat.raw.requests) == 2


def test_a_number_of_any_length_is_a_value_of_a_request_id_too(
    gateway: httpx.Client, raw_chat: RawChat, task: Task
) -> None:
    name = task("{{content}} {{number}}")
    number = 10**30
    body = {"chat_name": name, "content": "no.", "number": number}
    for more in ({}, {"request_id": f"{name}.1"}, {"request_id": f"{name}.1"}):
        assert gateway.post("/task/chat", json=body | more).json() == f"no. {number}"
    assert len(raw_chat.raw.requests) == 2


def test_a_session_remembers_what_was_asked(
    gateway: httpx.Client, raw_chat: RawChat, task: Task
) -> None:
    name = task()
    body = {"chat_name": name, "customer": "Ann", "session": "s"}
    for content in ("one", "two"):
        gateway.post("/task/chat", json={**body, "content": content})

    messages = raw_chat.raw.requests[-1].json["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[0]["content"] == "Sort this mail of Ann: one"
    assert messages[2]["content"] == "Sort this mail of Ann: two"


def test_a_value_is_never_looked_into_again(gateway: httpx.Client, task: Task) -> None:
    name = task("{{content}}|{{a}}|{{a}}")
    body = {"chat_name": name, "content": "{{a}}", "a": "\\1 {{content}} {{ a }}"}
    assert gateway.post("/task/chat", json=body).json() == (
        "{{a}}|\\1 {{content}} {{ a }}|\\1 {{content}} {{ a }}"
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"content": "Hm"}, "customer: is missing; the task"),
        ({"customer": "Ann"}, "content: is missing"),
        ({"customer": "Ann", "content": ""}, "content: is missing"),
        ({"content": "Hm", "customer": "Ann", "colour": "red"}, "colour: is no variable"),
        ({"content": "Hm", "customer": ["Ann"]}, "customer: must be a text"),
        ({"content": "Hm", "customer": True}, "customer: must be a text"),
        ({}, "customer: is missing; the task NAME takes customer, content. content: is missing"),
        ({"content": "Hm", "customer": "Ann", "temperature": 9}, "temperature:"),
    ],
)
def test_variables_that_are_missing_or_unknown_are_named(
    gateway: httpx.Client, raw_chat: RawChat, task: Task, fields: dict[str, Any], words: str
) -> None:
    name = task()
    status, code, message = wrong(gateway.post("/task/chat", json={"chat_name": name, **fields}))
    assert (status, code) == (400, "INVALID_REQUEST")
    assert words.replace("NAME", name) in message
    assert raw_chat.raw.requests == []


def test_other_variables_may_be_empty_and_numbers_are_texts(
    gateway: httpx.Client, task: Task
) -> None:
    body = {"chat_name": task("{{a}}/{{b}}!"), "a": "", "b": 12}
    assert gateway.post("/task/chat", json=body).json() == "/12!"


def test_a_prompt_that_grows_beyond_the_limit_is_refused(
    gateway: httpx.Client, raw_chat: RawChat, task: Task
) -> None:
    body = {"chat_name": task("{{content}}" * 200), "content": "x" * 2_000_000}
    assert wrong(gateway.post("/task/chat", json=body))[:2] == (413, "TOO_LARGE")
    assert raw_chat.raw.requests == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"through": "nobody"}, "through: no chat named nobody is deployed"),
        ({"through": "TASK"}, "through: TASK is a task itself"),
        ({"chat_name": "CHAT"}, "through: CHAT is a task itself"),
        ({"prompt": "{{customer name}}"}, "'{{customer name}}' is no variable"),
        ({"prompt": "{{lang}}"}, "prompt: lang is a field of every request"),
        ({"prompt": "{{model}} {{timeout}}"}, "prompt: model, timeout is a field of every request"),
        ({"prompt": ""}, "prompt: "),
        ({"api_key": "sk-none"}, "api_key: is no field of this request"),
        ({"options": {"messages": []}}, "options: must not hold messages"),
        ({"options": {"seed": None}}, "options: seed must not be null"),
        ({"choices": ["a", "a"]}, "choices: must not hold a text twice"),
        ({"choices": "a,b", "fields": "c"}, "fields: goes not together with choices"),
        ({"reply": {"fields": ["a=b"]}}, "reply.fields: "),
    ],
)
def test_a_task_that_cannot_work_is_refused(
    gateway: httpx.Client, raw_chat: RawChat, task: Task, change: dict[str, Any], words: str
) -> None:
    name = task()
    known = {"TASK": name, "CHAT": raw_chat.name}
    change = {field: known.get(str(value), value) for field, value in change.items()}
    order = {"chat_name": "other-task", "through": raw_chat.name, "prompt": "{{content}}", **change}

    status, code, message = wrong(gateway.post("/task/deploy", json=order))

    assert (status, code) == (400, "INVALID_REQUEST")
    assert words.replace("TASK", name).replace("CHAT", raw_chat.name) in message


def test_models_lists_a_task_with_its_variables(
    gateway: httpx.Client, raw_chat: RawChat, task: Task
) -> None:
    name = task(system="Be {{mood}}.", choices="yes,no", reply={"format": "text"})
    row = next(row for row in gateway.get("/models").json()["models"] if row["chat_name"] == name)
    assert row["provider"] == "task"
    assert row["task"] == {"through": raw_chat.name, "variables": ["mood", "customer", "content"]}
    assert row["reply"] == {"format": "text", "choices": ["yes", "no"]}
    assert row["state"] == "answering"
    assert gateway.get(f"/v1/models/{name}").json()["owned_by"] == "task"


def test_a_task_falls_back_as_its_chat_does(
    gateway: httpx.Client, raw_chat: RawChat, task: Task, spare: str
) -> None:
    name = task()
    refusal = {"error": {"message": "unpaid", "code": "insufficient_quota"}}
    raw_chat.deploy(whole(refusal, "429 No"), fallback=[spare])

    reply = gateway.post("/task/chat", json={"chat_name": name, "content": "x", "customer": "y"})

    assert (reply.status_code, reply.headers["X-Fell-Back"]) == (200, "PAY_BILL")
    assert reply.headers["X-Served-By"] == spare
    rows = {row["chat_name"]: row for row in gateway.get("/models").json()["models"]}
    assert rows[name]["state"] == "resting"


def test_no_chain_holds_a_task_and_a_task_has_no_chain(
    gateway: httpx.Client, raw_chat: RawChat, task: Task
) -> None:
    name = task()
    chain = gateway.post("/openai/fallback", json={"chat_name": raw_chat.name, "fallback": name})
    own = gateway.post("/openai/fallback", json={"chat_name": name, "fallback": ""})
    assert f"fallback: {name} is a task" in wrong(chain)[2]
    assert f"whose chain is that of {raw_chat.name}" in wrong(own)[2]


def test_a_chat_that_answers_a_task_is_not_taken_away(
    gateway: httpx.Client, raw_chat: RawChat, task: Task
) -> None:
    name = task()
    refused = gateway.post("/openai/undeploy", json={"chat_name": raw_chat.name})
    assert f"{raw_chat.name} answers the tasks {name}" in wrong(refused)[2]


def test_a_name_becomes_a_task_a_chat_and_a_task_again(
    gateway: httpx.Client, raw_chat: RawChat, task: Task, names: Callable[[], str]
) -> None:
    name = names()
    chat = {"chat_name": name, "api_key": "sk-1", "base_url": raw_chat.raw.base_url}
    assert gateway.post("/openai/deploy", json=chat).status_code == 200
    ask = {"chat_name": name, "content": "Hm"}
    answers = [gateway.post("/openai/chat", json=ask).json()]

    task("Task: {{content}}", chat_name=name, reply={"format": "text"})
    answers.append(gateway.post("/openai/chat", json=ask).text)
    assert gateway.post("/task/undo", json={"chat_name": name}).status_code == 200
    answers.append(gateway.post("/openai/chat", json=ask).json())
    assert gateway.post("/task/undo", json={"chat_name": name}).status_code == 200
    answers.append(gateway.post("/openai/chat", json=ask).text)

    assert answers == ["Hm", "Task: Hm", "Hm", "Task: Hm"]


def asked_at_once(gateway: httpx.Client, count: int, **body: str) -> set[str]:
    """What as many askers get, each on a connection of its own, which either process may take."""

    def ask(_: int) -> str:
        return gateway.post("/task/chat", json=body, headers={"Connection": "close"}).text

    with ThreadPoolExecutor(4) as pool:
        return set(pool.map(ask, range(count)))


def test_every_process_knows_a_change_when_its_deploy_returns(
    gateway: httpx.Client, task: Task
) -> None:
    name = task("0 {{content}}")
    for number in range(1, 7):
        task(f"{number} {{{{content}}}}", chat_name=name)
        assert asked_at_once(gateway, 8, chat_name=name, content="x") == {f'"{number} x"'}


def test_the_same_holds_for_how_a_chats_replies_are_written(raw_chat: RawChat) -> None:
    ask = {"chat_name": raw_chat.name, "content": "x"}
    for _ in range(3):
        raw_chat.deploy(saying_the_prompt, reply={"format": "text"})
        assert asked_at_once(raw_chat.http, 8, **ask) == {"x"}
        raw_chat.deploy(saying_the_prompt, reply={"format": "json"})
        assert asked_at_once(raw_chat.http, 8, **ask) == {'"x"'}


def test_a_gateway_without_a_cluster_knows_no_variable(start_server: Callable[..., Server]) -> None:
    alone = start_server({"RAY_ADDRESS": "127.0.0.1:1"}, ready=False)
    alone.wait_until("/healthz")
    body = {"chat_name": "sort_mail", "content": "x", "customer": "y"}
    assert wrong(alone.http.post("/task/chat", json=body))[:2] == (503, "CLUSTER_DOWN")
    assert wrong(alone.http.post("/task/chat", json={"chat_name": "a"}))[:2] == (
        400,
        "INVALID_REQUEST",
    )


def test_what_was_deployed_is_returned_and_may_be_deployed_again(
    gateway: httpx.Client, raw_chat: RawChat, task: Task
) -> None:
    order = {
        "system": "You sort mails.",
        "prompt": PROMPT,
        "options": {"temperature": 0, "thinking": "off"},
        "reply": {"format": "text", "choices": ["refund", "other"]},
    }
    name = task(**order)

    deployed = gateway.get("/task/deploy", params={"chat_name": name}).json()

    assert deployed == {"chat_name": name, "through": raw_chat.name, **order}
    assert gateway.post("/task/deploy", json=deployed).json() == {"ret": "ok"}
    assert gateway.get("/task/deploy", params={"chat_name": name}).json() == deployed
    for other in (raw_chat.name, "nobody"):
        reply = gateway.get("/task/deploy", params={"chat_name": other})
        assert wrong(reply)[:2] == (400, "INVALID_REQUEST")
        assert "chat_name: is no task's name" in wrong(reply)[2]
