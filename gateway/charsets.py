"""The charsets that requests may come in and replies go out in, by the names that HTTP has for them."""

from __future__ import annotations

import codecs

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
"""Charsets by the name that HTTP has for them: what Python reads and what it writes them with. Windows' own supersets
are read, since that is what old programs mean by big5 or gb2312; none of them is written wider than its name."""

_ALIASES = {codecs.lookup(name).name: name for name in CODECS} | {
    **{"cp950": "big5", "cp932": "shift_jis", "cp949": "euc-kr"},
    **{"x-gbk": "gbk", "x-sjis": "shift_jis", "windows-31j": "shift_jis"},  # as Windows and Java call them
}


def charset(name: str) -> str | None:
    """A charset as HTTP names it, whatever it was called; None: it is not one of `CODECS`."""
    known = name.strip().strip("\"'").lower()
    if known in CODECS or not known:
        return known or None
    try:
        return _ALIASES.get(known) or _ALIASES.get(codecs.lookup(known).name)
    except (LookupError, ValueError):
        return None
