"""OpenAI's shape of an answer: the words in a choice, and a whole reply as a stream's chunks and
back. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.providers.tool_calls import is_call

Json = dict[str, Any]

THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking")
"""Fields of a message that hold what a model thinks before it speaks."""

OF_THOUGHTS = ("thought", "reasoning_text", "summary_text")
"""Types of parts whose text is a thought; Gemini's have `thought: true`."""

USABLE = {"function_call": dict, "audio": dict, "images": list}
"""Fields of a message that make an answer without words, as the call of a tool does."""

ENVELOPES = ("data", "result", "output", "response", "body")
"""Where relays of their own make put OpenAI's reply: `{"code": 0, "data": {"choices": ...}}`."""

BESIDE = ("id", "created", "model", "usage")
"""What of a reply may stand outside, as in DashScope's own API."""

REPLACED = ("role", "id", "type", "name")
"""Texts of a delta that do not go on where the last ended."""


def choices(body: Json) -> list[Json]:
    """Return the choices of a reply or a chunk; [] for whatever is not shaped so."""
    rows = body.get("choices")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def unwrapped(body: Json) -> Json:
    """Return the reply, or the chunk, that a relay has put into an envelope of its own; else
    `body`."""
    for name in ENVELOPES if "choices" not in body else ():
        inner = body.get(name)
        if isinstance(inner, dict) and choices(inner):
            return {**{beside: body[beside] for beside in BESIDE if beside in body}, **inner}
    return body


def message(choice: Json) -> Json:
    """Return what a choice says, wherever it says it: a whole reply may hold a delta, and a chunk a
    message."""
    for name in ("message", "delta"):
        if isinstance(part := choice.get(name), dict) and part:
            return part
    direct = choice.pop("text", None) or choice.get("message") or choice.get("content")
    return {"role": "assistant", "content": direct if isinstance(direct, str | list) else None}


def words(turn: Json) -> str:
    """Return a message's words. Content that is a list of parts becomes a text, its thoughts beside
    it."""
    content = turn.get("content")
    if isinstance(content, int | float) and not isinstance(content, bool):
        turn["content"] = content = str(content)  # an answer such as 4, which a relay took for one
    if not isinstance(content, str | None):
        thoughts = _text(content, thoughts=True)
        turn["content"] = content = _text(content)
        if thoughts and not thinks(turn):
            turn["reasoning_content"] = thoughts
    return content or _text(turn.get("refusal"))


def thinks(turn: Json) -> bool:
    """Return whether a message holds thoughts."""
    return any(turn.get(name) for name in THOUGHTS)


def acts(turn: Json) -> bool:
    """Return whether a message is an answer without words, such as the call of a tool."""
    calls = turn.get("tool_calls")
    return (isinstance(calls, list) and any(map(is_call, calls))) or any(
        turn.get(name) and isinstance(turn[name], kind) for name, kind in USABLE.items()
    )


def shaped(choice: Json) -> str:
    """Give a whole reply's choice OpenAI's shape, and return its words."""
    choice["message"] = turn = message(choice)
    choice.pop("delta", None)
    return words(turn)


def is_legacy(choice: Json) -> bool:
    """Return whether a choice is one of a legacy completion: a text, and no message."""
    return (
        isinstance(choice.get("text"), str)
        and not choice.get("message")
        and not choice.get("delta")
    )


def _text(content: Any, thoughts: bool = False) -> str:
    """Return the words, or the thoughts, in a message's content: a text, a part, or a list of
    parts."""
    if isinstance(content, str):
        return "" if thoughts else content
    if isinstance(content, list):
        return "".join(_text(part, thoughts) for part in content)
    if not isinstance(content, dict):
        return ""
    if content.get("thought") is True or content.get("type") in OF_THOUGHTS:
        return _text(content.get("text")) if thoughts else ""
    if content.get("type") in THOUGHTS or any(name in content for name in THOUGHTS):
        inner = next((content[name] for name in (*THOUGHTS, "text") if name in content), "")
        return _text(inner) if thoughts else ""
    inner = content.get("text", content.get("content"))
    return "" if thoughts else _text(inner.get("value") if isinstance(inner, dict) else inner)


# From one mode to the other.


def is_chunk(body: Json) -> bool:
    """Return whether it is a piece of a stream."""
    return any("delta" in choice for choice in choices(body))


def folded(chunks: Iterable[Json]) -> Json:
    """Return the whole reply that a stream's chunks make."""
    body: Json = {}
    rows: dict[Any, Json] = {}
    texts = _Texts()
    for chunk in chunks:
        body.update(
            {
                name: value
                for name, value in chunk.items()
                if value is not None and name != "choices"
            }
        )
        for choice in choices(chunk):
            texts.add_choice(rows.setdefault(str(choice.get("index") or 0), {}), choice)
    texts.join()
    if "object" in body:
        body["object"] = str(body["object"]).removesuffix(".chunk")
    return {**body, "choices": list(rows.values())}


def unfolded(body: Json) -> list[Json]:
    """Return a whole reply as the chunks of a stream: what it says, and that it has ended."""
    begun: list[Json] = []
    ended: list[Json] = []
    for number, choice in enumerate(choices(body)):
        rest = {
            name: value
            for name, value in choice.items()
            if name not in ("message", "delta", "finish_reason")
        }
        rest["index"] = choice.get("index", number)
        legacy = is_legacy(choice)
        opening: Json = {} if legacy else {"delta": message(choice)}
        begun.append({**rest, "finish_reason": None, **opening})
        closing: Json = {"text": ""} if legacy else {"delta": {}}
        ended.append(
            {
                "index": rest["index"],
                "finish_reason": choice.get("finish_reason") or "stop",
                **closing,
            }
        )
    if not begun:
        return [body]
    kind = body.get("object")
    envelope = {
        **body,
        "object": "chat.completion.chunk" if kind == "chat.completion" else kind,
        "usage": None,
    }
    return [
        {**envelope, "choices": begun},
        {**envelope, "choices": ended, "usage": body.get("usage")},
    ]


class _Text(list[str]):
    """A text in pieces: to make a long one anew for each piece would take the square of its
    length."""


class _Texts:
    """Adds choices and deltas to those before; its texts are to be joined in the end."""

    def __init__(self) -> None:
        self._places: list[tuple[Json, str]] = []

    def join(self) -> None:
        """Put each text where its pieces are."""
        for place, name in self._places:
            place[name] = "".join(place[name])

    def add_choice(self, whole: Json, choice: Json) -> None:
        """Add a choice to the one of its number so far."""
        rest = ("delta", "message", "text")
        whole.update(
            {
                name: value
                for name, value in choice.items()
                if name not in rest and value is not None
            }
        )
        if isinstance(choice.get("delta"), dict):
            self._add(
                whole.setdefault("message", {"role": "assistant", "content": None}), choice["delta"]
            )
        elif isinstance(choice.get("text"), str):
            self._add_text(whole, "text", choice["text"])

    def _add(self, whole: Json, delta: Json) -> None:
        """Add a delta to the message so far: texts and lists go on, tool calls by their index."""
        for name, value in delta.items():
            before = whole.get(name)
            if name == "tool_calls" and isinstance(value, list):
                whole[name] = calls = before if isinstance(before, list) else []
                self._add_calls(calls, value)
            elif isinstance(value, dict) and isinstance(before, dict):
                self._add(before, value)
            elif (
                isinstance(value, str) and isinstance(before, str | _Text) and name not in REPLACED
            ):
                self._add_text(whole, name, value)
            elif isinstance(value, list) and type(before) is list:
                before.extend(value)
            elif value == "" and before:
                pass  # some repeat each name, and leave it empty
            elif value is not None and not isinstance(before, _Text):
                whole[name] = list(value) if isinstance(value, list) else value

    def _add_text(self, whole: Json, name: str, more: str) -> None:
        before = whole.get(name)
        if isinstance(before, _Text):
            before.append(more)
        else:
            whole[name] = _Text((before or "", more))
            self._places.append((whole, name))

    def _add_calls(self, calls: list[Json], more: list[Any]) -> None:
        for call in more:
            if isinstance(call, dict):
                index = call.get("index")
                earlier = next((one for one in calls if one.get("index") == index), None)
                if earlier is None:
                    calls.append(dict(call))
                else:
                    self._add(earlier, call)
