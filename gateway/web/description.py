"""What is to be known of a route: said once, beside its view, and read by whoever checks tokens and
by OpenAPI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Response
from pydantic import BaseModel

from gateway.errors import MEANINGS, Code
from gateway.web import services
from gateway.web.schemas import Json

View = Callable[..., Response]

UNAVAILABLE = (Code.CLUSTER_DOWN, Code.TIMEOUT)
NAMED = (Code.NOT_DEPLOYED, *UNAVAILABLE)
"""What may go wrong where a chat is named and not asked."""

CHECKED = tuple(
    code
    for code in MEANINGS
    if code not in (Code.GATEWAY_BUSY, Code.NEED_KEY, Code.OVER_LIMIT, Code.OVER_BUDGET)
)
"""What may go wrong where a model is asked whether it answers."""


@dataclass(frozen=True)
class Description:
    """What a route's path does not tell. `scope` is what a token needs ("": any token will do;
    None: no token).

    `streams` is a stream's content type, or another one that answers have; `pends`: an answer may
    come later. `fails` are the codes beside those of any route with such a scope and body.
    """

    summary: str
    reply: Json
    scope: str | None = ""
    takes: type[BaseModel] | None = None
    streams: str = ""
    fails: tuple[Code, ...] = UNAVAILABLE
    pends: bool = False

    def codes(self) -> list[Code]:
        """Return every way in which it may fail, in the order of the table."""
        codes = {*self.fails, Code.INTERNAL}
        codes |= {Code.INVALID_REQUEST, Code.TOO_LARGE} if self.takes else set()
        codes |= {Code.UNAUTHORIZED} if self.scope is not None else set()
        codes |= {Code.FORBIDDEN} if self.scope else set()
        return [code for code in MEANINGS if code in codes or self.scope == "chat"]


def described(description: Description) -> Callable[[View], View]:
    """Make a view one that only answers callers whose token has its description's scope."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(**arguments: Any) -> Response:
            if description.scope is not None:
                services.authenticator().require(description.scope)
            return view(**arguments)

        checked.description = description  # type: ignore[attr-defined]
        return checked

    return decorate


def description_of(view: Callable[..., Any]) -> Description | None:
    """Return what was said of a view; None: nothing was."""
    description: Description | None = getattr(view, "description", None)
    return description
