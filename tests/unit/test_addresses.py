"""Hosts are written in one form, and the addresses where a key may not go are known in all of
theirs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from errno import EACCES, ECONNREFUSED
from typing import Any

import pytest

from gateway.actors.upstream import Upstream
from gateway.addresses import canonical, is_guarded, split_port
from gateway.byte_budget import ByteBudget
from gateway.errors import GatewayError
from gateway.providers.questions import Question, QuestionRules
from gateway.settings import load
from gateway.web.contract import DeployRequest
from llm_openai import OPENAI
from tests.environment import TOP

FORMS = {
    "API.OpenAI.com": "api.openai.com",
    "api.openai.com.": "api.openai.com",
    "my_service": "my_service",
    "127.0.0.1": "127.0.0.1",
    "1.example": "1.example",
    "BÜCHER.example": "xn--bcher-kva.example",
    "例子.测试": "xn--fsqu00a.xn--0zwm56d",
    "①⑥⑨。②⑤④。①⑥⑨。②⑤④": "169.254.169.254",
    "１６９．２５４．１６９．２５４": "169.254.169.254",
    "169。254。169。254": "169.254.169.254",
    "169.254.169.254.": "169.254.169.254",
    "2852039166": "169.254.169.254",
    "0xA9FEA9FE": "169.254.169.254",
    "0xa9.254.0251.254": "169.254.169.254",
    "0251.0376.0251.0376": "169.254.169.254",
    "169.254.43518": "169.254.169.254",
    "169.16689662": "169.254.169.254",
    "[FD00:EC2:0:0::254]": "fd00:ec2::254",
    "::FFFF:169.254.169.254": "::ffff:a9fe:a9fe",
}


@pytest.mark.parametrize(("host", "form"), FORMS.items())
def test_a_host_has_one_form(host: str, form: str) -> None:
    assert canonical(host) == form


NO_HOSTS = (
    "",
    ".",
    "a..b",
    "-a",
    "a b",
    "a/b",
    "a@b",
    "%31.0.0.1",
    "1.2.3.256",
    "1.2.3.4.5",
    "08",
    "::g",
    "a☃.⒈",
)


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"neither a name|no address|does not appear|Codepoint"):
        canonical(host)


GUARDED = (
    "169.254.169.254", "169.254.0.23", "169.254.170.2",
    "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "fe80::1", "fe80::1%eth0",
    "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42",
    "::ffff:169.254.169.254", "::169.254.169.254", "::ffff:0:169.254.169.254",
    "64:ff9b::169.254.169.254", "64:ff9b::6464:64c8", "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1", "2002:6464:64c8::", "2002:c000:c0::1",
    "2001:0:a9fe:a9fe::1",
)  # fmt: skip
OPEN = (
    *(
        "127.0.0.1",
        "::1",
        "10.0.0.5",
        "100.100.100.201",
        "192.0.0.193",
        "8.8.8.8",
        "2606:4700::1111",
        "fd00::1",
    ),
    *(
        "fd20:ce::255",
        "64:ff9b::808:808",
        "2002:808:808::1",
        "::ffff:127.0.0.1",
        "api.openai.com",
        "169.254",
        "",
    ),
)


@pytest.mark.parametrize("address", GUARDED)
def test_where_a_machine_is_told_its_secrets_is_guarded_in_every_form(address: str) -> None:
    assert is_guarded(address)


@pytest.mark.parametrize("address", OPEN)
def test_other_addresses_and_names_are_not(address: str) -> None:
    assert not is_guarded(address)


PORTS = {
    "a:1": "a",
    "a": "a",
    "a:": "a",
    "[::1]:80": "[::1]",
    "[::1]": "[::1]",
    "::1": "::1",
    "a:b": "a:b",
}


@pytest.mark.parametrize(("netloc", "host"), PORTS.items())
def test_a_port_is_left_out(netloc: str, host: str) -> None:
    assert split_port(netloc)[0] == host


URLS = {
    "http://①⑥⑨。②⑤④。①⑥⑨。②⑤④:80/v1/": "http://169.254.169.254:80/v1",
    "HTTPS://API.Example.com/V1/chat/completions": "https://api.example.com/V1",
    "http://[FD00::1]:8/v1": "http://[fd00::1]:8/v1",
    "http://2130706433/a%20b": "http://127.0.0.1/a%20b",
}


@pytest.mark.parametrize(("url", "form"), URLS.items())
def test_a_base_url_is_kept_with_its_host_in_one_form(url: str, form: str) -> None:
    assert DeployRequest(chat_name="x", base_url=url).base_url == form


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "0xa9fea9fe", "[64:ff9b::a9fe:a9fe]", "[fd20:ce::254]"]
)
def test_no_connection_is_made_to_a_guarded_address(host: str) -> None:
    # Addresses and names alike: 0xa9fea9fe is one that only the resolver knows. No packet leaves.
    async def ask() -> None:
        account: dict[str, Any] = {
            "provider": "openai",
            "base_url": f"http://{host}:9/v1",
            "api_key": "sk-x",
            "hop": "x",
            "key_header": "Authorization",
        }
        upstream = Upstream(
            **account,
            dialect=OPENAI.dialect,
            endpoints={},
            rules=QuestionRules("x", OPENAI.traits(), {}),
            timeout=5,
            trusted=False,
            answers=ByteBudget(1),
        )
        try:
            await upstream.ask(Question("/chat/completions", b"{}"))
        finally:
            await upstream.close()

    with pytest.raises(GatewayError, match="link-local or metadata"):
        asyncio.run(ask())


STOCK_MODEL = """
import socket
from gateway.actors.stock_models import guard_connections
guard_connections()
for host in ("169.254.169.254", "0xa9fea9fe", "64:ff9b::a9fe:a9fe", "127.0.0.1"):
    try:
        socket.create_connection((host, 9), 5)
    except OSError as error:
        print(error.errno)
"""


def test_a_process_of_stock_byzerllm_connects_to_none_either() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STOCK_MODEL], cwd=TOP, capture_output=True, text=True, timeout=60
    )
    assert [int(line) for line in ended.stdout.split()] == [
        EACCES,
        EACCES,
        EACCES,
        ECONNREFUSED,
    ], ended.stderr


def test_the_operators_hosts_have_the_same_form() -> None:
    hosts = load(
        {"GATEWAY_UPSTREAM_HOSTS": "API.Example.com, 例子.测试 [FD00::1] 127.0.0.1:1"}
    ).upstream_hosts
    assert hosts == {"api.example.com", "xn--fsqu00a.xn--0zwm56d", "fd00::1", "127.0.0.1:1"}
