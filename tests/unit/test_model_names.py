"""The names in lists of models, in every shape."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.providers.model_names import MOST_NAMES, model_names

LISTS: dict[str, tuple[Any, list[str] | None]] = {
    "OpenAI": ({"object": "list", "data": [{"id": "b"}, {"id": "a"}, {"id": "a"}]}, ["a", "b"]),
    "Gemini": ({"data": [{"id": "models/gemini-x", "object": "model"}]}, ["gemini-x"]),
    "Gemini's own": ({"models": [{"name": "models/gemini-x"}]}, ["gemini-x"]),
    "Ollama": ({"models": [{"name": "q:7b", "model": "q:7b", "size": 7}]}, ["q:7b"]),
    "a bare list": ([{"id": "a"}], ["a"]),
    "a list of texts": (["b", "a"], ["a", "b"]),
    "model": ({"models": [{"model": "m"}]}, ["m"]),
    "OpenRouter's names have slashes": ({"data": [{"id": "x/y:free", "name": "Y"}]}, ["x/y:free"]),
    "an empty list": ({"data": []}, []),
    "null": ({"object": "list", "data": None}, []),
    "odd rows beside": ({"data": [{"id": "a"}, {"id": 7}, None, {"id": "x" * 600}]}, ["a"]),
    "an error": ({"error": {"message": "no"}}, None),
    "no rows at all": ({"data": [{"x": 1}]}, None),
    "an object": ({"data": {"id": "a"}}, None),
    "a text": ("<html>", None),
    "nothing": (None, None),
}


@pytest.mark.parametrize("shape", LISTS)
def test_the_names_are_found(shape: str) -> None:
    body, names = LISTS[shape]

    assert model_names(body) == names


def test_there_are_some_thousand_at_most() -> None:
    assert len(model_names([str(number) for number in range(MOST_NAMES * 2)]) or ()) == MOST_NAMES
