"""Answers with a structure: one of a list, or named values, for programs that parse nothing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.fronts import Front, RawChat, chat, chat_stream, compare, compare_stream, good, of
from tests.standin.raw import Reply, Request, Script, completion, whole

CHOICES = "refund,complaint,other"
VALUES = {"name": 'Ann = "A", B', "note": "one\r\ntwo\\n\nthree", "amount": "12.50"}
FIELDS = "name,note,amount:number"


def in_turn(*answers: str) -> Script:
    """A provider that says one thing after the other, and then the last again."""
    rest = list(answers)

    def script(request: Request) -> Reply:
        return good(rest.pop(0) if len(rest) > 1 else rest[0])(request)

    return script


def ask(chat: RawChat, **fields: Any) -> httpx.Response:
    return chat.http.post(
        "/openai/chat", json={"chat_name": chat.name, "content": "My lamp broke.", **fields}
    )


@pytest.mark.parametrize("front", [chat, chat_stream, compare, compare_stream], ids=of)
def test_the_answer_is_one_of_the_list(raw_chat: RawChat, front: Front) -> None:
    raw_chat.deploy(good("Sure! The category is **Refund**."))
    assert raw_chat.ask(front, choices=CHOICES).words == "refund"
    [request] = raw_chat.raw.requests
    assert request.json["messages"][0]["content"].endswith("\nrefund\ncomplaint\nother")
    assert request.json["stream"] is False


def test_a_model_that_says_something_else_is_asked_once_more(raw_chat: RawChat) -> None:
    raw_chat.deploy(in_turn("A refund or a complaint.", "refund"))

    reply = ask(raw_chat, choices=CHOICES, format="text")

    assert (reply.text, reply.headers["X-Served-By"]) == ("refund", raw_chat.name)
    first, second = raw_chat.raw.requests
    question, answer, correction = second.json["messages"]
    assert [question] == first.json["messages"]
    assert answer == {"role": "assistant", "content": "A refund or a complaint."}
    assert "names more than one of the list" in correction["content"]


@pytest.mark.parametrize(
    "answer", ["I cannot say.", "This is not a refund.", "refund or complaint?", "```\n```"]
)
def test_a_stubborn_model_gave_a_bad_answer(raw_chat: RawChat, answer: str) -> None:
    raw_chat.deploy(good(answer))

    reply = ask(raw_chat, choices=CHOICES)

    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (502, "BAD_ANSWER")
    assert (error["provider_message"], error["chat_name"]) == (answer, raw_chat.name)
    assert len(raw_chat.raw.requests) == 2
    assert raw_chat.state() == "answering"


def test_a_bad_answer_falls_back(
    raw_chat: RawChat, gateway: httpx.Client, names: Callable[[], str]
) -> None:
    spare = names()
    order = {"api_key": "sk-2", "base_url": raw_chat.raw.base_url, "model_name": "spare"}
    gateway.post("/openai/deploy", json={"chat_name": spare, **order})

    def script(request: Request) -> Reply:
        return good("other" if request.json["model"] == "spare" else "hm")(request)

    raw_chat.deploy(script, fallback=[spare])

    reply = ask(raw_chat, choices=CHOICES)

    assert (reply.json(), reply.headers["X-Fell-Back"]) == ("other", "BAD_ANSWER")
    assert reply.headers["X-Served-By"] == spare


def test_openai_clients_do_not_repeat_a_bad_answer(
    raw_chat: RawChat, names: Callable[[], str]
) -> None:
    raw_chat.deploy(good("hm"))
    name = names()
    order = {"chat_name": name, "through": raw_chat.name, "prompt": "{{content}}"}
    raw_chat.http.post("/task/deploy", json={**order, "choices": CHOICES})
    question = {"model": name, "messages": [{"role": "user", "content": "x"}]}

    reply = raw_chat.http.post("/v1/chat/completions", json=question)

    assert (reply.status_code, reply.headers["x-should-retry"]) == (422, "false")
    raw_chat.raw.script = good("other")
    whole_reply = raw_chat.http.post("/v1/chat/completions", json=question).json()
    assert whole_reply["choices"][0]["message"]["content"] == "other"
    assert whole_reply["model"] == name
    stream = raw_chat.http.post("/v1/chat/completions", json={**question, "stream": True}).text
    assert '"content":"other"' in stream
    assert stream.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("format", ["json", "text", "csv"])
def test_named_values_come_as_the_program_reads_them(raw_chat: RawChat, format: str) -> None:
    raw_chat.deploy(good(f"Here:\n```json\n{json.dumps(VALUES)}\n```"))

    reply = ask(raw_chat, fields=FIELDS, format=format)

    if format == "json":
        assert list(reply.json().items()) == list(VALUES.items())
    elif format == "csv":
        assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
        [row] = csv.reader(io.StringIO(reply.text, newline=""))
        assert row == list(VALUES.values())
    else:
        lines = reply.text.split("\n")
        values = dict(line.split("=", 1) for line in lines)
        escapes = {r"\n": "\n", r"\r": "\r", r"\\": "\\"}
        assert list(values) == list(VALUES)
        assert unescaped(values["note"], escapes) == VALUES["note"]
        assert values["name"] == VALUES["name"]


def unescaped(text: str, escapes: dict[str, str]) -> str:
    """What docs/old-clients.md tells programs to do, where they care."""
    pieces, rest = [], text
    while rest:
        pair = rest[:2]
        pieces.append(escapes.get(pair, rest[0]))
        rest = rest[2 if pair in escapes else 1 :]
    return "".join(pieces)


def test_lines_end_and_are_written_as_the_program_wants(raw_chat: RawChat) -> None:
    raw_chat.deploy(good('{"姓名": "安娜", "city": "Zürich"}'))
    reply = ask(raw_chat, fields="姓名,city", format="text", charset="gbk", eol="crlf")
    assert reply.content == "姓名=安娜\r\ncity=Zürich".encode("gbk", "replace")


def test_a_chats_reply_says_what_its_answers_are(raw_chat: RawChat) -> None:
    reply = {"fields": ["a", "b"], "format": "csv"}
    raw_chat.deploy(in_turn('{"a": "1", "b": "2"}', "yes", "hello"), reply=reply)
    assert ask(raw_chat).text == "1,2"
    assert ask(raw_chat, choices="yes,no").text == "yes"
    raw_chat.deploy(good("hello"), reply={})
    assert ask(raw_chat, format="text").text == "hello"


def test_a_job_keeps_values_in_any_form(raw_chat: RawChat) -> None:
    raw_chat.deploy(good('{"a": "1", "b": "2"}'))
    mark = f"{raw_chat.name}.values"
    first = ask(raw_chat, fields="a,b", request_id=mark, format="text")
    assert first.text == "a=1\nb=2"
    params = {"wait": 20}
    assert raw_chat.http.get(f"/jobs/{mark}", params=params).text == "a=1\nb=2"
    csv_line = raw_chat.http.get(f"/jobs/{mark}", params={**params, "format": "csv"})
    assert csv_line.text == "1,2"
    as_json = raw_chat.http.get(f"/jobs/{mark}", params={**params, "format": "json"})
    assert as_json.json() == {"a": "1", "b": "2"}


def test_a_session_remembers_values(raw_chat: RawChat) -> None:
    raw_chat.deploy(good('Sure: {"a": "1"}'))
    for _ in range(2):
        ask(raw_chat, fields="a", session="values")
    messages = raw_chat.raw.requests[-1].json["messages"]
    assert messages[1] == {"role": "assistant", "content": '{"a": "1"}'}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"choices": "a,a"}, "choices: must not hold a text twice"),
        ({"choices": ["a\nb"]}, "choices: must be texts"),
        ({"choices": ["a", "b"], "fields": "c"}, "fields: goes not together with choices"),
        ({"fields": "a,A"}, "fields: must not hold a name twice"),
        ({"fields": "a:int"}, "fields: 'a:int'"),
        ({"format": "csv"}, "format: csv goes with fields"),
        ({"format": "csv", "choices": "a,b"}, "format: csv goes with fields"),
    ],
)
def test_what_cannot_be_asked_for_is_named(
    raw_chat: RawChat, fields: dict[str, Any], words: str
) -> None:
    raw_chat.deploy(good("a"))
    reply = ask(raw_chat, **fields)
    assert reply.status_code == 400
    assert words in reply.text
    assert raw_chat.raw.requests == []


def test_a_provider_with_schemas_gets_one_and_without_it_where_it_refuses(
    raw_chat: RawChat,
) -> None:
    def script(request: Request) -> Reply:
        if "response_format" in request.json:
            error = {"message": "This response_format type is unavailable now", "type": "x"}
            return whole({"error": error}, "400 Bad Request")
        return good("refund")(request)

    raw_chat.deploy(good('{"answer": "refund"}'))
    assert ask(raw_chat, choices=CHOICES).json() == "refund"
    [request] = raw_chat.raw.requests
    schema = request.json["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {"answer": {"type": "string", "enum": CHOICES.split(",")}}

    raw_chat.deploy(script)
    for _ in range(2):
        assert ask(raw_chat, choices=CHOICES).json() == "refund"
    assert ["response_format" in one.json for one in raw_chat.raw.requests] == [True, False, False]


def test_a_provider_without_schemas_is_told_in_words(raw_chat: RawChat) -> None:
    raw_chat.deploy(good('{"a": "1"}'), provider="deepseek")
    assert ask(raw_chat, fields="a", format="text").text == "a=1"
    [request] = raw_chat.raw.requests
    assert "response_format" not in request.json


def test_both_questions_are_counted(raw_chat: RawChat) -> None:
    answers = ["hm", "refund"]
    raw_chat.deploy(
        lambda request: whole(completion(answers.pop(0), usage={"completion_tokens": 3}))
    )
    body = {"chat_names": raw_chat.name, "content": "x", "choices": CHOICES}
    row = raw_chat.http.post("/all/chat", json=body).json()[raw_chat.name]
    assert (row["answer"], row["tokens"]) == ("refund", 6)


MOODS = ["angry", "glad", "sad", "不知道"]


@pytest.mark.parametrize("count", [10, pytest.param(500, marks=pytest.mark.long)])
def test_a_grammar_cannot_fail(gateway: httpx.Client, local_chat: str, count: int) -> None:
    """The embedded model is far too small to obey words."""
    for number in range(count):
        body = {"chat_name": local_chat, "content": f"Mail {number}: where is my lamp?"}
        reply = gateway.post("/local/chat", json={**body, "choices": MOODS, "temperature": 1.5})
        assert reply.json() in MOODS


def test_a_grammar_gives_values_their_form(gateway: httpx.Client, local_chat: str) -> None:
    fields = {"mood": "angry|glad", "day": "date", "sum": "number"}
    forms = ",".join(f"{name}:{form}" for name, form in fields.items())
    for number in range(3):
        body = {"chat_name": local_chat, "content": f"Mail {number}", "temperature": 1.5}
        values = gateway.post("/local/chat", json={**body, "fields": forms}).json()
        assert list(values) == list(fields)
        assert values["mood"] in ("angry", "glad")
