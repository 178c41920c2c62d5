"""Replies beside those that are tried elsewhere: the same oddness, one step further."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import Code
from gateway.frames import packed
from gateway.protocol import MESSAGES, RESPONSES
from gateway.providers.dialects import OPENAI
from gateway.providers.event_streams import EventStreamReader
from gateway.providers.reader import StreamReader
from gateway.providers.refusals import Refusal, refusal
from gateway.providers.relayed import relayed_reply
from gateway.providers.whole_replies import Reply, chat_reply

SIZE = 7
"""In pieces of so many bytes, too."""


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def said(words: str, finish: str | None = None) -> bytes:
    return data({"choices": [{"index": 0, "delta": {"content": words}, "finish_reason": finish}]})


HEL, LO, STOP, DONE = said("hel"), said("lo"), said("", "stop"), b"data: [DONE]\n\n"


def streamed(raw: bytes, size: int = 1 << 20) -> tuple[str, Refusal | None]:
    reader = StreamReader(OPENAI)
    pieces = []
    for at in range(0, len(raw), size):
        if not reader.refusal:
            pieces += reader.feed(raw[at : at + size])
    pieces += [] if reader.refusal else reader.end()
    return "".join(piece.text for piece in pieces), reader.refusal


COMPLAINTS = (
    data({"detail": "Insufficient balance"}),
    data({"statusCode": 429, "message": "Too many requests"}),
    data({"errors": [{"message": "m", "code": "insufficient_quota"}]}),
    data({"Error": {"Message": "m", "Code": "insufficient_quota"}}),
    data({"message": "Insufficient balance"}),
    b"data: Internal Server Error\n\n",
    b'data: "Insufficient balance"\n\n',
    b"event: Error\ndata: boom\n\n",
    b"event: exception\ndata: boom\n\n",
)


@pytest.mark.parametrize("complaint", COMPLAINTS)
@pytest.mark.parametrize("size", [SIZE, 1 << 20])
def test_a_complaint_in_mid_stream_is_no_end_though_one_is_said(
    complaint: bytes, size: int
) -> None:
    words, broken = streamed(HEL + complaint + DONE, size)
    assert words == "hel"
    assert broken


@pytest.mark.parametrize("harmless", [b": note\n\n", data({"choices": [], "usage": {}}), b"\n\n"])
def test_what_says_nothing_breaks_nothing_off(harmless: bytes) -> None:
    assert streamed(HEL + harmless + LO + DONE) == ("hello", None)


def test_after_a_role_the_words_of_an_error_are_not_lost() -> None:
    role = data({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
    _, broken = streamed(role + data({"detail": "Insufficient balance"}) + DONE)
    assert broken
    assert (broken.code, broken.message) == (Code.PAY_BILL, "Insufficient balance")


BOM = b"\xef\xbb\xbf"
FRAMES = {
    "a byte order mark in the middle": HEL + BOM + LO + STOP + DONE,
    "one before each": b"".join(BOM + event for event in (HEL, LO, STOP, DONE)),
    "one behind a comment": b": hi\n\n" + BOM + HEL + LO + STOP + DONE,
    "two events in one line": HEL.rstrip() + LO + STOP + DONE,
    "commas between": b"data: " + b",".join(e[6:].strip() for e in (HEL, LO, STOP)) + b"\n\n",
    "several in an array": b"data: ["
    + b",".join(e[6:].strip() for e in (HEL, LO, STOP))
    + b"]\n\n"
    + DONE,
    "indented fields": HEL + b" " + LO + b"\t" + STOP + DONE,
    "capital fields": b"".join(b"D" + event[1:] for event in (HEL, LO, STOP, DONE)),
    "a blank before the colon": b"".join(
        event.replace(b"data:", b"data :") for event in (HEL, LO, STOP, DONE)
    ),
    "a notice of PHP's": b"<br />\n<b>Notice</b>: x in <b>/y.php</b> on line 3<br />\n"
    + HEL
    + LO
    + STOP
    + DONE,
}


@pytest.mark.parametrize("raw", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("size", [SIZE, 1 << 20])
def test_no_word_is_lost_by_its_frame(raw: bytes, size: int) -> None:
    assert streamed(raw, size) == ("hello", None)


def test_the_name_of_the_first_event_is_read() -> None:
    outcome = chat_reply(OPENAI, b"event: error\ndata: Insufficient balance\n\n")
    assert isinstance(outcome, Refusal)
    assert outcome.code == Code.PAY_BILL


@pytest.mark.parametrize("name", ["several in an array", "a notice of PHP's"])
def test_nor_where_a_whole_reply_was_asked_for(name: str) -> None:
    reply = chat_reply(OPENAI, FRAMES[name])
    assert isinstance(reply, Reply)
    assert reply.text == "hello"


def test_a_bare_array_of_chunks_is_a_stream() -> None:
    chunks = [json.loads(event[6:]) for event in (HEL, LO, STOP)]
    reply = chat_reply(OPENAI, json.dumps(chunks).encode())
    assert isinstance(reply, Reply)
    assert reply.text == "hello"


PAGE = b'<?xml version="1.0"?><!DOCTYPE html><title>%b</title><script>var s = %b</script>'


@pytest.mark.parametrize("script", [{"title": "Please pay"}, {"status": "moderation"}])
@pytest.mark.parametrize(("status", "code"), [(503, Code.PROVIDER_BUSY), (403, Code.PROVIDER_DOWN)])
def test_what_stands_in_a_pages_script_is_nobodys_word(
    script: dict[str, str], status: int, code: Code
) -> None:
    page = PAGE % (b"Unavailable", json.dumps({**script, "message": "content violates"}).encode())
    assert refusal(OPENAI, status, page).code == code
    answer = json.dumps({"choices": [{"message": {"content": "hi"}}]}).encode()
    assert isinstance(chat_reply(OPENAI, PAGE % (b"x", answer)), Refusal)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"statusCode": 401, "error": "Unauthorized", "message": "bad token"}, Code.BAD_KEY),
        ({"error": {"httpStatus": 402, "message": "m"}}, Code.PAY_BILL),
        ({"error": {"http_status": 429.0, "message": "m"}}, Code.SLOW_DOWN),
    ],
)
def test_a_status_is_read_by_all_its_names(body: dict[str, Any], code: Code) -> None:
    refused = chat_reply(OPENAI, json.dumps(body).encode())
    assert isinstance(refused, Refusal)
    assert refused.code == code


UNPAID = data({"error": {"message": "m", "code": "insufficient_quota"}})


@pytest.mark.parametrize(
    "raw",
    [
        b"event: ping\ndata: {}\n\n" + UNPAID,
        b"data: \n\n" + UNPAID,
        b'data: {"error":\ndata: {"message":"m","code":"insufficient_quota"}}\n\n',
    ],
)
def test_of_a_refusal_in_events_the_one_that_complains_is_read(raw: bytes) -> None:
    assert refusal(OPENAI, 429, raw).code == Code.PAY_BILL


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        ("Prompt exceeds max length", 400, Code.TOO_LARGE),
        ("输入token过长", 400, Code.TOO_LARGE),
        ("输入长度超过模型最大上下文", 400, Code.TOO_LARGE),
        ("input length too long", 400, Code.TOO_LARGE),
        ("模型 glm-9 不存在", 404, Code.NO_SUCH_MODEL),
        ("Your credits have been exhausted", 403, Code.PAY_BILL),
        ("You've used all your credits", 429, Code.PAY_BILL),
        ("No credits remaining", 403, Code.PAY_BILL),
        ("Billing hard limit has been reached", 400, Code.PAY_BILL),
        ("账号余额为0", 403, Code.PAY_BILL),
        ("套餐已过期，请续费", 429, Code.PAY_BILL),
        ("Request blocked by safety filter", 400, Code.CONTENT_BLOCKED),
        ("content policy violation", 400, Code.CONTENT_BLOCKED),
        ("含有违禁词", 400, Code.CONTENT_BLOCKED),
    ],
)
def test_words_say_what_no_code_does(words: str, status: int, code: Code) -> None:
    body = json.dumps({"error": {"message": words}}).encode()
    assert refusal(OPENAI, status, body).code == code


@pytest.mark.parametrize("inner", ["ResponsibleAIPolicyViolation", "moderation_blocked"])
def test_a_filters_own_code_is_enough(inner: str) -> None:
    body = {"error": {"code": "400", "message": "m", "innererror": {"code": inner}}}
    assert refusal(OPENAI, 400, json.dumps(body).encode()).code == Code.CONTENT_BLOCKED


@pytest.mark.parametrize(
    ("finish", "code"),
    [
        ("model_length", Code.TOO_LARGE),
        ("context_length_exceeded", Code.TOO_LARGE),
        ("content-filter", Code.CONTENT_BLOCKED),
        ("contentFilter", Code.CONTENT_BLOCKED),
        ("ERROR_TOXIC", Code.CONTENT_BLOCKED),
        ("engine_overloaded", Code.PROVIDER_BUSY),
    ],
)
def test_the_ends_of_other_makers(finish: str, code: Code) -> None:
    reply = {"choices": [{"message": {"content": ""}, "finish_reason": finish}]}
    refused = chat_reply(OPENAI, json.dumps(reply).encode())
    assert isinstance(refused, Refusal)
    assert refused.code == code


@pytest.mark.parametrize("finish", ["server_error", "timeout", "cancelled"])
def test_an_answer_that_its_end_says_was_broken_off(finish: str) -> None:
    words, broken = streamed(HEL + said("", finish) + DONE)
    assert words == "hel"
    assert broken


@pytest.mark.parametrize(
    "note",
    [
        {"type": "heartbeat", "message": "keep-alive"},
        {"status": "queued", "message": "Your request is in the queue"},
        {"status": "completed", "message": "done"},
    ],
)
def test_what_only_tells_how_it_goes_ends_nothing(note: dict[str, str]) -> None:
    assert streamed(data(note) + HEL + data(note) + LO + STOP + data(note) + DONE) == (
        "hello",
        None,
    )


def test_a_call_keeps_its_name_where_later_pieces_leave_it_empty() -> None:
    def piece(name: str, arguments: str, number: str) -> bytes:
        call = {"index": 0, "id": number, "function": {"name": name, "arguments": arguments}}
        return data({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})

    end = data({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    raw = piece("look", '{"a"', "call-1") + piece("", ": 1}", "") + end + DONE
    reply = chat_reply(OPENAI, raw)
    assert isinstance(reply, Reply)
    [call] = reply.body["choices"][0]["message"]["tool_calls"]
    assert (call["id"], call["function"]) == ("call-1", {"name": "look", "arguments": '{"a": 1}'})


@pytest.mark.parametrize("thought", [{"text": "hm", "thought": True}, {"type": "thought"}])
def test_a_part_that_is_a_thought_is_none_of_the_words(thought: dict[str, Any]) -> None:
    content = [{"text": "hm", **thought}, {"type": "text", "text": "hello"}]
    reply = chat_reply(
        OPENAI, json.dumps({"choices": [{"message": {"content": content}}]}).encode()
    )
    assert isinstance(reply, Reply)
    assert reply.text == "hello"


# Messages and Responses.


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + data({"type": kind, **fields})


BEGUN = event("message_start", message={"id": "m", "role": "assistant", "content": []}) + event(
    "content_block_delta", index=0, delta={"type": "text_delta", "text": "par"}
)


def refused(path: str, raw: bytes) -> Refusal | None:
    reader = EventStreamReader(path, OPENAI)
    reader.feed(raw)
    if not reader.refusal:
        reader.end()
    return reader.refusal


@pytest.mark.parametrize(
    "error",
    [
        b"event: error\ndata: Internal Server Error\n\n",
        b"event: error\ndata:\n\n",
        b'event: error\ndata: "Insufficient balance"\n\n',
        b'event: error\ndata: [{"error": {"message": "m"}}]\n\n',
        data({"detail": "Insufficient balance"}),
        data({"type": "insufficient_quota", "message": "pay"}),
    ],
)
@pytest.mark.parametrize("end", [DONE, b""])
def test_an_error_among_the_events_of_messages_is_one_whatever_it_holds(
    error: bytes, end: bytes
) -> None:
    assert refused(MESSAGES, BEGUN + error + end)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_response_that_says_that_it_failed_has(status: str) -> None:
    begun = event("response.output_text.delta", delta="par", output_index=0, content_index=0)
    error = {"code": "rate_limit_exceeded", "message": "m"}
    end = event("response.completed", response={"status": status, "error": error})
    outcome = refused(RESPONSES, begun + end)
    assert outcome
    assert outcome.code == Code.SLOW_DOWN


@pytest.mark.parametrize("envelope", ["data", "result", "output"])
@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/images/generations", {"data": [{"url": "https://example.com/a.png"}]}),
        ("/rerank", {"results": [{"index": 0, "relevance_score": 0.5}]}),
        ("/moderations", {"results": [{"flagged": False}]}),
    ],
)
def test_a_list_in_a_relays_envelope_is_the_answer(
    envelope: str, path: str, answer: dict[str, Any]
) -> None:
    reply = relayed_reply(path, OPENAI, packed({"code": 0, "id": "i", envelope: answer}))

    assert isinstance(reply, Reply)
    assert reply.body == {"code": 0, "id": "i", **answer}
