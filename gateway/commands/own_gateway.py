"""HTTP from a command to its own gateway: beside any proxy, and with the caller's token."""

from __future__ import annotations

import os
import urllib.request


def opener() -> urllib.request.OpenerDirector:
    """Return what opens URLs of the gateway. `http_proxy` is for other programs: a proxy would see
    the token."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def token(name: str = "GATEWAY_TOKEN") -> str:
    """Return the token of a variable; "": there is none. Raises SystemExit, which does not quote
    it."""
    return checked(os.environ.get(name, ""), name)


def checked(text: str, where: str) -> str:
    """Return a token without what stands around it. Raises SystemExit: it cannot be one, such as a
    whole file of tokens."""
    text = text.strip()
    if not (text.isascii() and text.isprintable()):
        raise SystemExit(f"{where}: must be one token, on one line, of ASCII characters.")
    return text
