"""What the caller wrote in a question: a provider may quote it in an error, and then it is no word
of the provider's. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.providers.documents import parsed, text


class QuestionTexts:
    """The texts of a question's body, which are looked at only where it matters: it may be
    large."""

    def __init__(self, body: bytes = b"") -> None:
        self._body = body
        self._words: str | None = None
        self._answers: dict[str, bool] = {}

    def holds(self, words: str) -> bool:
        """Return whether the caller wrote these words, whatever their case and blanks."""
        if not self._body:
            return False
        if self._words is None:
            self._words = self._read()
        bare = as_words(words).strip(" ,").lower()
        if bare not in self._answers:
            self._answers[bare] = bare in self._words
        return self._answers[bare]

    def _read(self) -> str:
        try:
            texts = " ".join(_texts(parsed(self._body)))
        except ValueError:
            texts = text(self._body)
        return as_words(texts).lower()


NO_QUESTION = QuestionTexts()


def as_words(words: str) -> str:
    """Return `AccountOverdueError` or `account_overdue_error` as words, with single blanks."""
    return re.sub(
        r"[\s_]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", words)
    )


def _texts(question: Any) -> Iterator[str]:
    """Yield the texts in a question, and the names of its fields; however deep, by no recursion."""
    rest = [question]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            rest += value
        elif isinstance(value, dict):
            rest += [*value, *value.values()]
