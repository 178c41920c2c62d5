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


def packed(question: ChatRequest) -> bytes:
    """Return what is asked, with the session's turns so far, as its provider reads it. Raises
    GatewayError."""
    current = call.current()
    messages = told(conversation(question), current.structure)
    options = {**(current.task["options"] if current.task else {}), **question.options()}
    # Some providers stream unless they are told not to. What is checked comes whole.
    streams = question.stream and current.structure is None
    stream = COUNTED_STREAM if streams else {"stream": False}
    return request_fields.packed({"messages": messages, **options, **stream})


def conversation(question: ChatRequest) -> list[dict[str, str]]:
    """Return what is asked, with the session's turns so far. Raises GatewayError."""
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
    turns = services.llm().ask_store("turns", call.current().owner, _name(question), question.reset)
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
