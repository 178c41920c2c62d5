"""Waiting for something to come true."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import httpx

START_SECONDS = 120


def until(true: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Wait for something that takes its time, but not for ever; who cannot be reached yet says
    no."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(httpx.TransportError):
            if true():
                return
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)
