"""The names in a provider's list of its models, in the shapes that such lists have. Pure.

OpenAI's `{"data": [{"id": ...}]}`, Gemini's `models/...`, Ollama's `{"models": [{"name": ...}]}`,
and bare lists.
"""

from __future__ import annotations

from typing import Any

MOST_NAMES = 5000
"""OpenRouter, which has everybody's, lists some hundreds."""

NAME_CHARACTERS = 512


def model_names(body: Any) -> list[str] | None:
    """Return the names in a list of models, sorted, each once; None: it is no such list."""
    rows = body
    if isinstance(body, dict):
        fields = [name for name in ("data", "models") if name in body]
        # `null` is how some servers write an empty list
        rows = (body[fields[0]] or []) if fields else None
    if not isinstance(rows, list):
        return None
    names = {name for row in rows if (name := _name(row))}
    return None if rows and not names else sorted(names)[:MOST_NAMES]


def _name(row: Any) -> str:
    fields = [row.get(name) for name in ("id", "name", "model")] if isinstance(row, dict) else [row]
    name = next((field for field in fields if isinstance(field, str)), "")
    return name.removeprefix("models/") if len(name) <= NAME_CHARACTERS else ""
