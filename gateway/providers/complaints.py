"""What an error says, wherever it says it: its codes, its words, a status, a wait. Pure.

An error may be an object, a text, a list, JSON within a text, HTML or a bare status; its fields
have a dozen names. All of them are collected, and gateway/providers/dialects.py decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from gateway.providers.documents import parsed, text
from gateway.providers.question_texts import NO_QUESTION, QuestionTexts
from gateway.providers.sse import EventReader
from gateway.providers.waits import wait_in

Json = dict[str, Any]

CODES = (
    "code",
    "error_code",
    "errorcode",
    "errcode",
    "err_code",
    "status_code",
    "error_type",
    "errortype",
    "type",
    "status",
    "reason",
    "upstream_code",
    "statuscode",
    "httpstatus",
    "http_status",
)
"""Fields that hold a provider's code, in small letters."""

WORDS = (
    "message",
    "msg",
    "error_message",
    "errormessage",
    "error_msg",
    "errmsg",
    "err_msg",
    "status_msg",
    "detail",
    "details",
    "error_description",
    "error",
    "errors",
    "description",
    "title",
    "reason",
    "raw",
)
"""Fields that hold a provider's words."""

BEFORE = ("error", "errors")
BEYOND = (
    "detail",
    "details",
    "innererror",
    "base_resp",
    "header",
    "response",
    "metadata",
    "raw",
    "data",
    "message",
    "cause",
    "output",
    "body",
    "headers",
)
"""Fields that hold more of the error: it is read before, or beyond, what stands beside them."""

STATUSES = (
    *("code", "status", "status_code", "http_code", "error_code"),
    *("statuscode", "httpstatus", "http_status"),
)
FINE = frozenset(
    {
        *("", "0", "200", "ok", "success", "succeeded", "none", "null", "false", "true", "error"),
        *("成功", "操作成功", "处理成功", "请求成功"),
        # of what only tells that it goes on
        *("heartbeat", "ping", "keepalive", "keep-alive", "queued", "processing", "pending"),
        *("in_progress", "completed", "done"),
    }
)
"""Codes and words that complain of nothing."""

DEPTH = 8
MOST_CODES = 40
"""Of a refusal so many are looked at, and a few more."""

TEXT_CHARACTERS = 2000
"""Of a refusal that is no JSON, so much is read."""

_CODE_AT_THE_END = re.compile(r"\((\d{4,6})\)$")
_STATUS = re.compile(r"[1-5]\d\d")
_STATUS_BEFORE = re.compile(r"<([45]\d\d)>")


class Statement(NamedTuple):
    """What an error says: its codes and types, the words, an HTTP status that stands in it (0:
    none), and a wait in one of its fields ("": none)."""

    codes: tuple[str, ...] = ()
    words: str = ""
    status: int = 0
    wait: str = ""

    @property
    def code(self) -> str:
        """The provider's own code: rather one that is no HTTP status."""
        own = (code for code in self.codes if not _STATUS.fullmatch(code))
        return next(own, next(iter(self.codes), ""))


def document(raw: bytes, label: str = "") -> Any:
    """Return the body's JSON, or its text where there is none."""
    content = raw.lstrip()
    # an error as an event, although the status is one already
    if content.startswith((b"data:", b"event:")):
        content = _most_telling(content, label)
    try:
        return parsed(content, label)
    except ValueError:
        return text(content[: 4 * TEXT_CHARACTERS], label)[:TEXT_CHARACTERS].strip()


def _most_telling(raw: bytes, label: str) -> bytes:
    """Return the data of the first event that says why there is no answer, or else of the first
    that has any."""
    reader = EventReader()
    try:
        events = [event.data for event in (*reader.feed(raw), *reader.end()) if event.data]
    except ValueError:
        return b""
    for data in events:
        with suppress(ValueError):
            body = parsed(data, label)
            if isinstance(body, dict) and (complains(body) or complains_flatly(body)):
                return data
    return next(iter(events), b"")


def complains(body: Json) -> bool:
    """Return whether a reply or a piece of one says in so many words that it is an error."""
    return (
        _is_error(body.get("error"))
        or _is_error(body.get("errors"))
        or _is_error(body.get("Error"))
        or body.get("object") == "error"
        or body.get("type") == "error"
        or any(_is_error(_code_of(body.get(name))) for name in ("base_resp", "header"))
    )


def complains_flatly(body: Json) -> bool:
    """Return whether something without an answer in it is an error: a code and words, or `success:
    false`."""
    fields = {name.lower(): value for name, value in body.items()}
    if str(fields.get("success")).lower() == "false":
        return True
    coded = any(_is_error(fields.get(name)) for name in CODES)
    return coded and any(
        isinstance(fields.get(name), str) and _is_error(fields[name]) for name in WORDS
    )


def statement(body: Any, question: QuestionTexts = NO_QUESTION) -> Statement:
    """Collect what an error says, wherever it says it. A number in brackets behind the words is a
    code, such as MiniMax's "insufficient balance (1008)", unless it quotes the `question`."""
    codes: dict[str, None] = {}
    words: list[str] = []
    statuses: list[int] = []
    waits: list[str] = []
    for part in parts(body):
        if isinstance(part, str):
            _add_words(words, part)
            continue
        fields = {name.lower(): value for name, value in part.items()}
        values = [fields.get(name) for name in CODES]
        if len(codes) < MOST_CODES:
            codes.update(dict.fromkeys(str(value) for value in values if _is_code(value)))
        statuses += [number for name in STATUSES if (number := _status(fields.get(name)))]
        waits += filter(None, [wait_in(fields)])
        for name in WORDS:
            if isinstance(value := fields.get(name), str):
                _add_words(words, value)
    for end in filter(None, map(_CODE_AT_THE_END.search, words)):
        if not question.holds(end[0]):
            codes.setdefault(end[1])
    # DashScope writes the status before its words, too: "<400> InternalError.Algo..."
    statuses += [int(begun[1]) for begun in map(_STATUS_BEFORE.match, words) if begun]
    text = " ".join(words)[:TEXT_CHARACTERS]
    return Statement(tuple(codes), text, next(iter(statuses), 0), next(iter(waits), ""))


def parts(node: Any, depth: int = DEPTH) -> Iterator[Json | str]:
    """Yield the objects in `node`, the innermost error first, and texts that stand alone."""
    if depth == 0:
        return
    if isinstance(node, str):
        inner = _json_in(node)
        yield from [node] if inner is None else parts(inner, depth - 1)
    elif isinstance(node, list):
        for item in node[:3]:
            yield from parts(item, depth - 1)
    elif isinstance(node, dict):
        inside = {name.lower(): value for name, value in node.items()}
        for name in BEFORE:
            yield from _within(inside.get(name), depth)
        yield node
        for name in BEYOND:
            yield from _within(inside.get(name), depth)


def _within(value: Any, depth: int) -> Iterator[Json | str]:
    if isinstance(value, dict | list) or (isinstance(value, str) and _json_in(value) is not None):
        yield from parts(value, depth - 1)


def _json_in(value: str) -> Any:
    """Return the object or list that a text holds; None: it is only a text."""
    if not value.lstrip().startswith(("{", "[{")):
        return None
    try:
        return parsed(value.encode(errors="replace"))
    except ValueError:
        return None


def _add_words(words: list[str], more: str) -> None:
    more = more.strip()
    if (
        more.lower() not in FINE
        and _json_in(more) is None
        and not any(more in known for known in words)
    ):
        words.append(more)


def _is_code(value: Any) -> bool:
    return (
        isinstance(value, str | int)
        and not isinstance(value, bool)
        and 0 < len(str(value)) <= 200
        and (str(value).lower() not in FINE)
    )


def _is_error(value: Any) -> bool:
    """Return whether the value of an `error` or `code` field complains of anything."""
    if isinstance(value, dict):
        return any(_is_error(part) for part in value.values())
    if isinstance(value, list):
        return bool(value)
    return value is True or (
        value is not None and str(value).strip().lower() not in FINE - {"error", "true"}
    )


def _code_of(value: Any) -> Any:
    return (value.get("status_code") or value.get("code")) if isinstance(value, dict) else None


def _status(value: Any) -> int:
    """Return the HTTP status of an error that a field holds; 0: none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    number = int(value) if isinstance(value, str) and re.fullmatch(r"[45]\d\d", value) else value
    return (
        number
        if isinstance(number, int) and not isinstance(number, bool) and 400 <= number < 600
        else 0
    )
