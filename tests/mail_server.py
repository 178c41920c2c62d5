"""A real mail server (aiosmtpd) on loopback, which keeps what it takes."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from tests.environment import free_port

USER, PASSWORD = "gateway@a.example", "mail-secret-7"


@dataclass
class MailServer:
    """Where it listens, and what it took, oldest first."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    logins: list[bool] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail; aiosmtpd calls this."""
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=default)
        assert isinstance(mail, EmailMessage)
        mail["X-Recipients"] = ", ".join(envelope.rcpt_tos)
        self.mails.append(mail)
        return "250 OK"

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: Any, login: Any
    ) -> AuthResult:
        """Let in USER only, and note whether TLS was spoken."""
        assert isinstance(login, LoginPassword)
        encrypted = server.transport.get_extra_info("ssl_object") is not None
        self.logins.append(encrypted)
        right = (login.login, login.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)  # the server itself says so

    def texts(self) -> list[str]:
        """The words of each mail."""
        return [str(mail.get_content()) for mail in self.mails]


@contextmanager
def mail_server(certificate: Path | None = None, tls_first: bool = False) -> Iterator[MailServer]:
    """A server that takes a login; with a certificate it speaks TLS, at once or after STARTTLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if certificate else None
    if context and certificate:
        context.load_cert_chain(certificate)
    server = MailServer(free_port())
    controller = Controller(
        server,
        hostname="127.0.0.1",
        port=server.port,
        ssl_context=context if tls_first else None,
        tls_context=None if tls_first else context,
        require_starttls=bool(context) and not tls_first,
        # aiosmtpd knows of no TLS but STARTTLS's
        auth_required=bool(context) and not tls_first,
        auth_require_tls=bool(context) and not tls_first,
        authenticator=server.authenticate,
    )
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def make_certificate(folder: Path) -> Path:
    """A certificate with its key, of nobody that anybody trusts."""
    path = folder / "mail.pem"
    kind = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=mail.example"
    command = ["openssl", *kind.split(), "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path
