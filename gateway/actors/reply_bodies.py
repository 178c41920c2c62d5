"""The bodies of a provider's replies, as they come over the network: unpacked, bounded, and as far
as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp

from gateway.actors.upstream_errors import FAULTS
from gateway.byte_budget import Charge
from gateway.encodings import Inflater
from gateway.providers.reader import StreamReader

TAIL_SECONDS = 5
"""How long a stream whose answer is whole may take to end: a count of tokens may follow, or nothing
ever."""

STREAM_BYTES = 1 << 40
"""A stream is bounded by its time, not by its size."""


async def read(
    reply: aiohttp.ClientResponse, limit: int, charge: Charge
) -> tuple[bytes, Exception | None]:
    """Return a body of `limit` bytes at most as far as it came, unpacked, and what it broke off
    with. Raises Full."""
    inflater = Inflater(limit, reply.headers.get("Content-Encoding", ""))
    raw = bytearray()
    try:
        async for piece in reply.content.iter_any():
            raw += inflater.feed(piece)
            charge.hold(len(raw))
        raw += inflater.feed(b"", last=True)
    except FAULTS as error:
        return bytes(raw), error
    return bytes(raw), None


async def parts(reply: aiohttp.ClientResponse, reader: StreamReader) -> AsyncIterator[bytes]:
    """Yield what comes of a stream, unpacked, until `reader` needs no more."""
    inflater = Inflater(STREAM_BYTES, reply.headers.get("Content-Encoding", ""))
    while not (reader.done or reader.refusal) and (raw := await _next(reply, reader)):
        for part in inflater.parts(raw):
            yield part


async def _next(reply: aiohttp.ClientResponse, reader: StreamReader) -> bytes:
    """Return what comes next of a stream; b"" is its end."""
    if not reader.whole:
        return await reply.content.readany()
    with suppress(TimeoutError):
        async with asyncio.timeout(TAIL_SECONDS):
            return await reply.content.readany()
    return b""
