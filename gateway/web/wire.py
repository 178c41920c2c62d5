"""Bytes to fields, and answers to bytes: JSON, forms, charsets, plain text. Pure: no Flask, no Ray.

Old clients declare what they like, so the body decides what it is. What is safe to forgive is
forgiven (padding, raw line breaks, a charset that nobody declared); what could be meant in two ways
is an error that says so.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio import multipart

from gateway.charsets import CODECS, charset, codec
from gateway.errors import Code, GatewayError

Fields = dict[str, Any]


class Texts(Fields):
    """The fields of a form or a query, which are all texts."""


TEXTS_OF_V1 = frozenset(
    {
        "model",
        "prompt",
        "input",
        "suffix",
        "stop",
        "user",
        "user_id",
        "request_id",
        "service_tier",
        "prompt_cache_key",
        "safety_identifier",
    }
)
"""Fields of /v1 that are texts, or lists of texts, whatever the text looks like: "42" is no number
there."""

JSON = "application/json; charset=utf-8"
"""The charset is declared since old clients otherwise guess Latin-1."""

LINES = "application/x-ndjson; charset=utf-8"
EVENTS = "text/event-stream; charset=utf-8"

PADDING = " \t\r\n\0\x1a\ufeff"
"""What may stand around a body: COBOL's blanks and NULs, DOS's ^Z, a byte order mark."""

MAX_FORM_FIELDS = 64

_FORM = re.compile(rb"\s*[A-Za-z_%][\w.\-%]*=")  # Tcl's http 1.0 writes chat%5fname
_MULTIPART = "multipart/form-data"


class Form(NamedTuple):
    """How a reply is written. `status`: errors also come with 200. `eol`: "" leaves line ends as
    they are."""

    format: str = "json"
    charset: str = "utf-8"
    eol: str = ""
    status: int = 0
    lang: str = "en"

    @property
    def plain(self) -> bool:
        """Whether errors are plain words, too."""
        return self.format != "json" or bool(self.status)


class Reply(NamedTuple):
    """A reply's body and its Content-Type."""

    body: bytes
    content_type: str


# In.


def fields(body: bytes, content_type: str = "", fallback: str = "gb18030") -> Fields:
    """Return the fields of a request. Raises GatewayError: what came is neither a JSON object nor
    form fields.

    The charset is what the bytes show (see `charsets.codec`), else the declared one, else
    `fallback`.
    """
    declared, options = parse_options_header(content_type) if content_type else ("", {})
    charsets = charset(options.get("charset", "")), fallback
    if declared.lower() == _MULTIPART and body.lstrip().startswith(b"--"):
        return Texts(_once(_decoded_pairs(_parts(body, options.get("boundary", "")), *charsets)))
    if _FORM.match(body):
        return Texts(_once(_decoded_pairs(_pairs(body), *charsets)))
    text = _text(body, *charsets).strip(PADDING)
    if text.startswith("{"):
        return _object(text)
    if _FORM.match(text[:128].encode(errors="replace")):  # in UTF-16, or behind a byte order mark
        return Texts(_once(_decoded_pairs(_pairs(text.encode()), "utf-8", "utf-8")))
    if not text:
        raise _malformed(
            "The body is empty; send a JSON object or form fields.",
            "请求体为空；请发送 JSON 对象或表单。",
        )
    raise _malformed(
        'The body must be a JSON object, {"chat_name": ...}, or form fields,'
        " chat_name=...&content=....",
        '请求体必须是 JSON 对象 {"chat_name": ...} 或表单 chat_name=...&content=...。',
    )


def query(raw: bytes, fallback: str = "gb18030") -> Fields:
    """Return the fields of a URL's query. Raises GatewayError: too many of them, or one that is
    there twice."""
    return Texts(_once(_decoded_pairs(_pairs(raw), None, fallback)))


def typed(fields: Fields) -> Fields:
    """Return the fields of /v1 as JSON would have them; an empty one of a form counts as not
    given."""
    if not isinstance(fields, Texts):
        return fields
    return {name: _value(name, text) for name, text in fields.items() if text}


def _value(name: str, text: str) -> Any:
    text_or_list = name in TEXTS_OF_V1
    if text_or_list and not text.lstrip().startswith("["):
        return text
    try:
        value = _parsed(text.lower() if text in ("True", "False") else text.strip(PADDING))
    except (ValueError, RecursionError):
        return text
    return value


def _parsed(text: str) -> Any:
    """Return the fields of a JSON object. Raises ValueError and RecursionError, and GatewayError
    for a name that is there twice."""
    value = _JSON.decode(text)
    if "\\u" in text:  # half of a character: no charset can carry it on
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _object(text: str) -> Fields:
    try:
        fields: Fields = _parsed(text)
    except json.JSONDecodeError as error:
        where, where_zh = (
            f"line {error.lineno}, column {error.colno}",
            f"第 {error.lineno} 行第 {error.colno} 列",
        )
        raise _malformed(
            f"The body is not JSON: {error.msg}, {where}.", f"请求体不是正确的 JSON：{where_zh}。"
        ) from None
    except (ValueError, RecursionError) as error:
        why = {
            UnicodeEncodeError: "half of a surrogate pair",
            RecursionError: "it is nested too deeply",
        }
        detail = why.get(type(error), "a number that is none, or far too long")
        raise _malformed(
            f"The body is not JSON that can be read: {detail}.", "请求体不是可读的 JSON。"
        ) from None
    return fields


def _once(pairs: Iterable[tuple[str, Any]]) -> Fields:
    """Return a dict of `pairs`. Raises GatewayError where a name is there twice: which one was
    meant?"""
    fields: Fields = {}
    for name, value in pairs:
        if name in fields:
            shown = name[:64]
            raise _malformed(
                f"{shown}: is there twice; give it once.",
                f"{shown}：出现了两次；请只给一个。",
                shown,
            )
        fields[name] = value
    return fields


def _no_number(text: str) -> Any:
    raise ValueError(text)


# strict=False: raw control characters in strings, which Python's own parser calls invalid, are what
# old clients mean.
_JSON = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number, strict=False)


def _text(raw: bytes, declared: str | None, fallback: str) -> str:
    return raw.decode(_codec(raw, declared, fallback))


def _codec(raw: bytes, declared: str | None, fallback: str) -> str:
    """Return what `raw` is written with. Raises GatewayError: nothing that is known reads it."""
    if encoding := codec(raw, declared, fallback):
        return encoding
    tried = declared or "utf-8"
    raise _malformed(
        f"The body is in none of the charsets {tried} and {fallback}: declare its own,"
        " Content-Type: ...; charset=....",
        f"请求体不是 {tried} 或 {fallback} 编码：请在 Content-Type 中声明 charset。",
    )


def _pairs(body: bytes) -> list[tuple[bytes, bytes]]:
    """Return percent-encoded pairs, as bytes still: Latin-1 maps each byte to a character and
    back."""
    text = body.decode("latin-1").strip(PADDING)
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, encoding="latin-1", max_num_fields=MAX_FORM_FIELDS
        )
    except ValueError:
        raise _too_many_fields() from None
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


def _parts(body: bytes, boundary: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the parts of multipart/form-data; a file counts as the field that it was sent under."""
    decoder = multipart.MultipartDecoder(
        boundary.encode(errors="replace"), max_parts=MAX_FORM_FIELDS
    )
    name, value = "", b""
    try:
        decoder.receive_data(body)
        decoder.receive_data(None)
        while not isinstance(
            event := decoder.next_event(), multipart.Epilogue | multipart.NeedData
        ):
            if isinstance(event, multipart.Field | multipart.File):
                if event.name is None:
                    raise ValueError("a part without a name")
                name, value = event.name, b""
            elif isinstance(event, multipart.Data):
                value += event.data
                if not event.more_data:
                    yield name.encode(errors="replace"), value
    except RequestEntityTooLarge:
        raise _too_many_fields() from None
    except ValueError as error:
        raise _malformed(
            "The body is not whole multipart/form-data.", "multipart/form-data 请求体不完整。"
        ) from error


def _decoded_pairs(
    pairs: Iterable[tuple[bytes, bytes]], declared: str | None, fallback: str
) -> Iterator[tuple[str, str]]:
    """Yield the pairs in the charset that fits them all: a single short word often fits several."""
    pairs = list(pairs)
    encoding = _codec(b"\n".join(part for pair in pairs for part in pair), declared, fallback)
    return (
        (name.decode(encoding, "replace"), value.decode(encoding, "replace"))
        for name, value in pairs
    )


# Out.


def answer(text: str, form: Form) -> Reply:
    """Return a chat's answer: by default the contract's JSON string, in ASCII, which any charset
    can carry."""
    if form.format == "json":
        return Reply(_encoded(json.dumps(text), form), f"application/json; charset={form.charset}")
    return plain(text, form)


def named_values(values: dict[str, str], form: Form) -> Reply:
    """Return an answer that has named values: an object, lines of name=value, or one line of
    CSV (RFC 4180). On a line a line break is `\\n` or `\\r`, and so a backslash is two."""
    if form.format == "json":
        return json_object(values, form)
    if form.format == "csv":
        line = io.StringIO()
        csv.writer(line).writerow(values.values())
        text = line.getvalue().removesuffix("\r\n")
        return Reply(_encoded(text, form), f"text/csv; charset={form.charset}")
    return plain("\n".join(f"{name}={_on_a_line(text)}" for name, text in values.items()), form)


def _on_a_line(text: str) -> str:
    return text.replace("\\", r"\\").replace("\r", r"\r").replace("\n", r"\n")


def plain(text: str, form: Form) -> Reply:
    """Return a text as it is; what the charset lacks becomes a question mark."""
    if form.eol:
        text = re.sub(r"\r\n|\r|\n", "\r\n" if form.eol == "crlf" else "\n", text)
    return Reply(_encoded(text, form), text_type(form))


def text_type(form: Form) -> str:
    """Return the Content-Type of plain text."""
    return f"text/plain; charset={form.charset}"


def json_object(fields: Fields, form: Form) -> Reply:
    """Return an object in ASCII, such as an error."""
    return Reply(_encoded(json.dumps(fields), form), f"application/json; charset={form.charset}")


def relayed(fields: Fields) -> Reply:
    """Return a reply of /v1, in UTF-8 as its clients expect."""
    return Reply(orjson.dumps(fields), JSON)


class Recoder:
    """Plain text that comes in pieces of UTF-8, in a form's charset and line ends."""

    def __init__(self, form: Form) -> None:
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder = io.IncrementalNewlineDecoder(utf8, translate=True) if form.eol else utf8
        self._encoder = codecs.getincrementalencoder(CODECS[form.charset][1])("replace")
        self._eol = "\r\n" if form.eol == "crlf" else "\n"

    def feed(self, piece: bytes, last: bool = False) -> bytes:
        """Return what `piece` adds."""
        text = self._decoder.decode(piece, last)
        return self._encoder.encode(
            text.replace("\n", self._eol) if self._eol != "\n" else text, last
        )


def _encoded(text: str, form: Form) -> bytes:
    return text.encode(CODECS[form.charset][1], "replace")


def _too_many_fields() -> GatewayError:
    words = f"There are more than {MAX_FORM_FIELDS} form fields."
    return _malformed(words, f"表单字段超过 {MAX_FORM_FIELDS} 个。")


def _malformed(detail: str, detail_zh: str = "", param: str = "") -> GatewayError:
    return GatewayError(Code.INVALID_REQUEST, detail, detail_zh, param=param)
