"""Every way in which a provider says no, as it was seen on the wire, becomes the code that says who must act."""

from __future__ import annotations

import pytest

from gateway.dialects import DASHSCOPE, OPENAI, ZHIPU, Dialect
from gateway.reader import Reply, chat_reply
from gateway.refusals import Refusal, refusal, retry_after
from tests.unit.refusal_rows import REFUSALS
from tests.unit.retry_after_rows import NOW, WAITS, Wait
from tests.unit.rows import Row

DIALECTS: dict[str, Dialect] = {"openai": OPENAI, "zhipu": ZHIPU, "tongwen": DASHSCOPE}


def read(row: Row, status: int | None = None) -> Refusal | Reply:
    dialect, status = DIALECTS[row.dialect], status or row.status
    return refusal(dialect, status, row.wire) if status >= 300 else chat_reply(dialect, row.wire)


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: f"{row.provider}-{row.status}-{row.code}")
def test_each_refusal_has_its_code_and_its_words(row: Row) -> None:
    outcome = read(row)

    assert isinstance(outcome, Refusal)
    assert (outcome.code, row.words in outcome.message) == (row.code, True), outcome


@pytest.mark.parametrize("wait", WAITS, ids=lambda wait: str(dict(wait.headers)))
def test_retry_after_is_read_in_all_its_forms_and_bounded(wait: Wait) -> None:
    seconds = retry_after(wait.headers, NOW)

    assert seconds == (None if wait.seconds is None else pytest.approx(wait.seconds))
