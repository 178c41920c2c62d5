"""Every provider that there is, by name: the values in the files llm_*.py."""

from __future__ import annotations

from importlib import import_module

from gateway.protocol import Engine
from gateway.providers.provider import Provider
from tests.environment import TOP

MODULES = sorted(path.stem for path in TOP.glob("llm_*.py"))

PROVIDERS: dict[str, Provider] = {
    value.name: value
    for module in MODULES
    for value in vars(import_module(module)).values()
    if isinstance(value, Provider)
}

RELAYED = [name for name, one in PROVIDERS.items() if one.engine == Engine.RELAY]
