"""byzerllm's own client, made fit for a gateway process: its one importer there.

Whoever imports this has its patches applied: byzerllm could not be imported without the first.
"""

from __future__ import annotations

import importlib
import importlib.util
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
    empty.__spec__ = importlib.util.find_spec(package)
    empty.__getattr__ = load  # type: ignore[method-assign]
    sys.modules.setdefault(package, empty)


def _import_when_made(module: str, name: str) -> None:
    """Let `from module import name`, which is a class, load nothing until one is made."""

    class Later:
        def __new__(cls, *arguments: Any, **options: Any) -> Any:
            if sys.modules[module] is empty:
                del sys.modules[module]
            return getattr(importlib.import_module(module), name)(*arguments, **options)

    empty = ModuleType(module)
    setattr(empty, name, Later)
    sys.modules.setdefault(module, empty)


ray_private.bring_back_hex_to_binary()
# byzerllm's other client talks to providers by itself, through the SDKs of OpenAI and Anthropic;
# the gateway makes none. And pyjava imports pandas for tables, of which there are none. Together
# they would take 2 of 3.6 s of CPU at the start of a gateway process, and 85 of its 200 MB.
_import_when_made("byzerllm.utils.client.simple_byzerllm_client", "SimpleByzerLLM")
_import_when_used("pandas")

from byzerllm.utils.client.byzerllm_client import ByzerLLM as ByzerLLM
from byzerllm.utils.client.types import LLMResponse as LLMResponse
