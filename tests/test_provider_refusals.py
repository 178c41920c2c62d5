"""What a provider refuses with an HTTP status: what its body says, and what the status does."""

from __future__ import annotations

import gzip
import itertools
from typing import Any, NamedTuple

import pytest

from tests.fronts import FRONTS, Front, RawChat, assert_refused, chat, in_turn, of, v1, v1_stream
from tests.standin.raw import (
    CLOSE,
    DONE,
    HANG,
    RESET,
    Reply,
    Request,
    by_mode,
    chunk,
    completion,
    event,
    streamed,
    whole,
)

every_front = pytest.mark.parametrize("front", FRONTS, ids=of)

STATUSES = {
    "401 Unauthorized": "BAD_KEY",
    "402 Payment Required": "PAY_BILL",
    "403 Forbidden": "PROVIDER_DOWN",
    "404 Not Found": "BAD_UPSTREAM_REQUEST",
    "413 Content Too Large": "TOO_LARGE",
    "429 Too Many Requests": "SLOW_DOWN",
    "500 Internal Server Error": "PROVIDER_DOWN",
    "503 Service Unavailable": "PROVIDER_BUSY",
}


def begun(status: str, *headers: str) -> bytes:
    """The head of a refusal whose body is not what the head says."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


def unreadable(status: str) -> dict[str, Reply]:
    """Refusals whose status is all that can be read."""
    length = begun(status, "Content-Type: application/json", "Content-Length: 400")
    return {
        "cut by a FIN": (length + b'{"err', 0.02, CLOSE),
        "cut by a RST": (length + b'{"err', 0.02, RESET),
        "hangs": (length + b'{"err', HANG),
        "no byte of it": (length, HANG),
        "labelled gzip": whole(b"no funds, sorry", status, headers=["Content-Encoding: gzip"]),
        "half of a gzip": whole(
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00", status, headers=["Content-Encoding: gzip"]
        ),
        "an unknown charset": whole(b'{"x": "\xff"}', status, "application/json; charset=klingon"),
        "broken chunks": (
            begun(status, "Transfer-Encoding: chunked"),
            0.05,
            b"zz\r\n{}\r\n",
            CLOSE,
        ),
        "empty": whole(b"", status, None),
        "a page": whole(b"<html><h1>Sorry</h1></html>", status, "text/html"),
    }


@in_turn("said", itertools.product(unreadable(""), STATUSES), words=" ".join)
def test_a_status_is_enough(
    raw_chat: RawChat, spare: str, front: Front, said: tuple[str, str]
) -> None:
    body, status = said
    reply = unreadable(status)[body]
    seconds = 1 if isinstance(reply, tuple) and HANG in reply else 5
    raw_chat.deploy(reply, fallback=spare, timeout=seconds)

    assert_refused(front, raw_chat.ask(front), STATUSES[status])


BILL = '{"error": {"code": "1113", "message": "余额不足"}}'.encode()
MISLABELLED: dict[str, Reply] = {
    "plain, labelled gzip": whole(BILL, "400 No", headers=["Content-Encoding: gzip"]),
    "gzip, not labelled": whole(gzip.compress(BILL), "400 No"),
    "gzip, labelled": whole(gzip.compress(BILL), "400 No", headers=["Content-Encoding: gzip"]),
    "called gb2312": whole(BILL, "400 No", "application/json; charset=gb2312"),
    "called a page": whole(BILL, "400 No", "text/html"),
    "called a stream": whole(
        b"event: error\ndata: " + BILL + b"\n\n", "400 No", "text/event-stream"
    ),
    "a byte order mark": whole(b"\xef\xbb\xbf" + BILL, "400 No"),
    "a stray byte": whole(BILL.replace("余".encode(), b"\xff"), "400 No"),
    "cut after what matters": (
        begun("400 No", f"Content-Length: {len(BILL) + 9}") + BILL,
        0.02,
        CLOSE,
    ),
}


@pytest.mark.parametrize("front", [chat, v1_stream], ids=of)
@pytest.mark.parametrize("how", MISLABELLED)
def test_the_bytes_of_a_refusal_beat_its_label(
    raw_chat: RawChat, spare: str, front: Front, how: str
) -> None:
    raw_chat.deploy(MISLABELLED[how], "zhipu", fallback=spare)

    assert_refused(front, raw_chat.ask(front), "PAY_BILL")


@every_front
@pytest.mark.parametrize(
    "status", ["201 Created", "202 Accepted", "203 Transformed", "206 Partial Content"]
)
def test_every_2xx_is_success(raw_chat: RawChat, front: Front, status: str) -> None:
    stream = streamed(event(chunk("Ja", "stop")), DONE, status=status)
    raw_chat.deploy(by_mode(whole(completion("Ja"), status), stream))

    outcome = raw_chat.ask(front)

    assert (outcome.words, outcome.code) == ("Ja", "")


@every_front
def test_a_204_is_no_success(raw_chat: RawChat, spare: str, front: Front) -> None:
    raw_chat.deploy(begun("204 No Content"), fallback=spare)

    assert_refused(front, raw_chat.ask(front), "PROVIDER_DOWN")


class Refusal(NamedTuple):
    """A refusal in a provider's own words, and the code that is right for it."""

    name: str
    status: int
    body: Any
    code: str
    provider: str = "openai"


def std(message: str, kind: str | None = None, code: Any = None, **more: Any) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "code": code, **more}}


UNPAID = (
    Refusal(
        "anthropic",
        400,
        std("Your credit balance is too low.", "invalid_request_error"),
        "PAY_BILL",
    ),
    Refusal(
        "ark",
        403,
        std("The account has an overdue balance.", "Forbidden", "AccountOverdueError"),
        "PAY_BILL",
    ),
    Refusal(
        "new-api",
        403,
        std("用户额度不足，剩余 ￥0.00", "new_api_error", "insufficient_user_quota"),
        "PAY_BILL",
    ),
    Refusal(
        "kimi",
        429,
        std("You have exceeded your current quota.", "exceeded_current_quota_error"),
        "PAY_BILL",
    ),
    Refusal(
        "kimi suspended",
        429,
        std("org is suspended due to insufficient balance", "x_error"),
        "PAY_BILL",
    ),
    Refusal(
        "deepseek",
        402,
        std("Insufficient Balance", "unknown_error", "invalid_request_error"),
        "PAY_BILL",
    ),
    Refusal(
        "siliconflow",
        403,
        {"code": 30001, "message": "Your account balance is insufficient"},
        "PAY_BILL",
    ),
    Refusal("minimax", 500, std("insufficient balance (1008)", "api_error"), "PAY_BILL"),
    Refusal(
        "qianfan",
        403,
        std("The account is overdue", "access_denied", "account_overdue"),
        "PAY_BILL",
    ),
    Refusal(
        "xai",
        429,
        {"code": "Exhausted", "error": "The team used all available credits"},
        "PAY_BILL",
    ),
    Refusal(
        "gemini",
        402,
        [std("Prepayment credits are depleted", status="RESOURCE_EXHAUSTED")],
        "PAY_BILL",
    ),
    Refusal(
        "a relay, flat", 403, {"code": "INSUFFICIENT_BALANCE", "message": "No balance"}, "PAY_BILL"
    ),
    Refusal("a relay, Chinese", 400, {"error": "账户已欠费，请充值"}, "PAY_BILL"),
    Refusal(
        "siblings",
        429,
        {"error": "Refused", "code": "insufficient_quota", "message": "Spent"},
        "PAY_BILL",
    ),
    Refusal("zhipu by another", 429, std("余额不足，请充值", None, "9999"), "PAY_BILL", "zhipu"),
    Refusal("openrouter", 402, std("This needs more credits", None, 402), "PAY_BILL"),
)
MODERATED = (
    Refusal("openrouter", 403, std("x requires moderation; it was flagged", None, 403),
            "CONTENT_BLOCKED"),
    Refusal("xai", 403, {"code": "permission", "error": "Content violates usage guidelines"},
            "CONTENT_BLOCKED"),
    Refusal("deepseek", 400, std("Content Exists Risk", "invalid_request_error"),
            "CONTENT_BLOCKED"),
    Refusal("kimi", 400, std("The request was considered high risk", "content_filter"),
            "CONTENT_BLOCKED"),
    Refusal("ark", 400, std("May be sensitive", "BadRequest", "InputTextSensitiveContentDetected"),
            "CONTENT_BLOCKED"),
    Refusal("azure", 400, std("Triggered our policy", None, "content_filter"), "CONTENT_BLOCKED"),
    Refusal("stepfun", 451, std("Blocked", "censorship_blocked"), "CONTENT_BLOCKED"),
    Refusal("qianfan", 400, std("Unfit", "unsafe_request", "system_unsafe"), "CONTENT_BLOCKED"),
)  # fmt: skip
TOO_LONG = (
    Refusal(
        "vllm",
        400,
        {"object": "error", "message": "maximum context length is 4096", "code": 400},
        "TOO_LARGE",
    ),
    Refusal(
        "nested",
        400,
        std("maximum context length is 512 tokens", "BadRequestError", 400),
        "TOO_LARGE",
    ),
    Refusal(
        "anthropic",
        400,
        std("prompt is too long: 900 tokens > 800", "invalid_request_error"),
        "TOO_LARGE",
    ),
    Refusal("kimi", 400, std("Input token length too long", "invalid_request_error"), "TOO_LARGE"),
    Refusal(
        "gemini",
        400,
        [std("The input token count (9) exceeds the maximum", None, 400)],
        "TOO_LARGE",
    ),
    Refusal(
        "xai", 400, {"code": "bad", "error": "This model's maximum prompt length is 7"}, "TOO_LARGE"
    ),
    Refusal("llama.cpp", 400, std("Too many", "exceed_context_size_error", 400), "TOO_LARGE"),
    Refusal("ark", 400, std("Too much", "BadRequest", "OutofContextError"), "TOO_LARGE"),
    Refusal("zhipu", 400, std("Prompt exceeds", None, "1261"), "TOO_LARGE", "zhipu"),
)
OTHERS = (
    Refusal("403 of a guard", 403, b"<title>Just a moment...</title>", "PROVIDER_DOWN"),
    Refusal("403, unknown", 403, std("Not from here", "forbidden"), "PROVIDER_DOWN"),
    Refusal("404 of nginx", 404, b"<html><h1>404 Not Found</h1></html>", "BAD_UPSTREAM_REQUEST"),
    Refusal("404 of Spring", 404, {"error": "Not Found", "path": "/v9"},
            "BAD_UPSTREAM_REQUEST", "zhipu"),
    Refusal("404 of FastAPI", 404, {"detail": "Not Found"}, "BAD_UPSTREAM_REQUEST", "tongwen"),
    Refusal("404 of a model", 404, std("The model `m` does not exist", "NotFoundError", 404),
            "NO_SUCH_MODEL"),
    Refusal("404 of ollama", 404, std('model "m" not found, try pulling it first', "api_error"),
            "NO_SUCH_MODEL"),
    Refusal("400 of a model", 400, std("Model Not Exist", "invalid_request_error"),
            "NO_SUCH_MODEL"),
    Refusal("a key, 400", 400, std("API key not valid. Pass a valid one.", None, 400), "BAD_KEY"),
    Refusal("a key, xai", 400, {"code": "bad", "error": "Incorrect API key provided: x"},
            "BAD_KEY"),
    Refusal("a key, text", 401, "Invalid token", "BAD_KEY"),
    Refusal("a key, 403", 403,
            std("Permission denied: invalid API key", "forbidden", "invalid_api_key"),
            "BAD_KEY"),
    Refusal("tongwen's rate", 429, std("exceeded your current quota", "insufficient_quota"),
            "SLOW_DOWN", "tongwen"),
    Refusal("kimi's rate", 429, std("reached organization max RPM: 3", "rate_limit_reached_error"),
            "SLOW_DOWN"),
    Refusal("kimi's load", 429,
            std("The engine is currently overloaded", "engine_overloaded_error"),
            "PROVIDER_BUSY"),
    Refusal("422", 422, {"detail": [{"loc": ["body"], "msg": "field required"}]},
            "BAD_UPSTREAM_REQUEST"),
    Refusal("error true", 400, {"error": True, "message": "An odd wish"}, "BAD_UPSTREAM_REQUEST"),
)  # fmt: skip


@in_turn(
    "said", UNPAID + MODERATED + TOO_LONG + OTHERS, words=lambda said: f"{said.code} {said.name}"
)
def test_words_that_all_providers_use_are_understood(
    raw_chat: RawChat, spare: str, front: Front, said: Refusal
) -> None:
    raw_chat.deploy(whole(said.body, f"{said.status} No"), said.provider, fallback=spare)

    assert_refused(front, raw_chat.ask(front), said.code)


@pytest.mark.parametrize(
    "said",
    [row for row in OTHERS if row.code == "BAD_UPSTREAM_REQUEST" and row.status == 404],
    ids=lambda s: s.name,
)
def test_a_wrong_address_is_said_to_be_one(raw_chat: RawChat, said: Refusal) -> None:
    raw_chat.deploy(whole(said.body, "404 No"), said.provider)

    assert "base_url" in raw_chat.ask(chat).error["message"]


@pytest.mark.parametrize("said", MODERATED, ids=lambda said: said.name)
def test_one_callers_blocked_question_is_no_other_callers_loss(
    raw_chat: RawChat, said: Refusal
) -> None:
    refusal, answer = whole(said.body, f"{said.status} No"), whole(completion("Ja"))
    raw_chat.deploy(lambda request: refusal if b"wicked" in request.body else answer)

    assert raw_chat.ask(chat, "wicked").code == "CONTENT_BLOCKED"
    assert raw_chat.ask(chat, "kind").words == "Ja"


def test_what_waits_is_no_bill(raw_chat: RawChat) -> None:
    body = std("Requests in flight use up the budget", None, "in_flight_budget_exhausted")
    raw_chat.deploy(whole(body, "402 Payment Required", headers=["Retry-After: 3"]))

    assert raw_chat.ask(chat).code == "SLOW_DOWN"


PHRASES = (
    "insufficient balance",
    "your credit balance is too low",
    "invalid api key",
    "账户余额不足，请充值",
    "quota exceeded",
)
QUOTES = (
    "Invalid value: '{}'.",
    'Could not parse "{}" as JSON',
    "messages[0].content: {}",
    "Unexpected: {:.20}...",
)


@in_turn(
    "said",
    itertools.product(PHRASES, QUOTES, ["400 Bad Request", "422 Unprocessable", "200 OK"]),
    (chat, v1),
)
def test_a_caller_whose_words_are_quoted_makes_no_chat_rest(
    raw_chat: RawChat, front: Front, said: tuple[str, str, str]
) -> None:
    phrase, quote, status = said

    def script(request: Request) -> Reply:
        question = request.json["messages"][-1]["content"]
        return (
            whole(std(quote.format(question)), status)
            if phrase in question
            else whole(completion("Ja"))
        )

    raw_chat.deploy(script)

    assert raw_chat.ask(front, phrase).code
    assert raw_chat.ask(front, "and mine?").words == "Ja"
    assert raw_chat.state() == "answering"
