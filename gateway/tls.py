"""TLS between the nodes of a cluster: a certificate for each process that other nodes talk to, and
a socket that takes no other.

Nobody signs it. A model actor makes it for its process's life, keeps its key in memory, and hands
it out by Ray call, with its address and its secret. Whoever connects takes just that certificate;
so there are no names to compare, no authority to set up, and nothing to renew.
"""

from __future__ import annotations

import datetime
import os
import socket
import ssl
from typing import Any

RECEIVE_BYTES = 64 * 1024
RECORD_BYTES = 16 * 1024
"""So much TLS decrypts at once."""

BEGIN, END = datetime.datetime(2000, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59)
"""Nodes' clocks may differ, and a process ends before its certificate. (END stands for no end: RFC
5280, 4.1.2.5.)"""

PROBE_SECONDS = 2
CUT_SECONDS = 6
"""A node whose kernel has acknowledged nothing for so long, neither data nor the probe of a silent
connection, is cut off. A chat that waits there is asked again elsewhere then, instead of at the end
of its own time limit."""


def make_certificate() -> tuple[ssl.SSLContext, str]:
    """Return the context of a server with a new certificate, and that as PEM. It takes 0.2 s, most
    of it an import."""
    # Imported where it is needed: 4 MB of a process's own, and 9 MB that a node's processes share.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "byzer-llm-gateway")])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), BEGIN, END
    )
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # Python loads a key from a file only: this one is in memory and has no name.
    with os.fdopen(os.memfd_create("certificate"), "wb", buffering=0) as file:
        file.write(
            certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return context, certificate.decode()


def trusting(certificate: str) -> ssl.SSLContext:
    """Return the context of a client that takes one certificate, given as PEM. It takes longer than
    to connect."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the one certificate that is taken is the name
    context.load_verify_locations(cadata=certificate)
    return context


def watched(tcp: socket.socket, seconds: int = CUT_SECONDS) -> socket.socket:
    """Have the kernel end a socket's connections when the other node is cut off, which else nobody
    would ever tell. (Linux also takes for one a node that lives and reads nothing for so long.)"""
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_SECONDS)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_SECONDS)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)
    return tcp


class SecureSocket:
    """A blocking TCP socket under TLS, with those methods of a socket that a Channel calls.

    It decrypts beside the socket, as asyncio does: `ssl.SSLSocket` would neither stop waiting at
    the kernel's time limit nor read a record by one system call.
    """

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trust.wrap_bio(self._received, self._to_send)
        self._socket = watched(socket.socket(socket.AF_INET))
        self.settimeout, self.setsockopt = self._socket.settimeout, self._socket.setsockopt
        self.fileno, self.close = self._socket.fileno, self._socket.close

    def connect(self, where: Any) -> None:
        """Connect to a host and port. Raises OSError: nobody is there, or somebody with another
        certificate."""
        self._socket.connect(where)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._receive()
            else:
                self._flush()
                return

    def sendall(self, content: bytes) -> None:
        """Send all of it. Raises OSError."""
        rest = memoryview(content)
        while rest:
            rest = rest[self._tls.write(rest) :]
        self._flush()

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what comes, `size` bytes at most; b"": the other side has ended it. Raises
        OSError."""
        while True:
            try:
                return self._tls.read(min(size, RECORD_BYTES))
            except ssl.SSLWantReadError:
                self._receive(flags)

    def _flush(self) -> None:
        self._socket.sendall(self._to_send.read())

    def _receive(self, flags: int = 0) -> None:
        if came := self._socket.recv(RECEIVE_BYTES, flags):
            self._received.write(came)
        else:
            self._received.write_eof()
