"""The JSON in what a model says, past the thoughts that it may begin with. Pure."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

MOST_PYTHON = 20_000
"""Of an object that is no JSON, so many characters are read."""

MOST_OBJECTS = 50
"""So many braces are tried as the beginning of a JSON object."""

_THOUGHTS_END = re.compile(
    r"</(?:think|thinking|thought|reasoning)>|<\|channel\|>final.{0,40}?<\|message\|>"
)
"""The second is harmony's, in which gpt-oss speaks."""

_THOUGHTS_BEGIN = re.compile(
    r"\s*(?:<(?:think|thinking|thought|reasoning)>|<\|channel\|>(?!final))"
)


def without_thoughts(text: str) -> str:
    """Return an answer without the thoughts before it, in which a model may have drafted others;
    their beginning may be missing, or their end."""
    within = [(start, end) for start, end, _ in json_objects(text)]
    for mark in reversed(list(_THOUGHTS_END.finditer(text))):
        if not any(start < mark.start() < end for start, end in within):
            return text[mark.end() :]
    return "" if _THOUGHTS_BEGIN.match(text) else text


def json_objects(text: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield the JSON objects of an answer, each with where it begins and ends."""
    decoder = json.JSONDecoder(strict=False, parse_float=str, parse_int=str, parse_constant=str)
    end, tries = 0, 0
    for brace in re.finditer(r"\{", text):
        if brace.start() < end:
            continue
        tries += 1
        if tries > MOST_OBJECTS:
            return
        try:
            value, end = decoder.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield brace.start(), end, value


def begins_as_json(text: str) -> bool:
    """Return whether an answer is JSON, if broken: its lines are no lines of `name: value`."""
    fence = re.match(r"```[\w+-]*\s*", text)
    return text[fence.end() if fence else 0 :].startswith(("{", "[", '"{'))


def python_object(text: str) -> dict[str, Any] | None:
    """Return the object in an answer that is one of Python's, with single quotes, comments, or a
    comma at its end; None: it is none, or not all of it means the same in both."""
    begin, end = text.find("{"), text.rfind("}") + 1
    if not 0 <= begin < end <= begin + MOST_PYTHON or "\\" in text:
        return None
    try:
        value = ast.literal_eval(text[begin:end])
        document = json.dumps(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if not isinstance(value, dict) or any(isinstance(one, float) for one in value.values()):
        return None
    row: dict[str, Any] = json.loads(document)
    return row
