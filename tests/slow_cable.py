"""A cable that is slow, or loses something: `python -m tests.slow_cable ONE OTHER SECONDS SHARE`.

What arrives at either of two network devices is sent on by the other, SECONDS later, but for a
SHARE of it; for kernels without netem. Frames pass as the kernel has them, longer than a packet and
without their checksums, with its own notes on that in front.
"""

from __future__ import annotations

import heapq
import itertools
import random
import select
import socket
import sys
import time
from contextlib import suppress

ALL = 0x0003
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
MOST = 1 << 17
CHANCE = random.Random(7)  # noqa: S311  # no secret


def main(one: str, other: str, seconds: str, share: str) -> None:
    """Until it is killed."""
    ends = [_end(one), _end(other)]
    under_way: list[tuple[float, int, socket.socket, bytes]] = []
    numbers = itertools.count()
    while True:
        wait = max(under_way[0][0] - time.monotonic(), 0) if under_way else None
        for end in select.select(ends, [], [], wait)[0]:
            frame = end.recv(MOST)
            if CHANCE.random() >= float(share):
                to = ends[1] if end is ends[0] else ends[0]
                due = time.monotonic() + float(seconds)
                heapq.heappush(under_way, (due, next(numbers), to, frame))
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, to, frame = heapq.heappop(under_way)
            with suppress(OSError):  # a cable that is unplugged loses it, too
                to.send(frame)


def _end(device: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
    end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
    end.bind((device, ALL))
    return end


if __name__ == "__main__":
    main(*sys.argv[1:])
