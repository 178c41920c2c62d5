"""A password goes over TLS, or to this machine; and a slow server keeps nobody for long."""

from __future__ import annotations

import ssl
import threading
import time
from socket import socket

import pytest

from gateway.notifications import mail
from gateway.notifications.mail import may_log_in, send
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


def test_a_server_that_sends_a_byte_now_and_then_keeps_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail, "WHOLE_SECONDS", 2)  # a limit, and no function of ours
    ended = threading.Event()

    def trickle(connection: socket) -> None:
        while not ended.is_set():
            connection.sendall(b"2")
            time.sleep(0.2)

    try:
        with listener(trickle) as port:
            [target] = parse(f"smtp://127.0.0.1:{port}/?from=a@b.example&to=o@b.example")
            assert send(target, trial("en")).reason
    finally:
        ended.set()
