"""The house is a promise: imports point one way, and a provider is a small file of its own."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from gateway import __version__
from tests.environment import TOP
from tests.providers import MODULES

PRIVATE_RAY = {
    "gateway/cluster/ray_private.py",
    "gateway/actors/ray_private.py",
    "gateway/actors/stock_models.py",  # a task that runs where none of our modules are
    "gateway/commands/ray_node.py",  # Ray's own node, made without its helpers
    "gateway/commands/doctor_probes.py",  # a program of its own, for a Ray of any version
}
"""The files that look behind what Ray promises."""


def source(module: str) -> Path:
    return TOP / (module.replace(".", "/") + ".py")


def ours() -> list[Path]:
    return [*TOP.glob("*.py"), *(TOP / "gateway").rglob("*.py")]


def imported(path: Path) -> set[str]:
    """Every module that a file names in an import, `from gateway import wire` counting as
    gateway.wire."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def test_byzerllm_has_one_importer_in_the_gateway_and_one_task_in_the_cluster() -> None:
    users = {
        str(path.relative_to(TOP))
        for path in ours()
        if any(re.match(r"byzerllm\b", name) for name in imported(path))
    }
    assert users == {"gateway/cluster/byzerllm_patches.py", "gateway/actors/stock_models.py"}


def test_rays_private_parts_stand_in_few_files() -> None:
    users = {str(path.relative_to(TOP)) for path in ours() if "ray._" in path.read_text()}
    assert users == PRIVATE_RAY


def test_each_room_says_what_it_is_for() -> None:
    rooms = {path.parent for path in (TOP / "gateway").rglob("*.py")}
    for room in rooms:
        assert ast.get_docstring(ast.parse((room / "__init__.py").read_text())), room


WHAT_GOES_TO_THE_CLUSTER = """
import gateway, ray, gateway.cluster.client
from gateway.actors.directory import Directory
from gateway.actors.store_actor import Store
from gateway.actors.model_actor import ModelActor
ray.cloudpickle.register_pickle_by_value(gateway)
for actor in (ModelActor, Directory, Store):
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
    assert {path.stem for path in TOP.glob("*.py")} & packages == set()


@cache
def of_tests() -> dict[Path, ast.Module]:
    """Parse every module below tests/."""
    return {path: ast.parse(path.read_text()) for path in (TOP / "tests").rglob("*.py")}


def test_what_tests_share_stands_in_modules_without_tests() -> None:
    # Imported from a test module, a helper drags its fixtures and tests along.
    with_tests = re.compile(r"tests\.(\w+\.)*(test_\w+|conftest)\b")
    users = {path: list(filter(with_tests.match, imported(path))) for path in of_tests()}
    assert {path: names for path, names in users.items() if names} == {}


def fixtures(module: ast.Module) -> dict[str, str]:
    """The name of each fixture of a module, and its docstring."""
    return {
        node.name: ast.get_docstring(node) or ""
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef)
        and any("pytest.fixture" in ast.unparse(decorator) for decorator in node.decorator_list)
    }


def test_a_fixture_that_takes_anothers_place_says_so() -> None:
    modules = of_tests()
    plugins = [TOP / "tests" / name for name in ("conftest.py", "browser.py", "fronts.py")]
    shared = {name for path in plugins for name in fixtures(modules[path])}
    assert shared >= {"gateway", "server", "chromium", "raw_chat"}
    silent = {
        (path.name, name)
        for path in modules.keys() - set(plugins)
        for name, words in fixtures(modules[path]).items()
        if name in shared and not words.startswith(f"In place of the shared `{name}`: ")
    }
    assert silent == set()


def test_no_fixture_has_a_packages_name() -> None:
    packages = set(packages_distributions()) | set(sys.stdlib_module_names)
    rooms = {path.stem for path in TOP.glob("*.py")} | {"bench", "tests"}
    names = {name for module in of_tests().values() for name in fixtures(module)}
    assert names & (packages | rooms) == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_provider_is_one_small_value_and_its_blueprint(module: str) -> None:
    lines = [line for line in source(module).read_text().splitlines() if line.strip()]
    assert len(lines) <= 45
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


WHAT_A_GATEWAY_PROCESS_LOADS = """
import sys
import gateway.cluster.client
loaded = {"anthropic", "openai", "numpy", "pandas", "httpx"} & sys.modules.keys()
assert not loaded, loaded
import numpy.linalg, pandas, pyarrow
assert numpy.linalg.norm([3, 4]) == 5
assert pyarrow.table({"a": [1]}).to_pandas()["a"][0] == 1
from pyjava.udf import udf_master
assert udf_master.np.argmin([2, 1]) == 1
"""


def test_a_gateway_process_loads_no_tables_of_data_and_who_needs_them_finds_them_whole() -> None:
    code = WHAT_A_GATEWAY_PROCESS_LOADS
    subprocess.run([sys.executable, "-c", code], cwd=TOP, check=True, timeout=120)
