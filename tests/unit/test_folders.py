"""Whether other users of the machine get into a folder, by the modes and owners on its way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.folders import opening
from tests.other_user import OTHER, open_folder

WAYS = {
    # The modes of a folder within /tmp, and of one within that.
    (0o700, 0o777): "",
    (0o755, 0o700): "",
    (0o711, 0o700): "",
    (0o1777, 0o700): "",
    (0o755, 0o750): "others can enter {inner} (mode 750)",
    (0o755, 0o701): "others can enter {inner} (mode 701)",
    (0o755, 0o755): "others can enter {inner} (mode 755)",
    (0o755, 0o1777): "others can enter {inner} (mode 1777)",
    (0o755, 0o777): "others can write to {inner} (mode 777)",
    (0o777, 0o700): "others can write to {outer} (mode 777)",
    (0o775, 0o700): "others can write to {outer} (mode 775)",
    (0o757, 0o700): "others can write to {outer} (mode 757)",
}


@pytest.mark.parametrize(("modes", "how"), WAYS.items(), ids=lambda value: str(value)[:20])
def test_who_gets_in_is_named(modes: tuple[int, int], how: str) -> None:
    with open_folder() as outer:
        inner = outer / "inner"
        inner.mkdir()
        outer.chmod(modes[0])
        inner.chmod(modes[1])

        assert opening(inner) == how.format(outer=outer, inner=inner)


def test_a_link_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    with open_folder(0o755) as folder:
        (tmp_path / "link").symlink_to(folder)

        assert opening(tmp_path / "link") == f"others can enter {folder} (mode 755)"


def test_another_users_folder_is_theirs() -> None:
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    with open_folder(0o700) as folder:
        (folder / "ours").mkdir(mode=0o700)
        os.chown(folder, OTHER, OTHER)

        assert opening(folder / "ours") == f"{folder} belongs to user {OTHER}"
        assert opening(folder / "ours", OTHER) == ""
        os.chown(folder, 0, 0)


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        opening(tmp_path / "nothing")
