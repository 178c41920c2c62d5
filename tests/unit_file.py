"""Reads the installed systemd units, so that tests run what they say without a systemd."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

PREFIX = "/opt/byzer-gateway"
SERVICES = ("byzer-ray", "byzer-gateway", "byzer-keyholder")


@dataclass(frozen=True)
class Unit:
    """A service: its command, environment and working directory, as under systemd in a machine
    whose / is `root`."""

    name: str
    command: list[str]
    environment: dict[str, str]
    folder: str
    credentials: dict[str, str]


def read(root: Path, name: str, credentials: Path) -> Unit:
    """The unit `name` of the installation staged in `root`."""
    settings: list[tuple[str, str]] = []
    for line in (root / f"etc/systemd/system/{name}.service").read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.append((key, _here(value, root, credentials)))
    one = dict(settings)
    environment: dict[str, str] = {}
    for key, value in settings:
        if key == "Environment":
            environment |= dict(word.split("=", 1) for word in shlex.split(value))
    for line in Path(one["EnvironmentFile"]).read_text().splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            environment[key] = _here(value, root, credentials)
    loaded = dict(value.split(":", 1) for key, value in settings if key == "LoadCredential")
    return Unit(name, shlex.split(one["ExecStart"]), environment, one["WorkingDirectory"], loaded)


def _here(value: str, root: Path, credentials: Path) -> str:
    for name, path in (("%E", root / "etc"), ("%S", root / "var/lib"), ("%d", credentials)):
        value = value.replace(name, str(path))
    for name in (PREFIX, "/etc/byzer-gateway"):
        # What stands there already by a specifier is not moved twice.
        value = value.replace(str(root) + name, name).replace(name, str(root) + name)
    return value
