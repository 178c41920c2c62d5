"""What stands in deploy/ for containers fits the schemas that there are offline, the settings, and
the image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

from gateway.__main__ import COMMANDS
from tests.environment import TOP

DEPLOY = TOP / "deploy"
SCHEMAS = kubernetes_validate.latest_version()
SETTINGS = (TOP / "docs/settings.md").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS = [
    document
    for path in sorted(DEPLOY.glob("kubernetes/*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
Json = dict[str, Any]


def named(manifest: Json) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def templates(manifest: Json) -> Iterator[Json]:
    """The pods that a manifest makes."""
    spec = manifest["spec"]
    if manifest["kind"] == "RayCluster":
        yield from (
            group["template"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])
        )
    elif manifest["kind"] == "Deployment":
        yield spec["template"]


PODS = [template for manifest in MANIFESTS for template in templates(manifest)]
CONTAINERS = [container for pod in PODS for container in pod["spec"]["containers"]]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=named)
def test_a_manifest_fits_kubernetes_schema(manifest: Json) -> None:
    """Of KubeRay's kind there is no schema offline: its pods are checked."""
    if manifest["kind"] != "RayCluster":
        kubernetes_validate.validate(manifest, SCHEMAS, strict=True)
    for template in templates(manifest):
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"]}
        metadata = {"name": "pod", **template["metadata"]}
        kubernetes_validate.validate({**pod, "metadata": metadata}, SCHEMAS, strict=True)


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_is_nobody_and_writes_to_its_volumes_only(pod: Json) -> None:
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert not spec["automountServiceAccountToken"]
    for container in spec["containers"]:
        closed = container["securityContext"]
        assert closed["readOnlyRootFilesystem"]
        assert not closed["allowPrivilegeEscalation"]
        assert closed["capabilities"] == {"drop": ["ALL"]}
        volumes = {volume["name"] for volume in spec["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_no_pod_has_a_secret_in_its_environment() -> None:
    assert all("value" in variable for one in CONTAINERS for variable in one.get("env", ()))


def test_what_selects_pods_finds_some() -> None:
    labels = [pod["metadata"]["labels"] for pod in PODS]
    for manifest in MANIFESTS:
        spec = manifest["spec"]
        selector = spec.get("podSelector") or spec.get("selector")
        if selector:
            wanted = selector.get("matchLabels", selector)
            assert any(wanted.items() <= one.items() for one in labels), named(manifest)


def variables() -> Iterator[str]:
    for container in CONTAINERS:
        yield from (variable["name"] for variable in container.get("env", ()))
    for service in COMPOSE["services"].values():
        yield from service.get("environment", ())
    yield from re.findall(r"(?<=^    )[A-Z_]+(?==)", (DEPLOY / "Containerfile").read_text(), re.M)


def test_every_setting_that_is_set_is_one() -> None:
    names = {name for name in variables() if name.startswith("GATEWAY_")}
    assert "GATEWAY_TOKENS_FILE" in names
    for name in names - {"GATEWAY_URL", "GATEWAY_TOKEN_FILE"}:  # the key holder's own
        assert f"`{name}`" in SETTINGS, name


def commands() -> Iterator[list[str]]:
    yield from (one["command"] for one in CONTAINERS if "command" in one)
    yield from (one["command"] for one in COMPOSE["services"].values() if "command" in one)


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_is_in_the_image(command: list[str]) -> None:
    match command:
        case ["python", "-m", "gateway", name, *_]:
            assert name in COMMANDS
        case ["python", path]:
            assert (TOP / path).is_file()
        case [program, *_]:
            assert program in {"ray", "gunicorn"}


def test_compose_names_what_there_is() -> None:
    services = COMPOSE["services"]
    secrets, volumes = COMPOSE["secrets"].keys(), COMPOSE["volumes"].keys()
    for service in services.values():
        assert set(service.get("secrets", ())) <= secrets
        assert set(service.get("depends_on", ())) <= services.keys()
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in volumes or source in {"./chats", "./Caddyfile"}
    assert (DEPLOY / "Caddyfile").is_file()


def test_the_image_has_every_file_of_the_program() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Containerfile").read_text(), re.M)
    names = {name for words in copied for name in words.split()}
    files = {path.name for name in names for path in TOP.glob(name)}
    needed = {path.name for path in (*TOP.glob("*.py"), *TOP.glob("requirements.txt"))}
    assert needed <= files
    assert {"gateway", "deploy", "examples", "requirements-local.txt"} <= files
    assert all(Path(TOP, name).exists() for name in names if "*" not in name)
