"""The charsets that requests may come in and replies go out in, by the names that HTTP has for
them."""

from __future__ import annotations

import codecs
import encodings
import json
import re
from encodings.aliases import aliases as ALIASES  # noqa: N812  # a table of Python's

CODECS = {
    "utf-8": ("utf-8", "utf-8"),
    "us-ascii": ("ascii", "ascii"),
    "gb18030": ("gb18030", "gb18030"),
    "gbk": ("gb18030", "gbk"),
    "gb2312": ("gb18030", "gbk"),
    "big5": ("cp950", "cp950"),
    "shift_jis": ("cp932", "cp932"),
    "euc-jp": ("euc_jp", "euc_jp"),
    "euc-kr": ("cp949", "cp949"),
    "iso-8859-1": ("latin-1", "latin-1"),
    "windows-1252": ("cp1252", "cp1252"),
    "utf-16": ("utf-16", "utf-16"),
    "utf-16le": ("utf-16-le", "utf-16-le"),
    "utf-16be": ("utf-16-be", "utf-16-be"),
}
"""Charsets by the name that HTTP has for them: what Python reads and what it writes them with.
Windows' own supersets are read, since that is what old programs mean by big5 or gb2312; none of
them is written wider than its name."""


def _module(label: str) -> str:
    """Return the module of Python's that reads a charset, by whatever name it is called, or would
    if there were one. `codecs.lookup` keeps each name that it does not know, for ever."""
    name = encodings.normalize_encoding(label).lower()
    return ALIASES.get(name) or ALIASES.get(name.replace(".", "_")) or name


_BY_MODULE = {_module(codecs.lookup(name).name): name for name in CODECS} | {
    **{"cp950": "big5", "cp932": "shift_jis", "cp949": "euc-kr"},
    # as Windows and Java call them
    **{"x_gbk": "gbk", "x_sjis": "shift_jis", "windows_31j": "shift_jis"},
}


def charset(name: str) -> str | None:
    """Return a charset as HTTP names it, whatever it was called; None: it is not one of
    `CODECS`."""
    label = name.strip().strip("\"'").lower()
    if label in CODECS or not label:
        return label or None
    return _BY_MODULE.get(_module(label))


_BYTEWISE = frozenset({"latin-1", "cp1252", "ascii"})
"""Codecs of one byte a character: they read any UTF-8, as nonsense."""

_THREE_BYTES = re.compile("[\u0800-\U0010ffff]")
"""What takes three bytes or more in UTF-8: all that is written in Chinese, Japanese or Korean."""


def codec(raw: bytes, declared: str | None = None, fallback: str | None = None) -> str | None:
    """Return the codec that `raw` is written with, by what its bytes show first; None: no codec
    that is known reads it.

    `declared` and `fallback` are names of `CODECS`. Byte order marks and UTF-16's NULs are seen as
    in JSON (RFC 4627). Sound UTF-8 is UTF-8 whatever was declared, since proxies label what they
    have not looked at. The exception is text that could be both: "目录" in GBK is "Ŀ¼" in
    UTF-8. Two bytes a character are believed to be what a label says.
    """
    detected = json.detect_encoding(raw)
    labelled = CODECS[declared][0] if declared else None
    text = _decoded(raw, detected)
    could_be_both = (
        detected == "utf-8" and labelled not in (None, "utf-8") and labelled not in _BYTEWISE
    )
    if text is not None and not (
        could_be_both and not text.isascii() and not _THREE_BYTES.search(text)
    ):
        return detected
    others = (labelled, detected, CODECS[fallback][0] if fallback else None)
    return next((name for name in others if name and _decoded(raw, name) is not None), None)


def _decoded(raw: bytes, name: str) -> str | None:
    try:
        return raw.decode(name)
    except UnicodeDecodeError:
        return None
