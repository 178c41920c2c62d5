"""A brake on guessing tokens: who sends many wrong ones is not told any more which are right."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from gateway.errors import GatewayError
from gateway.web.token_rate_limit import MINUTE, REMEMBERED, TokenRateLimit
from tests.environment import free_port
from tests.server import Server

APP, OPS = "app-3f9a1c", "ops-77d2e1"
WRONG = 20
"""So many a minute are told that they are wrong."""

LET_IN, UNKNOWN, BRAKED = 503, 401, 429
"""What /models says to whoever may see it (there is no cluster), who may not, and who is not looked
at."""


@pytest.fixture(scope="module")
def braked(start_server: Callable[..., Server]) -> Iterator[Server]:
    """A gateway with two tokens and a trusted proxy, and without a cluster."""
    settings = {
        "GATEWAY_TOKENS": f"app:{APP}:chat\nops:{OPS}:admin",
        "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
        "RAY_ADDRESS": f"127.0.0.1:{free_port()}",
        "WEB_CONCURRENCY": "1",
    }
    started = start_server(settings, ready=False)
    started.wait_until("/healthz")
    yield started
    started.stop()


Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(braked: Server) -> Ask:
    """Ask with a token, from the address that a proxy names."""

    def asked(address: str, token: str, path: str = "/models") -> httpx.Response:
        headers = {"X-Forwarded-For": address} | ({"X-Api-Key": token} if token else {})
        return braked.http.get(path, headers=headers)

    return asked


def in_one_minute() -> None:
    """Wait until the gateway's minute, which is this machine's, has 20 s left."""
    if (left := MINUTE - time.monotonic() % MINUTE) < 20:
        time.sleep(left)


def guess(ask: Ask, address: str, count: int = 3 * WRONG) -> list[int]:
    return [ask(address, f"a-guess-{number}").status_code for number in range(count)]


@pytest.mark.long
def test_who_guesses_is_not_told_which_token_is_right_until_the_minute_is_over(ask: Ask) -> None:
    in_one_minute()
    assert guess(ask, "198.51.100.1") == [UNKNOWN] * WRONG + [BRAKED] * 2 * WRONG

    right = ask("198.51.100.1", APP)
    assert (right.status_code, right.json()["error"]["code"]) == (BRAKED, "UNAUTHORIZED")
    assert "令牌" in right.json()["error"]["message_zh"]
    assert 1 <= int(right.headers["Retry-After"]) <= MINUTE
    on_v1 = ask("198.51.100.1", APP, "/v1/models")
    assert (on_v1.status_code, on_v1.json()["error"]["type"]) == (BRAKED, "authentication_error")
    assert "Retry-After" in on_v1.headers
    assert ask("198.51.100.2", APP).status_code == LET_IN, "another address"
    assert ask("198.51.100.1", "", "/healthz").status_code == 200

    time.sleep(int(right.headers["Retry-After"]))
    assert ask("198.51.100.1", APP).status_code == LET_IN


def test_guesses_do_not_lock_out_whoever_was_let_in_before(ask: Ask) -> None:
    in_one_minute()
    assert ask("198.51.100.3", APP).status_code == LET_IN

    guess(ask, "198.51.100.3")

    assert ask("198.51.100.3", APP).status_code == LET_IN
    assert ask("198.51.100.3", OPS).status_code == BRAKED, "this one may be a guess"


def test_guesses_at_the_same_time_are_counted_one_by_one(ask: Ask) -> None:
    in_one_minute()
    with ThreadPoolExecutor(16) as pool:
        replies = list(
            pool.map(lambda number: ask("198.51.100.4", f"guess-{number}").status_code, range(100))
        )
    assert (replies.count(UNKNOWN), replies.count(BRAKED)) == (WRONG, 100 - WRONG)


def test_a_client_that_takes_new_addresses_of_its_network_is_one(ask: Ask) -> None:
    in_one_minute()
    for number in range(WRONG):
        assert ask(f"2001:db8:0:1::{number + 1:x}", f"a-guess-{number}").status_code == UNKNOWN
    assert ask("2001:db8:0:1:ffff::1", APP).status_code == BRAKED
    assert ask("2001:db8:0:2::1", APP).status_code == LET_IN


def test_asking_without_a_token_is_no_guess(ask: Ask) -> None:
    assert {ask("198.51.100.5", "").status_code for _ in range(3 * WRONG)} == {UNKNOWN}
    assert ask("198.51.100.5", APP).status_code == LET_IN


def test_what_is_remembered_is_bounded() -> None:
    brake = TokenRateLimit()
    in_one_minute()
    for number in range(REMEMBERED + 1):
        brake.admit(f"10.0.{number >> 8}.{number & 255}", b"right", right=True)
    for _ in range(WRONG):
        brake.admit("10.0.0.0", b"wrong", right=False)
        brake.admit("10.0.0.1", b"wrong", right=False)
    with pytest.raises(GatewayError):  # the first was forgotten
        brake.admit("10.0.0.0", b"right", right=True)
    brake.admit("10.0.0.1", b"right", right=True)
