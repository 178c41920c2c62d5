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


def _import_when_used(package: str) -> ModuleType:
    """Let `import package` load nothing until one of its names is used. (importlib's LazyLoader
    loads it at once.)"""

    def load(name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)  # somebody who looks through sys.modules
        _forget(package, empty)
        return getattr(importlib.import_module(package), name)

    empty = ModuleType(package)
    empty.__getattr__ = load  # type: ignore[method-assign]
    return sys.modules.setdefault(package, empty)


def _forget(package: str, empty: ModuleType) -> None:
    """Let whoever imports a part of a package from now on find all of it."""
    if sys.modules.get(package) is empty:
        del sys.modules[package]


def _leave_out(module: str, name: str) -> None:
    """Let `from module import name` load nothing, and give a class that cannot be used."""
    stub = ModuleType(module)
    setattr(stub, name, type(name, (), {"__doc__": "Not loaded in a gateway process."}))
    sys.modules.setdefault(module, stub)


ray_private.bring_back_hex_to_binary()
ray_private.send_no_tables()
# Ray and pyjava import it for tables of data, which the gateway never has.
_import_when_used("pyarrow")
# byzerllm imports them for what the gateway never does (another client, tables of data): half of
# its time, and 80 MB in each process.
_unused = {name: _import_when_used(name) for name in ("anthropic", "numpy", "pandas")}
# A client that asks providers by itself, without a cluster: 0.5 s, and 22 MB in each process.
_leave_out("byzerllm.utils.client.simple_byzerllm_client", "SimpleByzerLLM")

from byzerllm.utils.client.byzerllm_client import ByzerLLM as ByzerLLM
from byzerllm.utils.client.types import LLMResponse as LLMResponse

for _name, _empty in _unused.items():
    _forget(_name, _empty)
