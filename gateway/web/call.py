"""One request has one record, a Call: made at its beginning, read at its end."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import g, request

from gateway.errors import Code
from gateway.frames import Usage
from gateway.protocol import PublicConfig
from gateway.providers.structures import Structure
from gateway.tokens import Token
from gateway.web import metrics, validation, wire

if TYPE_CHECKING:
    from gateway.web.large_body import LargeBody

OK = "OK"

_LETTERS = str.maketrans("0123456789", "ghijklmnop")
"""A request's id is written without digits: clients search errors for HTTP statuses, such as "429",
and try again."""


@dataclass(slots=True)
class Call:
    """A request under way: who asks for what, how the reply is to be written, and what became of
    it.

    `chat` was asked, `served_by` answered; `own_seconds` is our part of an answered chat; `token`
    is the caller's, once it was checked. `large` is what its body holds, where that is large, and
    `options` are what the request itself says of its reply's form. `task` is what the chat's name
    is of, if it is a task's, `structure` what the answer must be, and `digest` what was asked
    before the task's prompt was put around it. `model` is what the provider calls who answered, and
    `counted` says that the ledger knows of the answer already. The answer `pends`, or is a job's,
    which was `fetched`.
    """

    id: str
    client: str
    method: str
    path: str
    route: str
    form: wire.Form
    began: float = field(default_factory=time.perf_counter)
    token: Token | None = None
    chat: str = ""
    served_by: str | None = None
    fell_back: Code | None = None
    code: str = OK
    usage: Usage | None = None
    own_seconds: float | None = None
    model: str = ""
    counted: bool = False
    pends: bool = False
    fetched: bool = False
    large: LargeBody | None = None
    options: dict[str, Any] = field(default_factory=dict)
    task: PublicConfig | None = None
    structure: Structure | None = None
    digest: str = ""

    @property
    def caller(self) -> str:
        """The name of the caller's token; "": nobody has one."""
        return self.token.name if self.token else ""

    @property
    def owner(self) -> str:
        """Whose jobs and sessions the caller may see; "": nobody has a token."""
        return self.token.digest.hex() if self.token else ""

    def answered(
        self, served_by: str, fell_back: Code | None, usage: Usage, counted: bool = False
    ) -> None:
        """Note an answer, or a stream's first word. `counted`: its usage was, when it was there
        first."""
        self.served_by, self.fell_back, self.usage = served_by, fell_back, usage
        self.counted = self.fetched = counted
        if counted:
            return
        if not fell_back:  # else the time of those that failed is in it, too
            self.own_seconds = max(time.perf_counter() - self.began - usage.seconds, 0.0)
        metrics.count_usage(served_by, usage)

    def ended(self, usage: Usage) -> None:
        """Note that a stream is at its end: now its tokens are known, if they were not before."""
        begun, self.usage = self.usage, usage
        if begun is None or (begun.tokens_in is None and begun.tokens_out is None):
            metrics.count_tokens(self.served_by or self.chat, usage)

    def unpacked(self) -> None:
        """Let the next large body be unpacked: of this one there is little more than its texts."""
        if self.large:
            self.large.unpacked()

    def let_go(self) -> None:
        """Hold nothing of a large question any more: its answer has begun, which may take an
        hour."""
        if self.large:
            self.large.release()

    def hold(self, size: int) -> None:
        """Hold so many bytes for a large question from now on. Raises GatewayError
        (GATEWAY_BUSY)."""
        if self.large:
            self.large.hold(size)


def begin() -> Call:
    """Make the record of the request that has come."""
    sent = request.headers.get("X-Request-Id")
    harmless = sent and re.fullmatch(r"[\w.\-]{1,64}", sent, re.ASCII)
    g.call = Call(
        # No secret: no system call is spent on it.
        id=sent if sent and harmless else f"{random.getrandbits(64):016x}".translate(_LETTERS),
        client=request.remote_addr or "",
        method=request.method,
        path=request.path[:200],
        route=request.url_rule.rule if request.url_rule else "",
        form=validation.form(_form_by_headers(), options_in_query()),
    )
    return current()


def current() -> Call:
    """Return the record of the request under way."""
    call: Call = g.call
    return call


def options_in_query() -> dict[str, Any]:
    """Return what the query says of the reply's form. Others, such as what is added against caches,
    are nobody's options."""
    names = wire.Form._fields
    args = request.args if request.query_string else {}
    return {name: value for name, value in args.items() if name in names}


def _form_by_headers() -> wire.Form:
    accept, languages = request.headers.get("Accept", ""), request.headers.get("Accept-Language")
    wants_text = "text/plain" in accept and (
        request.accept_mimetypes["text/plain"] > request.accept_mimetypes["application/json"]
    )
    lang = request.accept_languages.best_match(["en", "zh"], "en") if languages else "en"
    return wire.Form(format="text" if wants_text else "json", lang=lang)
