"""What crosses between two nodes: nobody on the way reads it, and nobody else is taken for the
actor."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest
import uvloop

from gateway.actors.listener import Listener
from gateway.channel import frame
from gateway.cluster.channel import Channel, ChannelError
from gateway.frames import Kind
from gateway.protocol import FarAddress
from gateway.tls import make_certificate

PATIENCE = 10.0
PROMPT, ANSWER = b"a-prompt-for-nobody-else" * 1000, b"an-answer-for-nobody-else" * 1000


async def _answer(what: str, body: bytes) -> AsyncGenerator[bytes, None]:
    yield frame(Kind.HEAD, what.encode())
    yield frame(Kind.PIECE, ANSWER) + frame(Kind.END, b"[1,2]")


@pytest.fixture
def address() -> Iterator[FarAddress]:
    """Where an actor lets in whoever is on another node."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listener = Listener(_answer, "an-actor")
    yield asyncio.run_coroutine_threadsafe(listener.far_address("127.0.0.1"), loop).result(PATIENCE)
    loop.call_soon_threadsafe(listener.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    loop.close()


class Eavesdropper:
    """Stands between two nodes: passes all bytes on, and keeps a copy."""

    def __init__(self, where: tuple[str, int]) -> None:
        self.copy = b""
        self._where = where
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.where: tuple[str, int] = self._socket.getsockname()
        self._pool = ThreadPoolExecutor(3)
        self._pool.submit(self._listen)

    def _listen(self) -> None:
        near, _ = self._socket.accept()
        far = socket.create_connection(self._where)
        self._pool.submit(self._pass, near, far)
        self._pool.submit(self._pass, far, near)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), source:
            while piece := source.recv(65536):
                self.copy += piece
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()
        self._pool.shutdown()


def test_who_listens_on_the_way_reads_neither_prompt_nor_answer_nor_secret(
    address: FarAddress,
) -> None:
    with closing(Eavesdropper((address["host"], address["port"]))) as between:
        host, port = between.where
        channel = Channel({**address, "host": host, "port": port}, PATIENCE)
        channel.send("echo", body=PROMPT)
        assert [channel.receive()[1] for _ in range(3)] == [b"echo", ANSWER, b"[1,2]"]
        channel.close()

    assert len(between.copy) > len(PROMPT + ANSWER)
    assert not [
        words
        for words in (PROMPT[:24], ANSWER[:25], address["secret"].encode(), b"echo")
        if words in between.copy
    ]


def test_who_shows_another_certificate_is_not_told_the_secret(address: FarAddress) -> None:
    context, _ = make_certificate()
    words: list[bytes] = []

    def impostor(server: socket.socket) -> None:
        near, _ = server.accept()
        with suppress(OSError), context.wrap_socket(near, server_side=True) as secure:
            words.append(secure.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=impostor, args=(server,))
        thread.start()
        with pytest.raises(ChannelError) as refused:
            Channel({**address, "port": server.getsockname()[1]}, PATIENCE)
        thread.join(PATIENCE)

    assert not refused.value.sent
    assert b"".join(words) == b""


def test_who_speaks_no_tls_or_an_older_one_is_not_let_in(address: FarAddress) -> None:
    where = address["host"], address["port"]
    knock = frame(Kind.REQUEST, address["secret"].encode()) + frame(Kind.REQUEST, b'["echo"]\nhi')
    with socket.create_connection(where, PATIENCE) as plain:
        plain.sendall(knock)
        with suppress(ConnectionResetError):
            assert ANSWER[:10] not in plain.recv(65536)
    older = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    older.check_hostname, older.verify_mode = False, ssl.CERT_NONE
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(where, PATIENCE) as plain,
        pytest.raises(OSError),
    ):
        older.wrap_socket(plain)


def test_a_server_that_accepts_and_says_nothing_is_nobody(address: FarAddress) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ChannelError) as refused:
        Channel({**address, "port": silent.getsockname()[1]}, PATIENCE)
    assert not refused.value.sent


def test_each_certificate_is_another() -> None:
    assert make_certificate()[1] != make_certificate()[1]
