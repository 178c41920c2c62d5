"""The turns of a session, for programs that cannot keep them: put before a question, and added to
after its answer."""

from __future__ import annotations

import logging

from gateway import contract, service
from gateway.cluster import GatewayLLM
from gateway.contract import ChatRequest
from gateway.errors import GatewayError

log = logging.getLogger(__name__)


def packed(asked: ChatRequest) -> bytes:
    """What is asked, with the session's turns so far, as its provider reads it. Raises
    GatewayError."""
    # Some providers stream unless they are told not to.
    return service.packed(
        {"messages": conversation(asked), **asked.options(), "stream": asked.stream}
    )


def conversation(asked: ChatRequest) -> list[dict[str, str]]:
    """What is asked, with the session's turns so far. Raises GatewayError."""
    if asked.session is None:
        if asked.reset:
            raise contract.invalid(
                "reset",
                "forgets a session; name one in session",
                "用于清除会话；请在 session 中指定",
            )
        return asked.conversation()
    if asked.history:
        raise contract.invalid(
            "history",
            "is kept by the session; leave one of them out",
            "已由 session 保存；请去掉其一",
        )
    service.unpacked()  # without a history there is little but one text, and asking takes its time
    turns = service.llm().recall("turns", service.owner(), _name(asked), asked.reset)
    *first, question = asked.conversation()
    pairs = [
        ({"role": "user", "content": q}, {"role": "assistant", "content": a}) for q, a in turns
    ]
    return [*first, *(message for pair in pairs for message in pair), question]


def remember(llm: GatewayLLM, owner: str, asked: ChatRequest, said: str) -> None:
    """One more turn; an answer that cannot be remembered is given all the same."""
    if asked.session is None:
        return
    try:
        llm.recall("remember", owner, _name(asked), asked.content, said)
    except GatewayError as error:
        log.warning("a turn of a session is not remembered: %s", error.code)


def _name(asked: ChatRequest) -> str:
    return f"{asked.chat_name}/{asked.session}"
