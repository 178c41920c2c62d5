"""What a refusal asks of a question that is to be asked once more: without a field, with another
value in it, or without thinking. Pure.

OpenAI's newer models refuse `max_tokens` and `temperature`, Anthropic's two samplings at once,
others whatever they do not know (docs/providers.md). Providers name a field in their own spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gateway.providers.complaints import document, parts, statement
from gateway.providers.question_texts import QuestionTexts

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
    "frequency_penalty": r"(?<!repetition )penalty",
    "presence_penalty": r"(?<!repetition )penalty",
    "reasoning": r"reasoning_?effort",
    "reasoning_effort": r"thinking_(?:budget|level)|think value|(?<=not support )thinking",
    "thinking": r"thinking\.type(?:\.\w+)?|thinking type",
}
"""What some providers call a field: Gemini, xAI and Ollama."""

ENGLISH = frozenset(
    {
        *("user", "stop", "seed", "store", "echo", "metadata", "n", "format", "options"),
        *("include", "models", "thinking", "provider", "plugins", "reasoning"),
    }
)
"""Names that are words of English, too: they stand in quotes, or where a name is announced."""

LIMITS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
"""A value of theirs that is refused is told: an answer without a limit costs more."""

LONGEST_NAME = 64
MOST_NAMES = 200
"""Of a question's fields so many are looked for in a refusal."""

_ANNOUNCED = (
    r"""(?:^|["'`\[]|(?:parameters?(?:\(s\))?|arguments?|field|property|name|supplied|entity"""
    r"""|this model):? |(?:参数|字段)[：:]? ?)"""
)

_BEFORE = (
    r"(?:(?:unsupported|unknown|unrecogni[sz]ed|unexpected|not supported|extra)\b[^.;]{0,60}"
    r"|too short - ['\"`]|(?:不支持|未知)的?(?:参数|字段)?[：: ]*[\"'`]?"
    r"|(?:not|n't) support(?: the| this| setting)?(?: parameters?| arguments?| fields?)?:?"
    r" ?[\[{\"'`]*)"
)
_AFTER = (
    r"[^.;]{0,30}(?:not supported|unsupported|not support|not permitted|not allowed|not enabled"
    r"|extra inputs|deprecated|(?:was|were) unexpected|only \S+ is allowed|only allowed when"
    r"|mandatory for this endpoint|must be one of|may only be set|非法|不支持)"
)

_OTHERS = re.compile(
    r"did you mean|expected (?:one of|[\"'`])|\b(?:please )?use [\"'`]|to drop these", re.I
)
"""After this a refusal names other fields, which are right."""

_OF_A_PART = re.compile(
    r"In context=|schema for|tools?\[|tools\.\d|function_declarations|input_schema"
    r"|messages?[\[.]\d|\brole ['\"`]",
    re.I,
)
"""A refusal of what stands within messages or tools, not of a field."""

_BOTH = re.compile(
    r"cannot both|both .{0,40}(?:cannot|not allowed)|mutually exclusive|at the same time|同时", re.I
)
_SECOND = ("top_p", "top_k", "max_tokens", "temperature")
"""Which of two fields goes that cannot both be given."""

_OF_THIS_ONE = re.compile(
    r"only allowed when|while reasoning|thinking is enabled|thinking mode|with tools", re.I
)
"""A refusal of a field beside others."""

_OF_A_VALUE = re.compile(
    r"must be one of|supported values|does not support ['\"`]|values? (?:above|below)"
    r"|(?:above|below|over) \d|greater than|less than|more than \d|at most|at least|between"
    r"|max(?:imum)?(?: is| of)? \d|取值|范围|应在|非法|大于|小于|超过"
    r"|不能为|为 ?[\w\"'`]|sequences of",
    re.I,
)
"""A refusal of the value that one question has."""

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


def mend(raw: bytes, label: str, fields: Iterable[str], question: bytes = b"") -> Mend:
    """Return what a refusal `raw` asks of a question whose optional `fields` these are, and whose
    body is `question`, which may be quoted; NO_MEND: nothing that is known."""
    body = document(raw, label)
    complaint = statement(body)
    words = _OTHERS.split(complaint.words)[0]
    if _OF_A_PART.search(words):
        return NO_MEND
    for pattern, fixed in _SETTINGS:
        if pattern.search(complaint.words):
            return Mend(fixed=fixed)
    about = _Words(words, QuestionTexts(question))
    names = [name for name in fields if len(name) <= LONGEST_NAME][:MOST_NAMES]
    if _BOTH.search(words):
        two = [name for name in names if about.mentions(name)]
        second = next((name for name in _SECOND if name in two), "") if len(two) > 1 else ""
        return Mend(frozenset({second} - {""}))
    field = _refused(body, complaint.codes, about, names)
    if not field:
        tools = re.search("tool|function|json", words, re.I)
        return Mend(quiet=bool(tools and _NOT_WHILE_THINKING.search(words)))
    default = "nly the default" in words
    coded = "unsupported_value" in complaint.codes
    of_a_value = (coded or bool(_OF_A_VALUE.search(words))) and not default
    if of_a_value and field in LIMITS:
        return NO_MEND
    alone = of_a_value or _OF_THIS_ONE.search(words) or _is_within(body, field)
    return Mend(frozenset({field}), lasting=not alone)


def structure_refused(raw: bytes) -> bool:
    """Return whether a refusal may be about a JSON schema or a grammar, without which the question
    can be asked, too. Servers and gateways say it in many ways; any mention of it will do."""
    words = raw.lower()
    return any(mark in words for mark in _STRUCTURES)


_STRUCTURES = (
    *(b"response_format", b"json_schema", b"json schema", b"json mode", b"grammar"),
    b"too many states",  # Gemini's, of a long list
)


class _Words:
    """A refusal's words, in which a field is looked for, in snake or camel case."""

    def __init__(self, words: str, question: QuestionTexts) -> None:
        self._words, self._question = words, question
        self._bare = _bare(words)

    def mentions(self, name: str) -> bool:
        """Return whether they name a field."""
        return self._may_name(name) and bool(re.search(_name(name), self._words, re.I))

    def refuse(self, name: str) -> bool:
        """Return whether they are about a field that is not taken; what the caller wrote is no word
        of theirs."""
        if not self._may_name(name):
            return False
        word = _name(name)
        return any(
            not self._question.holds(match[0])
            for pattern in (_BEFORE + word, word + _AFTER)
            for match in re.finditer(pattern, self._words, re.I)
        )

    def _may_name(self, name: str) -> bool:
        """Return whether it is worth a search: each takes a pattern of its own."""
        return name in ALIASES or _bare(name) in self._bare


def _bare(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()


def _name(name: str) -> str:
    """Return the pattern of a field's name."""
    steps = [re.escape(step) for step in name.split("_") if step]
    spelled = "[_ ]?".join(steps) or re.escape(name)
    announced = _ANNOUNCED if name in ENGLISH else r"(?<![\w.])"
    alias = rf"|(?<![\w.])(?:{ALIASES[name]})" if name in ALIASES else ""
    return rf"(?:{announced}{spelled}{alias})(?![A-Za-z0-9_]|\.\w)"


def _refused(body: Any, codes: Iterable[str], about: _Words, names: Iterable[str]) -> str:
    coded = bool(CODES & set(codes))
    named = _named(body)
    for name in names:
        if name == ALWAYS_OPTIONAL and (about.mentions(name) or name in named):
            return name
        if (coded and name in named) or about.refuse(name):
            return name
    return ""


def _is_within(body: Any, name: str) -> bool:
    """Return whether a refusal is of something within a field, such as `reasoning.exclude`."""
    return any(
        isinstance(part, dict) and str(part.get("param") or "").startswith(f"{name}.")
        for part in parts(body)
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
