"""`make install` and `make uninstall`, staged into a folder; and what systemd itself says of the
units."""

from __future__ import annotations

import getpass
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.environment import TOP
from tests.unit_file import PREFIX, SERVICES

ETC = "etc/byzer-gateway"
STATE = "var/lib/byzer-gateway"
MOST_EXPOSURE = 2.0
"""Of 10, as systemd-analyze counts: below 2 it says "OK"."""

Make = Callable[..., str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def make(root: Path) -> Make:
    """make, for a machine whose / is `root`; the service's user is whoever runs the tests."""

    def run(target: str, *variables: str) -> str:
        command = [
            "make",
            "--no-print-directory",
            target,
            f"DESTDIR={root}",
            f"USER={getpass.getuser()}",
            *variables,
        ]
        done = subprocess.run(
            command, cwd=TOP, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def tree(root: Path) -> dict[str, tuple[str, bytes]]:
    """Every path with its mode and contents."""
    return {
        str(path.relative_to(root)): (
            stat.filemode(path.lstat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in root.rglob("*")
    }


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_installing_twice_changes_nothing(make: Make, root: Path) -> None:
    make("install")
    once = tree(root)

    make("install")

    assert tree(root) == once


def test_every_room_of_the_program_is_laid_and_nothing_of_an_older_version_stays(
    make: Make, root: Path
) -> None:
    program = root / "opt/byzer-gateway"
    make("install")
    (program / "gateway/web/old.py").touch()

    make("install")

    modules = {str(path.relative_to(TOP)) for path in (TOP / "gateway").rglob("*.py")}
    laid = {str(path.relative_to(program)) for path in (program / "gateway").rglob("*.py")}
    assert laid == modules


def test_what_holds_secrets_is_for_its_owner_alone(make: Make, root: Path) -> None:
    make("install")

    modes = {path: mode for path, (mode, _) in tree(root).items() if path.startswith(ETC)}
    assert modes == {
        ETC: "drwxr-x---",
        f"{ETC}/chats": "drwxr-x---",
        f"{ETC}/chats/chat.json.example": "-rw-------",
        f"{ETC}/gateway.env": "-rw-r-----",
        f"{ETC}/admin-token": "-rw-------",
        f"{ETC}/ray-token": "-rw-------",
    }
    assert re.fullmatch(r"[0-9a-f]{64}", (root / ETC / "ray-token").read_text())


def test_each_machine_has_a_ray_token_of_its_own(make: Make, root: Path, tmp_path: Path) -> None:
    make("install")
    make("install", f"DESTDIR={tmp_path / 'other'}")

    assert (root / ETC / "ray-token").read_text() != (
        tmp_path / "other" / ETC / "ray-token"
    ).read_text()


def test_a_ray_token_that_was_not_written_to_its_end_is_made_anew(make: Make, root: Path) -> None:
    make("install")
    token = root / ETC / "ray-token"
    token.write_bytes(b"")
    make("install")
    assert len(token.read_text()) == 64
    assert token.stat().st_mode & 0o777 == 0o600


def test_prefix_and_user_stand_in_the_units(make: Make, root: Path) -> None:
    make("install", "PREFIX=/srv/llm", "USER=somebody")

    unit = (root / "etc/systemd/system/byzer-gateway.service").read_text()
    assert "User=somebody\n" in unit
    assert "ExecStart=/srv/llm/.venv/bin/gunicorn " in unit
    assert (root / "srv/llm/app.py").exists()
    laid = "".join(path.read_text() for path in (root / "etc/systemd").rglob("*") if path.is_file())
    assert re.findall("@[A-Z]+@", laid) == []


def test_the_users_own_user_variable_is_not_the_services_user(make: Make, root: Path) -> None:
    command = ["make", "install", f"DESTDIR={root}"]
    subprocess.run(
        command, cwd=TOP, env={"PATH": "/usr/bin:/bin", "USER": "alice"}, check=True, timeout=60
    )

    assert "User=byzer\n" in (root / "etc/systemd/system/byzer-gateway.service").read_text()


def test_the_operators_files_survive_an_update_and_an_uninstall(make: Make, root: Path) -> None:
    make("install")
    own = {
        f"{ETC}/gateway.env": "GATEWAY_CHECK=1\n",
        f"{ETC}/chats/shop.json": "{}",
        f"{ETC}/admin-token": "t",
        f"{STATE}/ledger.db": "a book",
    }
    (root / STATE / "ray").mkdir(parents=True)
    for path, text in own.items():
        (root / path).write_text(text)

    make("install")
    assert {path: (root / path).read_text() for path in own} == own

    make("uninstall")
    assert files(root) == sorted(own)
    assert not (root / STATE / "ray").exists()
    make("uninstall", "PURGE=1")
    assert files(root) == []
    assert not (root / STATE).exists()


def test_uninstall_undoes_an_install(make: Make, root: Path) -> None:
    make("install")
    make("uninstall")

    assert files(root) == []
    assert not (root / PREFIX.lstrip("/")).exists()
    assert not (root / ETC).exists()
    make("uninstall")


def test_a_module_of_an_older_version_is_not_left_behind(make: Make, root: Path) -> None:
    make("install")
    old = root / f"{PREFIX.lstrip('/')}/gateway/old.py"
    old.touch()

    make("install")

    assert not old.exists()


@pytest.mark.parametrize("folder", ["gateway/web/console", "examples"])
def test_what_the_page_shows_is_laid_and_nothing_of_an_older_version_is_left(
    make: Make, root: Path, folder: str
) -> None:
    make("install")
    laid = root / PREFIX.lstrip("/") / folder
    (laid / "old").touch()

    make("install")

    assert files(laid) == files(TOP / folder)


def test_a_prefix_that_depends_on_the_folder_is_refused() -> None:
    done = subprocess.run(
        ["deploy/install", "install"],
        cwd=TOP,
        env={"PATH": "/usr/bin:/bin", "PREFIX": "relative"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "PREFIX must be an absolute path" in done.stderr


@pytest.fixture
def units(make: Make, root: Path, tmp_path: Path) -> list[str]:
    """The installed units, their programs where this machine has them."""
    make("install")
    folder = root / "etc/systemd/system"
    for path in folder.glob("*.service"):
        path.write_text(
            path.read_text().replace(f"{PREFIX}/.venv/bin", str(Path(sys.executable).parent))
        )
    return [str(folder / f"{name}.service") for name in SERVICES]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_systemd_finds_no_fault_in_the_units(units: list[str]) -> None:
    answer = analyze("verify", "--man=no", "--recursive-errors=no", *units)

    ours = [line for line in answer.stderr.splitlines() if "byzer" in line]
    assert (answer.returncode, ours) == (0, [])


def test_the_units_are_little_exposed(units: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    for unit in units:
        answer = analyze("security", "--offline=true", "--no-pager", unit)
        last = answer.stdout.strip().splitlines()[-1]
        with capfd.disabled():
            print(f"\n{last}", end="")
        score = re.search(r"exposure level for .*: ([0-9.]+) ", last)
        assert score, answer.stdout + answer.stderr
        assert float(score[1]) <= MOST_EXPOSURE, answer.stdout


def test_no_service_leaves_a_dump_of_its_memory(make: Make, root: Path) -> None:
    make("install")
    assert (
        "\nLimitCORE=0\n"
        in (root / "etc/systemd/system/byzer-.service.d/hardening.conf").read_text()
    )


def test_nobody_but_the_services_user_enters_the_folder_of_ray(make: Make, root: Path) -> None:
    make("install")
    for name in ("byzer-ray", "byzer-gateway"):  # systemd sets the mode anew for each
        assert (
            "\nStateDirectoryMode=0700\n"
            in (root / f"etc/systemd/system/{name}.service").read_text()
        )
