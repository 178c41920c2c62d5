"""What models of stock byzerllm are asked with, and what their errors say, of which only a text
comes back. Pure.

The openai SDK's are `Error code: 429 - {...}` with the refusal as Python writes it, `requests`
says `401 Client Error`, byzerllm's saas/pangu and saas/sparkdesk answer with theirs as if a model
had said it (byzerllm 0.1.223).
"""

from __future__ import annotations

import ast
import re
from typing import Any

from gateway.providers.dialects import OPENAI
from gateway.providers.refusals import Refusal, judged

OPTIONS = {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_length"}
"""What stock byzerllm takes of a question's options, and by which name. saas/reasoning_openai sends
on the last alone."""

ERROR_CHARACTERS = 20_000
"""So much of an error's text is read, from its end, where Python writes what happened."""

_REFUSED = re.compile(r"Error code: ([45]\d\d)(?: - (.*))?")
_STATUS = re.compile(r"\b([45]\d\d) (?:Client|Server) Error\b|status code `?([45]\d\d)\b")
_PANGU = re.compile(r"request pangu api failed: .*", re.S)
_SPARKDESK = re.compile(r"请求错误: (\d+), (\{.*\})", re.S)


def with_defaults(defaults: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Return a question with a chat's options where it has none of its own; None: never sent."""
    defaults = {key: value for key, value in defaults.items() if key in OPTIONS}
    never = [key for key, value in defaults.items() if value is None]
    return {**defaults, **fields, **dict.fromkeys(never)}


def raised(text: str, question: bytes) -> Refusal:
    """Say what an exception's text means, which ends in what happened; `question` is the request's
    body."""
    text = text[-ERROR_CHARACTERS:].strip()
    refusals = list(_REFUSED.finditer(text))
    if refusals:
        status, body = refusals[-1].groups()
        return judged(OPENAI, int(status), _literal(body or ""), question)
    last = text.rpartition("\n")[2]
    match = _STATUS.search(last)
    status = next(filter(None, match.groups()), "500") if match else "500"
    return judged(OPENAI, int(status), last.partition(": ")[2] or last, question)


def answered(text: str, question: bytes) -> Refusal | None:
    """Say what an answer means that is an error of stock byzerllm's own; None: it is an answer."""
    if _PANGU.fullmatch(text):
        return raised(text.replace("\n", " "), question)
    if match := _SPARKDESK.fullmatch(text):
        body = _literal(match[2])
        return judged(OPENAI, 500, body, question) if isinstance(body, dict) else None
    return None


def _literal(text: str) -> Any:
    """Return what Python wrote as a text, or the text."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
