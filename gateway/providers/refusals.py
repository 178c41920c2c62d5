"""What a provider's "no" says: its codes, its words, and the code of ours that tells who must act.
Pure.

An error may be an object, a text, a list, JSON within a text, HTML or a bare status; its fields
have a dozen names. All of them are collected, and gateway/providers/dialects.py decides.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import unquote

from gateway.errors import TIMED, Code, clean
from gateway.providers.dialects import Dialect, meaning, standing_for
from gateway.providers.documents import PAGE, parsed, text
from gateway.providers.question_texts import NO_QUESTION, QuestionTexts
from gateway.providers.sse import EventReader
from gateway.providers.waits import wait_in, wait_said

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

PART_CHARACTERS = 8
"""So much of a key in a row stands in no words by chance."""

_IDENTIFIER = re.compile(r"[\w.\-]{1,64}", re.ASCII)
_TITLE = re.compile(r"<(?:title|h1)[^>]*>(.*?)</", re.I | re.S)
_CODE_AT_THE_END = re.compile(r"\((\d{4,6})\)$")
_STATUS = re.compile(r"[1-5]\d\d")
_STATUS_BEFORE = re.compile(r"<([45]\d\d)>")


class Refusal(NamedTuple):
    """Why there is no answer. `provider_code` and `message` are the provider's own; `detail` is our
    reading of it, and `wait` how long it asks to wait, as it wrote that."""

    code: Code
    provider_code: str = ""
    message: str = ""
    detail: str = ""
    detail_zh: str = ""
    wait: str = ""


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


def refusal(
    dialect: Dialect, status: int, raw: bytes, label: str = "", question: bytes = b""
) -> Refusal:
    """Read a refusal of HTTP `status` with the body `raw`, as far as that came; `question` is the
    request's body."""
    return judged(dialect, status, document(raw, label), question)


def shown(outcome: Refusal, status: int, secret: str) -> tuple[str, str]:
    """Return the code and the words of a refusal that others than the operator may see.

    Who refuses the key `secret` may quote it cut, spaced or encoded, which no mask finds: those
    words are left out. With HTTP 200 a few say so in words of their own (Zhipu:
    令牌已过期), which are looked through instead.
    """
    code, words = clean(outcome.provider_code, secret), clean(outcome.message, secret)
    if outcome.code != Code.BAD_KEY and status not in (401, 403):
        return code, words
    if not _IDENTIFIER.fullmatch(code) or holds_part_of(secret, outcome.provider_code):
        code = ""
    left_out = outcome.code == Code.BAD_KEY and status != 200
    return code, "" if left_out or holds_part_of(secret, outcome.message) else words


def holds_part_of(secret: str, words: str) -> bool:
    """Return whether `words` hold PART_CHARACTERS of a secret in a row, plain or in hex, base64 or
    percent-encoding."""
    raw = secret.encode()
    # In base64 a text looks different by its place among three bytes; what stands before it is not
    # known.
    moved = (base64.b64encode(bytes(place) + raw).decode()[4:] for place in (1, 2))
    letters = _bare(unquote(words))
    forms = map(_bare, (secret, raw.hex(), base64.b64encode(raw).decode().rstrip("="), *moved))
    return any(form[at : at + PART_CHARACTERS] in letters for form in forms for at in _starts(form))


def _starts(form: str) -> range:
    return range(max(1, len(form) - PART_CHARACTERS + 1)) if form else range(0)


def _bare(text: str) -> str:
    """Return the letters and digits alone, so that what stands between them hides nothing."""
    return re.sub(r"[\W_]", "", text).lower()


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


def judged(dialect: Dialect, status: int, body: Any, question: bytes = b"") -> Refusal:
    """Say what a refusal means. `status` is HTTP's; that of an error inside a success is what the
    error itself says."""
    if isinstance(body, str) and PAGE.match(body):
        return _page(status, body)
    texts = QuestionTexts(question)
    complaint = statement(body, texts)
    if status < 300:
        status = complaint.status or standing_for(complaint.codes) or 500
    code = meaning(dialect, complaint.codes, complaint.words, status, texts)
    if status in (404, 405) and code == Code.BAD_UPSTREAM_REQUEST:
        return Refusal(code, complaint.code, complaint.words, *_NO_SUCH_PATH)
    if status == 403 and code == Code.PROVIDER_DOWN:
        return Refusal(code, complaint.code, complaint.words, *_NO_ACCESS)
    wait = ""
    if code in TIMED:
        wait = complaint.wait or wait_said(complaint.words, texts)
    return Refusal(code, complaint.code, complaint.words, wait=wait)


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


_NO_SUCH_PATH = (
    "The provider has no such address: check base_url.",
    "服务商没有该地址：请检查 base_url。",
)
_NO_ACCESS = (
    "The provider, or something before it, refuses access (403) for no reason that is known.",
    "服务商（或其前面的防火墙）以未知原因拒绝访问（403）。",
)
_A_PAGE = (
    (
        "A web page came instead of an answer: check base_url, and whether the provider can be"
        " reached from here."
    ),
    "返回的是网页而不是回答：请检查 base_url，以及此处能否访问服务商。",
)


def _page(status: int, page: str) -> Refusal:
    """Return a web page speaks for a proxy or a firewall; its words are not looked at, since it may
    say anything."""
    code = meaning(Dialect(), (), "", status) if status >= 300 else Code.PROVIDER_DOWN
    title = _TITLE.search(page)
    words = html.unescape(re.sub(r"\s+", " ", title[1])).strip() if title else "HTML"
    return Refusal(code, "", words, *(_NO_SUCH_PATH if status == 404 else _A_PAGE))
