"""How a chat crosses the cluster: on a plain connection from the gateway's process to the model's
actor.

Ray places, names, restarts and ends the actors; the chats themselves go beside it, since a Ray call
costs 0.5 ms of CPU and five threads in each process (docs/performance.md). On one machine it is a
Unix socket in Ray's own session folder, to another node TLS (gateway/tls.py) on a TCP port that
opens when that node first asks; either lets in only who knows the actor's secret, which travels by
Ray call. In a folder that is open to others, somebody else's socket may stand in the actor's place:
so the gateway asks the kernel who listens before it says anything.

A connection carries one request at a time, as in HTTP/1.1: a request is a frame, its answer one or
more. So whoever waits is woken by the kernel, a slow client slows its provider down through TCP
alone, a client that has gone hangs up, and the end of an actor's process is the end of its
connections.

A frame: four bytes of length, big-endian, and one of its kind; then so many bytes. What a provider
said travels in frames of its own kind, so that nothing it says can be taken for a mark of ours.

Here is what both ends have; the actor's is gateway/actors/listener.py, and the gateway's
gateway/cluster/channel.py.
"""

from __future__ import annotations

from gateway.frames import Kind

HEADER_BYTES = 5
CONNECT_SECONDS = 5

Frame = tuple[Kind, bytes]


def frame(kind: Kind, content: bytes) -> bytes:
    """Return a frame as it goes over the wire."""
    return b"%b%c%b" % (len(content).to_bytes(4, "big"), kind, content)
