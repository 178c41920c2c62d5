"""How the stand-in can behave, well or badly. A behaviour is a string: a name, or `name:` and an
argument."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn

import orjson
from aiohttp import web

from tests.standin.refusals import BY_NAME, Dialect, Refusal
from tests.standin.replies import Json, Kind, Reply, echo

CHINESE = "你好世界"  # what `gbk` says when it is not told what to say
_MID_ERROR: dict[Dialect, str] = {
    "openai": "openai-server_error",
    "zhipu": "zhipu-1234",
    "tongwen": "tongwen-InternalError.Algo",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a provider, parsed."""

    request: web.Request
    dialect: Dialect
    kind: Kind
    body: Json
    key: str

    @property
    def streams(self) -> bool:
        """Whether the answer is to be server-sent events."""
        return bool(self.body.get("stream")) and self.kind != "embeddings"

    def echo(self, usage: bool | None = None) -> Reply:
        """The plain good answer."""
        return echo(self.dialect, self.kind, self.body, usage)

    def say(self, text: str | None, finish: str = "stop") -> Reply:
        """An answer with these words."""
        return Reply(self.dialect, self.kind, self.body, text, finish)


Behaviour = Callable[[Call, str], Awaitable[web.StreamResponse]]


def _body(row: Refusal, key: str) -> bytes:
    data = row.body.encode() if isinstance(row.body, str) else orjson.dumps(row.body)
    return data.replace(b"{key}", orjson.dumps(key)[1:-1])  # escaped: a key may hold a quote


def refusal(row: Refusal, key: str) -> web.Response:
    """The refusal as an HTTP error, with the key put where the row wants it."""
    kind = "text/html" if isinstance(row.body, str) else "application/json"
    return web.Response(
        status=row.status, headers=row.headers, body=_body(row, key), content_type=kind
    )


async def _open_stream(call: Call) -> web.StreamResponse:
    sse = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await sse.prepare(call.request)
    return sse


async def _event(sse: web.StreamResponse, chunk: Json) -> None:
    await sse.write(b"data: %b\n\n" % orjson.dumps(chunk))


async def _words_of(
    call: Call, reply: Reply, seconds: float = 0, only: int | None = None
) -> web.StreamResponse:
    """A stream up to its last word, spread over the seconds; or only its `only` first words."""
    sse = await _open_stream(call)
    for chunk in reply.opening():
        await _event(sse, chunk)
    loop = asyncio.get_running_loop()
    start, pieces = loop.time(), reply.content()[:only]
    for number, chunk in enumerate(pieces, 1):
        await _event(sse, chunk)
        if seconds:  # against the clock: else 2,000 streams at once would all lag behind their time
            await asyncio.sleep(start + seconds * number / len(pieces) - loop.time())
    return sse


async def _send(call: Call, reply: Reply, seconds: float = 0) -> web.StreamResponse:
    """The reply, as a stream or whole, taking that long."""
    if not call.streams:
        await asyncio.sleep(seconds)
        call.request["tokens"] = reply.tokens()
        return _json(orjson.dumps(reply.whole()))
    sse = await _words_of(call, reply, seconds)
    for chunk in reply.closing():
        await _event(sse, chunk)
    await sse.write(b"data: [DONE]\n\n")
    call.request["tokens"] = reply.tokens()
    return sse


def _json(data: bytes) -> web.Response:
    return web.Response(body=data, content_type="application/json")


async def _document(call: Call, data: bytes) -> web.StreamResponse:
    """These bytes as the reply, or as the stream's only event."""
    if not call.streams:
        return _json(data)
    sse = await _open_stream(call)
    await sse.write(b"data: %b\n\n" % data)
    return sse


async def _forever() -> NoReturn:
    """Until the client goes: the server then cancels the handler."""
    while True:
        await asyncio.Event().wait()


async def _hang_up(call: Call) -> NoReturn:
    """Close the connection under the reply."""
    if call.request.transport is not None:
        call.request.transport.close()
    await _forever()


async def _echo(call: Call, _: str) -> web.StreamResponse:
    return await _send(call, call.echo())


async def _refuse(call: Call, name: str) -> web.StreamResponse:
    row = BY_NAME[name]
    if row.finish_reason:
        return await _send(call, call.say("", row.finish_reason))
    return refusal(row, call.key)


async def _slow(call: Call, seconds: str) -> web.StreamResponse:
    await asyncio.sleep(float(seconds))
    return await _send(call, call.echo())


async def _stream(call: Call, arg: str) -> web.StreamResponse:
    chunks, _, seconds = arg.partition(":")
    return await _send(call, call.say(_numbered(int(chunks))), float(seconds or 0))


def _numbered(number: int) -> str:
    return " ".join(f"w{index}" for index in range(number))


async def _say(call: Call, text: str) -> web.StreamResponse:
    return await _send(call, call.say(text))


async def _big(call: Call, size: str) -> web.StreamResponse:
    return await _send(call, call.say("x" * int(size)))


async def _usage_always(call: Call, _: str) -> web.StreamResponse:
    return await _send(call, call.echo(usage=True))


async def _usage_never(call: Call, _: str) -> web.StreamResponse:
    return await _send(call, call.echo(usage=False))


async def _hang(call: Call, _: str) -> web.StreamResponse:
    await _forever()


async def _drip(call: Call, _: str) -> web.StreamResponse:
    data = orjson.dumps(call.echo().whole())
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(data)
    await response.prepare(call.request)
    for index in range(len(data)):
        await response.write(data[index : index + 1])
        await asyncio.sleep(1)
    return response


async def _drop(call: Call, _: str) -> web.StreamResponse:
    await _hang_up(call)


async def _drop_mid(call: Call, _: str) -> web.StreamResponse:
    if call.streams:
        await _words_of(call, call.say(_numbered(4)), only=2)
        await _hang_up(call)
    data = orjson.dumps(call.echo().whole())
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(data)
    await response.prepare(call.request)
    await response.write(data[: len(data) // 2])
    await _hang_up(call)


async def _error_mid(call: Call, name: str) -> web.StreamResponse:
    """Without a stream there is no middle: the same error, then, as an HTTP error."""
    row = BY_NAME[name or _MID_ERROR[call.dialect]]
    if not call.streams:
        return refusal(row, call.key)
    sse = await _words_of(call, call.say(_numbered(4)), only=2)
    await sse.write(b"data: %b\n\n" % _body(row, call.key))
    await sse.write_eof()
    await _hang_up(call)


async def _garbage(call: Call, _: str) -> web.StreamResponse:
    return web.Response(text="<html>not json", content_type="text/html")


async def _truncated(call: Call, _: str) -> web.StreamResponse:
    data = orjson.dumps(call.echo().whole())
    return await _document(call, data[: len(data) * 2 // 3])


async def _wrong_types(call: Call, _: str) -> web.StreamResponse:
    return await _document(call, orjson.dumps({**call.echo().whole(), "choices": 7, "data": 7}))


async def _no_choices(call: Call, _: str) -> web.StreamResponse:
    return await _document(call, b"{}")


async def _null_content(call: Call, _: str) -> web.StreamResponse:
    return await _send(call, call.say(None))


async def _redirect(call: Call, url: str) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": url})


async def _gbk(call: Call, text: str) -> web.StreamResponse:
    reply = call.say(text or CHINESE)
    if call.streams:  # server-sent events are UTF-8 by definition
        return await _send(call, reply)
    data = orjson.dumps(reply.whole()).decode().encode("gbk")
    return web.Response(body=data, headers={"Content-Type": "application/json; charset=gbk"})


BEHAVIOURS: dict[str, Behaviour] = {
    "echo": _echo,
    "refuse": _refuse,
    "slow": _slow,
    "stream": _stream,
    "say": _say,
    "big": _big,
    "usage-always": _usage_always,
    "usage-never": _usage_never,
    "hang": _hang,
    "drip": _drip,
    "drop": _drop,
    "drop-mid": _drop_mid,
    "error-mid": _error_mid,
    "garbage": _garbage,
    "truncated": _truncated,
    "wrong-types": _wrong_types,
    "no-choices": _no_choices,
    "null-content": _null_content,
    "redirect": _redirect,
    "gbk": _gbk,
}


async def behave(call: Call, behaviour: str) -> web.StreamResponse:
    """Answer the call so. Any name that is no behaviour, such as a real model's, echoes."""
    name, _, arg = behaviour.partition(":")
    try:
        return await BEHAVIOURS.get(name, _echo)(call, arg)
    except ConnectionResetError:
        raise asyncio.CancelledError from None  # the client left in mid-stream: no news
