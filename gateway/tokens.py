"""Callers' tokens, as lines of text: `name:token:scopes`, and after it what the caller may use.

`shop:SECRET:chat chats=shop_* limit=60/min,200000tokens/day,50CNY/month` names the chats that there
are for it (none other is), and how much it may use of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

TOKEN_CHARACTERS = 8
"""A shorter token is guessed in a day."""

SCOPES = frozenset({"chat", "admin"})

REQUESTS, TOKENS = "requests", "tokens"
"""What is limited beside money, whose unit is its currency."""

MOST_A_MINUTE = 100_000
"""So many requests of one caller are remembered, each by its time."""

_LIMIT = re.compile(
    r"(?P<amount>\d{1,12}(?:\.\d{1,6})?)(?P<unit>requests|tokens|[A-Z]{3}|)/(?P<per>min|day|month)"
)
_PATTERN = re.compile(r"[A-Za-z0-9_.*?-]+")


class Limit(NamedTuple):
    """How much of a `unit` (REQUESTS, TOKENS, or a currency) a caller may use `per` min, day or
    month."""

    amount: float
    unit: str
    per: str

    def __str__(self) -> str:
        return f"{self.amount:.12g}{'' if self.unit == REQUESTS else self.unit}/{self.per}"


@dataclass(frozen=True, slots=True)
class Token:
    """A caller's token: only its SHA-256 digest is kept. `scopes` are "chat" and/or "admin".

    `chats` are patterns of the names that there are for it (none: all names), and `limits` what it
    may use.
    """

    name: str
    digest: bytes
    scopes: frozenset[str]
    chats: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()

    def sees(self, chat: str) -> bool:
        """Return whether there is a chat of this name for it."""
        return not self.chats or any(fnmatchcase(chat, pattern) for pattern in self.chats)


def digest(token: str) -> bytes:
    """Return a token's digest, by which it is compared: of equal length, and nobody's token in a
    dump of memory."""
    return hashlib.sha256(token.encode()).digest()


def parse_token(line: str) -> Token:
    """Return the token that a line says. Raises ValueError with what is wrong, never quoting the
    line: it holds a token."""
    name, _, rest = line.partition(":")
    secret, _, words = rest.rpartition(":")
    secret = secret.strip()
    pairs = [word.split("=", 1) for word in words.split() if "=" in word]
    options = dict(pairs)
    scopes = frozenset("".join(word for word in words.split() if "=" not in word).split(","))
    if not (name and secret and scopes <= SCOPES):
        raise ValueError("it must be name:token:scopes, where scopes is chat, admin or chat,admin")
    if unknown := options.keys() - {"chats", "limit"}:
        raise ValueError(f"{min(unknown)[:20]}= is none of chats= and limit=")
    if len(pairs) > len(options):
        raise ValueError("chats= or limit= stands there twice: put commas between, in one of them")
    if not secret.isascii():
        raise ValueError("the token must be ASCII; old clients can send nothing else")
    if len(secret) < TOKEN_CHARACTERS:
        raise ValueError(
            f"the token is shorter than {TOKEN_CHARACTERS} characters; make one with openssl rand"
            " -hex 24"
        )
    if options and "admin" in scopes:
        raise ValueError(
            "chats= and limit= hold nobody with the scope admin, who deploys what they like: leave"
            " out one or the other"
        )
    chats, limits = options.get("chats"), options.get("limit")
    return Token(
        name,
        digest(secret),
        scopes,
        () if chats is None else patterns(chats),
        () if limits is None else tuple(map(limit, limits.split(","))),
    )


def patterns(text: str) -> tuple[str, ...]:
    """Return patterns of chat names. Raises ValueError."""
    names = tuple(text.split(","))
    if not all(map(_PATTERN.fullmatch, names)):
        raise ValueError(
            "chats= must be chat names with commas between them, where * stands for any letters:"
            " chats=shop_*,sort_mail"
        )
    return names


def limit(text: str) -> Limit:
    """Return a limit. Raises ValueError."""
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"limit={text[:40]}: it must be such as 60/min, 5000/day, 200000tokens/day or"
            " 50CNY/month"
        )
    amount, unit, per = float(match["amount"]), match["unit"] or REQUESTS, match["per"]
    if per == "min" and unit != REQUESTS:
        raise ValueError(f"limit={text[:40]}: only requests are counted by the minute")
    if amount <= 0 or (unit in (REQUESTS, TOKENS) and amount % 1):
        raise ValueError(f"limit={text[:40]}: it must be a whole number, 1 or more")
    if per == "min" and amount > MOST_A_MINUTE:
        raise ValueError(f"limit={text[:40]}: it must be {MOST_A_MINUTE} or less")
    return Limit(amount, unit, per)


def check_all(tokens: Iterable[Token]) -> None:
    """Raise ValueError where one token stands twice, or two tokens of one name may use different
    things: what they use is counted by their name."""
    seen: dict[bytes, Token] = {}
    named: dict[str, Token] = {}
    for token in tokens:
        if token.digest in seen:
            raise ValueError("one token stands there twice; give each caller its own")
        seen[token.digest] = token
        other = named.setdefault(token.name, token)
        if other.limits != token.limits:
            raise ValueError(
                f"two tokens are named {token.name[:64]!r}, and their limits differ: what they use"
                " is counted together, so give them the same, or another name"
            )
