"""One message on its way to one target, within a limit of time."""

from __future__ import annotations

import asyncio
import logging
import time

import httpx

from gateway.notifications import mail, robots
from gateway.notifications.robots import Verdict
from gateway.notifications.sentences import Letter
from gateway.notify_targets import Target

STEP_SECONDS = 10
WHOLE_SECONDS = 15
"""For all of it: a server that sends a byte now and then keeps nobody longer."""

ANSWER_BYTES = 64 * 1024

for _name in ("httpx", "httpcore"):
    # httpx writes each URL into the log, and a robot's is a secret
    logging.getLogger(_name).setLevel(logging.WARNING)


def send(target: Target, letter: Letter, egress_proxy: str) -> Verdict:
    """Send a message. Return what became of it; the reason quotes nothing of the URL.

    Robots are reached through the egress proxy by CONNECT. What is plain HTTP, which the proxy
    could read, goes directly, as mail does: both are in the operator's own network.
    """
    if target.mail:
        return mail.send(target, letter)
    proxy = egress_proxy if target.url.startswith("https:") else ""
    try:
        status, content = asyncio.run(_post(target, letter, proxy))
    except TimeoutError:
        return Verdict(f"it does not answer within {WHOLE_SECONDS} s")
    except httpx.TimeoutException:
        return Verdict(f"it does not answer within {STEP_SECONDS} s")
    except httpx.ProxyError:
        return Verdict("the proxy of GATEWAY_EGRESS_PROXY gives no way there")
    except Exception as error:  # not its text, which may quote the URL
        return Verdict(f"it cannot be reached ({type(error).__name__})")
    return robots.verdict(target.channel, status, content)


async def _post(target: Target, letter: Letter, proxy: str) -> tuple[int, bytes]:
    """Post a message. Return the answer's status and the first of its bytes."""
    now = time.time()
    client = httpx.AsyncClient(proxy=proxy or None, trust_env=False, timeout=STEP_SECONDS)
    headers = {"Content-Type": "application/json; charset=utf-8"}
    content = b""
    async with asyncio.timeout(WHOLE_SECONDS), client:
        address, body = robots.address(target, now), robots.body(target, letter, now)
        async with client.stream("POST", address, content=body, headers=headers) as answer:
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > ANSWER_BYTES:
                    break
    return answer.status_code, content
