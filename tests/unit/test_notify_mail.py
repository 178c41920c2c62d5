"""A password goes over TLS, or to this machine; and a slow server keeps nobody for long."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from socket import socket

import pytest

from gateway.notifications import mail
from gateway.notifications.mail import may_log_in, send
from gateway.notifications.robots import TAKEN
from gateway.notifications.sentences import trial
from gateway.notify_targets import parse
from tests.egress import listener


@pytest.mark.parametrize(
    ("peer", "encrypted", "allowed"),
    [
        ("127.0.0.1", False, True),
        ("127.3.2.1", False, True),
        ("::1", False, True),
        ("10.0.0.9", False, False),
        ("192.0.2.7", False, False),
        ("2001:db8::1", False, False),
        ("", False, False),
        ("localhost.evil.example", False, False),
        ("192.0.2.7", True, True),
    ],
)
def test_a_password_is_sent_over_tls_or_on_this_machine(
    peer: str, encrypted: bool, allowed: bool
) -> None:
    assert may_log_in(peer, encrypted) is allowed


@pytest.mark.parametrize("host", ["mail.example", "10.0.0.9", "192.0.2.7"])
def test_the_certificate_of_another_machine_is_looked_at(host: str) -> None:
    context = mail._context(host)
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize("channel", ["smtp", "smtps"])
def test_a_server_that_sends_a_byte_now_and_then_keeps_nobody(
    monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    monkeypatch.setattr(mail, "WHOLE_SECONDS", 2)  # a limit, and no function of ours
    ended = threading.Event()
    hello = b"\x16"  # one byte of a record of TLS's handshake

    def trickle(connection: socket) -> None:
        while not ended.is_set():
            connection.sendall(b"2" if channel == "smtp" else hello)
            time.sleep(0.2)

    try:
        with listener(trickle) as port:
            [target] = parse(f"{channel}://127.0.0.1:{port}/?from=a@b.example&to=o@b.example")
            began = time.monotonic()
            assert send(target, trial("en")).reason
            assert time.monotonic() - began < mail.STEP_SECONDS
    finally:
        ended.set()


def speaking(*lines: bytes) -> Callable[[socket], None]:
    """A server that answers so, one line after the other, and to a mail's text with one."""

    def speak(connection: socket) -> None:
        heard = connection.makefile("rb")
        for line in lines:
            connection.sendall(line + b"\r\n")
            if line.startswith(b"354"):
                while heard.readline().rstrip() != b".":
                    pass
            else:
                heard.readline()

    return speak


TAKES = b"220 hi", b"250 ehlo", b"250 from"


@pytest.mark.parametrize("bye", [b"250 bye", b"421 closing", b"nonsense"])
def test_a_mail_that_was_taken_is_taken_however_they_part(bye: bytes) -> None:
    with listener(speaking(*TAKES, b"250 to", b"354 go on", b"250 taken", bye)) as port:
        [target] = parse(f"smtp://127.0.0.1:{port}/?from=a@b.example&to=o@b.example")
        assert send(target, trial("en")) == TAKEN


def test_a_reader_who_is_refused_is_told_of_and_the_others_have_it() -> None:
    lines = (*TAKES, b"250 to", b"550 nobody", b"354 go on", b"250 taken", b"221 bye")
    with listener(speaking(*lines)) as port:
        readers = "o@b.example,boss@b.example"
        [target] = parse(f"smtp://127.0.0.1:{port}/?from=a@b.example&to={readers}")
        verdict = send(target, trial("en"))
    assert (verdict.reason, "boss@b.example" in verdict.lost) == ("", True)
