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
        self._places: dict[tuple[str, int | None], int] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._begun: dict[tuple[str, int], _Begun] = {}
        self._next: dict[str, int] = {}

    def give(self, calls: list[Any], choice: str) -> None:
        """Number the calls of a delta of the choice whose index is `choice`, in place."""
        here: set[int] = set()
        for call in calls:
            if isinstance(call, dict):
                call["index"] = number = self._number(call, choice, here)
                here.add(number)

    def _number(self, call: Json, choice: str, here: set[int]) -> int:
        index = call.get("index")
        index = index if type(index) is int and index >= 0 else None
        ident, name = _text(call, "id"), _name(call)
        number = self._number_of(choice, index, ident, call)
        if number is None or (name and number in here):
            number = self._next.get(choice, 0)
            if index is not None and (choice, index) not in self._begun:
                number = index
            self._next[choice] = max(self._next.get(choice, 0), number + 1)
            self._begun[choice, number] = _Begun(ident, name)
        elif name and name == self._begun[choice, number].name:
            _callee(call).pop("name")  # clients add it to the name that they have
        self._places[choice, index] = number
        if ident:
            self._ids[choice, ident] = number
        self._begun[choice, number].goes_on(call)
        return number

    def _number_of(self, choice: str, index: int | None, ident: str, call: Json) -> int | None:
        """Return the number of the call that this is a piece of; None: it begins one."""
        name = _name(call)
        if ident and (number := self._ids.get((choice, ident))) is not None:
            return number
        number = self._places.get((choice, index))
        if number is None and not (ident or name):
            number = self._places.get((choice, None))
        if number is None or not name:
            return number
        begun = self._begun[choice, number]
        other = bool(ident and begun.ident) or (name != begun.name and begun.given)
        other = other or (begun.whole and _given(call).startswith("{"))
        return None if other or (index is None and not ident) else number


class _Begun:
    """A call that has begun: its id, its name, and whether it was given arguments."""

    def __init__(self, ident: str, name: str) -> None:
        self.ident, self.name = ident, name
        self.given = self.whole = False

    def goes_on(self, call: Json) -> None:
        """Note what it is given; `whole`: that was JSON at once."""
        if arguments := _given(call):
            self.whole = not self.given and _is_json(arguments)
            self.given = True


def _text(holder: Json, name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _given(call: Json) -> str:
    callee = _callee(call)
    return str(callee.get("arguments") or callee.get("input") or "")


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _name(call: Json) -> str:
    """Return the name of what is called, where a call begins."""
    return _text(_callee(call), "name")


def _callee(call: Json) -> Json:
    callee = call.get("function") or call.get("custom")
    return callee if isinstance(callee, dict) else {}
