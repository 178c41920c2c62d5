"""What goes wrong at a provider, or on the way to it, as one of our errors: foreign exceptions are
translated here, and nowhere else. No text of theirs is passed on that may hold the key."""

from __future__ import annotations

import errno
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from gateway.actors.egress_proxy import ProxyFault
from gateway.addresses import EgressProxy, url_host, url_netloc
from gateway.byte_budget import Full
from gateway.encodings import TooLarge
from gateway.errors import Code, GatewayError, clean, too_many_bytes
from gateway.providers.quoted_keys import shown
from gateway.providers.reader import REPLY_BYTES
from gateway.providers.refusals import Refusal
from gateway.providers.waits import retry_after

CONNECT_SECONDS = 5
"""For DNS, TCP and TLS together."""

FAULTS = (aiohttp.ClientError, OSError, ValueError, TypeError)
"""What may go wrong on the way; TimeoutError is one of OSError's."""


class UpstreamErrors:
    """Makes the errors of one account at a provider. `timeout` is its chat's, in seconds, and
    `proxy` stands on the way, if there is one."""

    def __init__(
        self, provider: str, base_url: str, api_key: str, timeout: float, proxy: EgressProxy | None
    ) -> None:
        self.host = url_netloc(base_url)
        self._provider = provider
        self._api_key = api_key
        self._timeout = timeout
        self._proxy = proxy

    @asynccontextmanager
    async def translated(self) -> AsyncIterator[None]:
        """Turn what goes wrong on the way into one of our errors."""
        try:
            yield
        except Full:
            raise too_many_bytes(provider=self._provider) from None
        except ProxyFault as error:
            raise self._error(Code.PROVIDER_DOWN, error.words, error.words_zh) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise self._unconnected() from error
        except TimeoutError as error:
            limit = f"{self._timeout:g}"
            raise self._error(
                Code.TIMEOUT,
                f"No complete answer from {self.host} within {limit} s.",
                f"{self.host} 在 {limit} 秒内没有给出完整回答。",
            ) from error
        except FAULTS as error:
            raise self.down(clean(f"{self.host}: {_told(error)}.", self._api_key)) from error

    def refused(self, outcome: Refusal, reply: aiohttp.ClientResponse) -> GatewayError:
        """Return the error of a refusal, with the provider's own words."""
        code, words = shown(outcome, reply.status, self._api_key)
        return self._error(
            outcome.code,
            outcome.detail,
            outcome.detail_zh,
            provider_status=reply.status,
            provider_code=code,
            provider_message=words,
            retry_after=retry_after(reply.headers, time.time(), outcome.wait),
        )

    def down(self, detail: str, status: int | None = None) -> GatewayError:
        """Return the error of a provider from which no answer can be had."""
        return self._error(Code.PROVIDER_DOWN, detail, provider_status=status)

    def _unconnected(self) -> GatewayError:
        host, seconds = self.host, CONNECT_SECONDS
        if self._proxy is None:
            return self.down(f"No connection to {host} within {seconds} s.")
        proxy = self._proxy.netloc
        return self._error(
            Code.PROVIDER_DOWN,
            f"No connection to {host} through the proxy {proxy} (egress_proxy) within {seconds} s.",
            f"{seconds} 秒内未能经代理 {proxy}（egress_proxy）连接到 {host}。",
        )

    def redirected(self, reply: aiohttp.ClientResponse) -> GatewayError:
        """Return the error of a reply that leads elsewhere."""
        target = url_host(reply.headers.get("Location", "")) or "another path"
        detail = (
            f"{self.host} redirects to {target}; redirects are not followed. Deploy with the"
            " final base_url."
        )
        return self._error(
            Code.BAD_UPSTREAM_REQUEST, clean(detail, self._api_key), provider_status=reply.status
        )

    def _error(
        self, code: Code, detail: str = "", detail_zh: str = "", **known: Any
    ) -> GatewayError:
        return GatewayError(code, detail, detail_zh, provider=self._provider, **known)


def _told(error: Exception) -> str:
    """Return what happened. The text of a connection error names hosts and ports, never the key;
    that of others may."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection before it answered"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "it broke off in the middle of its answer"
    if isinstance(error, OSError) and error.errno in (errno.ECONNRESET, errno.EPIPE):
        return "it reset the connection before its answer was whole"
    if isinstance(error, aiohttp.ClientResponseError):
        return "what it sent is not HTTP that can be read"
    if isinstance(error, TooLarge):
        return f"the reply is larger than {REPLY_BYTES} bytes"
    if isinstance(error, aiohttp.ClientConnectionError):
        return str(error)
    return "what it sent cannot be read as an answer"
