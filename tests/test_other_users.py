"""Other users of this machine get at nothing: neither Ray's folder, nor its token, nor a chat's
socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.doctor import Report
from tests.environment import TOP, clean_environment, free_port
from tests.other_user import TAKES_THE_SOCKET, another_user, open_folder
from tests.server import Deploy, Server, running_head
from tests.standin.client import StandIn
from tests.starts import AT_ONCE_SECONDS, refusal
from tests.waiting import until

TRIES = """
folder, token, log, rays, socket_file = sys.argv[1:]
moved = folder + ".moved"
tries = {
    "list": lambda: os.listdir(folder),
    "list Ray's": lambda: os.listdir(rays),
    "read the token": lambda: open(token).read(),
    "move the token": lambda: os.rename(token, token + ".moved"),
    "read the log": lambda: open(log).read(),
    "connect to a chat": lambda: socket.socket(socket.AF_UNIX).connect(socket_file),
    "take a chat's socket away": lambda: os.rename(socket_file, socket_file + ".moved"),
    "write beside it": lambda: open(os.path.dirname(socket_file) + "/new", "w"),
    "move the folder": lambda: os.rename(folder, moved),
    "open it": lambda: os.chmod(folder, 0o777),
}
results = {}
for name, attempt in tries.items():
    try:
        attempt()
        results[name] = "done"
    except OSError as error:
        results[name] = type(error).__name__
print(json.dumps(results))
"""


def socket_of_a_chat(head: RayHead) -> Path:
    """A model actor's own, which lies where Ray has its sockets."""
    sockets = (head.folder / "ray" / "session_latest" / "sockets").resolve()
    return next(path for path in sockets.iterdir() if path.name not in ("plasma_store", "raylet"))


def test_another_user_can_do_nothing_to_the_cluster(
    ray_head: RayHead, gateway: httpx.Client, deploy: Deploy
) -> None:
    ask = {"chat_name": deploy(), "content": "hi"}
    assert gateway.post("/openai/chat", json=ask).json() == "openai:hi"
    chat = socket_of_a_chat(ray_head)
    token = Path(ray_head.environment["RAY_AUTH_TOKEN_PATH"])
    paths = (ray_head.folder, token, ray_head.folder / "head.log", ray_head.folder / "ray", chat)
    assert all(path.exists() for path in paths)
    assert (ray_head.folder / "ray") not in (*token.parents, *paths[2].parents)

    with another_user(TRIES, *paths) as stranger:
        results = json.loads(stranger.communicate(timeout=AT_ONCE_SECONDS)[0])

    assert len(results) == 10
    assert {name: result for name, result in results.items() if result != "PermissionError"} == {}
    assert gateway.post("/openai/chat", json=ask).json() == "openai:hi"


def test_in_an_open_cluster_a_socket_in_a_chats_place_is_told_nothing(
    start_server: Callable[..., Server], standin: StandIn, key: str
) -> None:
    with running_head() as head:
        for path in (head.folder, head.folder / "ray"):
            path.chmod(0o777)  # as those are that `ray start` makes by itself
        first = start_server({**head.environment, "WEB_CONCURRENCY": "1"})
        body = {
            "chat_name": "open",
            "api_key": key,
            "base_url": standin.base_url("openai"),
            "model_name": "echo",
        }
        assert first.http.post("/openai/deploy", json=body).json() == {"ret": "ok"}
        ask = {"chat_name": "open", "content": "a-prompt-nobody-else-should-read"}
        assert first.http.post("/openai/chat", json=ask).is_success
        warning = Report({**first.environment}).line(
            "warn", "cluster: other users of this machine", "mkdir -m 700"
        )
        assert str(head.folder) in warning
        with another_user(TAKES_THE_SOCKET, socket_of_a_chat(head)) as thief:
            assert thief.stdout
            assert thief.stdout.readline() == "listening\n"
            # It has no connection to the chat yet.
            second = start_server({**head.environment, "WEB_CONCURRENCY": "1"})

            reply = second.http.post("/openai/chat", json=ask)

            assert (reply.status_code, reply.json()["error"]["code"]) == (503, "CLUSTER_DOWN")
            assert "another user" in reply.json()["error"]["message"]
            assert thief.communicate("stop\n", AT_ONCE_SECONDS)[0] == "0\n", "the secret was told"
        until(lambda: second.http.post("/openai/chat", json=ask).is_success)
        for server in (first, second):
            server.stop()


def test_a_start_in_a_folder_that_others_open_meanwhile_is_refused() -> None:
    head = RayHead(clean_environment())
    try:
        head.folder.chmod(0o755)
        with pytest.raises(SystemExit) as end:
            until(head.up)
    finally:
        head.stop()
    assert str(end.value).startswith(
        "TMPDIR: other users of this machine could get at Ray's sockets"
    )
    assert f"{head.folder}/ray" in str(end.value)


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o750, 0o1777])
def test_a_ray_tmpdir_that_others_may_enter_is_refused(mode: int) -> None:
    with open_folder(mode) as folder:
        line = refusal(("-m", "gateway", "run"), f"127.0.0.1:{free_port()}", RAY_TMPDIR=str(folder))

        assert line.startswith("RAY_TMPDIR: other users of this machine could get at Ray's sockets")
        assert f"{folder} (mode {mode:o})" in line
        assert "mkdir -m 700" in line
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("mode", [0o777, 0o755])
def test_an_installed_head_refuses_it_too(mode: int, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    environment = {"RAY_ADDRESS": f"127.0.0.1:{free_port()}", "RAY_AUTH_TOKEN_PATH": str(token)}
    with open_folder(mode) as folder:
        assert head_refuses({**environment, "RAY_TMPDIR": str(folder)}).startswith(
            "RAY_TMPDIR: other users of this "
        )
    assert head_refuses({**environment, "RAY_TMPDIR": "/proc/no/such"}).startswith(
        "RAY_TMPDIR: cannot use /proc/no"
    )
    assert "absolute path" in head_refuses({**environment, "RAY_TMPDIR": "relative"})


def head_refuses(environment: dict[str, str]) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", "ray-head"],
        cwd=TOP,
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=AT_ONCE_SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    return line


def test_a_tmpdir_where_anyone_may_move_our_folder_is_refused() -> None:
    with open_folder(0o777) as folder:
        line = refusal(("-m", "gateway", "run"), f"127.0.0.1:{free_port()}", TMPDIR=str(folder))
    assert line.startswith(
        "TMPDIR: other users of this machine could get at Ray's sockets and logs: others can write"
    )


def test_ray_starts_within_a_ray_tmpdir_of_ones_own() -> None:
    with open_folder(0o700) as folder:
        head = RayHead({**clean_environment(), "RAY_TMPDIR": str(folder / "ours")})
        try:
            until(head.up)
            assert head.folder.parent == folder / "ours"
            assert os.stat(folder / "ours").st_mode & 0o777 == 0o700
            assert (head.folder / "ray" / "session_latest").exists()
        finally:
            head.stop()
        assert list((folder / "ours").iterdir()) == []
