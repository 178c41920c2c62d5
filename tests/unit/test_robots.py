"""What the robots are sent, by signatures that openssl makes, too; and what their answers mean."""

from __future__ import annotations

import base64
import json
import subprocess
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.notifications.robots import REFUSALS, TAKEN, address, body, verdict
from gateway.notifications.sentences import trial
from gateway.notify_targets import Channel, parse

NOW = 1_700_000_000.123
SECRET = "SEC0123456789abcdef+/="
DINGTALK = "https://oapi.dingtalk.com/robot/send?access_token=T"
FEISHU = "https://open.feishu.cn/open-apis/bot/v2/hook/ID"


def openssl(key: str, message: str) -> str:
    """The same signature, by another program."""
    hexkey = f"hexkey:{key.encode().hex()}"
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", hexkey, "-binary"]
    done = subprocess.run(command, input=message.encode(), capture_output=True, check=True)
    return base64.b64encode(done.stdout).decode()


def test_dingtalks_signature_stands_in_the_query() -> None:
    [target] = parse(f"{DINGTALK}#{SECRET}")
    url = address(target, NOW)
    query = parse_qs(urlsplit(url).query, strict_parsing=True)

    moment = "1700000000123"
    assert query == {
        "access_token": ["T"],
        "timestamp": [moment],
        "sign": [openssl(SECRET, f"{moment}\n{SECRET}")],
    }
    assert SECRET not in url
    assert "sign" not in json.loads(body(target, trial("en"), NOW))


def test_feishus_signature_stands_in_the_body() -> None:
    [target] = parse(f"{FEISHU}#{SECRET}")
    fields = json.loads(body(target, trial("zh"), NOW))

    assert address(target, NOW) == FEISHU
    assert fields["timestamp"] == "1700000000"
    assert fields["sign"] == openssl(f"1700000000\n{SECRET}", "")


def test_without_a_secret_nothing_is_signed() -> None:
    for url in (DINGTALK, FEISHU):
        [target] = parse(url)
        assert address(target, NOW) == url
        assert "sign" not in json.loads(body(target, trial("en"), NOW))


@pytest.mark.parametrize(
    ("channel", "content"),
    [
        ("wecom", {"errcode": 0, "errmsg": "ok"}),
        ("dingtalk", {"errcode": 0, "errmsg": "ok"}),
        ("feishu", {"code": 0, "msg": "success", "data": {}}),
        ("feishu", {"StatusCode": 0, "StatusMessage": "success"}),
        ("webhook", {"errcode": 7}),
        ("webhook", {}),
    ],
)
def test_what_takes_a_message(channel: str, content: dict[str, object]) -> None:
    assert verdict(Channel(channel), 200, json.dumps(content).encode()) == TAKEN


@pytest.mark.parametrize("channel", REFUSALS)
def test_a_no_inside_a_200_is_a_no(channel: Channel) -> None:
    name = "code" if channel == Channel.FEISHU else "errcode"
    for code, known in REFUSALS[channel].items():
        content = json.dumps({name: code, "errmsg": "key K-7", "msg": "K-7"}).encode()
        answer = verdict(channel, 200, content)
        assert str(code) in answer.reason
        assert known.reason in answer.reason
        assert answer.wait == known.wait
        assert "K-7" not in answer.reason
    assert "code 77" in verdict(channel, 200, json.dumps({name: 77}).encode()).reason
    assert "code 77" in verdict(channel, 400, json.dumps({name: 77}).encode()).reason


def test_whoever_was_too_fast_waits_as_long_as_it_must() -> None:
    blocked = b'{"status":1111,"punish":"deny","wait":5,"source":"x5","uuid":"x"}'
    for content in (b'{"errcode":130101,"errmsg":"send too fast"}', blocked):
        assert verdict(Channel.DINGTALK, 200, content).wait > 600
    assert verdict(Channel.WECOM, 200, b'{"errcode":45009}').wait >= 60
    assert verdict(Channel.FEISHU, 200, b'{"code":11232}').wait >= 60
    assert verdict(Channel.WEBHOOK, 429, b"").wait >= 60


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", b'"ok"', b"\xff", b"[" * 9999])
@pytest.mark.parametrize("channel", REFUSALS)
def test_a_page_that_is_no_robots_answer_is_none(channel: Channel, content: bytes) -> None:
    assert "look at the URL" in verdict(channel, 200, content).reason


@pytest.mark.parametrize("status", [301, 302, 400, 404, 429, 500, 503])
@pytest.mark.parametrize("channel", [*REFUSALS, Channel.WEBHOOK])
def test_other_statuses_are_a_no(channel: Channel, status: int) -> None:
    assert str(status) in verdict(channel, status, b"").reason
