"""Group robots and a webhook, as the stand-in plays them: they refuse with HTTP 200, check
signatures and sizes, and keep what they took or refused, by their key.

A robot whose key begins with `signed-` wants the signature of the secret `SEC` + key. Its script
says what it does with the next messages: `take`, `refuse:CODE`, `status:STATUS`, `hang` or `drop`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from typing import Any

import orjson
from aiohttp import web

from tests.standin.ledger import Ledger, Received

WECOM_BYTES = 2048
AN_HOUR = 3600
CODES = {"wecom": "errcode", "dingtalk": "errcode", "feishu": "code"}
BAD_SIGN = {"dingtalk": 310000, "feishu": 19021}
TOO_LONG = 40058
BAD_BODY = {"wecom": 40008, "dingtalk": 40035, "feishu": 9499}


def _signature(key: str, message: str) -> str:
    return base64.b64encode(hmac.digest(key.encode(), message.encode(), hashlib.sha256)).decode()


def _is_signed(kind: str, key: str, request: web.Request, body: dict[str, Any]) -> bool:
    """Whether a robot with a secret may take this; the others sign nothing."""
    secret = f"SEC{key}"
    if not key.startswith("signed-"):
        return "sign" not in request.query and "sign" not in body
    if kind == "dingtalk":
        moment, sign = request.query.get("timestamp", "0"), request.query.get("sign")
        fresh = abs(time.time() - int(moment) / 1000) < AN_HOUR
        return fresh and sign == _signature(secret, f"{moment}\n{secret}")
    moment, sign = body.get("timestamp", "0"), body.get("sign")
    fresh = abs(time.time() - int(moment)) < AN_HOUR
    return fresh and sign == _signature(f"{moment}\n{secret}", "")


def _text(kind: str, body: Any) -> str:
    """The words of a message; "": it is none of this robot's."""
    try:
        if kind == "webhook":
            return str(body["text"])
        if kind == "feishu":
            return str(body["content"]["text"]) if body["msg_type"] == "text" else ""
        return str(body["text"]["content"]) if body["msgtype"] == "text" else ""
    except (KeyError, TypeError):
        return ""


def _answer(kind: str, code: int) -> web.Response:
    # The real ones quote who asks, and where: nobody may pass that on.
    words = {"errmsg": "no, said the robot", "msg": "no, said the robot"} if code else {}
    return web.json_response({CODES.get(kind, "code"): code, **words})


def _code(kind: str, key: str, request: web.Request, body: Any) -> int:
    text = _text(kind, body)
    if not text:
        return BAD_BODY.get(kind, 1)
    if not _is_signed(kind, key, request, body):
        return BAD_SIGN.get(kind, 1)
    return TOO_LONG if kind == "wecom" and len(text.encode()) > WECOM_BYTES else 0


def add_robots(app: web.Application, ledger: Ledger) -> None:
    """Add a route for each kind: where its key stands is the real ones' own."""

    async def play(request: web.Request) -> web.StreamResponse:
        kind = request.match_info["kind"]
        query = {"wecom": "key", "dingtalk": "access_token"}
        key = request.query.get(query.get(kind, ""), "") or request.match_info.get("key", "")
        behaviour, _, what = ledger.behaviour(key, "take").partition(":")
        headers = {str(name): value for name, value in request.headers.items()}
        body = orjson.loads(await request.read())
        received = Received(
            path=request.path_qs, headers=headers, body=body, at=time.time(), dialect=behaviour
        )
        ledger.record(key, received)
        match behaviour:
            case "drop" if request.transport:
                request.transport.abort()
            case "hang":
                await asyncio.sleep(600)
            case "status":
                return web.Response(status=int(what), text="<html>down</html>")
            case "refuse":
                return _answer(kind, int(what))
        if kind == "webhook":
            return web.Response(status=204)
        return _answer(kind, _code(kind, key, request, body))

    kinds = "{kind:wecom|dingtalk|feishu|webhook}"
    app.router.add_post(f"/robots/{kinds}/send", play)
    app.router.add_post(f"/robots/{kinds}/hook/{{key}}", play)
