"""Prompts with variables, `{{name}}`, for whose values the texts of a request are put in. Pure.

Plain replacement: there is no language in it, and a value is never looked into again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\{\{\s*([^\W\d][\w.-]{0,63})\s*\}\}")
_BRACES = re.compile(r"\{\{(.{0,80}?)\}\}", re.S)


def variables(*prompts: str) -> tuple[str, ...]:
    """Return the names of the variables, each once, in their order."""
    return tuple(dict.fromkeys(name for prompt in prompts for name in _VARIABLE.findall(prompt)))


def checked_prompt(prompt: str) -> str:
    """Return a prompt. Raises ValueError for braces that look like a variable, and are none."""
    for match in _BRACES.finditer(prompt):
        if not _VARIABLE.fullmatch(match[0]):
            raise ValueError(
                f"{match[0][:64]!r} is no variable: a name begins with a letter, and has letters,"
                " digits, _ . - only"
            )
    return prompt


def expanded(prompt: str, values: Mapping[str, str]) -> str:
    """Return a prompt with its variables' values."""
    return _VARIABLE.sub(lambda match: values[match[1]], prompt)


def expanded_size(prompt: str, values: Mapping[str, str]) -> int:
    """Return how many characters that will have: a variable may stand there a thousand times."""
    return len(prompt) + sum(len(values[name]) for name in _VARIABLE.findall(prompt))
