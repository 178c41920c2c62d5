"""Who may call: tokens in the forms that old clients can send, their scopes, and settings that
refuse to start."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from gateway.commands.ray_head import RayHead
from gateway.settings import SettingError, load
from tests.environment import TOP, clean_environment, free_port
from tests.server import Server
from tests.standin.client import StandIn

APP, OPS, BOTH = "app-3f9a1c", "ops:with:colons-77d2", "both-e01b58"
LINES = f"app:{APP}:chat\nops:{OPS}:admin\nboth:{BOTH}:chat,admin\n"
SECRET = "s3cret-5d41402a"
AT_ONCE_SECONDS = 30
LONGEST_TOKEN = 8000
"""gunicorn ends a header line at 8190 bytes."""

StartServer = Callable[..., Server]


def basic(password: str, user: str = "anyone", charset: str = "utf-8") -> dict[str, str]:
    return {
        "Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode(charset)).decode()
    }


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def api_key(token: str) -> dict[str, str]:
    return {"X-Api-Key": token}


@pytest.fixture(scope="module")
def needs_tokens(start_server: StartServer, ray_head: RayHead) -> httpx.Client:
    """A gateway whose tokens are in its environment."""
    return start_server(
        {**ray_head.environment, "WEB_CONCURRENCY": "1", "GATEWAY_TOKENS": LINES}
    ).http


@pytest.fixture(scope="module")
def guarded_by_file(
    start_server: StartServer, ray_head: RayHead, tmp_path_factory: pytest.TempPathFactory
) -> Server:
    """A gateway whose tokens are in a file, as an operator would keep one."""
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.write_text(f"# who may call\n\n  app:{APP}:chat  \r\nboth:{BOTH}:admin, chat")
    file.chmod(0o600)
    return start_server(
        {**ray_head.environment, "WEB_CONCURRENCY": "1", "GATEWAY_TOKENS_FILE": str(file)}
    )


@pytest.fixture(scope="module")
def deployed(needs_tokens: httpx.Client, standin: StandIn) -> Iterator[str]:
    """A chat that only `both` and `ops` may take away."""
    deploy(needs_tokens, standin, "tokens-chat", OPS)
    yield "tokens-chat"
    needs_tokens.post("/openai/undeploy", json={"chat_name": "tokens-chat"}, headers=bearer(OPS))


def deploy(needs_tokens: httpx.Client, standin: StandIn, name: str, token: str) -> None:
    body = {
        "chat_name": name,
        "api_key": "sk-tokens",
        "base_url": standin.base_url("openai"),
        "model_name": "echo",
    }
    reply = needs_tokens.post("/openai/deploy", json=body, headers=bearer(token))
    assert (reply.status_code, reply.json()) == (200, {"ret": "ok"})


@pytest.mark.parametrize("form", [bearer, basic, api_key])
@pytest.mark.parametrize("token", [APP, OPS, BOTH])
def test_a_token_is_accepted_in_each_form(
    needs_tokens: httpx.Client, form: Callable[[str], dict[str, str]], token: str
) -> None:
    assert needs_tokens.get("/models", headers=form(token)).status_code == 200


@pytest.mark.parametrize("user", ["", "app", "someone else", "用户"])
def test_basic_may_name_any_user(needs_tokens: httpx.Client, user: str) -> None:
    assert needs_tokens.get("/models", headers=basic(APP, user)).status_code == 200


@pytest.mark.parametrize("form", [bearer, basic, api_key])
def test_tokens_in_a_file_are_the_same(
    guarded_by_file: Server, form: Callable[[str], dict[str, str]]
) -> None:
    for token, status in ((APP, 200), (BOTH, 200), (OPS, 401)):
        assert guarded_by_file.http.get("/models", headers=form(token)).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="nothing"),
        pytest.param(bearer(APP[:-1]), id="all but the last character"),
        pytest.param(bearer(APP.upper()), id="another case"),
        pytest.param(bearer(f"app:{APP}:chat"), id="the whole line"),
        pytest.param(basic("x", user=APP), id="the token as Basic's user"),
        pytest.param(api_key("wrong"), id="wrong"),
        pytest.param({"Authorization": APP}, id="no scheme"),
        pytest.param({"Authorization": ""}, id="empty Authorization"),
        pytest.param({"Authorization": "Bearer"}, id="empty Bearer"),
        pytest.param(basic("", user=""), id="empty Basic"),
        pytest.param(api_key(""), id="empty X-Api-Key"),
        pytest.param({"Authorization": "Basic ===not base64==="}, id="Basic that is not base64"),
        pytest.param({"Authorization": f'Digest username="{APP}"'}, id="Digest"),
        pytest.param(basic("schlüssel", charset="latin-1"), id="Basic in Latin-1"),
        pytest.param(basic("令牌", charset="gb18030"), id="Basic in GB18030"),
        pytest.param(basic("令牌"), id="Basic in UTF-8"),
        pytest.param(api_key("x" * LONGEST_TOKEN), id="huge X-Api-Key"),
        pytest.param(bearer("x" * LONGEST_TOKEN), id="huge Bearer"),
    ],
)
def test_a_missing_or_wrong_token_is_unauthorized(
    needs_tokens: httpx.Client, headers: dict[str, str]
) -> None:
    refused_with_a_challenge(needs_tokens.get("/models", headers=headers))


@pytest.mark.parametrize("token", ["schlüssel".encode("latin-1"), "令牌".encode(), b"\xff\xfe\x80"])
@pytest.mark.parametrize(("name", "scheme"), [(b"X-Api-Key", b""), (b"Authorization", b"Bearer ")])
def test_a_token_that_is_not_ascii_is_unauthorized(
    needs_tokens: httpx.Client, name: bytes, scheme: bytes, token: bytes
) -> None:
    refused_with_a_challenge(needs_tokens.get("/models", headers=[(name, scheme + token)]))


@pytest.mark.parametrize("form", [bearer, basic, api_key])
def test_a_token_longer_than_http_allows_is_refused_in_the_one_shape(
    needs_tokens: httpx.Client, form: Callable[[str], dict[str, str]]
) -> None:
    reply = needs_tokens.get("/models", headers=form("x" * 100_000))
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "TOO_LARGE")


def refused_with_a_challenge(reply: httpx.Response) -> None:
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "UNAUTHORIZED")
    assert reply.headers["WWW-Authenticate"].startswith("Basic ")
    assert reply.headers["X-Request-Id"] == reply.json()["error"]["request_id"]


@pytest.mark.parametrize(
    "path", ["/openai/deploy", "/openai/chat", "/openai/undeploy", "/local/chat"]
)
def test_every_call_needs_a_token(needs_tokens: httpx.Client, path: str) -> None:
    refused_with_a_challenge(needs_tokens.post(path, json={"chat_name": "x", "content": "x"}))


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_token(needs_tokens: httpx.Client, path: str) -> None:
    assert needs_tokens.get(path).status_code == 200


@pytest.mark.parametrize("token", [APP, BOTH])
def test_the_chat_scope_may_chat(needs_tokens: httpx.Client, deployed: str, token: str) -> None:
    reply = needs_tokens.post(
        "/openai/chat", json={"chat_name": deployed, "content": "你好"}, headers=bearer(token)
    )
    assert reply.status_code == 200
    assert isinstance(reply.json(), str)


def test_the_admin_scope_alone_may_not_chat(needs_tokens: httpx.Client, deployed: str) -> None:
    reply = needs_tokens.post(
        "/openai/chat", json={"chat_name": deployed, "content": "你好"}, headers=bearer(OPS)
    )
    forbidden(reply, "chat")


@pytest.mark.parametrize(
    "path", ["/openai/deploy", "/openai/undeploy", "/zhipu/deploy", "/local/undeploy"]
)
def test_the_chat_scope_alone_may_not_deploy_or_undeploy(
    needs_tokens: httpx.Client, deployed: str, path: str
) -> None:
    forbidden(needs_tokens.post(path, json={"chat_name": deployed}, headers=bearer(APP)), "admin")
    assert deployed in listed(needs_tokens)


@pytest.mark.parametrize("token", [OPS, BOTH])
def test_the_admin_scope_may_deploy_and_undeploy(
    needs_tokens: httpx.Client, standin: StandIn, token: str
) -> None:
    deploy(needs_tokens, standin, "tokens-other", token)
    assert "tokens-other" in listed(needs_tokens)
    reply = needs_tokens.post(
        "/openai/undeploy", json={"chat_name": "tokens-other"}, headers=bearer(token)
    )
    assert (reply.status_code, reply.json()) == (200, {"ret": "ok"})
    assert "tokens-other" not in listed(needs_tokens)


def forbidden(reply: httpx.Response, scope: str) -> None:
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "FORBIDDEN")
    for words in ("message", "message_zh"):
        assert f"'{scope}'" in reply.json()["error"][words]
    assert not any(token in reply.text for token in (APP, OPS, BOTH))


def listed(needs_tokens: httpx.Client) -> list[str]:
    models: list[dict[str, Any]] = needs_tokens.get("/models", headers=bearer(OPS)).json()["models"]
    return [chat["chat_name"] for chat in models]


def test_no_token_is_in_the_log(guarded_by_file: Server) -> None:
    for headers in (bearer(APP), basic(SECRET), api_key(SECRET)):
        guarded_by_file.http.get("/models", headers=headers)
    log = guarded_by_file.log.read_text()
    assert not any(token in log for token in (APP, BOTH, SECRET))


# Settings that refuse to start.


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY_MAX_BODY_BYTES", "8MiB"),
        ("GATEWAY_MAX_BODY_BYTES", "1023"),
        ("GATEWAY_MAX_IN_FLIGHT", "0"),
        ("GATEWAY_MAX_IN_FLIGHT", "-1"),
        ("GATEWAY_KEEP_ANSWERS", "0"),
        ("GATEWAY_KEEP_ANSWERS", "604801"),
        ("GATEWAY_MAX_IN_FLIGHT", "١٢"),
        ("WEB_CONCURRENCY", "0"),
        ("GATEWAY_BIND", "8099"),
        ("GATEWAY_BIND", "127.0.0.1:"),
        ("GATEWAY_BIND", "127.0.0.1:0"),
        ("GATEWAY_BIND", "0.0.0.0:8099"),
        ("GATEWAY_BIND", "[::]:8099"),
        ("GATEWAY_BIND", ":8099"),
        ("GATEWAY_TOKENS", f"app:{SECRET}"),
        ("GATEWAY_TOKENS", f"app:{SECRET}:"),
        ("GATEWAY_TOKENS", f"app:{SECRET}:root"),
        ("GATEWAY_TOKENS", f"app:{SECRET}:chat,"),
        ("GATEWAY_TOKENS", f":{SECRET}:chat"),
        ("GATEWAY_TOKENS", "app::chat"),
        ("GATEWAY_TOKENS", SECRET),
        ("GATEWAY_TOKENS", f"app:{SECRET}-ü:chat"),
        ("GATEWAY_TOKENS", f"app:{SECRET}:chat\nops:{SECRET}:admin"),
        ("GATEWAY_NOTIFY", f"https://hook.example/ {SECRET}"),
        ("GATEWAY_NOTIFY", f"http://oapi.dingtalk.com/robot/send?access_token={SECRET}"),
        ("GATEWAY_NOTIFY_LANG", "fr"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(variable: str, value: str) -> None:
    line = refusal({variable: value})
    assert variable in line


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"", id="empty"),
        pytest.param(b"# app:token:chat\n\n", id="comments only"),
        pytest.param(b"\xff\xfe" + f"app:{SECRET}:chat".encode("utf-16-le"), id="not UTF-8"),
        pytest.param(f"app:{SECRET}:chat\nops:{SECRET}:admin\n".encode(), id="one token twice"),
        pytest.param(
            f"app:another-one:chat\nops:{SECRET}:everything\n".encode(),
            id="unknown scope in line 2",
        ),
    ],
)
def test_a_wrong_token_file_stops_the_start_and_is_named(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "tokens"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    assert "GATEWAY_TOKENS_FILE" in refusal({"GATEWAY_TOKENS_FILE": str(file)})


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o664, 0o602])
def test_a_token_file_that_others_can_read_stops_the_start(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"ops:{SECRET}:admin")
    file.chmod(mode)
    line = refusal({"GATEWAY_TOKENS_FILE": str(file)})
    for part in ("GATEWAY_TOKENS_FILE", f"mode {mode:o}", f"chmod go= {file}"):
        assert part in line


def test_only_roots_own_file_may_be_its_groups(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"ops:{SECRET}:admin")
    file.chmod(0o640)
    if os.geteuid() == 0:
        assert load({"GATEWAY_TOKENS_FILE": str(file)}).tokens
        os.chown(file, 65534, 65534)
    with pytest.raises(SettingError, match="mode 640"):
        load({"GATEWAY_TOKENS_FILE": str(file)})


@pytest.mark.parametrize("token", ["x", "1234567", "  a b  "])
def test_a_token_that_can_be_guessed_stops_the_start_and_is_not_shown(token: str) -> None:
    line = refusal({"GATEWAY_TOKENS": f"ops:{SECRET}:admin\napp:{token}:chat"})
    assert "GATEWAY_TOKENS, line 2" in line
    assert "shorter than 8 characters" in line
    assert load({"GATEWAY_TOKENS": "app:12345678:chat"}).tokens


def test_a_wrong_line_of_tokens_is_named_by_its_number() -> None:
    assert "GATEWAY_TOKENS, line 2" in refusal(
        {"GATEWAY_TOKENS": f"app:another-one:chat\nops:{SECRET}:everything"}
    )


def test_without_tokens_it_listens_on_loopback_only_and_says_so(server: Server) -> None:
    sockets = psutil.Process(server.process.pid).net_connections("inet")
    assert {tuple(socket.laddr) for socket in sockets} == {("127.0.0.1", server.port)}
    assert "no GATEWAY_TOKENS: whoever reaches" in server.log.read_text()


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", ""])
def test_gunicorns_own_bind_may_not_open_the_gateway_to_everyone(host: str) -> None:
    line = refusal({}, "--bind", f"{host}:{free_port()}")
    for name in ("GATEWAY_TOKENS", "GATEWAY_TOKENS_FILE", "GATEWAY_OPEN=1"):
        assert name in line


def test_gateway_open_lets_the_operator_open_it(start_server: StartServer) -> None:
    environment = {
        "GATEWAY_BIND": f"0.0.0.0:{free_port()}",
        "GATEWAY_OPEN": "1",
        "WEB_CONCURRENCY": "1",
    }
    server = start_server({**environment, "RAY_ADDRESS": f"127.0.0.1:{free_port()}"}, ready=False)
    try:
        server.http.base_url = f"http://127.0.0.1:{environment['GATEWAY_BIND'].rpartition(':')[2]}"
        server.wait_until("/healthz")
    finally:
        server.stop()


def refusal(environment: dict[str, str], *arguments: str) -> str:
    """The one line with which gunicorn ends at once; it never quotes a token."""
    ended = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", *arguments, "app:app"],
        cwd=TOP,
        env={**clean_environment(), "GATEWAY_BIND": f"127.0.0.1:{free_port()}", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=AT_ONCE_SECONDS,
        check=False,
    )
    assert ended.returncode != 0
    assert SECRET not in ended.stdout
    lines = [line for line in ended.stdout.splitlines() if "[INFO]" not in line]
    assert len(lines) == 1, ended.stdout
    assert lines[0].startswith("The gateway cannot start: ")
    return lines[0]
