"""How a CSV file is written: its charset, its delimiter, its line ends. They are found by the
file's bytes, unless somebody names them."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import chardet

from gateway.charsets import CODECS, charset
from gateway.tables.error import TableError

DELIMITERS = ",;\t|"
MAX_CELL = 8 * 1024 * 1024
"""So many characters has a cell at most: the gateway takes no more, and behind a quote that is
never closed a whole file would be one cell."""

SAMPLE = 256 * 1024
_GUESSED = {
    "gb18030": "gb18030",
    "big5hkscs": "cp950",
    "cp932": "cp932",
    "euc_jis_2004": "euc_jp",
    "cp949": "cp949",
    "cp1252": "cp1252",
}
"""What may be where the bytes are not Unicode: chardet's names, and the codecs that read them."""

_PAIRS = re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xf7][\xa1-\xfe])*[\xa1-\xf7]?")
"""What is not ASCII comes in pairs, as GB 2312 has them: a few words of Chinese that come again and
again look Western to chardet, but hardly any Western text is so."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEP = re.compile(r"sep=(.)\r?\n")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written. `sep` is Excel's own first line, which names the delimiter, or
    ""."""

    codec: str
    delimiter: str
    eol: str = "\r\n"
    sep: str = ""


def find_dialect(path: Path, charset_name: str = "", delimiter: str = "") -> Dialect:
    """Return how a CSV file is written: as is given, else as its bytes show. Raises TableError,
    OSError."""
    codec = _codec(path, charset_name)
    try:
        with path.open(encoding=codec, newline="") as file:
            sample = file.read(SAMPLE)
            whole = not file.read(1)
    except UnicodeError as error:
        raise unreadable(path, codec, error) from None
    sep = _SEP.match(sample)
    sample = sample[sep.end() if sep else 0 :]
    separator = delimiter or (sep[1] if sep else _delimiter(sample, whole))
    lines = re.search(r"\r\n|\n|\r", sample)
    eol = lines[0] if lines else "\r\n"
    return Dialect(codec, separator, eol, sep[0] if sep else "")


def of_charset(dialect: Dialect, charset_name: str) -> Dialect:
    """Return the dialect in another charset. Raises TableError."""
    return replace(dialect, codec=_named(charset_name)) if charset_name else dialect


def line(cells: Sequence[str], dialect: Dialect) -> str:
    """Return a row as the file has it."""
    buffer = io.StringIO(newline="")
    # Python quotes a cell for a line break of the row's own kind only; with CR LF, for each.
    csv.writer(buffer, delimiter=dialect.delimiter, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()[:-2] + dialect.eol


def name_of(codec: str) -> str:
    """Return a charset's name, given Python's codec for it."""
    if codec == "utf-8-sig":
        return "utf-8"
    return next((name for name, (read, _) in CODECS.items() if read == codec), codec)


def _named(name: str) -> str:
    """Return the codec of a charset that somebody named. GBK is written as its superset GB18030,
    which lacks nothing."""
    canonical = charset(name)
    if canonical is None:
        raise TableError(
            f"The charset {name} is not known; it may be {', '.join(CODECS)}.",
            f"字符集 {name} 未知；可用：{', '.join(CODECS)}。",
        )
    return CODECS[canonical][0]


def _codec(path: Path, name: str) -> str:
    with path.open("rb") as file:
        head = file.read(4)
    for mark, codec in _MARKS:  # the bytes beat the label
        if head.startswith(mark):
            return codec
    if name:
        return _named(name)
    if len(head) == 4 and head.count(0) == 2:
        return "utf-16-le" if head[1] == 0 else "utf-16-be"
    foreign = _foreign_lines(path)
    return "utf-8" if foreign is None else _guessed(path, foreign)


def _foreign_lines(path: Path) -> bytes | None:
    """Return the lines of a file that are not plain ASCII, as many as tell its charset; None: all
    of it is UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    sample, sound = bytearray(), True
    with path.open("rb") as file:
        while lines := file.readlines(SAMPLE):
            foreign = b"".join(line for line in lines if not line.isascii())
            sample += foreign[: SAMPLE - len(sample)]
            try:
                decoder.decode(foreign)
            except UnicodeDecodeError:
                sound = False
            if not sound and len(sample) >= SAMPLE:
                break
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        sound = False
    return None if sound else bytes(sample)


def _guessed(path: Path, sample: bytes) -> str:
    guess = chardet.detect(
        sample, include_encodings=_GUESSED, compat_names=False, no_match_encoding="ascii"
    )
    codec = _GUESSED.get(guess["encoding"] or "")
    if codec == "cp1252" and _PAIRS.fullmatch(sample):
        return "gb18030"
    if codec:
        return codec
    raise TableError(
        f"{path}: its charset cannot be told; say it, such as gbk.",
        f"{path}：无法判断其字符集；请指定，例如 gbk。",
    )


def _delimiter(sample: str, whole: bool) -> str:
    """Return what stands between the cells: whatever gives all rows the same width, the wider the
    better; else what the first row has most of."""
    ranks = {}
    for delimiter in DELIMITERS:
        csv.field_size_limit(MAX_CELL)
        rows = list(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter))
        widths = [len(row) for row in (rows if whole else rows[:-1] or rows)[:100] if row]
        first = widths[0] if widths else 0
        ranks[delimiter] = (len(set(widths)) == 1 and first > 1, first, -len(set(widths)))
    return max(ranks, key=lambda one: ranks[one])


def unreadable(path: Path, codec: str, error: UnicodeError) -> TableError:
    name, why = name_of(codec), getattr(error, "reason", "")
    return TableError(
        f"{path}: it is not {name} ({why}); say its charset, such as gbk.",
        f"{path}：不是 {name}（{why}）；请指定字符集，例如 gbk。",
    )
