"""Clients that are slow on purpose: thousands of connections that each send next to nothing."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BEGUN = b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\nX-"


class Flood:
    """Connections that each send `first`, and a byte every `seconds`. Those that the server closes
    are opened anew (`again`), or kept half open."""

    def __init__(self, port: int, first: bytes, seconds: float, again: bool) -> None:
        self.closed = 0
        self._again = again
        self._address, self._first, self._seconds = ("127.0.0.1", port), first, seconds
        self._clients = selectors.DefaultSelector()
        self._over = threading.Event()

    def open(self) -> None:
        client = socket.create_connection(self._address, 30)
        client.setblocking(False)
        self._clients.register(
            client, selectors.EVENT_READ if self._again else selectors.EVENT_WRITE, client
        )
        with suppress(OSError):
            client.send(self._first)

    def run(self) -> None:
        due = time.monotonic() + self._seconds
        while not self._over.is_set():
            if self._again:
                for key, _ in self._clients.select(0.2):
                    self._read(key.data)
            else:
                self._over.wait(0.2)
            if time.monotonic() > due:
                due += self._seconds
                for client in self._all():
                    with suppress(OSError):
                        client.send(b"x")

    def end(self) -> None:
        self._over.set()

    def close(self) -> None:
        for client in self._all():
            client.close()
        self._clients.close()

    def _all(self) -> list[socket.socket]:
        return [key.data for key in self._clients.get_map().values()]

    def _read(self, client: socket.socket) -> None:
        try:
            if client.recv(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.closed += 1
        self._clients.unregister(client)
        client.close()
        with suppress(OSError):
            self.open()
        time.sleep(0.0005)  # whoever asks beside it, in this process, has its turn


@contextmanager
def flood(
    port: int, count: int, first: bytes = BEGUN, seconds: float = 20, again: bool = True
) -> Iterator[Flood]:
    """So many connections are held open meanwhile."""
    clients = Flood(port, first, seconds, again)
    runner = threading.Thread(target=clients.run, daemon=True)
    try:
        for _ in range(count):
            clients.open()
        runner.start()
        yield clients
    finally:
        clients.end()
        if runner.ident:
            runner.join()
        clients.close()
