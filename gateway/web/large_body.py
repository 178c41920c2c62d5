"""Large request bodies: how many bytes of them this process holds at once, and that one is unpacked
after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import IO

from gateway.byte_budget import ByteBudget, Charge, Full
from gateway.errors import too_many_bytes
from gateway.hub import in_thread

AT_ONCE = 16
"""So many of the largest bodies may be here at once: with the usual GATEWAY_MAX_BODY_BYTES, 128
MB."""

PIECE_BYTES = 64 * 1024

TURN_SECONDS = 30
"""How long a body waits for its turn to be unpacked. The largest one takes a second or two."""

_one_at_a_time = threading.Lock()


class LargeBody:
    """What a request with a large body holds: bytes of the process's budget, and, while it is
    unpacked, the lock.

    JSON of many small parts takes thirty times its bytes while it is unpacked, until it is packed
    for its provider. That is work for the GIL alone: of two at once, neither would be done earlier.
    """

    def __init__(self, budget: ByteBudget) -> None:
        self._charge = Charge(budget)
        self._unpacking = False

    def __del__(self) -> None:
        self.release()

    def read(self, stream: IO[bytes], length: int | None) -> bytes:
        """Return the body; None: it comes in chunks. Raises GatewayError (GATEWAY_BUSY), and what
        the stream raises."""
        body, pieces = bytearray(), _pieces(stream, length)
        try:
            self._charge.hold(length or 0)
            for piece in pieces:
                body += piece
                self._charge.hold(length or len(body))
        except Full:
            body.clear()
            self._charge.release()
            for _ in pieces:
                # a client that is still sending would see a connection that breaks, and no reply
                pass
            raise too_many_bytes() from None
        return bytes(body)

    def hold(self, size: int) -> None:
        """Hold so many bytes from now on. Raises GatewayError (GATEWAY_BUSY): it holds nothing
        then, since its refusal may take long to reach its client, and others need the room."""
        try:
            self._charge.hold(size)
        except Full:
            self.release()
            raise too_many_bytes() from None

    def unpack(self) -> None:
        """Wait until no other body is being unpacked. Raises GatewayError (GATEWAY_BUSY): that
        takes too long."""
        if not self._unpacking:
            if not _one_at_a_time.acquire(blocking=False):
                self._await_turn()
            self._unpacking = True

    def _await_turn(self) -> None:
        if not in_thread(_one_at_a_time.acquire, True, TURN_SECONDS):
            raise too_many_bytes()

    def unpacked(self) -> None:
        """Let the next one be unpacked."""
        if self._unpacking:
            self._unpacking = False
            _one_at_a_time.release()

    def release(self) -> None:
        """Hold nothing any more."""
        self.unpacked()
        self._charge.release()


def _pieces(stream: IO[bytes], length: int | None) -> Iterator[bytes]:
    """Yield a body as it comes. Beyond its length nothing is read: Werkzeug takes that for a body
    that is too large."""
    taken = 0
    while (length is None or taken < length) and (piece := stream.read(PIECE_BYTES)):
        taken += len(piece)
        yield piece
