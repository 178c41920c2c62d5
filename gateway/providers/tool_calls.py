"""The calls of tools in a message or a delta, as careless providers write them. Pure.

Facts: typed clients insist on an id, a name and arguments that are a text of JSON, and in a stream
on an index, by which they put the pieces together. Some providers send arguments as an object, no
id, no index, or the same index for several calls at once.
"""

from __future__ import annotations

import secrets
from typing import Any

import orjson

Json = dict[str, Any]


def is_call(call: Any) -> bool:
    """Return whether it calls something, or is a piece of that."""
    return isinstance(call, dict) and any(
        isinstance(call.get(name), dict) and call[name] for name in ("function", "custom")
    )


def shape_call(call: Json, delta: bool) -> None:
    """Give a call its id and its type where it begins, and arguments that are a text."""
    function = call.get("function")
    if isinstance(function, dict):
        shape_function(function, delta)
    begins = not delta or bool(_name(call))
    if begins and not _text(call, "id"):
        call["id"] = f"call_{secrets.token_hex(12)}"
    elif not isinstance(call.get("id"), str | None):
        del call["id"]
    if begins:
        call["type"] = "function" if isinstance(function, dict) else "custom"
    else:
        call.pop("type", None)


def shape_function(function: Json, delta: bool) -> None:
    """Give what is called a name and arguments that are texts."""
    name, arguments = function.get("name"), function.get("arguments")
    if not isinstance(name, str | None) or (name is None and not delta):
        function["name"] = ""
    if not isinstance(arguments, str | None):
        function["arguments"] = orjson.dumps(arguments).decode()
    elif arguments is None and not delta:
        function["arguments"] = "{}"


class CallNumbers:
    """Gives each call in a stream an index of its own, and that to each of its pieces."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, int | None], tuple[int, str]] = {}
        self._used: dict[str, set[int]] = {}

    def give(self, calls: list[Any], choice: str) -> None:
        """Number the calls of a delta of the choice whose index is `choice`, in place."""
        for call in calls:
            if isinstance(call, dict):
                call["index"] = self._number(call, choice)

    def _number(self, call: Json, choice: str) -> int:
        index = call.get("index")
        index = index if type(index) is int and index >= 0 else None
        number, before = self._places.get((choice, index), (-1, ""))
        named = _text(call, "id")
        other = named != before and bool(named and before)
        if number < 0 or (_name(call) and (other or (index is None and not named))):
            used = self._used.setdefault(choice, set())
            taken = index is None or index in used
            number = max(used, default=-1) + 1 if taken or index is None else index
            used.add(number)
        self._places[choice, index] = number, named or before
        return number


def _text(holder: Json, name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _name(call: Json) -> str:
    """Return the name of what is called, where a call begins."""
    callee = call.get("function", call.get("custom"))
    return _text(callee, "name") if isinstance(callee, dict) else ""
