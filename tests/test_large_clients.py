"""Large clients of /v1, as their users run them: aider, opencode, promptfoo, Claude Code and Codex.
`make test-clients`"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.environment import TOP, clean_environment
from tests.runtimes import npm_installed
from tests.server import Deploy, Server

pytestmark = pytest.mark.skipif(
    os.environ.get("CLIENTS") != "1", reason="make test-clients runs it: it takes 3 GB"
)

CLIENTS = TOP / "tests" / "clients"
INSTALL_SECONDS = 900
SECONDS = 180
"""Each takes half a minute to start on a machine that does nothing else."""

# They ask for prices, models, updates and telemetry by the way: nobody but the gateway is reached.
ALONE = dict.fromkeys(
    ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"
) | {
    **{"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    **{
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    },
    **{"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1"},
}

Ask = Callable[[str], str]
"""Put "hi" to a chat's name; what the client shows."""


@pytest.fixture
def names(gateway: httpx.Client) -> Iterator[Callable[[], str]]:
    """In place of the shared `names`: one without digits, since opencode looks for some in
    errors."""
    yield lambda: "large-clients"
    gateway.post("/openai/undeploy", json={"chat_name": "large-clients"})


def run(folder: Path, *command: str, **more: str) -> str:
    environment = {
        **clean_environment(),
        **ALONE,
        **more,
        "HOME": str(folder),
        "PWD": str(folder),
        "XDG_CONFIG_HOME": "",
        "XDG_DATA_HOME": "",
    }
    ended = subprocess.run(
        command,
        cwd=folder,
        env={name: value for name, value in environment.items() if value},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return " ".join(ended.stdout.split())  # aider breaks lines as a terminal is wide


@pytest.fixture
def aider(server: Server, tmp_path: Path) -> Ask:
    quiet = (
        "--no-git",
        "--yes-always",
        "--no-check-update",
        "--analytics-disable",
        "--no-show-model-warnings",
    )
    plain = ("--no-pretty", "--no-show-release-notes", "--map-tokens=0", "--edit-format=ask")
    gateway = (f"--openai-api-base={server.url}/v1", "--openai-api-key=any")
    program = str(TOP / ".venv" / "aider" / "bin" / "aider")
    return lambda name: run(
        tmp_path, program, "--message=hi", f"--model=openai/{name}", *gateway, *quiet, *plain
    )


@pytest.fixture
def opencode(server: Server, tmp_path: Path) -> Ask:
    """It takes its binary as npm unpacks it: a script of the package's would put it elsewhere."""
    packages = npm_installed(CLIENTS / "opencode", seconds=INSTALL_SECONDS) / "node_modules"
    # for any processor: "-baseline"
    program = max(map(str, packages.glob("opencode-linux-*/bin/opencode")), key=len)

    def ask(name: str) -> str:
        options = {"baseURL": f"{server.url}/v1", "apiKey": "any"}
        provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {name: {}}}
        # A title for the conversation is asked of a small model: of nobody, here.
        settings = {
            "provider": {"gateway": provider},
            "agent": {"title": {"disable": True}},
            "share": "disabled",
        }
        (tmp_path / "opencode.json").write_text(json.dumps(settings))
        return run(tmp_path, program, "run", "-m", f"gateway/{name}", "hi")

    return ask


@pytest.fixture
def promptfoo(server: Server, tmp_path: Path) -> Ask:
    packages = (
        npm_installed(CLIENTS / "promptfoo", "--omit=optional", seconds=INSTALL_SECONDS)
        / "node_modules"
    )
    program = str(packages / "promptfoo" / "dist" / "src" / "entrypoint.js")

    def ask(name: str) -> str:
        provider = {
            "id": f"openai:chat:{name}",
            "config": {"apiBaseUrl": f"{server.url}/v1", "apiKey": "any"},
        }
        settings = {
            "prompts": ["{{words}}"],
            "providers": [provider],
            "tests": [{"vars": {"words": "hi"}}],
        }
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        shown = run(
            tmp_path,
            "node",
            program,
            "eval",
            "-c",
            "settings.json",
            "--no-write",
            "--no-cache",
            "-o",
            "out.json",
        )
        assert (tmp_path / "out.json").exists(), shown
        [row] = json.loads((tmp_path / "out.json").read_text())["results"]["results"]
        return str(row.get("error") or row["response"]["output"])

    return ask


@pytest.fixture(params=["aider", "opencode", "promptfoo"])
def ask(request: pytest.FixtureRequest) -> Ask:
    client: Ask = request.getfixturevalue(request.param)
    return client


def test_a_large_client_chats(ask: Ask, deploy: Deploy) -> None:
    assert "Happy to help." in ask(deploy(model_name="say:Happy to help."))


@pytest.mark.parametrize(
    "behaviour", ["refuse:openai-insufficient_quota", "refuse:openai-credit_balance_exhausted"]
)
def test_a_large_client_meets_an_unpaid_chat_once_and_says_so(
    ask: Ask, deploy: Deploy, server: Server, behaviour: str
) -> None:
    name = deploy(model_name=behaviour)
    before = server.chats(name)

    shown = ask(name)

    assert "Pay the bill, or deploy another provider under this chat name." in shown
    assert server.chats(name) == before + 1


@pytest.fixture
def claude_code(server: Server, tmp_path: Path) -> Ask:
    """Claude Code, which asks /v1/messages and nothing else."""
    packages = npm_installed(CLIENTS / "claude-code", seconds=INSTALL_SECONDS) / "node_modules"
    program = str(packages / "@anthropic-ai" / "claude-code-linux-x64" / "claude")

    def ask(name: str) -> str:
        return run(
            tmp_path,
            *(program, "--print", "--model", name, "hi"),
            ANTHROPIC_BASE_URL=server.url,
            ANTHROPIC_AUTH_TOKEN="any",
            ANTHROPIC_DEFAULT_HAIKU_MODEL=name,
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
            CLAUDE_CODE_MAX_RETRIES="1",
        )

    return ask


@pytest.fixture
def codex(server: Server, tmp_path: Path) -> Ask:
    """Codex, which asks /v1/responses and nothing else."""
    packages = npm_installed(CLIENTS / "codex", seconds=INSTALL_SECONDS) / "node_modules"
    [program] = map(str, packages.glob("@openai/codex/vendor/*/bin/codex"))
    row = {"name": "gateway", "base_url": f"{server.url}/v1", "wire_api": "responses"}
    # a TOML table, since `=` and `:` are all that differs
    table = ", ".join(f"{key}={json.dumps(value)}" for key, value in row.items())

    def ask(name: str) -> str:
        settings = (f"model_providers.gateway={{{table}}}", 'model_provider="gateway"')
        options = [part for one in settings for part in ("-c", one)]
        return run(tmp_path, program, "exec", "--skip-git-repo-check", "-m", name, *options, "hi")

    return ask


@pytest.fixture(
    params=[
        ("claude_code", "zhipu", "zhipu-1113"),
        ("codex", "openai", "openai-insufficient_quota"),
    ],
    ids=["claude_code", "codex"],
)
def agent(request: pytest.FixtureRequest) -> tuple[Ask, str, str]:
    """An agent of one provider's own, one of ours that has its path, and how that says unpaid."""
    name, provider, unpaid = request.param
    return request.getfixturevalue(name), provider, unpaid


def test_an_agent_chats_by_its_own_protocol(agent: tuple[Ask, str, str], deploy: Deploy) -> None:
    ask, provider, _ = agent

    assert "Happy to help." in ask(deploy(provider, "say:Happy to help."))


def test_an_agent_says_that_the_bill_is_unpaid(agent: tuple[Ask, str, str], deploy: Deploy) -> None:
    ask, provider, unpaid = agent

    assert "Pay the bill" in ask(deploy(provider, f"refuse:{unpaid}"))
