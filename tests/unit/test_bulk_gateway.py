"""What `python -m gateway bulk` makes of the gateway's replies, and of a chat's row in GET
/models."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import httpx
import pytest

from gateway.commands.bulk.answers import Answer
from gateway.commands.bulk.gateway import Outcome, read, row_answer
from gateway.commands.bulk.plan import plan_for
from gateway.commands.bulk.run import Plan
from gateway.commands.bulk.words import BulkError
from gateway.errors import Code, GatewayError
from gateway.tables.files import titles

URL = httpx.Request("POST", "http://127.0.0.1:8099/openai/chat")


def reply(status: int, text: str = "", json: Any = None, **headers: str) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body: dict[str, Any] = {"json": json} if json is not None else {"text": text}
    return read(httpx.Response(status, headers=named, request=URL, **body))


def test_an_answer_and_its_tokens() -> None:
    assert reply(200, '"hi"', X_Tokens_In="3", X_Tokens_Out="5") == Outcome(
        "hi", tokens_in=3, tokens_out=5
    )
    assert reply(200, '"ERROR PAY_BILL: "') == Outcome("ERROR PAY_BILL: ")
    assert reply(202, '{"job": "a", "state": "PENDING"}').pending


def test_errors_as_json_and_in_plain_words_for_those_who_drop_whatever_is_no_200() -> None:
    error = GatewayError(Code.SLOW_DOWN, provider_message="wait")
    as_json = reply(429, json=error.shape("id"), Retry_After="7")
    plain = reply(200, error.words("en"), Retry_After="7")
    assert as_json == plain
    assert (as_json.code, as_json.retry_after, as_json.waits) == ("SLOW_DOWN", 7, True)
    assert as_json.words.endswith("The provider says: wait")
    assert reply(200, "PENDING abc").pending


@pytest.mark.parametrize(
    ("status", "text", "code", "waits"),
    [
        (502, "<html>Bad Gateway", "CLUSTER_DOWN", True),
        (500, "[]", "CLUSTER_DOWN", True),
        (404, "<html>Not Found", "INVALID_REQUEST", False),
        (200, "<html>Welcome", "INVALID_REQUEST", False),
    ],
)
def test_what_is_not_the_gateways_reply(status: int, text: str, code: str, waits: bool) -> None:
    outcome = reply(status, text)
    assert (outcome.code, outcome.waits) == (code, waits)
    assert "http://127.0.0.1:8099/openai/chat" in outcome.words


def test_a_refused_token_is_not_waited_for_and_a_code_that_is_new_is_if_it_says_how_long() -> None:
    refused = GatewayError(Code.UNAUTHORIZED).shape("id")
    assert not reply(429, json=refused, Retry_After="60").waits
    refused["error"]["code"] = "OVER_SOMETHING"
    assert reply(429, json=refused, Retry_After="60").waits
    assert not reply(429, json=refused).waits


def test_a_rows_cells() -> None:
    assert row_answer(Outcome("a\ud800", tokens_in=1), ("answer",), False) == Answer(("a?",), "", 1)
    both = Outcome({"amount": "5", "name": "Ann"})
    assert row_answer(both, ("name", "amount"), True).texts == ("Ann", "5")
    assert row_answer(both, ("name", "phone"), True).error.startswith("BAD_ANSWER: ")
    assert row_answer(Outcome("text"), ("name",), True).error.startswith("BAD_ANSWER: ")
    failed = row_answer(Outcome(code="TOO_LARGE", words="Too\nlong."), ("answer",), False)
    assert failed == Answer(error="TOO_LARGE: Too long.")


def plan(columns: list[str], row: dict[str, Any], *pairs: str, **more: str) -> Plan:
    args = Namespace(**{"chat": "c", "column": list(pairs), "choices": "", "fields": "", **more})
    return plan_for(args, columns, row)


def test_a_tasks_variables_come_from_the_columns_of_their_names() -> None:
    task = {"task": {"through": "shop", "variables": ["content", "customer"]}, "reply": {}}
    columns = ["Customer ", "id", "content"]
    assert plan(columns, task).variables == {"content": 2, "customer": 0}
    assert plan(columns, task, "customer=id").variables == {"content": 2, "customer": 1}
    with pytest.raises(BulkError, match="customer: no column is called so"):
        plan(["content"], task)
    with pytest.raises(BulkError, match="content: no column is called so, or several are"):
        plan(["content", "content", "customer"], task)


def test_an_ordinary_chat_has_one_variable_and_one_column_without_a_name_is_it() -> None:
    for row in ({}, {"task": None, "reply": None}):
        assert plan(["content"], row) == Plan("c", {"content": 0})
    assert plan(["1"], {}).variables == {"content": 0}
    assert plan(["Text", "x"], {}, "content=Text").variables == {"content": 0}
    with pytest.raises(BulkError, match="such as content=Text"):
        plan(["Text"], {}, "content")


def test_the_new_columns_are_the_fields_of_the_command_or_of_the_chat() -> None:
    row = {"reply": {"fields": ["name", "amount:number"]}}
    assert (plan(["content"], row).names, plan(["content"], row).more) == (("name", "amount"), {})
    assert plan(["content"], {}, fields="day:date, kind").names == ("day", "kind")
    one = plan(["content"], row, choices="a,b")
    assert (one.names, one.fields, one.more) == (("answer",), False, {"choices": "a,b"})
    assert titles(["name", "error", "error_2"], ("name", "amount")) == [
        "name_2",
        "amount",
        "error_3",
    ]


def test_a_row_with_nothing_to_ask_has_no_question() -> None:
    one = Plan("c", {"content": 0, "customer": 2}, {"choices": "a,b"})
    assert one.question([" ", "x", None]) is None
    assert one.question(["hi", "x", 5.0]) == {
        "chat_name": "c",
        "content": "hi",
        "customer": "5",
        "choices": "a,b",
    }
