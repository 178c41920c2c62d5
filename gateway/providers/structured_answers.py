"""What a model said where one of a list, or named values, were asked for. Pure.

Models chat, quote, write Markdown and explain themselves. What can only be meant in one way is
taken; what could be meant in two is a MisfitError, whose words tell the model what to mend.
"""

from __future__ import annotations

import datetime
import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from gateway.providers.spoken_json import (
    begins_as_json,
    json_objects,
    python_object,
    without_thoughts,
)
from gateway.providers.structures import Field, Form, Structure

_MISSING = object()

_FENCE = re.compile(r"```[\w+-]*\s*\n?(.*?)```", re.S)
_MARKED = re.compile(r"""\*\*(.+?)\*\*|["“'`「『](.+?)["”'`」』]""")
_LABEL = re.compile(r"[:：]\s*(\S[^\n]*)$", re.M)
_NEGATION = re.compile(
    r"\b(?:not|no|never|neither|nor|none|cannot|isn|doesn|don|wasn)\b|[不非没沒無无未别別]", re.I
)
_DECORATION = " \t\r\n\"'“”‘’「」『』《》*_`#>-•.。!！?？,，;；:：()（）[]【】"
"""What may stand around a choice and is no part of it, unless the choice has it, too."""

_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+\.\d+|\d+(?:\.\d+)?)", re.ASCII)
"""1,234.50 can only mean one number; 1,234 could be two in different countries."""

_CURRENCY = "¥￥$€£₩ "
_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[T ].*)?", re.ASCII)
"""The year first, so that month and day cannot be taken for each other."""


class MisfitError(ValueError):
    """The answer is not what was asked for; the text says why, without what the model said."""


def fitted(structure: Structure, text: str) -> str:
    """Return an answer as its structure has it: a choice, or a JSON object of texts. Raises
    MisfitError."""
    text = without_thoughts(text).strip()
    if structure.choices:
        return choice(structure.choices, text)
    return json.dumps(values(structure.fields, text), ensure_ascii=False)


def choice(choices: tuple[str, ...], text: str) -> str:
    """Return which of `choices` was meant. Raises MisfitError."""
    if text in choices:
        return text
    for candidate in _wholes(text):
        if one := _same(choices, candidate):
            return one
    mentions = _mentions(choices, text)
    if len(mentions) == 1 and not _NEGATION.search(_without(choices, text)):
        for candidate in _parts(text):
            if one := _same(choices, candidate):
                return one
    if not mentions:
        raise MisfitError("it is none of the list")
    if len(mentions) > 1:
        raise MisfitError("it names more than one of the list")
    raise MisfitError("there is more in it than one of the list")


def values(fields: tuple[Field, ...], text: str) -> dict[str, str]:
    """Return a text for each field, in their order. Raises MisfitError, naming each that is
    wrong."""
    row = _row(fields, text)
    if row is None:
        broken_off = text.count("{") > text.count("}")
        raise MisfitError(
            "its JSON object breaks off, as at a max_tokens that is too small"
            if broken_off
            else "it is no JSON object"
        )
    texts, wrong = {}, []
    for field in fields:
        try:
            texts[field.name] = _fitting(field, row.get(_folded(field.name), _MISSING))
        except MisfitError as fault:
            wrong.append(f"{field.name} {fault}")
    if wrong:
        raise MisfitError("; ".join(wrong))
    return texts


def _wholes(text: str) -> Iterator[str]:
    """Yield what the whole of an answer says, however it is wrapped."""
    yield text
    fence = _FENCE.fullmatch(text)
    inner = fence[1].strip() if fence else text
    yield inner
    try:
        value = json.loads(inner, strict=False)
    except (ValueError, RecursionError):
        return
    while isinstance(value, list | dict) and len(value) == 1:
        [value] = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict):  # its one text, beside a score or the like
        texts = [one for one in value.values() if isinstance(one, str)]
        value = texts[0] if len(texts) == 1 else None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def _parts(text: str) -> Iterator[str]:
    """Yield what parts of an answer say: what is marked, what stands behind a colon, its lines."""
    for groups in _MARKED.findall(text):
        yield from filter(None, groups)
    yield from _LABEL.findall(text)
    lines = text.splitlines()
    yield from (lines[-1], lines[0]) if lines else ()


def _same(choices: tuple[str, ...], candidate: str) -> str | None:
    """Return the one choice that a text is, but for case and decoration; None: there is none, or
    there are two."""
    for like in (str, _folded, _bare):
        same = [one for one in choices if like(one) == like(candidate) and like(one)]
        if len(same) == 1:
            return same[0]
    return None


def _mentions(choices: tuple[str, ...], text: str) -> set[str]:
    return {_folded(one) for one in _any_of(choices).findall(text)}


def _without(choices: tuple[str, ...], text: str) -> str:
    """Return a text without the choices, which may be a "no" themselves."""
    return _any_of(choices).sub(" ", text)


def _any_of(choices: tuple[str, ...]) -> re.Pattern[str]:
    """Return what finds a choice as a word; the longest first, since one may be within another.
    Chinese and Japanese have no blanks between words."""
    rows = [
        ("" if _is_wide(one[0]) else r"(?<!\w)")
        + re.escape(one)
        + ("" if _is_wide(one[-1]) else r"(?!\w)")
        for one in sorted(choices, key=len, reverse=True)
    ]
    return re.compile("|".join(rows), re.I)


def _is_wide(character: str) -> bool:
    return not character.isalnum() or unicodedata.east_asian_width(character) in "WF"


def _row(fields: tuple[Field, ...], text: str) -> dict[str, Any] | None:
    """Return the values of an answer by name, names folded; None: it is no JSON object, nor lines
    of `name: value`."""
    answers = [_unwrapped(fields, one) for _, _, one in json_objects(text)]
    names = {_folded(field.name) for field in fields}
    if answers:
        most = max(len(names & row.keys()) for row in answers)
        best, *others = (row for row in answers if len(names & row.keys()) == most)
        if most and any(other != best for other in others):
            raise MisfitError("it holds more than one JSON object")
        return best
    if begins_as_json(text):
        row = python_object(text)
        return row and {_folded(name): value for name, value in row.items()}
    rows: dict[str, Any] = {}
    for line in text.splitlines():
        name, mark, value = re.match(r"\W*(.+?)\W*([=:：])\s*(.*)|", line).groups()  # type: ignore[union-attr]
        if mark and _folded(name) in names:
            rows[_folded(name)] = value.strip(' *`"“”')
    return rows if rows.keys() == names else None


def _unwrapped(fields: tuple[Field, ...], row: dict[str, Any]) -> dict[str, Any]:
    """Return an object with folded names; of `{"answer": {...}}`, what is within."""
    names = {_folded(field.name) for field in fields}
    while len(row) == 1:
        [(name, value)] = row.items()
        if _folded(name) in names or not isinstance(value, dict):
            break
        row = value
    return {_folded(name): value for name, value in row.items()}


def _fitting(field: Field, value: Any) -> str:
    """Return a value as its field's form has it. An empty one says that it is not known. Raises
    MisfitError."""
    if value is _MISSING:
        raise MisfitError("is missing; where it is not known, give an empty text")
    text = value if isinstance(value, str) else _written(value)
    if text == field.words():
        raise MisfitError("only repeats what was asked for")
    if field.form == Form.TEXT:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if field.form == Form.CHOICE:
        if one := _same(field.choices, text):
            return one
        raise MisfitError(f"must be {field.words()}")
    text = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").strip()
    fitting = _number(text) if field.form == Form.NUMBER else _date(text)
    if text and not fitting:
        raise MisfitError(f"must be {field.words()}")
    return fitting


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)


def _number(text: str) -> str:
    text = text.strip(_CURRENCY)
    sign = "-" if text.startswith("-") else ""
    plain = text.lstrip("+-").strip(_CURRENCY)
    return sign + plain.replace(",", "") if _NUMBER.fullmatch(plain) else ""


def _date(text: str) -> str:
    match = _DATE.fullmatch(text)
    if not match:
        return ""
    try:
        return datetime.date(*map(int, match.groups())).isoformat()
    except ValueError:
        return ""


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _bare(text: str) -> str:
    return _folded(text).strip(_DECORATION)
