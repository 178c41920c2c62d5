"""Which chat answers where the one that was asked cannot, and which error is outcome."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from gateway.errors import Code, GatewayError
from gateway.web.failover import Failures, Outcome, first_to_answer


class Chats:
    """Chats that fail with a code, or answer by their name; `questions` went to these."""

    def __init__(self, **codes: Code | None) -> None:
        self._codes = codes
        self.questions: list[str] = []
        self.notes: list[tuple[Failures, str]] = []

    def ask(self, name: str) -> str:
        self.questions.append(name)
        if code := self._codes[name]:
            raise GatewayError(code, chat_name=name)
        return name

    def chain(self, name: str) -> Iterable[str]:
        return [one for one in self._codes if one != name]

    def first_to_answer(self) -> Outcome[str]:
        return first_to_answer(
            "a", self.chain, self.ask, lambda failures, by: self.notes.append((failures, by))
        )


@pytest.mark.parametrize(
    "code", [Code.SLOW_DOWN, Code.NOT_DEPLOYED, Code.CLUSTER_DOWN, Code.INTERNAL]
)
def test_a_chat_of_the_chain_that_is_away_is_passed_over(code: Code) -> None:
    chats = Chats(a=Code.PAY_BILL, b=code, c=None)
    assert chats.first_to_answer() == ("c", "c", Code.PAY_BILL)
    assert chats.notes == [([("a", Code.PAY_BILL), ("b", code)], "c")]


def test_where_nobody_can_answer_the_first_ones_error_is_told() -> None:
    chats = Chats(a=Code.PAY_BILL, b=Code.CLUSTER_DOWN, c=Code.GATEWAY_BUSY)
    with pytest.raises(GatewayError) as outcome:
        chats.first_to_answer()
    assert (outcome.value.code, outcome.value.chat_name) == (Code.PAY_BILL, "a")
    assert chats.questions == ["a", "b", "c"]


def test_where_another_says_that_the_request_is_at_fault_nobody_else_is_asked() -> None:
    chats = Chats(a=Code.PAY_BILL, b=Code.CONTENT_BLOCKED, c=None)
    with pytest.raises(GatewayError) as outcome:
        chats.first_to_answer()
    assert (outcome.value.code, chats.questions) == (Code.CONTENT_BLOCKED, ["a", "b"])


def test_a_chain_that_cannot_be_had_hides_no_error() -> None:
    class Away(Chats):
        def chain(self, name: str) -> Iterable[str]:
            raise GatewayError(Code.CLUSTER_DOWN)

    chats = Away(a=Code.PAY_BILL)
    with pytest.raises(GatewayError) as outcome:
        chats.first_to_answer()
    assert outcome.value.code == Code.PAY_BILL
    assert chats.notes == [([("a", Code.PAY_BILL)], "")]
