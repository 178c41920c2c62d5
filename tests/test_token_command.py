"""`python -m gateway token` and `revoke`: a caller's token comes and goes with one command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from gateway.settings import load
from gateway.tokens import Limit
from tests.environment import TOP, clean_environment
from tests.server import Server
from tests.waiting import until

ADMIN = "admin-token-1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text(f"# who may call\nops:{ADMIN}:admin,chat\n")
    file.chmod(0o600)
    return file


def run(command: str, *arguments: str, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", command, *arguments],
        env={**clean_environment(), "GATEWAY_TOKENS_FILE": str(file)},
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_token_is_printed_once_and_let_in_with_its_limits(file: Path) -> None:
    made = run(
        *("token", "shop", "--scopes", "chat", "--chats", "shop_*"),
        *("--limit", "60/min", "--limit", "200000tokens/day,50CNY/month"),
        file=file,
    )
    assert made.returncode == 0, made.stderr
    assert re.fullmatch(r"[0-9a-f]{48}\n", made.stdout)
    assert "reload" in made.stderr
    assert made.stdout.strip() not in made.stderr
    _, token = load({"GATEWAY_TOKENS_FILE": str(file)}).tokens
    assert (token.name, *token.scopes, *token.chats) == ("shop", "chat", "shop_*")
    month = Limit(50, "CNY", "month")
    assert token.limits == (Limit(60, "requests", "min"), Limit(200_000, "tokens", "day"), month)


def test_what_stands_in_the_file_stays_and_so_does_its_mode(file: Path) -> None:
    before = file.read_text()
    assert run("token", "shop", file=file).returncode == 0
    assert file.read_text().startswith(before)
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("revoke", "shop", file=file).returncode == 0
    assert file.read_text() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_new_file_is_for_nobody_else(tmp_path: Path) -> None:
    file = tmp_path / "new"
    assert run("token", "shop", file=file).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600


def test_tokens_that_are_made_at_once_are_all_there(file: Path) -> None:
    names = [f"caller-{number}" for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert not any(
            done.returncode for done in pool.map(lambda name: run("token", name, file=file), names)
        )
    tokens = load({"GATEWAY_TOKENS_FILE": str(file)}).tokens
    assert {token.name for token in tokens} == {"ops", *names}


def test_a_change_of_tokens_keeps_the_new_one(file: Path) -> None:
    run("token", "shop", "--limit", "5/day", file=file)
    differing = run("token", "shop", file=file)
    assert differing.returncode == 1
    assert "their limits differ" in differing.stderr
    new = run("token", "shop", "--limit", "5/day", file=file).stdout.strip()
    assert run("revoke", "shop", "--old", file=file).returncode == 0
    assert [line for line in file.read_text().splitlines() if "shop" in line] == [
        f"shop:{new}:chat limit=5/day"
    ]
    assert "no such token" in run("revoke", "shop", "--old", file=file).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("token", "a:b"), "'a:b' is no name"),
        (("token", "shop", "--limit", "60/hour"), "limit=60/hour: it must be such as 60/min"),
        (("token", "shop", "--scopes", "root"), "scopes is chat, admin or chat,admin"),
        (("token", "shop", "--scopes", "admin", "--limit", "5/day"), "the scope admin"),
        (("token", "shop", "--chats", "a b"), "name:token:scopes"),
        (("revoke", "nobody"), "has no such token of 'nobody'"),
        (("revoke", "ops"), "It is the last token"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(
    file: Path, arguments: tuple[str, ...], words: str
) -> None:
    before = file.read_text()
    failed = run(*arguments, file=file)
    assert failed.returncode == 1
    assert words in failed.stderr
    assert ADMIN not in failed.stderr
    assert file.read_text() == before


def test_a_line_that_is_wrong_already_is_named(file: Path) -> None:
    file.write_text("# a\nshop:s3cret-5d41402a:boss\n")
    failed = run("token", "web", file=file)
    assert "line 2: it must be name:token:scopes" in failed.stderr
    assert "s3cret" not in failed.stderr


def test_a_reload_lets_a_new_token_in_and_an_old_one_out(
    start_server: Callable[..., Server], ray_head: RayHead, file: Path
) -> None:
    server = start_server({**ray_head.environment, "GATEWAY_TOKENS_FILE": str(file)}, ready=False)

    def status(token: str) -> int:
        headers = {"X-Api-Key": token, "Connection": "close"}
        return httpx.get(f"{server.url}/models", headers=headers, timeout=30).status_code

    until(lambda: status(ADMIN) == 200)
    token = run("token", "shop", file=file).stdout.strip()
    os.kill(server.process.pid, signal.SIGHUP)
    until(lambda: {status(token) for _ in range(8)} == {200})
    run("revoke", "shop", file=file)
    os.kill(server.process.pid, signal.SIGHUP)
    until(lambda: {status(token) for _ in range(8)} == {401})
    assert status(ADMIN) == 200
