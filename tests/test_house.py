"""The house is a promise: imports point one way, and a provider is a small file of its own."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from gateway import __version__
from tests.conftest import TOP

FLOORS = [
    ["app"],
    ["llm_openai", "llm_zhipu", "llm_tongwen", "llm_local"],
    [
        "gateway.provider",
        "gateway.ask_all",
        "gateway.status",
        "gateway.openai_api",
        "gateway.openapi",
        "gateway.console",
    ],
    ["gateway.jobs"],
    ["gateway.job_runner"],
    ["gateway.waits"],
    ["gateway.streaming", "gateway.sessions"],
    ["gateway.replies"],
    ["gateway.service"],
    ["gateway.watch"],
    ["gateway.metrics", "gateway.worker"],
    ["gateway.http_messages"],
    ["gateway.contract", "gateway.auth", "gateway.failover", "gateway.large_body"],
    ["gateway.wire", "gateway.brake"],
    ["gateway.cluster"],
    ["gateway.byzer"],
    ["gateway.routes"],
    ["gateway.connection"],
    ["gateway.directory"],
    ["gateway.stock", "gateway.actors"],
    ["gateway.model_actor", "gateway.memory"],
    ["gateway.job_store"],
    ["gateway.model", "gateway.channel", "gateway.rendering", "gateway.actor_logs"],
    ["gateway.local_model", "gateway.upstream", "gateway.resting", "gateway.shares", "gateway.tls"],
    ["gateway.silence"],
    ["gateway.reader"],
    ["gateway.refusals"],
    ["gateway.documents", "gateway.dialects", "gateway.chunks"],
    [
        "gateway.shared_words",
        "gateway.sse",
        "gateway.usage",
        "gateway.encodings",
        "gateway.proxies",
        "gateway.paths",
    ],
    ["gateway.byte_budget"],
    [
        "gateway.count_file",
        "gateway.line_writer",
        "gateway.model_file",
        "gateway.client_connections",
    ],
    ["gateway.doctor"],
    ["gateway.machine", "gateway.probes"],
    ["gateway.errors"],
    ["gateway.launch"],
    ["gateway.ray_head"],
    ["gateway.settings"],
    ["gateway.charsets", "gateway.encodings", "gateway.addresses", "gateway.folders"],
]
"""From the top down: each may import only what stands below it."""

UPWARD = {
    "app": {"gateway.launch"},  # python app.py
    # inside a function, after gunicorn's fork
    "gateway.http_messages": {"gateway.contract", "gateway.wire"},
}

FLOOR = {module: number for number, floor in enumerate(FLOORS) for module in floor}
MODULES = sorted(FLOOR)


def source(module: str) -> Path:
    return TOP / (module.replace(".", "/") + ".py")


def imported(module: str) -> set[str]:
    """Every module that `module` names in an import, `from gateway import wire` counting as
    gateway.wire."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source(module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def test_every_module_has_its_floor() -> None:
    there = {f"gateway.{path.stem}" for path in (TOP / "gateway").glob("*.py")} - {
        "gateway.__init__"
    }
    there |= {path.stem for path in TOP.glob("*.py")} | {"app"}
    assert there - {"gunicorn.conf"} == set(FLOOR)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    ours = imported(module) & set(FLOOR)
    upward = {other for other in ours if FLOOR[other] <= FLOOR[module]}
    assert upward - UPWARD.get(module, set()) == set()


def test_in_the_gateway_process_only_the_cluster_and_what_it_sends_there_know_ray() -> None:
    users = {
        module
        for module in MODULES
        if any(re.match(r"ray\b|byzerllm\b", name) for name in imported(module))
    }
    here = {"gateway.cluster", "gateway.byzer", "gateway.routes", "gateway.connection"}
    sent_there = {
        f"gateway.{name}"
        for name in ("directory", "actors", "stock", "model_actor", "memory", "actor_logs")
    }
    assert users == here | sent_there


WHAT_GOES_TO_THE_CLUSTER = """
import gateway, ray, gateway.cluster
from gateway.directory import Directory
from gateway.memory import Memory
from gateway.model_actor import ModelActor
ray.cloudpickle.register_pickle_by_value(gateway)
for actor in (ModelActor, Directory, Memory):
    pickled = ray.cloudpickle.dumps(actor)
    assert b"pyjava" not in pickled, actor
    Path(FOLDER, actor.__name__).write_bytes(pickled)
"""

WHAT_OTHER_PROGRAMS_LOAD = """
import sys
from pathlib import Path
import ray.cloudpickle
for path in Path(FOLDER).iterdir():
    ray.cloudpickle.loads(path.read_bytes())
assert "gateway" not in sys.modules
"""


def test_actors_go_to_the_cluster_without_byzerllms_dependencies_and_load_where_our_code_is_not(
    tmp_path: Path,
) -> None:
    # pyjava replaces collections.namedtuple: what is defined after its import would cost 40 MB in
    # every actor. And what pickles by its name alone, such as a cached function, no stock byzerllm
    # program could load.
    for code, folder in ((WHAT_GOES_TO_THE_CLUSTER, TOP), (WHAT_OTHER_PROGRAMS_LOAD, Path("/"))):
        lines = f"from pathlib import Path\nFOLDER = {str(tmp_path)!r}\n{code}"
        subprocess.run([sys.executable, "-c", lines], cwd=folder, check=True, timeout=120)


def test_one_version_stands_everywhere() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    changes = re.findall(r"^## (\S+)", (TOP / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert changes[0] in ("Unreleased", __version__)
    assert __version__ in changes
    assert project["version"] == __version__


def test_no_module_hides_an_installed_package() -> None:
    packages = set(packages_distributions()) | set(sys.stdlib_module_names)
    assert {module.split(".")[-1] for module in MODULES if "." not in module} & packages == set()


@pytest.mark.parametrize("module", FLOORS[1])
def test_a_provider_is_one_small_value_and_its_blueprint(module: str) -> None:
    lines = [line for line in source(module).read_text().splitlines() if line.strip()]
    assert len(lines) <= 17
    assert f"{module.removeprefix('llm_')}_app = " in lines[-1]


def test_requirements_are_pinned_with_hashes_and_name_no_index() -> None:
    for path in TOP.glob("requirements*.txt"):
        text = path.read_text()
        pins = re.findall(r"^[a-z0-9][^\s]*==[^\s]+", text, re.M | re.I)
        assert pins, path
        assert text.count("--hash=sha256:") >= len(pins), path
        assert "://" not in text, path


def test_each_direct_requirement_says_why() -> None:
    for line in (TOP / "requirements.in").read_text().splitlines():
        if line.startswith(("pyjava", "pandas", "pyarrow", "retrying", "tabulate", "#")):
            continue  # one reason stands above them
        assert "#" in line, line
