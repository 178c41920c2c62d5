"""Begin 400 requests from one address, in a network of its own, and print how many connections the
gateway keeps."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import suppress

from tests.server import GUNICORN

GATEWAY, HOLDER, OTHER = "192.0.2.1", "192.0.2.2", "192.0.2.3"


def begin(source: str) -> socket.socket:
    client = socket.create_connection((GATEWAY, 8099), 60, (source, 0))
    client.sendall(b"GET /healthz HTTP/1.1\r\n")
    return client


def answered(source: str) -> bool:
    with begin(source) as client:
        client.sendall(b"Host: 192.0.2.1\r\nConnection: close\r\n\r\n")
        return client.recv(65536).startswith(b"HTTP/1.1 200")


def is_open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        client.recv(1)
    except BlockingIOError:
        return True
    except ConnectionResetError:
        pass
    return False


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in (GATEWAY, HOLDER, OTHER):
        subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)
    gateway = subprocess.Popen(GUNICORN, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with suppress(ConnectionRefusedError):
                if answered(OTHER):
                    break
            time.sleep(0.5)
        held = [begin(HOLDER) for _ in range(400)]
        assert answered(HOLDER)
        assert answered(OTHER)
        time.sleep(2)
        print(sum(map(is_open, held)))
    finally:
        gateway.terminate()
        gateway.wait()


if __name__ == "__main__":
    main()
