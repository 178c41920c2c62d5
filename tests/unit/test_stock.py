"""What the texts of stock byzerllm's errors mean."""

from __future__ import annotations

import pytest

from gateway.providers.stock import answered, raised, with_defaults

HEAD = """Failed to deserialize exception. Refer to https://docs.ray.io/
Original exception:
Traceback (most recent call last):
  File "/x/openai/_base_client.py", line 1059, in request
    raise self._make_status_error_from_response(err.response) from None  # api key, quota
"""
UNPAID = "{'error': {'message': 'You exceeded your \\'quota\\'', 'code': 'insufficient_quota'}}"
RAISED = {
    f"openai.RateLimitError: Error code: 429 - {UNPAID}": "PAY_BILL",
    "openai.RateLimitError: Error code: 429 - {'error': {'code': 'rate_limit_exceeded'}}": (
        "SLOW_DOWN"
    ),
    "openai.AuthenticationError: Error code: 401 - {'error': {'message': 'no'}}": "BAD_KEY",
    "openai.AuthenticationError: Error code: 401": "BAD_KEY",
    "anthropic.BadRequestError: Error code: 400 - {'error': {'type': 'invalid_request_error',"
    " 'message': 'Your credit balance is too low to access the API.'}}": "PAY_BILL",
    "openai.NotFoundError: Error code: 404 - {'error': {'code': 'model_not_found'}}": (
        "NO_SUCH_MODEL"
    ),
    "openai.InternalServerError: Error code: 503 - <html>busy</html>": "PROVIDER_BUSY",
    "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://x": "BAD_KEY",
    "requests.exceptions.HTTPError: 402 Client Error: x for url: https://x": "PAY_BILL",
    "openai.APIConnectionError: Connection error.": "PROVIDER_DOWN",
    "Exception: request baichuan api failed": "PROVIDER_DOWN",
    "KeyError: 'choices'": "PROVIDER_DOWN",
    "": "PROVIDER_DOWN",
    f"Error code: 429 - {'[' * 9000}": "SLOW_DOWN",
}


@pytest.mark.parametrize("text", RAISED, ids=lambda text: text[:60])
def test_an_exceptions_text_says_who_must_act(text: str) -> None:
    assert raised(HEAD + text, b"hi").code == RAISED[text]


def test_what_the_caller_wrote_is_nobodys_bill() -> None:
    quoted = (
        "openai.BadRequestError: Error code: 400 - {'error': {'message': 'insufficient balance'}}"
    )

    assert raised(quoted, b"hi").code == "PAY_BILL"
    assert raised(quoted, b"my insufficient balance").code == "BAD_UPSTREAM_REQUEST"


PANGU = (
    "request pangu api failed: request failed with status code `{}`, headers: `{{}}`, body: `b''`"
)


def test_an_error_in_place_of_an_answer_is_one() -> None:
    refused = answered(PANGU.format(401), b"hi")
    assert refused is not None
    assert refused.code == "BAD_KEY"

    unpaid = "请求错误: 11200, {'header': {'code': 11200, 'message': 'Insufficient balance'}}"
    refused = answered(unpaid, b"hi")
    assert refused is not None
    assert refused.code == "PAY_BILL"


@pytest.mark.parametrize(
    "words",
    ["", "Ja", "请求错误: 你好", "It said: request pangu api failed: x", "请求错误: 1, {broken}"],
)
def test_an_answer_is_none(words: str) -> None:
    assert answered(words, b"hi") is None


def test_a_chats_options_stand_under_a_questions() -> None:
    defaults = {"temperature": 0.2, "top_p": None, "max_tokens": 9, "seed": 7}

    fields = with_defaults(defaults, {"messages": [], "top_p": 0.5, "max_tokens": 3})

    assert fields == {"messages": [], "temperature": 0.2, "top_p": None, "max_tokens": 3}
