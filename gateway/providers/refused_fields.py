"""Which field of a question a refusal names as one that the provider does not take. Pure.

OpenAI's newer models refuse `max_tokens` and `temperature`, others whatever they do not know
(docs/providers.md). The question is asked once more without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gateway.providers.refusals import document, parts, statement

STATUSES = frozenset({400, 422})
"""The HTTP statuses of a question that is refused for its form."""

CODES = frozenset(
    {"unsupported_parameter", "unknown_parameter", "unsupported_value", "extra_forbidden"}
)
"""OpenAI's, and pydantic's, with which many servers check their requests."""

ALWAYS_OPTIONAL = "stream_options"
"""It only asks for a count, and clients of OpenAI's always send it: any mention of it will do."""

_BEFORE = (
    r"(unsupported|unknown|unrecogni[sz]ed|unexpected|not supported|not support parameter|extra)"
    r"\b.{0,60}"
)
_AFTER = (
    r".{0,30}(not supported|unsupported|not permitted|extra inputs|only \S+ is allowed"
    r"|mandatory for this endpoint)"
)


def refused_field(raw: bytes, label: str, fields: Iterable[str]) -> str:
    """Return the one of a question's `fields` that a refusal `raw` is about; "": none that is
    known."""
    body = document(raw, label)
    complaint = statement(body)
    for name in fields:
        if name == ALWAYS_OPTIONAL and name.encode() in raw:
            return name
        if CODES & set(complaint.codes) and name in _named(body):
            return name
        word = rf"(?<![\w.]){re.escape(name)}(?![\w.])"
        for pattern in (_BEFORE + word, word + _AFTER):
            if re.search(pattern, complaint.words, re.I):
                return name
    return ""


def structure_refused(raw: bytes) -> bool:
    """Return whether a refusal may be about a JSON schema or a grammar, without which the question
    can be asked, too. Servers and gateways say it in many ways; any mention of it will do."""
    return any(mark in raw for mark in (b"response_format", b"json_schema", b"grammar"))


def _named(body: Any) -> set[str]:
    """Return the fields that an error says it is about: OpenAI's `param`, pydantic's `loc`."""
    names: set[str] = set()
    for part in parts(body):
        if isinstance(part, dict):
            where = part.get("loc")
            names |= {str(step) for step in where} if isinstance(where, list) else set()
            names.add(re.split(r"[.\[]", str(part.get("param") or ""))[0])
    return names
