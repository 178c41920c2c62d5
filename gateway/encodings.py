"""Compressed bodies, unpacked as they come. Their own bytes say how they are packed, since labels
often lie."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
"""What can be unpacked, by the names that Content-Encoding has for it."""

PART_BYTES = 4096
"""So much of compressed input is unpacked at once, into a thousand times as much at most."""

MAX_MEMBERS = 256
"""Gzip files may stand one after the other, as bgzip writes them. Each costs a copy of all that
follows it, so that a body of nothing but empty ones would keep a process busy for minutes."""

_GZIP, _ZLIB, _RAW, _PLAIN = zlib.MAX_WBITS + 16, zlib.MAX_WBITS, -zlib.MAX_WBITS, 0
_GZIP_MAGIC = b"\x1f\x8b"

_HEAD_BYTES = 16
_TEXT = re.compile(rb"[\t\r\n -~]*")


class TooLarge(ValueError):  # noqa: N818  # as Code.TOO_LARGE
    """More came out than may."""


class Inflater:
    """Unpacks gzip, zlib and raw deflate, or passes plain bytes through; never holds more than
    `limit` bytes.

    gzip and zlib are known by their first bytes. Raw deflate has no mark of its own, so it is
    looked for only where `label`, the Content-Encoding, says deflate.
    """

    def __init__(self, limit: int, label: str = "") -> None:
        self._room = limit
        self._may_be_raw = label.strip().lower() == "deflate"
        self._head = b""
        self._window = _PLAIN
        self._unpacker: Any = None
        self._members = 0
        self._plain = self._damaged = False

    @property
    def ended(self) -> bool:
        """Whether the input ended where it should; plain bytes may end anywhere."""
        return not self._head and (
            self._unpacker is None or (self._unpacker.eof and not self._damaged)
        )

    @property
    def plain(self) -> bool:
        """Whether the input turned out not to be compressed."""
        return self._plain

    def feed(self, piece: bytes, last: bool = False) -> bytes:
        """Return what `piece` adds. From where the input is damaged on it adds nothing. Raises
        TooLarge."""
        piece, self._head = self._head + piece, b""
        if not self._plain and self._unpacker is None:
            window = _window(piece, self._may_be_raw, last)
            if window is None:
                self._head = piece
                return b""
            self._plain = window == _PLAIN
            if not self._plain:
                self._window, self._unpacker = window, zlib.decompressobj(window)
        output = piece if self._unpacker is None else self._unpack(piece)
        if len(output) > self._room:
            raise TooLarge("more bytes than may come out")
        self._room -= len(output)
        return output

    def parts(self, piece: bytes) -> Iterator[bytes]:
        """Yield what `piece` adds, a few megabytes at once at most. Raises TooLarge."""
        while piece:
            size = len(piece) if self._plain else PART_BYTES
            yield self.feed(piece[:size])
            piece = piece[size:]

    def _unpack(self, piece: bytes) -> bytes:
        output = b""
        while piece and not self._damaged:
            if self._unpacker.eof:
                if self._window != _GZIP or not piece.startswith(_GZIP_MAGIC):
                    self._head = piece if piece == _GZIP_MAGIC[:1] else b""  # else it is padding
                    break
                self._members += 1
                self._damaged = self._members == MAX_MEMBERS
                self._unpacker = zlib.decompressobj(_GZIP)
            before = self._unpacker.copy()
            try:
                output += self._unpacker.decompress(piece, self._room - len(output) + 1)
            except zlib.error:
                self._damaged = True
                return output + _undamaged(before, piece)
            if len(output) > self._room:
                break
            piece = self._unpacker.unused_data
        return output


def inflate(raw: bytes, limit: int, label: str = "") -> bytes:
    """Return all that can be unpacked of `raw`, or `raw` itself if it is plain. Raises TooLarge."""
    return Inflater(limit, label).feed(raw, last=True)


def _window(head: bytes, may_be_raw: bool, last: bool) -> int | None:
    """Return how zlib is to read what begins with `head`; None: there is too little of it to
    tell."""
    if head.startswith(_GZIP_MAGIC):
        return _GZIP
    may_be_zlib = (
        head[:1] != b""
        and head[0] & 15 == 8
        and head[0] < 128
        and int.from_bytes(head[:2]) % 31 == 0
    )
    text = _TEXT.fullmatch(head, 0, _HEAD_BYTES)
    # "x^2" and "hb" would make sound beginnings of zlib, and any few letters of raw deflate.
    unclear = may_be_raw or len(head) < 2 or (text and may_be_zlib)
    if unclear and len(head) < _HEAD_BYTES and not last:
        return None
    if may_be_zlib and not text:
        return _ZLIB
    return _RAW if may_be_raw and not text and _is_raw(head) else _PLAIN


def _is_raw(head: bytes) -> bool:
    try:
        zlib.decompressobj(_RAW).decompress(head, 1)
    except zlib.error:
        return False
    return True


def _undamaged(unpacker: Any, piece: bytes) -> bytes:
    """Return what comes before the damage in `piece`, found by halves: zlib itself gives nothing of
    it."""
    if len(piece) < 2:
        return b""
    half, before = len(piece) // 2, unpacker.copy()
    try:
        output: bytes = unpacker.decompress(piece[:half])
    except zlib.error:
        return _undamaged(before, piece[:half])
    return output + _undamaged(unpacker, piece[half:])
