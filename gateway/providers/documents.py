"""Bytes to JSON, as forgiving as the world is careless. Pure.

What is sound is parsed by orjson, once. Only what it refuses is looked at again: a byte order mark,
half a surrogate, a raw control character, NaN, a byte that is no UTF-8, a wrong charset label, or
something after the JSON costs that character at most, and not the answer that was paid for. What
comes out can always be written as UTF-8.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

from gateway.charsets import CODECS, charset, codec

PADDING = " \t\r\n\0\ufeff"

LOST = "\N{REPLACEMENT CHARACTER}"
MAX_DOCUMENTS = 10_000

MANY_LOST = 3
"""So many characters that UTF-8 cannot read, and more than it can, are no cut token: it is another
charset."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_PADDED = re.compile(rf"[{PADDING}]*")
_BETWEEN = re.compile(rf"[{PADDING},]*(data:)?[{PADDING}]*")
"""What stands between two documents: nothing, a comma, or the next event's field."""

PAGE = re.compile(
    r"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(!doctype\s*html|html|head|body|center|h1)\b",
    re.I | re.S,
)
"""How a web page begins: what stands in its scripts is nobody's answer."""

_OBJECT = re.compile(r'\{\s*"')


def parsed(raw: bytes, label: str = "") -> Any:
    """Return the JSON in `raw`, whose charset is labelled `label`. Raises ValueError: there is
    none."""
    return documents(raw, label)[0]


def documents(raw: bytes, label: str = "") -> list[Any]:
    """Return the JSON in `raw`: one document, or several that stand one after the other. Raises
    ValueError: none."""
    try:
        return [orjson.loads(raw)]
    except orjson.JSONDecodeError:
        return _forgiven(text(raw, label))


def text(raw: bytes, label: str = "") -> str:
    """Return `raw` as text; what cannot be read becomes U+FFFD."""
    declared = charset(label)
    if encoding := codec(raw, declared):
        return raw.decode(encoding)
    utf8 = raw.decode("utf-8", "replace")
    if declared not in (None, "utf-8", "us-ascii"):
        return raw.decode(CODECS[declared][0], "replace")
    lost = utf8.count(LOST)
    gained = sum(not character.isascii() for character in utf8) - lost
    if lost >= MANY_LOST and lost > gained and (other := codec(raw, "gb18030")):
        return raw.decode(other)  # Chinese proxies that label nothing
    return utf8


def _forgiven(words: str) -> list[Any]:
    # Made here, since it does not pickle, and this module is sent to the cluster.
    decoder = json.JSONDecoder(
        strict=False, parse_constant=lambda _: None, parse_float=_finite, parse_int=_whole
    )
    if PAGE.match(words):
        raise ValueError("a web page")
    begin = _past(_PADDED, words, 0)
    if not words.startswith(("{", "[", '"'), begin):
        # A warning of PHP's, a prefix against scripts: the object begins later.
        later = _OBJECT.search(words)
        begin = later.start() if later else len(words)
    values: list[Any] = []
    while (
        begin < len(words)
        and len(values) < MAX_DOCUMENTS
        and (not values or words.startswith("{", begin))
    ):
        try:
            value, end = decoder.raw_decode(words, begin)
        except (ValueError, RecursionError):
            break  # something after the JSON, or there is none
        values.append(orjson.loads(_SURROGATES.sub(LOST, json.dumps(value, ensure_ascii=False))))
        begin = _past(_BETWEEN, words, end)
    if not values:
        raise ValueError("no JSON")
    return values


def _past(padding: re.Pattern[str], words: str, at: int) -> int:
    match = padding.match(words, at)
    return match.end() if match else at


def _whole(number: str) -> int | float | None:
    return int(number) if len(number) < 19 else _finite(number)  # as orjson does beyond 64 bits


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None
