"""`python -m gateway notify-test`: each target gets a message, and what went wrong is said without
its URL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.egress import hanging, listener
from tests.environment import TOP, clean_environment, free_port
from tests.mail_server import PASSWORD, USER, MailServer, mail_server, make_certificate
from tests.standin.client import StandIn

SECRET = f"K7-{os.getpid()}"


def try_out(text: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command. Nothing of the URLs stands in what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "notify-test"],
        cwd=TOP,
        env={**clean_environment(), "GATEWAY_NOTIFY": text, **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    words = done.stdout + done.stderr
    assert not any(secret in words for secret in (SECRET, PASSWORD, "said the robot", "Traceback"))
    return done


def robots(standin: StandIn) -> dict[str, str]:
    """One of each kind, in the order of their entries; the first part is what anybody may see."""
    host, at = standin.url.removeprefix("http://"), f"{standin.url}/robots"
    ding, fei = f"signed-{SECRET}-d", f"signed-{SECRET}-f"
    return {
        f"wecom {host}": f"wecom+{at}/wecom/send?key={SECRET}-w",
        f"dingtalk {host}": f"dingtalk+{at}/dingtalk/send?access_token={ding}#SEC{ding}",
        f"feishu {host}": f"feishu+{at}/feishu/hook/{fei}#SEC{fei}",
        f"webhook {host}": f"{at}/webhook/hook/{SECRET}-h",
    }


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("mail"))


def address(server: MailServer, scheme: str = "smtp", password: str = PASSWORD) -> str:
    user = USER.replace("@", "%40")
    return f"{scheme}://{user}:{password}@127.0.0.1:{server.port}/?to=ops@b.example,boss@c.example"


@pytest.mark.parametrize(("lang", "words"), [("en", "This is a test"), ("zh", "测试消息")])
def test_each_robot_takes_it(standin: StandIn, lang: str, words: str) -> None:
    done = try_out("\n".join(robots(standin).values()), GATEWAY_NOTIFY_LANG=lang)

    assert done.stdout.splitlines() == [f"{name}: taken" for name in robots(standin)]
    assert (done.returncode, done.stderr) == (0, "")
    keys = [f"{SECRET}-w", f"signed-{SECRET}-d", f"signed-{SECRET}-f", f"{SECRET}-h"]
    assert all(words in str(standin.requests(key)[-1]["body"]) for key in keys)


def test_what_went_wrong_is_said_with_what_to_do(standin: StandIn) -> None:
    standin.script(f"{SECRET}-no", ["refuse:93000"])
    standin.script(f"{SECRET}-down", ["status:503"])
    standin.script(f"{SECRET}-drop", ["drop"])
    standin.script(f"{SECRET}-hang", ["hang"])
    robot, signed = f"wecom+{standin.url}/robots/wecom/send?key={SECRET}", f"signed-{SECRET}"
    done = try_out(
        f"{robot}-no {robot}-down {robot}-drop {robot}-hang"
        f" feishu+{standin.url}/robots/feishu/hook/{signed}-x#{SECRET}-wrong"
        f" wecom+http://127.0.0.1:{free_port()}/?key={SECRET}"
        f" wecom+{standin.url}/_open?key={SECRET}"
        f" smtp://127.0.0.1:{free_port()}/?from={SECRET}@a.example&to=o@b.example"
        f" {robot}-fine"
    )

    assert done.returncode == 1
    reasons = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    for reason, words in zip(
        reasons,
        [
            "it refuses with code 93000: the key in its URL is wrong",
            "it answers HTTP 503",
            "it cannot be reached (RemoteProtocolError)",
            "it does not answer within 10 s",
            "it refuses with code 19021: it refuses the signature",
            "it cannot be reached (ConnectError)",
            "it answers HTTP 405",
            "the server cannot be reached, or does not answer (ConnectionRefusedError)",
            "taken",
        ],
        strict=True,
    ):
        assert reason.startswith(words)


@pytest.mark.parametrize(("scheme", "tls_first"), [("smtp", False), ("smtps", True)])
def test_mail_goes_through_a_real_server_over_tls(
    certificate: Path, scheme: str, tls_first: bool
) -> None:
    with mail_server(certificate, tls_first) as server:
        done = try_out(address(server, scheme), GATEWAY_NOTIFY_LANG="zh")
        assert done.stdout == f"{scheme} 127.0.0.1:{server.port}: taken\n"
        wrong = try_out(address(server, scheme, f"{SECRET}-wrong"))
        assert "the server refuses the user or the password (535)" in wrong.stdout

    [mail] = server.mails
    assert set(server.logins) == {True}
    assert (mail["From"], mail["To"]) == (USER, "ops@b.example, boss@c.example")
    assert mail["X-Recipients"] == "ops@b.example, boss@c.example"
    assert mail["Subject"].startswith("Byzer-LLM 网关： 这是一条测试消息")
    assert "这是一条测试消息" in server.texts()[0]
    assert mail["Auto-Submitted"] == "auto-generated"


def test_on_this_machine_mail_needs_no_tls() -> None:
    with mail_server() as server:
        assert try_out(address(server)).stdout.endswith(": taken\n")
    assert server.logins == [False]


def test_a_mail_server_that_never_answers_keeps_nobody() -> None:
    with listener(hanging) as port:
        done = try_out(f"smtp://127.0.0.1:{port}/?from=a@b.example&to=o@b.example")
    assert (done.returncode, "does not answer (" in done.stdout) == (1, True)


def test_robots_are_reached_through_the_proxy_which_sees_no_key() -> None:
    heard = bytearray()

    def proxy(connection: object) -> None:
        heard.extend(connection.recv(65536))  # type: ignore[attr-defined]
        connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")  # type: ignore[attr-defined]

    with listener(proxy) as port:
        done = try_out(
            f"https://oapi.dingtalk.com/robot/send?access_token={SECRET}",
            GATEWAY_EGRESS_PROXY=f"http://user:{PASSWORD}@127.0.0.1:{port}",
        )
    assert done.stdout == (
        "dingtalk oapi.dingtalk.com: the proxy of GATEWAY_EGRESS_PROXY gives no way there\n"
    )
    assert heard.startswith(b"CONNECT oapi.dingtalk.com:443 HTTP/1.1\r\n")
    assert SECRET.encode() not in heard


def test_a_wrong_entry_is_named_and_nobody_is_an_error(standin: StandIn) -> None:
    for command in ("notify-test", "check-settings"):
        done = subprocess.run(
            [sys.executable, "-m", "gateway", command],
            cwd=TOP,
            env={**clean_environment(), "GATEWAY_NOTIFY": f"https://x.example/ ftp://{SECRET}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("GATEWAY_NOTIFY, entry 2: it must begin with https://")
        assert SECRET not in done.stderr
    assert "nobody to tell" in try_out("").stderr
