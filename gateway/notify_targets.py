"""Where a person is told: group robots, a webhook, or mail, each by a URL. Pure.

The URLs are secrets like keys: whoever has a robot's can write to the group. So none stands in an
error, a log or a `repr`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, unquote, urlsplit

from gateway.addresses import canonical


class Channel(StrEnum):
    """How a target is spoken to."""

    WECOM = "wecom"
    DINGTALK = "dingtalk"
    FEISHU = "feishu"
    WEBHOOK = "webhook"
    SMTP = "smtp"
    SMTPS = "smtps"


HOSTS = {
    "qyapi.weixin.qq.com": Channel.WECOM,
    "oapi.dingtalk.com": Channel.DINGTALK,
    "open.feishu.cn": Channel.FEISHU,
    "open.larksuite.com": Channel.FEISHU,
}
"""By these a robot is known; one at another host says its kind: wecom+https://..."""

KEYS = {Channel.WECOM: "key=", Channel.DINGTALK: "access_token=", Channel.FEISHU: "/hook/"}
"""What stands before the key in a robot's URL."""

SIGNED = frozenset({Channel.DINGTALK, Channel.FEISHU})
ROBOTS = frozenset({*KEYS, Channel.WEBHOOK})
MAIL_PORTS = {Channel.SMTP: 587, Channel.SMTPS: 465}

_ADDRESS = re.compile(r"[^@\s,<>\"]+@[^@\s,<>\"]+")


@dataclass(frozen=True, slots=True)
class Mail:
    """Through which server mail goes, from whom and to whom. `user` "": nobody logs in."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """One entry of GATEWAY_NOTIFY. `name` is what anybody may see of it; `digest` is the same for
    the same group or reader, whatever its password; `secret` signs ("": it is not signed)."""

    channel: Channel
    name: str
    digest: str
    url: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    mail: Mail | None = field(default=None, repr=False)


def parse(text: str) -> tuple[Target, ...]:
    """Read the entries of a text, which spaces and line ends part; lines with # are comments.
    Raises ValueError, which names an entry by its number and never quotes it."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    targets: dict[str, Target] = {}
    for number, entry in enumerate((one for line in lines for one in line.split()), 1):
        try:
            target = _target(entry)
        except ValueError as error:
            words = str(error) if isinstance(error, _WrongError) else "it is no URL"
            raise ValueError(f"entry {number}: {words}") from None  # urlsplit quotes what it minds
        targets.setdefault(target.digest, target)
    return tuple(targets.values())


class _WrongError(ValueError):
    """What is wrong with an entry, in words that quote nothing of it."""


def _target(entry: str) -> Target:
    if not entry.isascii() or not entry.isprintable():
        raise _WrongError("it must be ASCII; write other characters as %XX")
    scheme, _, rest = entry.partition("://")
    scheme = scheme.lower()
    if scheme in MAIL_PORTS:
        return _mail(Channel(scheme), urlsplit(entry))
    kind, plus, scheme = scheme.rpartition("+")
    url = urlsplit(f"{scheme}://{rest}")
    if scheme not in ("http", "https") or (plus and kind not in ROBOTS):
        raise _WrongError(
            "it must begin with https://, http://, smtp:// or smtps://; or with wecom+, dingtalk+,"
            " feishu+ or webhook+ and then http:// or https://"
        )
    host = _host(url)
    channel = Channel(kind) if plus else HOSTS.get(host, Channel.WEBHOOK)
    if not plus and host in HOSTS and scheme == "http":
        raise _WrongError(f"{host} is reached by https:// only: its key would cross in the clear")
    if channel in KEYS and not re.search(re.escape(KEYS[channel]) + "[^&#]", entry):
        raise _WrongError(f"a {channel} robot's URL has its key after {KEYS[channel]}")
    if url.fragment and channel not in SIGNED:
        raise _WrongError(f"a {channel} URL has no part after #: only DingTalk and Feishu sign")
    whole = url._replace(fragment="").geturl()
    digest = _digest(channel, whole)
    return Target(channel, f"{channel} {_netloc(url)}", digest, whole, unquote(url.fragment))


def _mail(channel: Channel, url: SplitResult) -> Target:
    if url.path not in ("", "/") or url.fragment:
        raise _WrongError(
            "after the host stands ?from=..&to=..; in a password # is %23 and / is %2F"
        )
    # parse_qs would make a space of the + in an address
    pairs = [pair.partition("=") for pair in url.query.split("&") if pair]
    query = {name: unquote(value) for name, _, value in pairs}
    if unknown := query.keys() - {"from", "to"}:
        raise _WrongError(f"mail takes ?from= and &to=, and nothing else ({len(unknown)} more)")
    user, password = unquote(url.username or ""), unquote(url.password or "")
    sender, recipients = query.get("from", user), tuple(query.get("to", "").split(","))
    if not all(map(_ADDRESS.fullmatch, (sender, *recipients))):
        raise _WrongError(
            "mail is smtp://user:password@host:587/?from=a@b.example&to=c@d.example; several in"
            " to= stand with commas between them, and without from= the user is the sender"
        )
    if not all(
        one.isascii() and one.isprintable() for one in (user, password, sender, *recipients)
    ):
        raise _WrongError("user, password and addresses must be ASCII")
    port = url.port or MAIL_PORTS[channel]
    mail = Mail(_host(url), port, user, password, sender, recipients)
    digest = _digest(channel, mail.host, str(port), user, sender, *recipients)
    return Target(channel, f"{channel} {_netloc(url)}", digest, mail=mail)


def _host(url: SplitResult) -> str:
    try:
        return canonical(url.hostname or "")
    except ValueError:
        raise _WrongError("it names no host") from None


def _netloc(url: SplitResult) -> str:
    host = _host(url)
    name = f"[{host}]" if ":" in host else host
    return f"{name}:{url.port}" if url.port else name


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def parse_all(sources: Mapping[str, str]) -> tuple[Target, ...]:
    """Read the texts of several variables. Raises ValueError, which names the variable."""
    targets: dict[str, Target] = {}
    for variable, text in sources.items():
        try:
            targets |= {target.digest: target for target in parse(text)}
        except ValueError as error:
            raise ValueError(f"{variable}, {error}.") from None
    return tuple(targets.values())
