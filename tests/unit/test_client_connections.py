"""A head is whole exactly where gunicorn's parser reads no further; of many that wait, the oldest
gives way."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import LimitRequestHeaders
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings import load
from gateway.web import proxies
from gateway.web.client_connections import HEAD_BYTES, Connection, Head, Patience, Reader, Waiting
from gateway.web.http_messages import Request
from gateway.web.proxies import origin, speaks_for_many

LINES = (
    *(
        b"GET /healthz HTTP/1.1",
        b"POST /openai/chat HTTP/1.0",
        b"nonsense",
        b"Host: localhost",
        b"Content-Length: 2",
    ),
    *(b"Transfer-Encoding: chunked", b" folded", b"X:y", b"", b"{}"),
)
ENDS = (b"\r\n", b"\n", b"\r", b"\n\r", b"")


class Source:
    """A socket that has no more than it is given."""

    def recv(self, size: int) -> bytes:
        raise AssertionError("the parser would wait for the client")


@pytest.fixture(params=[True, False], ids=["bare LF is taken", "behind a proxy"])
def takes_bare_lf(request: pytest.FixtureRequest) -> Iterator[None]:
    before, Request.takes_bare_lf = Request.takes_bare_lf, request.param
    yield
    Request.takes_bare_lf = before


@pytest.mark.usefixtures("takes_bare_lf")
def test_the_parser_never_waits_for_more_than_a_whole_head() -> None:
    @given(
        st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(ENDS)), max_size=8),
        st.integers(1, 40),
    )
    def parse(lines: list[tuple[bytes, bytes]], size: int) -> None:
        sent = b"".join(line + end for line, end in lines)
        reader = Reader(Source())  # type: ignore[arg-type]
        for start in range(0, len(sent), size):
            reader.add(sent[start : start + size])
            if reader.whole:
                break
        if reader.whole:
            try:
                Request(Config(), reader, ("127.0.0.1", 1))
            except LimitRequestHeaders:
                raise AssertionError("it wanted to read on") from None
            except Exception as error:
                assert type(error).__module__ == "gunicorn.http.errors"  # noqa: PT017

    parse()


def test_a_head_that_is_too_long_is_refused() -> None:
    reader = Reader(Source())  # type: ignore[arg-type]
    reader.add(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (HEAD_BYTES // 6))
    assert reader.whole
    with pytest.raises(LimitRequestHeaders):
        Request(Config(), reader, ("127.0.0.1", 1))


def test_a_connection_tells_how_far_its_head_has_come() -> None:
    client, server = socket.socketpair()
    with client, server:
        conn = Connection(Config(), server, ("127.0.0.1", 1), ("127.0.0.1", 2))
        assert conn.look() is Head.NOTHING
        client.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert conn.look() is Head.BEGUN
        client.sendall(b"\r\nGET")
        assert conn.look() is conn.look() is Head.WHOLE
        assert next(conn.parser).path == "/healthz"
        assert conn.look_again() is Head.BEGUN, "what came with the last one"
        client.close()
        assert conn.look() is Head.GONE


@dataclass(eq=False)
class Waiter:
    client: str
    deadline: float = 0.0


def test_the_oldest_gives_way_of_all_and_of_one_origin() -> None:
    waiting = Waiting(30, 5, 2, lambda conn: str(conn.client))
    *a, b, c, d, e = cast("Any", [Waiter(client) for client in ("a", "a", "a", "b", "", "", "")])

    assert [waiting.add(conn) for conn in a] == [None, None, a[0]]
    waiting.remove(a[0])
    assert [waiting.add(conn) for conn in (b, c, d, e)] == [None, None, None, a[1]]
    waiting.remove(a[1])

    assert (len(waiting), a[1] in waiting, waiting.oldest()) == (5, False, a[2])
    assert list(waiting.late()) == []
    waiting.hurry(time.monotonic())
    for conn in waiting.late():
        waiting.remove(conn)
    assert len(waiting) == 0
    assert waiting.oldest() is None


def test_patience_ends_unless_something_goes_over_the_wire() -> None:
    now = time.monotonic()
    Patience().spend(now - 29, 1)
    Patience().spend(now - 60, 100_000)
    with pytest.raises(BlockingIOError):
        Patience().spend(now - 31, 1)
    slow = Patience()
    slow.spend(now - 20, 1)
    with pytest.raises(BlockingIOError):
        slow.spend(now - 20, 1)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", ""),
    ],
)
def test_an_origin_is_an_address_or_the_network_of_one_client(address: str, expected: str) -> None:
    assert origin(address) == expected


@pytest.mark.parametrize(
    ("address", "many"),
    [
        *(
            ("127.0.0.1", True),
            ("::1", True),
            ("::ffff:127.0.0.1", True),
            ("", True),
            ("10.0.0.7", True),
        ),
        *(("10.0.0.8", False), ("2001:db8::1", False), ("::ffff:10.0.0.7", True)),
    ],
)
def test_a_proxy_and_this_machine_speak_for_many(address: str, many: bool) -> None:
    settings = load({"GATEWAY_TRUSTED_PROXIES": "10.0.0.7", "GATEWAY_OPEN": "1"})
    assert speaks_for_many(address, settings.trusted_proxies) is many
    assert proxies.origin(address) or many
