"""What people would pick instead of this gateway, each as its makers say it is started."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.contenders import DELAYS_MS, AskedBy, Contender, chat_name, openai_post
from bench.provider import Provider
from bench.service import answers, clean_environment, free_port
from bench.wrk import Post
from gateway.commands.ray_head import stop
from gateway.commands.run import HERE, wait

PORTKEY, LITELLM, SMG, TENSORZERO, ENVOY = "Portkey", "LiteLLM", "smg", "TensorZero", "Envoy"

PEERS = HERE / ".bench"
"""Where `make` installs them, each in a folder of its own."""

COMPILED = PEERS / "compiled/bin"
START_SECONDS = 90

MOST_HELD = 8000
"""Envoy by itself refuses more than 1,024 requests at a time."""

TENSORZERO_START = """
import asyncio, pathlib, sys, tensorzero
async def serve():
    gateway = await tensorzero._start_http_gateway(
        config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None,
        async_setup=True)
    pathlib.Path(sys.argv[2]).write_text(gateway.base_url)
    await asyncio.Event().wait()
asyncio.run(serve())
"""


@contextmanager
def portkey(provider: Provider) -> Iterator[Contender]:
    """Portkey's gateway on Node.js."""
    port = free_port()
    start = PEERS / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"

    def post(ms: int, stream: bool) -> Post:
        target = {"x-portkey-provider": "openai", "x-portkey-custom-host": provider.base_url(ms)}
        return openai_post(f"http://127.0.0.1:{port}/v1", "m", stream, target)

    with _peer(
        PORTKEY, ["node", start, "--headless", f"--port={port}"], {"NODE_ENV": "production"}, post
    ) as found:
        yield found


@contextmanager
def litellm(provider: Provider) -> Iterator[Contender]:
    """LiteLLM's proxy, with as many processes as this gateway."""
    port = free_port()
    models = [
        {
            "model_name": chat_name(ms),
            "litellm_params": {
                "model": "openai/m",
                "api_base": provider.base_url(ms),
                "api_key": "sk-bench",
            },
        }
        for ms in DELAYS_MS
    ]
    with tempfile.TemporaryDirectory(prefix="bench-litellm-") as folder:
        config = Path(folder, "config.yaml")
        config.write_text(json.dumps({"model_list": models}))  # JSON is YAML
        options = {
            **{
                "config": config,
                "host": "127.0.0.1",
                "port": port,
                "num_workers": 2,
                "telemetry": False,
            },
            # Else uvicorn ends a process that is too busy to say within 5 s that it lives.
            "timeout_worker_healthcheck": START_SECONDS,
        }
        command = [
            PEERS / "litellm/bin/litellm",
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        # Else it would fetch its table of prices from the internet; and, like this gateway here, it
        # asks for no token.
        alone = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        }
        front = f"http://127.0.0.1:{port}/v1"
        with _peer(
            LITELLM, command, alone, lambda ms, stream: openai_post(front, chat_name(ms), stream)
        ) as found:
            yield found


@contextmanager
def smg(provider: Provider) -> Iterator[Contender]:
    """smg (Rust): one for each of the provider's delays, since it asks one address."""
    with ExitStack() as started:
        fronts = {ms: started.enter_context(_smg(provider, ms)) for ms in DELAYS_MS}
        pids = tuple(pid for front in fronts.values() for pid in front.pids)
        yield Contender(SMG, lambda ms, stream: fronts[ms].post(ms, stream), pids)


@contextmanager
def _smg(provider: Provider, delay_ms: int) -> Iterator[Contender]:
    port = free_port()
    options = {
        "host": "127.0.0.1",
        "port": port,
        "backend": "openai",
        "worker-urls": provider.base_url(delay_ms).removesuffix("/v1"),
        "policy": "round_robin",
        "history-backend": "none",
        "prometheus-host": "127.0.0.1",
        "prometheus-port": free_port(),
        "log-level": "error",
    }
    command = [
        COMPILED / "smg",
        "launch",
        *(word for name, value in options.items() for word in (f"--{name}", str(value))),
        "--disable-health-check",
        "--disable-circuit-breaker",
    ]
    front = f"http://127.0.0.1:{port}/v1"
    post = partial(openai_post, front, "m")
    with _peer(SMG, command, {}, lambda ms, stream: post(stream)) as found:
        yield found


@contextmanager
def tensorzero(provider: Provider) -> Iterator[Contender]:
    """TensorZero (Rust), without its database."""
    models = "".join(
        f"[models.{chat_name(ms)}]\nrouting = ['p']\n"
        f"[models.{chat_name(ms)}.providers.p]\ntype = 'openai'\nmodel_name = 'm'\n"
        f"api_base = '{provider.base_url(ms)}'\napi_key_location = 'env::BENCH_KEY'\n"
        for ms in DELAYS_MS
    )
    with tempfile.TemporaryDirectory(prefix="bench-tensorzero-") as folder:
        config = Path(folder, "tensorzero.toml")
        config.write_text(f"[gateway.observability]\nenabled = false\n{models}")
        # its wheel has no command, and chooses the port
        address = Path(folder, "address")
        command = [COMPILED / "python", "-c", TENSORZERO_START, config, address]
        alone = {"BENCH_KEY": "sk-bench", "TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS": "1"}

        def post(ms: int, stream: bool) -> Post:
            front = address.read_text() if address.exists() else "http://127.0.0.1:1"
            model = f"tensorzero::model_name::{chat_name(ms)}"
            return openai_post(front, model, stream)

        with _peer(TENSORZERO, command, alone, post) as found:
            yield found


@contextmanager
def envoy(provider: Provider) -> Iterator[Contender]:
    """Envoy (C++): it writes a key into each request, and reads no body."""
    port = free_port()
    source = urlsplit(provider.base_url(0))
    with tempfile.TemporaryDirectory(prefix="bench-envoy-") as folder:
        config = Path(folder, "envoy.json")
        config.write_text(json.dumps(_envoy_config(port, source.port or 80)))
        command = [COMPILED / "envoy", "-c", config, "--concurrency", "2"]
        command += ["--disable-hot-restart", "-l", "error"]

        def post(ms: int, stream: bool) -> Post:
            return openai_post(f"http://127.0.0.1:{port}/{ms}/v1", "m", stream)

        with _peer(ENVOY, command, {}, post) as found:
            yield found


def _envoy_config(port: int, source: int) -> dict[str, Any]:
    def address(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    types = "type.googleapis.com/envoy.extensions.filters"
    key = {
        "header": {"key": "authorization", "value": "Bearer sk-bench"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "route": {"cluster": "provider", "timeout": "60s"},
                            "request_headers_to_add": [key],
                        }
                    ],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{types}.http.router.v3.Router"},
            }
        ],
    }
    most = {f"max_{what}": MOST_HELD for what in ("connections", "pending_requests", "requests")}
    listener = {
        "address": address(port),
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }
    cluster = {
        "name": "provider",
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [most]},
        "load_assignment": {
            "cluster_name": "provider",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(source)}}]}],
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


@contextmanager
def _peer(
    name: str, command: list[Any], more: dict[str, str], post: AskedBy
) -> Iterator[Contender]:
    if not Path(command[0]).exists() and not Path(command[1]).exists():
        raise SystemExit(
            f"{name} is not installed: make bench installs it, BENCH=--no-peers does without."
        )
    with tempfile.TemporaryFile() as log:
        environment = {**clean_environment(), **more}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
        )

        def up() -> bool:
            if process.poll() is not None:
                log.seek(0)
                raise SystemExit(
                    f"{name} did not start:\n{log.read()[-2000:].decode(errors='replace')}"
                )
            return answers(*post(0, False))

        try:
            wait(f"Starting {name}", START_SECONDS, up)
            yield Contender(name, post, (process.pid,))
        finally:
            stop(process)


ALL = (portkey, litellm, tensorzero, smg, envoy)
