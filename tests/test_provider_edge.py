"""What a provider says with HTTP 200, on every front: never an empty success, never a lost
answer."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from tests.fronts import (
    CUT,
    FRONTS,
    STREAMS,
    Front,
    RawChat,
    assert_refused,
    chat,
    chat_stream,
    compare,
    good,
    in_turn,
    of,
    v1,
)
from tests.standin.raw import DONE, by_mode, chunk, completion, event, slowly, streamed, whole

every_front = pytest.mark.parametrize("front", FRONTS, ids=of)
every_stream = pytest.mark.parametrize("front", STREAMS, ids=of)


class Said(NamedTuple):
    """An error as a provider puts it into a 200, and the codes (`A|B`) that are right for it."""

    name: str
    body: Any
    codes: str
    provider: str = "openai"


def choice(**fields: Any) -> dict[str, Any]:
    """A reply or a chunk with one choice that says nothing, but for these fields."""
    return {
        "choices": [{"index": 0, "message": {"content": ""}, "delta": {"content": ""}, **fields}]
    }


ERRORS = (
    Said("nested", {"error": {"message": "No funds are left", "type": "insufficient_quota"}},
         "PAY_BILL"),
    Said("nested code", {"error": {"code": "rate_limit_exceeded", "message": "60 a minute"}},
         "SLOW_DOWN"),
    Said("status 401", {"error": {"code": 401, "message": "Who are you?"}}, "BAD_KEY"),
    Said("status 402", {"error": {"code": 402, "message": "Top up first"}}, "PAY_BILL"),
    Said("status 429", {"error": {"code": 429, "message": "Later"}}, "SLOW_DOWN"),
    Said("status 503", {"error": {"code": "503", "message": "All workers are taken"}},
         "PROVIDER_BUSY"),
    Said("flat bill", {"code": "Arrearage", "message": "The account is in arrears"},
         "PAY_BILL", "tongwen"),
    Said("flat rate", {"code": "Throttling.BurstRate", "message": "Too sudden"},
         "SLOW_DOWN", "tongwen"),
    Said("flat filter", {"code": "DataInspectionFailed", "message": "Unfit"},
         "CONTENT_BLOCKED", "tongwen"),
    Said("flat, unknown", {"code": "E-77", "message": "The moon is full"},
         "PROVIDER_DOWN", "tongwen"),
    Said("msg, key", {"code": 401, "msg": "身份验证未通过", "success": False}, "BAD_KEY", "zhipu"),
    Said("msg, bill", {"code": "1113", "msg": "账户余额不足", "success": False},
         "PAY_BILL", "zhipu"),
    Said("msg, fault", {"code": 500, "msg": "服务开小差了", "success": False},
         "PROVIDER_DOWN", "zhipu"),
    Said("error_type", {"error_type": "rate_limit_exceeded", "error_message": "Not so fast"},
         "SLOW_DOWN"),
    Said("error_code", {"error_code": 99, "error_msg": "Out of order"}, "PROVIDER_DOWN"),
    Said("object error", {"object": "error", "message": "The engine died", "code": 500},
         "PROVIDER_DOWN"),
    Said("no choices",
         {**choice(), "choices": [], "error": {"code": "slow_down", "message": "Ease off"}},
         "SLOW_DOWN"),
    Said("null choices", {"choices": None, "error": {"code": 503, "message": "Full"}},
         "PROVIDER_BUSY"),
    Said("beside choices", {**choice(), "error": {"code": 502, "message": "Bad relay"}},
         "PROVIDER_DOWN"),
    Said("in a choice", choice(error={"code": 429, "message": "The relay's own limit"}),
         "SLOW_DOWN"),
    Said("in a choice, finish",
         choice(finish_reason="error", error={"code": 402, "message": "Unpaid"}),
         "PAY_BILL"),
    Said("finish error", choice(finish_reason="error"), "PROVIDER_DOWN"),
    Said("string, code beside", {"error": "Please pay", "code": "billing_not_active"}, "PAY_BILL"),
    Said("string, number beside", {"error": "Overrun", "code": 503}, "PROVIDER_BUSY"),
    Said("string, status beside", {"error": "Nobody serves", "status": 503},
         "PROVIDER_BUSY|PROVIDER_DOWN"),
    Said("string alone", {"error": "Something broke"}, "PROVIDER_DOWN"),
    Said("true, beside", {"error": True, "code": 429, "message": "One at a time"}, "SLOW_DOWN"),
    Said("base_resp", {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
         "PAY_BILL"),
    Said("in a list", [{"error": {"code": 429, "message": "Quota of the day"}}],
         "SLOW_DOWN|PAY_BILL"),
)  # fmt: skip

NOTHING = (
    Said("detail", {"detail": "Nobody is at home"}, "PROVIDER_DOWN"),
    Said("another shape", {"result": {"text": "hello"}}, "PROVIDER_DOWN"),
    Said("an empty object", {}, "PROVIDER_DOWN"),
    Said("an empty list", [], "PROVIDER_DOWN"),
    Said("null", None, "PROVIDER_DOWN"),
    Said("a number", 7, "PROVIDER_DOWN"),
    Said("choices of another kind", {"choices": {"0": "hello"}}, "PROVIDER_DOWN"),
    Said("choices that are none", {"choices": [None, 3, "x"]}, "PROVIDER_DOWN"),
    Said("empty, stop", choice(finish_reason="stop"), "PROVIDER_DOWN"),
    Said("no content", {"choices": [{"index": 0, "finish_reason": "stop"}]}, "PROVIDER_DOWN"),
)


@in_turn("said", ERRORS + NOTHING, each=2, words=lambda said: said.name)
def test_an_error_or_nothing_inside_a_200_is_an_error(
    raw_chat: RawChat, spare: str, front: Front, said: Said
) -> None:
    raw_chat.deploy(
        by_mode(whole(said.body), streamed(event(said.body), DONE)), said.provider, fallback=spare
    )

    assert_refused(front, raw_chat.ask(front), said.codes)


@in_turn("said", ERRORS, STREAMS, words=lambda said: said.name)
def test_an_error_after_the_first_word_ends_the_stream_as_one(
    raw_chat: RawChat, front: Front, said: Said
) -> None:
    raw_chat.deploy(
        slowly(event(chunk("Erst ")), event(said.body), DONE, seconds=0.05), said.provider
    )

    outcome = raw_chat.ask(front)

    assert outcome.words == "Erst "
    assert outcome.code in ([CUT] if front is chat_stream else said.codes.split("|"))


NAMED = (
    Said(
        "flat",
        event({"code": "Throttling.RPM", "message": "Too many"}, "error"),
        "SLOW_DOWN",
        "tongwen",
    ),
    Said(
        "no spaces",
        b'id:4\nevent:error\ndata:{"code":"Arrearage","message":"Owing"}\n\n',
        "PAY_BILL",
        "tongwen",
    ),
    Said(
        "a comment",
        b'event:error\n:HTTP_STATUS/429\ndata:{"code":"limit_requests"}\n\n',
        "SLOW_DOWN",
        "tongwen",
    ),
    Said(
        "no field",
        b'event:error\nHTTP_STATUS/429\ndata:{"code":"limit_requests"}\n\n',
        "SLOW_DOWN",
        "tongwen",
    ),
    Said("a message only", event({"message": "The worker is gone"}, "error"), "PROVIDER_DOWN"),
    Said(
        "of type error", event({"type": "error", "code": "server_error"}, "error"), "PROVIDER_DOWN"
    ),
    Said("words that are no JSON", event(b"upstream connect error", "error"), "PROVIDER_DOWN"),
    Said("no data", b"event: error\n\n", "PROVIDER_DOWN"),
    Said(
        "CRLF",
        b'event: error\r\ndata: {"error":{"code":429,"message":"Wait"}}\r\n\r\n',
        "SLOW_DOWN",
    ),
)


@in_turn("said", NAMED, STREAMS, words=lambda said: said.name)
@pytest.mark.parametrize("first", ["", "Erst "])
def test_an_event_named_error_is_one(
    raw_chat: RawChat, spare: str, front: Front, said: Said, first: str
) -> None:
    before = [event(chunk(first))] if first else []
    raw_chat.deploy(slowly(*before, said.body, DONE, seconds=0.05), said.provider, fallback=spare)

    outcome = raw_chat.ask(front)

    if not first:
        assert_refused(front, outcome, said.codes)
    else:
        assert (outcome.words, outcome.code) == (first, CUT if front is chat_stream else said.codes)


@pytest.mark.parametrize("front", [chat, v1], ids=of)
@pytest.mark.parametrize("said", [*ERRORS[:3], NOTHING[-1]], ids=lambda said: said.name)
def test_the_providers_words_are_kept(raw_chat: RawChat, front: Front, said: Said) -> None:
    raw_chat.deploy(whole(said.body), said.provider)

    error = raw_chat.ask(front).error

    words = said.body.get("error", {}).get("message")
    assert (error.get("provider_message"), error.get("provider")) == (words, said.provider)


@pytest.mark.parametrize("front", [chat, chat_stream], ids=of)
@pytest.mark.parametrize(
    "said", [ERRORS[0], ERRORS[10], NOTHING[-2], NOTHING[2]], ids=lambda said: said.name
)
def test_a_session_remembers_no_empty_turn(raw_chat: RawChat, front: Front, said: Said) -> None:
    session = f"{front.__name__} {said.name}".replace(" ", "-").replace(",", "")
    raw_chat.deploy(by_mode(whole(said.body), streamed(event(said.body), DONE)), said.provider)
    assert raw_chat.ask(front, "first", session=session).code

    raw_chat.deploy(good("Ja."))
    raw_chat.ask(front, "second", session=session)

    assert raw_chat.raw.requests[-1].json["messages"] == [{"role": "user", "content": "second"}]


def test_a_refusal_inside_a_200_counts_as_a_failure_on_every_front(raw_chat: RawChat) -> None:
    raw_chat.deploy(by_mode(whole({}), streamed(DONE)))
    for front in (chat, chat_stream, v1, compare, v1):
        assert raw_chat.ask(front).code == "PROVIDER_DOWN"
    assert len(raw_chat.raw.requests) == 5

    assert raw_chat.ask(chat).code == "PROVIDER_DOWN"
    assert len(raw_chat.raw.requests) == 5, "it did not rest"


OTHERS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    (
        "embeddings",
        {"input": "x"},
        {
            "object": "list",
            "data": [{"index": 0, "embedding": [0.5], "object": "embedding"}],
            "model": "m-7",
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        },
    ),
    (
        "completions",
        {"prompt": "x"},
        {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1,
            "choices": [{"index": 0, "text": "Ja", "finish_reason": "stop"}],
        },
    ),
)


@pytest.mark.parametrize(("path", "question", "answer"), OTHERS, ids=["embeddings", "completions"])
@pytest.mark.parametrize("said", [*ERRORS[:2], ERRORS[15], NOTHING[2]], ids=lambda said: said.name)
def test_the_other_endpoints_of_v1_tell_an_answer_from_an_error(
    raw_chat: RawChat, path: str, question: dict[str, Any], answer: dict[str, Any], said: Said
) -> None:
    raw_chat.deploy(
        lambda request: whole(said.body if b"ill" in request.body else answer), said.provider
    )

    ill = raw_chat.http.post(
        f"/v1/{path}", json={"model": raw_chat.name, **question, "user": "ill"}
    )
    well = raw_chat.http.post(f"/v1/{path}", json={"model": raw_chat.name, **question})

    assert ill.json().get("error", {}).get("code") == said.codes
    if said.codes == "PROVIDER_DOWN":
        assert well.json() == {**answer, "model": raw_chat.name}


SIBLINGS: tuple[dict[str, Any], ...] = (
    {"code": 0, "message": "Success", "sid": "x"},
    {"code": 200, "msg": "ok", "success": True},
    {"code": "200", "error": None},
    {"error": {}},
    {"error": False, "error_code": 0},
    {"error": ""},
    {"base_resp": {"status_code": 0, "status_msg": ""}, "input_sensitive": False},
    {"status": "completed", "detail": None, "message": ""},
)


@in_turn("beside", SIBLINGS, each=2, words=json.dumps)
def test_what_stands_beside_an_answer_and_is_no_error_costs_nothing(
    raw_chat: RawChat, front: Front, beside: dict[str, Any]
) -> None:
    stream = streamed(event(chunk("Ja") | beside), event(chunk(finish="stop") | beside), DONE)
    raw_chat.deploy(by_mode(whole(completion("Ja") | beside), stream))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == ("Ja", "")
