"""GET /callers: who has a token, what it is for, and what is used of its limits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from flask import Blueprint, Response, jsonify

from gateway.tokens import Token
from gateway.web import services
from gateway.web.description import Description, described
from gateway.web.schemas import COUNT, TEXT, Json, schema_object

callers_app = Blueprint("callers", __name__)

_TEXTS: Json = {"type": "array", "items": TEXT}
_LIMIT = schema_object(
    limit=TEXT, unit=TEXT, per=TEXT, amount={"type": "number"}, used={"type": "number"}
)
_CALLER = schema_object(
    name=TEXT, scopes=_TEXTS, chats=_TEXTS, limits={"type": "array", "items": _LIMIT}, tokens=COUNT
)
CALLERS = schema_object(callers={"type": "array", "items": _CALLER})


@callers_app.get("/callers")
@described(Description("Callers, what they may use, and what they have used.", CALLERS))
def callers() -> Response:
    """Return all callers to an admin, else the caller alone, and nothing from which a token could
    be guessed. Tokens of one name that may do the same are one row."""
    own = services.own_name()
    tokens = (token for token in services.settings().tokens if own in (None, token.name))
    counts = Counter(replace(token, digest=b"") for token in tokens)
    return jsonify(callers=[{**_row(token), "tokens": n} for token, n in counts.items()])


def _row(token: Token) -> dict[str, object]:
    used = services.spending().used(token)
    return {
        "name": token.name,
        "scopes": sorted(token.scopes),
        "chats": list(token.chats),
        "limits": [
            {**limit._asdict(), "limit": str(limit), "used": amount}
            for limit, amount in zip(token.limits, used, strict=True)
        ],
    }
