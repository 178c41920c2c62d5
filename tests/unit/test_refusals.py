"""Every way in which a provider says no, as it was seen on the wire, becomes the code that says who
must act."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from gateway.errors import Code
from gateway.providers.quoted_keys import shown
from gateway.providers.refusals import Refusal, judged, refusal
from gateway.providers.waits import retry_after
from gateway.providers.whole_replies import Reply, chat_reply
from tests.providers import PROVIDERS
from tests.unit.refusal_rows import REFUSALS, SAYS, rows_of
from tests.unit.retry_after_rows import NAMED, NOW, WAITS, Named, Wait
from tests.unit.rows import Row


def read(row: Row, provider: str = "") -> Refusal | Reply:
    dialect = PROVIDERS[provider or row.dialect].dialect
    if row.status >= 300:
        return refusal(dialect, row.status, row.wire)
    return chat_reply(dialect, row.wire)


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: f"{row.provider}-{row.status}-{row.code}")
def test_each_refusal_has_its_code_and_its_words(row: Row) -> None:
    outcome = read(row)

    assert isinstance(outcome, Refusal)
    assert (outcome.code, row.words in outcome.message) == (row.code, True), outcome


@pytest.mark.parametrize("provider", SAYS)
def test_each_provider_is_understood_by_its_own_table(provider: str) -> None:
    for row in rows_of(provider):
        outcome = read(row, provider)
        assert isinstance(outcome, Refusal), row
        assert (outcome.code, row.words in outcome.message) == (row.code, True), (row, outcome)


@pytest.mark.parametrize("provider", SAYS)
def test_each_providers_rows_say_whatever_there_is_to_say(provider: str) -> None:
    codes = {row.code for row in rows_of(provider)}
    assert codes >= {
        *("PAY_BILL", "BAD_KEY", "NO_SUCH_MODEL", "SLOW_DOWN", "PROVIDER_BUSY"),
        *("CONTENT_BLOCKED", "TOO_LARGE"),
    }


def test_a_number_in_brackets_that_the_caller_wrote_is_no_code() -> None:
    dialect = PROVIDERS["minimax"].dialect
    body = b'{"error": {"message": "cannot read: hello (1008)"}}'

    assert refusal(dialect, 400, body).code == Code.PAY_BILL
    outcome = refusal(dialect, 400, body, question=b'{"content": "hello (1008)"}')
    assert outcome.code == Code.BAD_UPSTREAM_REQUEST


@pytest.mark.parametrize("wait", WAITS, ids=lambda wait: str(dict(wait.headers)))
def test_retry_after_is_read_in_all_its_forms_and_bounded(wait: Wait) -> None:
    seconds = retry_after(wait.headers, NOW)

    assert seconds == (None if wait.seconds is None else pytest.approx(wait.seconds))


@pytest.mark.parametrize("named", NAMED, ids=lambda named: str(named.body)[-60:])
def test_a_wait_that_only_the_error_names_is_read_too(named: Named) -> None:
    outcome = judged(PROVIDERS["custom"].dialect, 429, named.body)

    seconds = retry_after({}, NOW, outcome.wait)

    assert seconds == (None if named.seconds is None else pytest.approx(named.seconds))
    assert retry_after({"Retry-After": "3"}, NOW, outcome.wait) == 3


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (
            "Invalid value: 'my account \"x\" is disabled'.",
            {"effort": 'my account "x" is disabled'},
        ),
        ("Invalid value: 'insufficient\nbalance'.", {"effort": "insufficient\nbalance"}),
        ("Unknown field: insufficient_balance", {"insufficient_balance": 1}),
    ],
)
def test_words_that_the_caller_wrote_rest_no_chat(words: str, fields: dict[str, Any]) -> None:
    body = json.dumps({"error": {"message": words}}).encode()
    dialect = PROVIDERS["custom"].dialect

    assert refusal(dialect, 400, body).code in ("BAD_KEY", "PAY_BILL")
    outcome = refusal(dialect, 400, body, question=json.dumps(fields).encode())
    assert outcome.code == "BAD_UPSTREAM_REQUEST"


@pytest.mark.parametrize("length", [41, 100_000])
def test_a_wait_of_many_digits_is_none(length: int) -> None:
    body = {"error": {"message": "slow", "retry_after": "9" * length + "x"}}
    assert judged(PROVIDERS["custom"].dialect, 429, body).wait == ""


def test_a_wait_that_the_caller_wrote_is_none() -> None:
    body = {"error": {"message": "too many requests: please try again in 50 minutes"}}
    question = b'{"content": "please try again in 50 minutes"}'

    assert judged(PROVIDERS["custom"].dialect, 429, body).wait == "50 minutes"
    assert judged(PROVIDERS["custom"].dialect, 429, body, question).wait == ""


KEY = "sk-proj-4fT_9xQz+81/LmWv~c0"

ECHOES = (
    *(
        KEY,
        KEY[:-4],
        KEY[8:],
        " ".join(KEY),
        "-".join(KEY),
        KEY.upper(),
        KEY[::1].replace("-", "\u200b"),
    ),
    *(
        quote(KEY, safe=""),
        "".join(f"%{byte:02X}" for byte in KEY.encode()),
        KEY.encode().hex(),
        KEY.encode().hex(":"),
    ),
    *(
        base64.b64encode(before + KEY.encode()).decode()
        for before in (b"", b"B", b"Be", b"Bearer ", b":", b"user:")
    ),
    *(base64.urlsafe_b64encode(b"Bearer " + KEY.encode()).decode(), KEY[:6] + "..." + KEY[6:]),
)


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize(
    ("code", "status"),
    [
        *(("BAD_KEY", status) for status in (401, 400, 200)),
        *(("PAY_BILL", status) for status in (401, 403)),
    ],
)
def test_a_key_that_is_quoted_in_whatever_form_is_not_shown(
    code: str, status: int, echo: str
) -> None:
    outcome = Refusal(Code(code), echo, f"Refused: {echo}!")

    assert shown(outcome, status, KEY) == ("", "")


def test_other_words_of_a_refusal_are_shown() -> None:
    assert shown(Refusal(Code.BAD_KEY, "invalid_api_key", "Incorrect API key"), 401, KEY) == (
        "invalid_api_key",
        "",
    )
    assert shown(Refusal(Code.BAD_KEY, "401", "令牌已过期"), 200, KEY) == ("401", "令牌已过期")
    assert shown(Refusal(Code.PAY_BILL, "1113", "余额不足"), 403, KEY) == ("1113", "余额不足")
    assert shown(Refusal(Code.SLOW_DOWN, "a code", "60 a minute"), 429, KEY) == (
        "a code",
        "60 a minute",
    )
    assert shown(Refusal(Code.PAY_BILL, "", "Unpaid"), 401, "") == ("", "Unpaid")
