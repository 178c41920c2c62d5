"""The turns of a session, for programs that cannot keep them: put before a question, and added to
after its answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gateway.errors import GatewayError
from gateway.providers.questions import COUNTED_STREAM
from gateway.providers.structures import told
from gateway.web import call, request_fields, services, validation
from gateway.web.contract import ChatRequest

if TYPE_CHECKING:
    from gateway.cluster.client import GatewayLLM


log = logging.getLogger(__name__)


def packed(question: ChatRequest, forgets: bool = True) -> bytes:
    """Return what is asked, with the session's turns so far, as its provider reads it. Where the
    question says so, they are forgotten; `forgets` False: only when it is asked (`begin`). Raises
    GatewayError."""
    current = call.current()
    messages = told(_conversation(question, forgets), current.structure)
    options = {**(current.task["options"] if current.task else {}), **question.options()}
    # Some providers stream unless they are told not to. What is checked comes whole.
    streams = question.stream and current.structure is None
    stream = COUNTED_STREAM if streams else {"stream": False}
    return request_fields.packed({"messages": messages, **options, **stream})


def begin(llm: GatewayLLM, owner: str, question: ChatRequest) -> None:
    """Forget the turns of a session, where the question that is now asked says so. Raises
    GatewayError."""
    if question.session is not None and question.reset:
        llm.ask_store("turns", owner, _name(question), True)


def _conversation(question: ChatRequest, forgets: bool) -> list[dict[str, str]]:
    if question.session is None:
        if question.reset:
            raise validation.invalid(
                "reset",
                "forgets a session; name one in session",
                "用于清除会话；请在 session 中指定",
            )
        return question.conversation()
    if question.history:
        raise validation.invalid(
            "history",
            "is kept by the session; leave one of them out",
            "已由 session 保存；请去掉其一",
        )
    # without a history there is little but one text, and asking takes its time
    call.current().unpacked()
    turns: list[tuple[str, str]] = []
    if forgets or not question.reset:
        turns = services.llm().ask_store(
            "turns", call.current().owner, _name(question), question.reset
        )
    *first, last = question.conversation()
    pairs = [
        ({"role": "user", "content": q}, {"role": "assistant", "content": a}) for q, a in turns
    ]
    return [*first, *(message for pair in pairs for message in pair), last]


def remember(llm: GatewayLLM, owner: str, question: ChatRequest, answer: str) -> None:
    """Keep one more turn; an answer that cannot be remembered is given all the same."""
    if question.session is None:
        return
    try:
        llm.ask_store("remember", owner, _name(question), question.content, answer)
    except GatewayError as error:
        log.warning("a turn of a session is not remembered: %s", error.code)


def _name(question: ChatRequest) -> str:
    return f"{question.chat_name}/{question.session}"
