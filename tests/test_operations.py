"""docs/operations.md is true: its commands run as they stand, and all that it names is there.

One walk through the document, from its first command to its last, on an installation staged in a
folder. sudo, systemctl and their like are played by a few lines of shell; make, curl, the key
holder and the gateway are real.
"""

from __future__ import annotations

import getpass
import grp
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from gateway.commands.ray_head import RayHead
from gateway.errors import MEANINGS
from gateway.settings import load
from gateway.tokens import SCOPES
from gateway.web.contract import DeployRequest
from gateway.web.validation import parse
from tests.environment import TOP, clean_environment
from tests.server import Server
from tests.standin.client import BASES, StandIn
from tests.unit_file import SERVICES
from tests.waiting import until

DOCUMENT = (TOP / "docs/operations.md").read_text()
SECONDS = 120

PLAYED = {
    "sudo": 'if [ "$1" = -u ]; then shift 2; fi; exec "$@"',
    "journalctl": 'cat "$ROOT/keyholder.log"',
    **dict.fromkeys(("systemctl", "nginx", "caddy"), 'echo "${0##*/} $*" >>"$ROOT/called"'),
}


@dataclass(frozen=True)
class Block:
    """A fenced block, and the one after it, if that is what is typed into it."""

    line: int
    language: str
    text: str
    typed: str = ""


def blocks() -> list[Block]:
    matches = [
        Block(DOCUMENT[: match.start()].count("\n") + 1, match[1], match[2])
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", DOCUMENT, re.M | re.S)
    ]
    return [
        Block(one.line, one.language, one.text, after.text if after.language == "json" else "")
        for one, after in zip(matches, [*matches[1:], Block(0, "", "")], strict=True)
    ]


COMMANDS = [block for block in blocks() if block.language == "sh"]
"""What stands there as bash is for two machines: `make boot-test` runs it."""
REQUESTS = [json.loads(block.text) for block in blocks() if block.language == "json"]


@dataclass
class Walk:
    """A staged machine, and what each command said on it."""

    root: Path
    server: Server
    standin: StandIn
    said: dict[str, str] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def etc(self) -> Path:
        return self.root / "etc/byzer-gateway"

    def here(self, text: str) -> str:
        """The document's addresses, folders, user and group as they are here."""
        for theirs, ours in (
            ("http://127.0.0.1:8099", self.server.url),
            ("https://gateway.example.com", self.server.url),
            ("/etc/", f"{self.root}/etc/"),
            ("/opt/", f"{self.root}/opt/"),
            ("-g byzer ", f"-g {grp.getgrgid(os.getgid()).gr_name} "),
            ("-g prometheus ", f"-g {grp.getgrgid(os.getgid()).gr_name} "),
            # It would ask the real providers.
            ("-m gateway doctor", f"-m gateway doctor {self.server.url}"),
        ):
            text = text.replace(theirs, ours)
        return text

    def type(self, text: str) -> str:
        """A request as an operator types it, its provider being the stand-in."""
        if not text:
            return ""
        request = json.loads(text)
        provider = request.get("provider", "tongwen")
        if provider in BASES:
            request |= {"base_url": self.standin.base_url(provider), "model_name": "echo"}
        return json.dumps(request)

    def run(self, block: Block) -> None:
        state = self.root / "state"
        script = (
            f"set -eo pipefail; . {state}\n{self.here(block.text)}\ndeclare -p TOKEN >{state}"
            " 2>/dev/null || true"
        )
        environment = {
            **clean_environment(),
            **{
                "PATH": f"{self.root}/bin:{os.environ['PATH']}",
                "ROOT": str(self.root),
                "DESTDIR": str(self.root),
            },
            "MAKEFLAGS": f"USER={getpass.getuser()}",
        }
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=TOP,
            env=environment,
            input=self.type(block.typed),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        # The doctor finds fault with a full disk, too, which is not the document's.
        assert done.returncode == 0 or "-m gateway doctor" in block.text, (
            f"line {block.line}: {done.stdout}{done.stderr}"
        )
        self.said[block.text] = done.stdout

    def of(self, words: str) -> str:
        """What the command with these words said."""
        return next(answer for text, answer in self.said.items() if words in text)

    def settings(self) -> None:
        """What differs on this machine, where the shared gateway and cluster have ports of their
        own."""
        mine = {**self.server.environment, "GATEWAY_BIND": self.server.url.removeprefix("http://")}
        names = ("GATEWAY_BIND", "RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")
        path = self.etc / "gateway.env"
        path.write_text(path.read_text() + "".join(f"{name}={mine[name]}\n" for name in names))


@pytest.fixture(scope="module")
def installed(
    start_server: Callable[..., Server], ray_head: RayHead, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A gateway that keeps a ledger, as an installed one does."""
    state = str(tmp_path_factory.mktemp("state"))
    started = start_server({**ray_head.environment, "GATEWAY_STATE": state})
    yield started
    started.stop()


@pytest.fixture(scope="module")
def walk(
    tmp_path_factory: pytest.TempPathFactory, installed: Server, standin: StandIn, local_chat: str
) -> Iterator[Walk]:
    root = tmp_path_factory.mktemp("machine")
    walk = Walk(root, installed, standin)
    for folder in ("bin", "etc/nginx/conf.d", "etc/caddy", "etc/prometheus", "opt/byzer-gateway"):
        (root / folder).mkdir(parents=True)
    for name, does in PLAYED.items():
        (root / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (root / "bin" / name).chmod(0o755)
    (root / "opt/byzer-gateway/.venv").symlink_to(sys.prefix)
    (root / "state").touch()
    log = root / "keyholder.log"
    environment = {
        **clean_environment(),
        "CHATS": str(walk.etc / "chats"),
        "GATEWAY_URL": installed.url,
    }
    with log.open("wb") as out:
        holder = subprocess.Popen(
            [sys.executable, "deploy/keyholder.py"],
            cwd=TOP,
            env=environment,
            stdout=out,
            stderr=out,
        )
    try:
        for number, block in enumerate(COMMANDS):
            if "journalctl" in block.text and number < len(COMMANDS) / 2:
                until(
                    lambda: all(
                        f"{name}: deployed at " in log.read_text()
                        for name in ("shop_chat", "shop_spare")
                    ),
                    60,
                )
            if "make uninstall" in block.text:
                walk.seen["tokens"] = load({"GATEWAY_TOKENS_FILE": str(walk.etc / "tokens")}).tokens
                walk.seen["modes"] = {
                    p.name: p.stat().st_mode & 0o777 for p in walk.etc.rglob("*") if p.is_file()
                }
                walk.seen["scraper"] = (
                    (root / "etc/prometheus/byzer-gateway-token").read_text().strip()
                )
                walk.seen["env"] = (walk.etc / "gateway.env").read_text()
                holder.kill()
            walk.run(block)
            if block is COMMANDS[0]:
                walk.settings()
        yield walk
    finally:
        holder.kill()
        holder.wait()
        for name in ("shop_chat", "shop_spare"):
            installed.http.post("/openai/undeploy", json={"chat_name": name})


def test_every_command_runs_and_the_chat_answers(walk: Walk) -> None:
    assert len(walk.said) == len(COMMANDS)
    assert json.loads(walk.of("/zhipu/chat").splitlines()[-1]) == "zhipu:Say hello."


def test_the_key_holder_says_what_the_document_says(walk: Walk) -> None:
    answer = (walk.root / "keyholder.log").read_text()
    assert "shop_chat: deployed at zhipu." in answer.replace(", for now without its fallback", "")
    assert "shop_spare: deployed at tongwen." in answer


def test_a_switch_an_undo_and_a_new_fallback_are_done(walk: Walk) -> None:
    assert json.loads(walk.of("/tongwen/deploy")) == {"ret": "ok"}
    assert [json.loads(line) for line in walk.of("/zhipu/undo").split("\n")[:2]] == [
        {"ret": "ok"}
    ] * 2
    rows = {row["chat_name"]: row for row in walk.server.http.get("/models").json()["models"]}
    assert (rows["shop_chat"]["provider"], rows["shop_chat"]["fallback"]) == (
        "zhipu",
        ["local_chat"],
    )
    assert "shop_spare" not in rows


def test_each_has_its_token_and_one_of_them_has_limits(walk: Walk) -> None:
    tokens = {token.name: token for token in walk.seen["tokens"]}
    chat = {"chat"}
    assert {name: token.scopes for name, token in tokens.items()} == {
        **{"keyholder": SCOPES, "shop": chat, "prometheus": chat, "shop2": chat}
    }
    assert tokens["shop2"].chats == ("shop_*",)
    assert list(map(str, tokens["shop2"].limits)) == ["60/min", "50CNY/month"]
    scraper = load({"GATEWAY_TOKENS": f"prometheus:{walk.seen['scraper']}:chat"}).tokens
    assert scraper == (tokens["prometheus"],)
    assert re.search(r"^GATEWAY_TOKENS_FILE=/etc/byzer-gateway/tokens$", walk.seen["env"], re.M)
    assert re.search(r"^GATEWAY_TRUSTED_PROXIES=127.0.0.1$", walk.seen["env"], re.M)


def test_what_holds_secrets_is_closed(walk: Walk) -> None:
    modes = walk.seen["modes"]
    assert modes["tokens"] == 0o640
    assert {modes[name] for name in ("shop_chat.json", "local_chat.json", "admin-token")} == {0o600}


def test_the_doctor_finds_the_gateway_and_its_chats(walk: Walk) -> None:
    answer = walk.of("-m gateway doctor")
    assert "ok    gateway: listens on" in answer
    assert "ok    gateway: its cluster answers" in answer
    assert re.search(r"ok    chats: \d+ deployed", answer), answer


def test_nothing_is_left_after_the_uninstall(walk: Walk) -> None:
    assert not walk.etc.exists()
    assert not (walk.root / "opt/byzer-gateway").exists()


def test_only_our_units_and_those_in_front_are_named(walk: Walk) -> None:
    called = (walk.root / "called").read_text().splitlines()
    verbs = {"restart", "reload", "status", "--no-pager"}
    named = {
        word for line in called if line.startswith("systemctl") for word in line.split()[1:]
    } - verbs
    assert named <= {*SERVICES, "nginx", "caddy", "prometheus"}
    for unit in re.findall(r"\bbyzer-(?:ray|gateway|keyholder)\b", DOCUMENT):
        assert (TOP / f"deploy/systemd/{unit}.service").exists()


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: str(one["chat_name"]))
def test_what_is_pasted_passes_the_contract(request_: dict[str, Any]) -> None:
    fields = {name: value for name, value in request_.items() if name != "provider"}
    assert parse(DeployRequest, fields).chat_name
    assert request_.get("provider", "tongwen") in {"zhipu", "tongwen", "local"}


def test_the_example_file_passes_the_contract() -> None:
    example = json.loads((TOP / "deploy/chat.json.example").read_text())
    example.pop("provider")
    assert parse(DeployRequest, example).chat_name


def test_prometheus_is_told_where_the_gateway_is() -> None:
    conf = yaml.safe_load(next(block.text for block in blocks() if block.language == "yaml"))
    (job,) = conf["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:8099"]}]
    placed = "".join(block.text for block in COMMANDS)
    for file in (job["authorization"]["credentials_file"], *conf["rule_files"]):
        assert f"/etc/prometheus/{file}\n" in placed


def test_every_alert_says_what_to_do() -> None:
    rules = yaml.safe_load((TOP / "deploy/alerts.yml").read_text())
    alerts = {
        rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule
    }
    assert set(re.findall(r"^\| `([A-Z][a-z][A-Za-z]+)` \|", DOCUMENT, re.M)) == alerts


@pytest.mark.parametrize("code", MEANINGS)
def test_every_error_says_what_it_asks_of_the_operator(code: str) -> None:
    assert f"`{code}`" in DOCUMENT
