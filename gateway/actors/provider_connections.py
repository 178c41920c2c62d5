"""Connections to providers: aiohttp's, which also know where a key may not go, whether a kept one
was dead, and when a provider has another address.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
import weakref
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from gateway.addresses import is_guarded

LIFE_SECONDS = 60
"""How old a connection may be that is kept: a provider that has moved to another address is found
there, even where the old one goes on answering."""


def guarded_socket(row: aiohttp.AddrInfoType) -> socket.socket:
    """Make the socket for a connection, unless that leads to a guarded address, by whatever name it
    was found."""
    family, kind, protocol, _, address = row
    if is_guarded(str(address[0])):
        raise OSError(errno.EACCES, f"{address[0]} is a link-local or metadata address")
    return socket.socket(family, kind, protocol)


class _Protocol(ResponseHandler):
    """aiohttp's end of a connection, which also knows whether anything of an answer has come."""

    heard = False
    since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.since = time.monotonic()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self.heard:
            # The head alone first: what is wrong with a body in the same packet would cost the
            # status, too.
            self.heard = True
            end = data.find(b"\r\n\r\n") + 4
            if 4 <= end < len(data):
                super().data_received(data[:end])
                data = data[end:]
        payload = self._payload
        super().data_received(data)
        if payload is not None and self.exception() is not None and not payload.is_eof():
            # aiohttp lets whoever reads it wait for its time limit
            payload.set_exception(aiohttp.ClientPayloadError())


class Connector(aiohttp.TCPConnector):
    """Tells of a request that failed whether its connection had been kept and was dead.

    Finds a provider again that has another address by now: aiohttp alone would keep a connection
    for as long as it is used, and believe what DNS said for 10 s, whether somebody is there or not.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory: Any = partial(_Protocol, loop=self._loop)  # aiohttp has no parameter for it
        self._kept: weakref.WeakKeyDictionary[Any, _Protocol] = weakref.WeakKeyDictionary()

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109  # aiohttp's own signature
        task = asyncio.current_task()
        self._kept.pop(task, None)
        connection = await super().connect(req, traces, timeout)
        protocol: Any = connection.protocol
        if protocol.heard:
            self._kept[task] = protocol
            protocol.heard = False
        return connection

    async def _create_direct_connection(self, req: Any, *others: Any, **options: Any) -> Any:
        remembered = (req.url.raw_host, req.port) in self._cached_hosts
        try:
            return await super()._create_direct_connection(req, *others, **options)
        except BaseException as error:
            self.clear_dns_cache()
            if not remembered or not isinstance(error, aiohttp.ClientConnectorError):
                raise
        return await super()._create_direct_connection(req, *others, **options)

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        old = time.monotonic() - protocol.since > LIFE_SECONDS
        super()._release(key, protocol, should_close=should_close or old)

    def was_dead(self) -> bool:
        """Return whether this task's last connection was a kept one that said nothing more."""
        protocol = self._kept.pop(asyncio.current_task(), None)
        return protocol is not None and not protocol.heard
