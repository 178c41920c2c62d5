"""Proxies on the way to a provider: Debian's tinyproxy, odd ones, and a tap that hears what a proxy
is sent."""

from __future__ import annotations

import select
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.environment import free_port
from tests.waiting import until

LISTENS_SECONDS = 10


def listens(port: int) -> bool:
    """Whether somebody lets in connections there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def tinyproxy(folder: Path, login: str = "") -> Iterator[int]:
    """A tinyproxy, for as long as it is wanted; gives its port. `login` is "user password"."""
    port = free_port()
    lines = [f"Port {port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 50", "Allow 127.0.0.1"]
    if login:
        lines.append(f"BasicAuth {login}")
    configuration = folder / f"tinyproxy-{port}.conf"
    configuration.write_text("\n".join([*lines, ""]))
    process = subprocess.Popen(
        ["tinyproxy", "-d", "-c", str(configuration)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: listens(port), LISTENS_SECONDS)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def listener(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that lets `handle` have each connection; gives its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                handle(self.request)

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Listener(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


class Tap:
    """Passes each connection on to a proxy; `heard` is what the proxy was sent, all of it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.heard = bytearray()

    def __call__(self, near: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as far:
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is near:
                        self.heard += data
                    (far if ready is near else near).sendall(data)


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    """A proxy that says this to whatever it is asked, and hangs up."""

    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    return handle


def no_proxy(status: str) -> Callable[[socket.socket], None]:
    """A proxy that refuses with this status."""
    return answering(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())


def hanging(connection: socket.socket) -> None:
    """A proxy that never answers, and ends when its client does."""
    while connection.recv(65536):
        pass


def hung_up(connection: Any) -> None:
    """A proxy that hangs up as soon as it is asked."""
    connection.recv(65536)
