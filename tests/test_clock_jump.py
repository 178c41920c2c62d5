"""The machine's clock jumps an hour, on and back, under a gateway, its Ray and its chats: nobody
notices.

The clock is moved for these processes alone, by tests/clock/jump.c.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.asking import ask
from tests.environment import TOP, clean_environment
from tests.server import Server
from tests.standin.client import StandIn
from tests.waiting import until

HOUR = 3600

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")


@dataclass
class Clock:
    """The time of day of some processes: `until_noon` seconds from ours, since an hour's jump late
    in the evening would begin a new day."""

    file: Path
    environment: dict[str, str]
    until_noon: int

    def jump(self, seconds: int) -> None:
        with self.file.open("r+b") as file:
            file.write(struct.pack("q", self.until_noon + seconds))

    def now(self) -> float:
        return time.time() + self.until_noon


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    folder = tmp_path_factory.mktemp("clock")
    library, file = folder / "jump.so", folder / "jump"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-o", library, TOP / "tests/clock/jump.c", "-ldl"],
        check=True,
    )
    file.touch()
    here = time.localtime()
    until_noon = (12 - here.tm_hour) * HOUR - here.tm_min * 60
    clock = Clock(file, {"LD_PRELOAD": str(library), "JUMP_FILE": str(file)}, until_noon)
    clock.jump(0)
    return clock


DAILY, MINUTELY = "daily-token-0001", "minutely-token-1"
ADMIN = {"X-Api-Key": "admin-token-1"}


@pytest.fixture(scope="module")
def jumpy(
    clock: Clock, start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A gateway and a Ray whose clock can jump."""
    head = RayHead({**clean_environment(), **clock.environment})
    try:
        until(head.up)
        server = start_server(
            {
                **clock.environment,
                **head.environment,
                "GATEWAY_UNDO_SECONDS": "600",
                "GATEWAY_STATE": str(tmp_path_factory.mktemp("state")),
                "GATEWAY_TOKENS": f"ops:{ADMIN['X-Api-Key']}:admin,chat\n"
                f"daily:{DAILY}:chat limit=5/day\nminutely:{MINUTELY}:chat limit=3/min",
            },
            ready=False,
        )
        server.http.headers.update(ADMIN)
        server.wait_until()
        yield server
        server.stop()
    finally:
        head.stop()


@pytest.mark.parametrize("hours", [1, pytest.param(-1, marks=pytest.mark.long)])
def test_an_hours_jump_changes_nothing(
    jumpy: Server, clock: Clock, standin: StandIn, key: str, hours: int
) -> None:
    http, name = jumpy.http, f"jump-{hours}"

    def deploy(chat_name: str, model_name: str, **more: object) -> None:
        body = {
            "api_key": key,
            "base_url": standin.base_url("openai"),
            "chat_name": chat_name,
            **more,
        }
        assert http.post("/openai/deploy", json={**body, "model_name": model_name}).json() == {
            "ret": "ok"
        }

    def state(chat: str) -> tuple[str, float]:
        row = next(row for row in http.get("/models").json()["models"] if row["chat_name"] == chat)
        return row["state"], (row["resting"] or {}).get("until", 0.0)

    clock.jump(0)
    deploy(name, "echo")
    deploy(f"{name}-unpaid", "refuse:openai-insufficient_quota")
    assert ask(http, f"{name}-unpaid").status_code == 402
    refusals = standin.count(key)
    answered = ask(http, name, request_id=f"{name}.before").json()
    assert ask(http, name, session=name).status_code == 200
    deploy(f"{name}-slow", "slow:6")
    job = ask(http, f"{name}-slow", job=True).headers["Location"]

    clock.jump(hours * HOUR)
    today = httpx.get(jumpy.url + "/healthz", trust_env=False).headers["Date"]
    assert abs(parsedate_to_datetime(today).timestamp() - clock.now() - hours * HOUR) < 60, (
        "the clock did not jump"
    )

    assert http.get(job, params={"wait": 60}).json() == "openai:hi"
    assert http.get(f"/jobs/{name}.before").json() == answered
    assert ask(http, name).json() == "openai:hi"
    with http.stream(
        "POST", "/openai/chat", json={"chat_name": name, "content": "hi", "stream": True}
    ) as reply:
        assert reply.read() == b"openai:hi"
    # Rests still, until a minute after it was refused; not one question more than those above.
    assert ask(http, f"{name}-unpaid").status_code == 402
    resting, until_when = state(f"{name}-unpaid")
    assert resting == "resting"
    assert 0 < until_when - clock.now() - hours * HOUR <= 60
    assert standin.count(key) == refusals + 5
    deploy(name, "say:other")
    assert ask(http, name).json() == "other"
    assert http.post("/openai/undo", json={"chat_name": name}).json() == {"ret": "ok"}
    assert ask(http, name).json() == "openai:hi"


def test_a_days_jump_begins_a_new_day_and_loses_and_doubles_nothing(
    jumpy: Server, clock: Clock, standin: StandIn, key: str
) -> None:
    http, name = jumpy.http, "jump-day"
    body = {"api_key": key, "base_url": standin.base_url("openai"), "chat_name": name}
    assert http.post("/openai/deploy", json={**body, "model_name": "echo"}).status_code == 200

    def code(token: str = DAILY) -> str:
        question = {"chat_name": name, "content": "hi"}
        reply = http.post("/openai/chat", json=question, headers={"X-Api-Key": token})
        return "OK" if reply.status_code == 200 else str(reply.json()["error"]["code"])

    def days() -> list[int]:
        """How many were answered on each day."""
        query = {"by": "day,caller,code", "from": "2020-01-01", "to": "2099-12-31"}
        rows = http.get("/usage", params=query).json()["usage"]
        return [row["requests"] for row in rows if (row["caller"], row["code"]) == ("daily", "OK")]

    clock.jump(0)
    assert [code() for _ in range(3)] == ["OK"] * 3
    assert [code(MINUTELY) for _ in range(4)] == ["OK", "OK", "OK", "OVER_LIMIT"]
    until(lambda: days() == [3])
    clock.jump(24 * HOUR)
    time.sleep(2)  # the ledger looks at the day once a second
    # A minute goes by a clock that nobody sets: a jump lets nobody through.
    assert code(MINUTELY) == "OVER_LIMIT"
    assert [code() for _ in range(6)] == ["OK"] * 5 + ["OVER_LIMIT"]
    until(lambda: days() == [3, 5])

    # Back on the first day three of its five are used, as the ledger knows.
    clock.jump(0)
    time.sleep(2)
    assert [code() for _ in range(3)] == ["OK", "OK", "OVER_LIMIT"]
    until(lambda: days() == [5, 5])
