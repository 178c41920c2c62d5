"""What a refusal asks of a question that is to be asked once more: without a field, with another
value in it, or without thinking. Pure.

OpenAI's newer models refuse `max_tokens` and `temperature`, Anthropic's two samplings at once,
others whatever they do not know (docs/providers.md). Providers name a field in their own spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gateway.providers.refusals import document, parts, statement

STATUSES = frozenset({400, 422})
"""The HTTP statuses of a question that is refused for its form."""

CODES = frozenset(
    {"unsupported_parameter", "unknown_parameter", "unsupported_value", "extra_forbidden"}
)
"""OpenAI's, and pydantic's, with which many servers check their requests."""

ALWAYS_OPTIONAL = "stream_options"
"""It only asks for a count, and clients of OpenAI's always send it: any mention of it will do."""


class Mend(NamedTuple):
    """What is done to a question: the fields that it goes `without`, what is `fixed` in it, and
    whether it is to be `quiet`, without thoughts. `lasting`: to all questions from now on; else the
    refusal is of this one's other fields, or of a value that only this one has."""

    without: frozenset[str] = frozenset()
    fixed: Mapping[str, Any] = {}
    quiet: bool = False
    lasting: bool = False

    def and_also(self, more: Mend) -> Mend:
        """Return both."""
        return Mend(
            self.without | more.without, {**self.fixed, **more.fixed}, self.quiet | more.quiet
        )


NO_MEND = Mend()

ALIASES = {
    "frequency_penalty": r"|penalty",
    "presence_penalty": r"|penalty",
    "reasoning": r"|reasoning_?effort",
    "reasoning_effort": r"|thinking_(?:budget|level)|think value|(?<=not support )thinking",
}
"""What some providers call a field: Gemini, xAI and Ollama."""

ENGLISH = frozenset({"user", "stop", "seed", "store", "echo", "metadata", "n"})
"""Names that are words of English, too: they stand in quotes, or where a name is announced."""

_ANNOUNCED = r"""(?:["'`\[]|(?:parameters?|arguments?|field|property|name|:) )"""

_BEFORE = (
    r"(?:(?:unsupported|unknown|unrecogni[sz]ed|unexpected|not supported|extra|too short)\b.{0,60}"
    r"|(?:not|n't) support(?: the| this| setting)?(?: parameters?| arguments?| fields?)?:?"
    r" ?[\[{\"'`]*)"
)
_AFTER = (
    r".{0,30}(?:not supported|unsupported|not support|not permitted|not allowed|not enabled"
    r"|extra inputs|deprecated|only \S+ is allowed|only allowed when|mandatory for this endpoint"
    r"|must be one of|may only be set|非法|不支持)"
)

_OTHERS = re.compile(
    r"did you mean|expected (?:one of|[\"'`])|\b(?:please )?use [\"'`]|to drop these", re.I
)
"""After this a refusal names other fields, which are right."""

_BOTH = re.compile(
    r"cannot both|both .{0,40}(?:cannot|not allowed)|mutually exclusive|at the same time", re.I
)
_SECOND = ("top_p", "top_k", "max_tokens", "temperature")
"""Which of two fields goes that cannot both be given."""

_OF_THIS_ONE = re.compile(
    r"only allowed when|while reasoning|thinking is enabled|thinking mode|with tools", re.I
)
"""A refusal of a field beside others."""

_SETTINGS: tuple[tuple[re.Pattern[str], Mapping[str, Any]], ...] = (
    # DashScope's and ModelScope's, of open Qwen3 models that are asked for a whole answer
    (
        re.compile(
            r"enable[_ ]thinking.{0,12} (must be (set to )?false|can ?not be support)", re.I
        ),
        {"enable_thinking": False},
    ),
    # OpenAI's, of tools, also where nobody gave an effort
    (re.compile(r"set reasoning_effort to ['\"`]?none", re.I), {"reasoning_effort": "none"}),
)

_NOT_WHILE_THINKING = re.compile(
    r"thinking mode does not support|\bin thinking mode|(not supported|incompatible).{0,24}"
    r" (with|when|while) .{0,16}thinking",
    re.I,
)
"""DeepSeek's, DashScope's and Moonshot's, of a tool that must be called, or of JSON."""


def mend(raw: bytes, label: str, fields: Iterable[str]) -> Mend:
    """Return what a refusal `raw` asks of a question whose optional `fields` these are; NO_MEND:
    nothing that is known."""
    body = document(raw, label)
    complaint = statement(body)
    words = _OTHERS.split(complaint.words)[0]
    for pattern, fixed in _SETTINGS:
        if pattern.search(complaint.words):
            return Mend(fixed=fixed)
    names = list(fields)
    if _BOTH.search(words):
        found = next((name for name in _SECOND if name in names and _word(name, words)), "")
        return Mend(frozenset({found} - {""}))
    found = _refused(body, complaint.codes, words, names)
    if not found:
        return Mend(quiet=bool(_NOT_WHILE_THINKING.search(words)))
    one_value = "unsupported_value" in complaint.codes and "nly the default" not in words
    return Mend(frozenset({found}), lasting=not (one_value or _OF_THIS_ONE.search(words)))


def structure_refused(raw: bytes) -> bool:
    """Return whether a refusal may be about a JSON schema or a grammar, without which the question
    can be asked, too. Servers and gateways say it in many ways; any mention of it will do."""
    words = raw.lower()
    return any(mark in words for mark in _STRUCTURES)


_STRUCTURES = (
    *(b"response_format", b"json_schema", b"json schema", b"json mode", b"grammar"),
    b"too many states",  # Gemini's, of a long list
)


def _refused(body: Any, codes: Iterable[str], words: str, names: Iterable[str]) -> str:
    coded = bool(CODES & set(codes))
    named = _named(body)
    for name in names:
        if name == ALWAYS_OPTIONAL and (name in words or name in named):
            return name
        if (coded and name in named) or _word(name, words):
            return name
    return ""


def _word(name: str, words: str) -> bool:
    """Return whether a refusal's words are about a field, in snake or camel case."""
    spelled = re.escape(name).replace("_", "[_ ]?") + ALIASES.get(name, "")
    announced = _ANNOUNCED if name in ENGLISH else r"(?<![\w.])"
    word = rf"{announced}(?:{spelled})(?![A-Za-z0-9_]|\.\w)"
    both = _BOTH.search(words) and re.search(word, words, re.I)
    return bool(both) or any(
        re.search(pattern, words, re.I | re.S) for pattern in (_BEFORE + word, word + _AFTER)
    )


def _named(body: Any) -> set[str]:
    """Return the fields that an error says it is about: OpenAI's `param`, pydantic's `loc`."""
    names: set[str] = set()
    for part in parts(body):
        if isinstance(part, dict):
            where = part.get("loc")
            names |= {str(step) for step in where} if isinstance(where, list) else set()
            names.add(re.split(r"[.\[]", str(part.get("param") or ""))[0])
    return names
