"""One message as mail, through the operator's own server."""

from __future__ import annotations

import smtplib
import ssl
import threading
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from ipaddress import ip_address
from socket import SHUT_RDWR, socket
from typing import Any

from typing_extensions import override

from gateway.notifications.robots import TAKEN, Verdict
from gateway.notifications.sentences import Letter
from gateway.notify_targets import Channel, Mail, Target

STEP_SECONDS = 10
WHOLE_SECONDS = 15
"""For all steps together."""

MOST_BYTES = 100_000
SUBJECT_CHARACTERS = 120


class _ClearTextError(Exception):
    """The password would cross the network in the clear."""


def send(target: Target, letter: Letter) -> Verdict:
    """Send a mail. Return what became of it."""
    mail = target.mail
    if mail is None:
        raise TypeError("no mail's target")
    try:
        server = _connected(target.channel, mail)
        try:
            _log_in(server, target.channel, mail)
            refusals = server.send_message(_message(mail, letter))
            with suppress(smtplib.SMTPException, OSError):  # it is taken, however they part
                server.quit()
        finally:
            server.close()
    except _ClearTextError:
        return Verdict(
            "the server offers no STARTTLS, and gets no password in the clear: use smtps://"
        )
    except smtplib.SMTPAuthenticationError as error:
        return Verdict(f"the server refuses the user or the password ({error.smtp_code})")
    except smtplib.SMTPRecipientsRefused:
        return Verdict("the server refuses the readers: look at to=")
    except smtplib.SMTPSenderRefused as error:
        return Verdict(f"the server refuses the sender ({error.smtp_code}): look at from=")
    except smtplib.SMTPResponseException as error:
        return Verdict(f"the server refuses it ({error.smtp_code})")
    except ssl.SSLError:
        return Verdict("TLS fails: look at the port, and at the server's certificate")
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        # not its text, which may quote what was sent
        return Verdict(f"the server cannot be reached, or does not answer ({type(error).__name__})")
    if refusals:  # by now only some of them: it is not sent to the others again
        return Verdict(lost=f"the server refuses {', '.join(refusals)}: look at to=")
    return TAKEN


class _Limited(smtplib.SMTP):
    """Hangs up after a while, whatever waits for the server: one that sends a byte now and then is
    never late."""

    _wire: socket | None = None

    def _get_socket(self, *arguments: Any) -> socket:
        """Connect, as smtplib does in here; where TLS comes first, that begins after this."""
        connection: socket = super()._get_socket(*arguments)  # type: ignore[misc]
        self._wire = connection.dup()  # TLS, which may take for ever to begin, has the other
        return connection

    @override
    def connect(self, *arguments: Any, **options: Any) -> tuple[int, bytes]:
        self.watch = threading.Timer(WHOLE_SECONDS, self._hang_up)
        self.watch.daemon = True
        self.watch.start()
        try:
            return super().connect(*arguments, **options)
        except (OSError, smtplib.SMTPException):
            self.close()
            raise

    @override
    def close(self) -> None:
        super().close()
        self.watch.cancel()
        if self._wire:
            self._wire.close()

    def _hang_up(self) -> None:
        with suppress(OSError):
            if self._wire:
                self._wire.shutdown(SHUT_RDWR)


class _LimitedTLS(smtplib.SMTP_SSL, _Limited):
    """The same, where TLS comes first."""


def _connected(channel: Channel, mail: Mail) -> smtplib.SMTP:
    # The name is not looked up, which may take long.
    options: dict[str, Any] = {"timeout": STEP_SECONDS, "local_hostname": "[127.0.0.1]"}
    if channel == Channel.SMTPS:
        return _LimitedTLS(mail.host, mail.port, context=_context(mail.host), **options)
    return _Limited(mail.host, mail.port, **options)


def _log_in(server: smtplib.SMTP, channel: Channel, mail: Mail) -> None:
    server.ehlo()
    if channel == Channel.SMTP and server.has_extn("starttls"):
        server.starttls(context=_context(mail.host))
        server.ehlo()
    if mail.user:
        peer = server.sock.getpeername()[0] if server.sock else ""
        if not may_log_in(str(peer), isinstance(server.sock, ssl.SSLSocket)):
            raise _ClearTextError
        server.login(mail.user, mail.password)


def may_log_in(peer: str, encrypted: bool) -> bool:
    """Return whether a password may be sent: over TLS, or on this machine."""
    return encrypted or _is_loopback(peer)


def _context(host: str) -> ssl.SSLContext:
    """Return how TLS is spoken. A server on this machine has no certificate that could be right,
    and nobody stands between."""
    context = ssl.create_default_context()
    if host == "localhost" or _is_loopback(host):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _message(mail: Mail, letter: Letter) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = f"{letter.title} {letter.sentences[0]}"[:SUBJECT_CHARACTERS]
    message["From"], message["To"] = mail.sender, ", ".join(mail.recipients)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=mail.sender.partition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text(MOST_BYTES))
    return message
