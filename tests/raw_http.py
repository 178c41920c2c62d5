"""A request of very bytes, for what no HTTP client would send."""

from __future__ import annotations

import socket

from tests.server import Server


def raw_reply(server: Server, request: bytes) -> bytes:
    """What comes back for these very bytes, until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(request)
        reply = b""
        while piece := client.recv(65536):
            reply += piece
        return reply
