"""byzerllm's own client, made fit for a gateway process: its one importer there.

Whoever imports this has its patches applied: byzerllm could not be imported without the first.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

# byzerllm imports pyjava, which replaces collections.namedtuple. What is sent to the cluster must
# be defined before, or it would drag pyjava and pandas (40 MB) into every actor there.
import gateway.actors.directory
import gateway.actors.store_actor  # noqa: F401
from gateway.cluster import ray_private


def _import_when_used(package: str) -> None:
    """Let `import package` load nothing until one of its names is used. (importlib's LazyLoader
    loads it at once.)"""

    def load(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # somebody who looks through sys.modules
        if sys.modules[package] is empty:
            del sys.modules[package]
        return getattr(importlib.import_module(package), name)

    empty = ModuleType(package)
    empty.__getattr__ = load  # type: ignore[method-assign]
    sys.modules.setdefault(package, empty)


ray_private.bring_back_hex_to_binary()
# byzerllm imports it for a client of its own that the gateway never makes: 0.8 of 2 s, and 38 MB in
# each process.
_import_when_used("anthropic")

from byzerllm.utils.client.byzerllm_client import ByzerLLM as ByzerLLM
from byzerllm.utils.client.types import LLMResponse as LLMResponse
