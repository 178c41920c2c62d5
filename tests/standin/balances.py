"""What providers say is left in a key's account, in their own forms: 404 until a test says how
much."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

Amounts = dict[str, float]
AMOUNTS = web.AppKey("amounts", Amounts)
LOOKS = web.AppKey("looks", list[tuple[str, str]])

USED = 10
"""What a key of a relay has used of its limit."""


def _reply(path: str, amount: float) -> Any:
    if path.endswith("/user/balance"):
        row = {"currency": "CNY", "total_balance": f"{amount:.2f}", "granted_balance": "0.00"}
        return {"is_available": amount > 0, "balance_infos": [row]}
    if path.endswith("/users/me/balance"):
        return {"code": 0, "data": {"available_balance": amount}, "scode": "0x0", "status": True}
    if path.endswith("/key"):
        return {"data": {"label": "sk-or-v1-0e6...1c9", "limit_remaining": amount, "usage": USED}}
    if path.endswith("/subscription"):
        return {"object": "billing_subscription", "hard_limit_usd": amount + USED}
    return {"object": "list", "total_usage": USED * 100}


async def _say(request: web.Request) -> web.Response:
    _, _, key = request.headers.get("Authorization", "").partition(" ")
    request.app[LOOKS].append((key, request.path))
    amount = request.app[AMOUNTS].get(key)
    if amount is None:
        raise web.HTTPNotFound
    return web.json_response(_reply(request.path, amount))


async def _put(request: web.Request) -> web.Response:
    """Say how much a key has."""
    request.app[AMOUNTS][request.match_info["key"]] = float(orjson.loads(await request.read()))
    return web.json_response({"ok": True})


async def _looks(request: web.Request) -> web.Response:
    """List the paths where a key has asked."""
    key = request.match_info["key"]
    return web.json_response([path for one, path in request.app[LOOKS] if one == key])


def add_balances(app: web.Application, prefix: str) -> None:
    """Add the paths where providers are asked, and those where a test says what they answer."""
    app[AMOUNTS], app[LOOKS] = {}, []
    places = ("/users/me/balance", "/key", "/dashboard/billing/{of:subscription|usage}")
    for path in ("/user/balance", *(prefix + place for place in places)):
        app.router.add_get(path, _say)
    app.router.add_put("/_balances/{key}", _put)
    app.router.add_get("/_balances/{key}", _looks)
