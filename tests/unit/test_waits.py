"""Who waits for a job holds a place only while its client is there."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from gateway.errors import GatewayError
from gateway.web.waits import LOOK_SECONDS, Wait


def test_who_has_gone_is_waited_for_no_more() -> None:
    client, ours = socket.socketpair()
    threading.Timer(0.1, client.close).start()
    began = time.monotonic()
    with pytest.raises(GatewayError, match="hung up"):
        Wait().outcome(30, ours)
    assert time.monotonic() - began < 10 * LOOK_SECONDS
    ours.close()


def test_who_is_there_has_the_answer_or_waits_to_the_end() -> None:
    client, ours = socket.socketpair()
    with client, ours:
        wait = Wait()
        assert wait.outcome(LOOK_SECONDS * 1.2, ours) is None
        assert wait.outcome(0, ours) is None
        threading.Timer(LOOK_SECONDS * 1.2, wait.end, [b"answer"]).start()
        assert wait.outcome(None, ours) == b"answer"
