"""The stand-in's HTTP server. From the repository's root: `python -m tests.standin.server [--port
0]`."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import time
from functools import partial
from typing import Any, cast

import orjson
from aiohttp import web

from tests.standin.balances import add_balances
from tests.standin.behaviours import Call, behave, refusal
from tests.standin.ledger import Ledger, Received
from tests.standin.refusals import BY_NAME, DIALECTS, Dialect
from tests.standin.relays import add_relays
from tests.standin.replies import Kind, rows
from tests.standin.robots import add_robots

LEDGER = web.AppKey("ledger", Ledger)
TONGWEN_ROWS = 10

# One path segment at a time: a base URL joined with two slashes must miss, as it may at a real
# provider.
PREFIX = rf"/{{dialect:{'|'.join(DIALECTS)}}}{{base:(?:/[^/]+)*}}"
PATHS: dict[str, Kind] = {
    "/chat/completions": "chat",
    "/embeddings": "embeddings",
    "/completions": "completions",
}
NO_KEY: dict[Dialect, str] = {
    "openai": "openai-invalid_api_key",
    "zhipu": "zhipu-1001",
    "tongwen": "tongwen-invalid_api_key",
}
MALFORMED: dict[Dialect, str] = {
    "openai": "openai-invalid_json-null_code",
    "zhipu": "zhipu-1214",
    "tongwen": "tongwen-InvalidParameter",
}


def _bearer(request: web.Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _parsed(data: bytes) -> Any:
    """The JSON, or what came in its stead, so that a test can see it."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode(errors="replace")


def _sound(kind: Kind, body: Any) -> bool:
    """What every provider checks first."""
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        return False
    messages = body.get("messages") if kind == "chat" else [{}]
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(isinstance(one, dict) for one in messages)
    )


async def provide(request: web.Request, kind: Kind) -> web.StreamResponse:
    """Answer as the provider in the path would, in the way that the script or the model asks
    for."""
    ledger = request.app[LEDGER]
    dialect = cast(Dialect, request.match_info["dialect"])
    key = _bearer(request)
    at = time.time()
    with ledger.opened(key):
        body = _parsed(await request.read())
        headers = {str(name): value for name, value in request.headers.items()}  # istr is not JSON
        ledger.record(
            key, Received(path=request.path, headers=headers, body=body, at=at, dialect=dialect)
        )
        if not key:
            return refusal(BY_NAME[NO_KEY[dialect]], key)
        if not _sound(kind, body):
            return refusal(BY_NAME[MALFORMED[dialect]], key)
        if kind == "embeddings" and dialect == "tongwen" and len(rows(body)) > TONGWEN_ROWS:
            return refusal(BY_NAME["tongwen-InvalidParameter-rows"], key)
        reply = await behave(
            Call(request, dialect, kind, body, key), ledger.behaviour(key, body["model"])
        )
        ledger.spend(key, request.get("tokens", 0))
        return reply


async def offer(request: web.Request) -> web.StreamResponse:
    """List this provider's models, unless the key's script refuses."""
    dialect = cast(Dialect, request.match_info["dialect"])
    key = _bearer(request)
    behaviour = request.app[LEDGER].behaviour(key, "echo") if key else f"refuse:{NO_KEY[dialect]}"
    if behaviour.startswith("refuse:"):
        return refusal(BY_NAME[behaviour.removeprefix("refuse:")], key)
    rows = [{"id": name, "object": "model"} for name in ("slow", "echo")]
    return _json({"object": "list", "data": rows})


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


async def put_script(request: web.Request) -> web.Response:
    """Give a key its script: a JSON list of behaviours."""
    behaviours = _parsed(await request.read())
    if not isinstance(behaviours, list) or not all(isinstance(one, str) for one in behaviours):
        raise web.HTTPBadRequest(text="a script is a JSON list of strings")
    request.app[LEDGER].give_script(request.match_info["key"], behaviours)
    return _json({"ok": True})


async def delete_scripts(request: web.Request) -> web.Response:
    """Forget one key's script, or all."""
    request.app[LEDGER].drop_scripts(request.match_info.get("key"))
    return _json({"ok": True})


async def get_requests(request: web.Request) -> web.Response:
    """What was received, oldest first."""
    return _json(request.app[LEDGER].received(request.query.get("key")))


async def get_count(request: web.Request) -> web.Response:
    """How many were received: a bare number."""
    return _json(request.app[LEDGER].count(request.query.get("key")))


async def get_tokens(request: web.Request) -> web.Response:
    """How many tokens a key's whole answers took: a bare number."""
    return _json(request.app[LEDGER].tokens(request.query["key"]))


async def get_open(request: web.Request) -> web.Response:
    """How many are open: a bare number."""
    return _json(request.app[LEDGER].open(request.query.get("key")))


async def delete_requests(request: web.Request) -> web.Response:
    """Forget all requests received."""
    request.app[LEDGER].forget()
    return _json({"ok": True})


def create_app() -> web.Application:
    """The providers' routes and the control routes."""
    app = web.Application(client_max_size=64 * 2**20)
    app[LEDGER] = Ledger()
    for path, kind in PATHS.items():
        app.router.add_post(PREFIX + path, partial(provide, kind=kind))
    add_relays(app, app[LEDGER], PREFIX)
    add_balances(app, PREFIX)
    add_robots(app, app[LEDGER])
    app.router.add_get(PREFIX + "/models", offer)
    app.router.add_put("/_scripts/{key}", put_script)
    app.router.add_delete("/_scripts/{key}", delete_scripts)
    app.router.add_delete("/_scripts", delete_scripts)
    app.router.add_get("/_requests", get_requests)
    app.router.add_get("/_requests/count", get_count)
    app.router.add_delete("/_requests", delete_requests)
    app.router.add_get("/_open", get_open)
    app.router.add_get("/_tokens", get_tokens)
    return app


async def serve(port: int, leashed: bool) -> None:
    """Listen until killed, and say where."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # At once, hung requests or not: there is nothing to save.
        loop.add_signal_handler(number, os._exit, 0)
    if leashed:  # nobody writes to it: readable means closed
        loop.add_reader(0, os._exit, 0)
    # Cancelling the handler is how a hung or sleeping request learns that its client went away.
    runner = web.AppRunner(create_app(), handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    host, bound = runner.addresses[0][:2]
    print(f"standin http://{host}:{bound}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Run the stand-in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--leashed", action="store_true", help="end when standard input closes")
    args = parser.parse_args()
    # 2,000 connections at once do not fit into the usual soft limit of 1,024 files.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(serve(args.port, args.leashed))


if __name__ == "__main__":
    main()
