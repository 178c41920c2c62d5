"""Hosts: how one is written in one form only, the addresses where a provider's key may not go, and
the proxy on the way there. Pure."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple, Self
from urllib.parse import quote, unquote, urlsplit

GUARDED = tuple(
    ip_network(network)
    for network in (
        # link-local: most clouds' metadata, and Tencent's, Huawei's and Azure's own
        "169.254.0.0/16",
        "fe80::/10",
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure's host agent
        "192.0.0.192/32",
        "fd00:c1::a9fe:a9fe/128",  # Oracle
        "fd00:ec2::/32",  # AWS: metadata at ::254, keys of EKS at ::23
        "fd20:ce::254/128",  # Google
        "fd00:42::42/128",  # Scaleway
    )
)
"""Where a machine is told its own secrets, by the clouds' manuals."""

HOLDS_IPV4 = tuple(
    ip_network(network)
    for network in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
"""Networks whose last 32 bits are an IPv4 address: compatible, mapped, translated, and NAT64 (RFC
6052, RFC 8215)."""

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def canonical(host: str) -> str:
    """Return a host in one form: a name in ASCII and small letters, or an address in its usual
    spelling.

    Spellings that resolvers take for an address become it: 0x7f.1, 2130706433, `①②⑦。0。0。1`.
    Raises ValueError.
    """
    host = host.removeprefix("[").removesuffix("]")
    if ":" in host:
        return str(ip_address(host))
    if not host.isascii():
        import idna  # here, since `make doctor` reads the settings where nothing is installed

        host = idna.encode(host, uts46=True).decode()
    host = host.lower().removesuffix(".")
    if not _NAME.fullmatch(host):
        raise ValueError(f"{host!r} is neither a name nor an address")
    if not _NUMBER.fullmatch(host.rpartition(".")[2]):
        return host
    try:
        return str(IPv4Address(socket.inet_aton(host)))
    except OSError as error:
        raise ValueError(f"{host!r} is no address") from error


class EgressProxy(NamedTuple):
    """The HTTP proxy through which providers are reached, and the `user:password` by which it lets
    us through ("": it asks for none)."""

    host: str
    port: int
    login: str = ""

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read http://user:password@host:port. Raises ValueError, which never holds the URL: its
        password is a secret."""
        try:
            parts = urlsplit(url.strip())
            host, port = canonical(parts.hostname or ""), parts.port
        except ValueError:
            host, port = "", None
        if (
            not (host and port and parts.scheme == "http" and parts.path in ("", "/"))
            or parts.query
            or parts.fragment
            or not url.strip().isprintable()
            or " " in url.strip()
        ):
            raise ValueError(
                "must be an HTTP proxy's URL such as http://10.0.0.9:3128 or"
                " http://user:password@10.0.0.9:3128, with %40 for @ and %2F for /"
            ) from None
        if parts.username is None:
            return cls(host, port)
        return cls(host, port, f"{unquote(parts.username)}:{unquote(parts.password or '')}")

    @property
    def netloc(self) -> str:
        """The host and port, which everybody may see."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole, password included."""
        user, _, password = self.login.partition(":")
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if self.login else ""
        return f"http://{login}{self.netloc}"


def split_port(netloc: str) -> tuple[str, str]:
    """Return the host and the port of `host:port` or `[address]:port`, the brackets left on; the
    port is "" where there is none."""
    host, colon, port = netloc.rpartition(":")
    sound = not port.strip("0123456789") and (netloc.startswith("[") or ":" not in host)
    return (host, port) if colon and sound else (netloc, "")


def url_netloc(url: str) -> str:
    """Return the host of a URL with its port, as it stands there; "": there is none."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def url_host(url: str) -> str:
    """Return the host of a URL, without brackets; "": there is none, or the URL is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_address(host: str) -> bool:
    """Return whether a host is an IP address in its usual spelling."""
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def is_guarded(host: str) -> bool:
    """Return whether an IP address is link-local or a cloud's metadata service, in whatever form;
    False for a name."""
    try:
        address = ip_address(host.partition("%")[0].removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return any(form in network for form in (address, *_within(address)) for network in GUARDED)


def _within(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address leads to."""
    if not isinstance(address, IPv6Address):
        return
    if any(address in network for network in HOLDS_IPV4):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour:
        yield address.sixtofour
    yield from address.teredo or ()
