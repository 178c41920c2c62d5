"""byzerllm's own client, made fit for a gateway process: its one importer there.

Whoever imports this has its patches applied: byzerllm could not be imported without the first.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

# byzerllm imports pyjava, which replaces collections.namedtuple. What is sent to the cluster must
# be defined before, or it would drag pyjava and pandas (40 MB) into every actor there.
import gateway.actors.directory
import gateway.actors.store_actor  # noqa: F401
from gateway.cluster import ray_private


def _loaded_when_used(package: str) -> ModuleType:
    """Return what `import package` may be given, which loads the package when one of its names is
    used. (importlib's LazyLoader loads it at once.)"""
    later = ModuleType(package)
    later.__getattr__ = lambda name: getattr(importlib.import_module(package), name)  # type: ignore[method-assign]
    return later


def _loaded_when_made(module: str, name: str) -> ModuleType:
    """Return what `from module import name`, which is a class, may be given: it loads the module
    when one is made."""

    class Later:
        def __new__(cls, *arguments: Any, **options: Any) -> Any:
            return getattr(importlib.import_module(module), name)(*arguments, **options)

    later = ModuleType(module)
    setattr(later, name, Later)
    return later


@contextmanager
def _in_the_place_of(*modules: ModuleType) -> Iterator[None]:
    """Let imports have these for a while. Not for longer: pickle, which Ray calls, looks for names
    in all of sys.modules, and would so use each of them."""
    placed = [module for module in modules if module.__name__ not in sys.modules]
    sys.modules.update({module.__name__: module for module in placed})
    yield
    for module in placed:
        del sys.modules[module.__name__]


ray_private.bring_back_hex_to_binary()
# byzerllm's other client talks to providers by itself, through the SDKs of OpenAI and Anthropic;
# the gateway makes none. And pyjava imports pandas for tables, of which there are none. Together
# they would take 2 of 3.6 s of CPU at the start of a gateway process, and 85 of its 200 MB.
with _in_the_place_of(
    _loaded_when_made("byzerllm.utils.client.simple_byzerllm_client", "SimpleByzerLLM"),
    _loaded_when_used("pandas"),
):
    from byzerllm.utils.client.byzerllm_client import ByzerLLM as ByzerLLM
    from byzerllm.utils.client.types import LLMResponse as LLMResponse
