"""What a reply is that came with success and is no answer, or only part of one: empty, cut off,
filtered, an error inside a 200. Pure."""

from __future__ import annotations

from typing import Any

from gateway.errors import Code
from gateway.providers.chunks import Json
from gateway.providers.dialects import BROKEN_OFF, CUT_OFF, Dialect, finish_code
from gateway.providers.refusals import Refusal, judged


def is_answer(text: str, legacy: bool = False) -> bool:
    """Return whether a text is an answer; white space alone is one only where code is completed."""
    return bool(text if legacy else text.strip())


class WordedThought:
    """A thought that a model has put into its words, as it comes piece by piece."""

    BEGIN, END = "<think>", "</think>"

    def __init__(self) -> None:
        self._last: str | None = None

    def is_all(self, more: str) -> bool:
        """Return whether the words are nothing else so far, with `more` of them."""
        if self._last is None:
            if not more.lstrip().startswith(self.BEGIN):
                return False
            self._last = ""
        _, end, rest = (self._last + more).partition(self.END)
        self._last = end or (self._last + more)[1 - len(self.END) :]
        return not rest.strip()


def only_thinks(text: str) -> bool:
    """Return whether a whole text is a thought that its model has put into its words."""
    return WordedThought().is_all(text)


def no_answer(dialect: Dialect, body: Any, question: bytes) -> Refusal:
    """Return an error inside a success, or something that is no answer at all."""
    refusal = judged(dialect, 200, body, question)
    if refusal.detail:
        return refusal
    detail, detail_zh = "The provider's 200 holds no answer.", "服务商返回 200，但其中没有回答。"
    return refusal._replace(detail=detail, detail_zh=detail_zh)


def broken_choice(dialect: Dialect, choice: Json, question: bytes) -> Refusal | None:
    """Return what a choice says of an error inside it, or of having been broken off."""
    finish = choice.get("finish_reason")
    code = finish_code(str(finish)) if finish else None
    if not choice.get("error") and code not in BROKEN_OFF:
        return None
    refusal = judged(dialect, 200, choice.get("error") or "", question)
    if code and refusal.code == Code.PROVIDER_DOWN:
        refusal = refusal._replace(code=code)
    return refusal._replace(provider_code=refusal.provider_code or str(finish or ""))


def without_words(finish: str, thought: bool) -> Refusal:
    """Say why an answer has no words, by its finish reason and by whether the model thought at
    least."""
    if code := finish_code(finish):
        return Refusal(code, finish)
    if finish.lower() in CUT_OFF:
        detail = (
            "The model had used up its tokens before its first word: raise max_tokens, or let it"
            " think less."
        )
        return Refusal(
            Code.TOO_LARGE,
            finish,
            "",
            detail,
            "模型在说出第一个字之前就用完了 token：请增大 max_tokens，或减少思考。",
        )
    if thought:
        detail = "The model thought, and then said nothing."
        return Refusal(Code.PROVIDER_DOWN, finish, "", detail, "模型只有思考，没有回答。")
    return Refusal(
        Code.PROVIDER_DOWN,
        finish,
        "",
        "The provider sent an empty answer.",
        "服务商返回了空的回答。",
    )


ENDED_EARLY = (
    "The stream ended before its finish_reason: the answer broke off.",
    "流在 finish_reason 之前结束：回答中断。",
)
UNREADABLE = ("A piece of the stream cannot be read.", "流中有一段无法读取。")
