"""Who really calls, when a reverse proxy stands in between. What anyone could have written is not
believed."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from gateway.settings import Network

App = Callable[[dict[str, Any], Any], Any]


def see_through(app: App, proxies: tuple[Network, ...]) -> App:
    """Return `app`, told the client's own address as REMOTE_ADDR where the peer is one of
    `proxies`.

    Every proxy adds its peer at the end of X-Forwarded-For, so it is read backwards, as far as it
    was written by trusted proxies. (Werkzeug's ProxyFix does not look at the peer.)
    """

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        peer = _address(environ.get("REMOTE_ADDR", ""))
        while peer and hops and any(peer in network for network in proxies):
            if peer := _address(hops.pop()):
                environ["REMOTE_ADDR"] = str(peer)
        return app(environ, start_response)

    return application if proxies else app


def origin(address: str) -> str:
    """Return what stands for whoever calls from an address: for IPv6 the /64 in which a client may
    take any.

    "": it is no address.
    """
    peer = _address(address)
    return (
        str(ip_network((peer, 64), strict=False))
        if isinstance(peer, IPv6Address)
        else str(peer or "")
    )


def speaks_for_many(address: str, proxies: tuple[Network, ...]) -> bool:
    """Return whether a peer's connections may be those of any number of clients: it is a proxy, or
    on this machine."""
    peer = _address(address)
    return peer is None or peer.is_loopback or any(peer in network for network in proxies)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    # Whoever listens on [::] sees 127.0.0.1 as ::ffff:127.0.0.1.
    return getattr(address, "ipv4_mapped", None) or address
