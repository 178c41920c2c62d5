"""Which files may be loaded as local models: real files, and llama.cpp itself in a process of its
own."""

from __future__ import annotations

import os
import random
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway import settings as app_settings
from gateway.actors.local_model import SETTINGS, LocalModel, load
from gateway.actors.model_file import is_gguf, survives
from gateway.errors import Code, GatewayError
from gateway.protocol import EMBEDDED
from tests.gguf_files import GGUF, counting, with_number

WAIT_SECONDS = 240


def loaded(name: str, below: str = "") -> LocalModel:
    """Load a file that nobody tried yet, in a thread of its own as an actor does, since it becomes
    nice."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(load, name, below, untried=True).result(WAIT_SECONDS)


DAMAGED: dict[str, Callable[[], bytes]] = {
    "nothing but its magic": lambda: b"GGUF",
    "its beginning": lambda: GGUF.read_bytes()[:100_000],
    "its first half": lambda: GGUF.read_bytes()[: GGUF.stat().st_size // 2],
    "all but its end": lambda: GGUF.read_bytes()[:-1000],
    "random bytes": lambda: b"GGUF" + random.Random(17).randbytes(100_000),  # noqa: S311
    "random bytes of version 3": lambda: b"GGUF\3\0\0\0" + random.Random(18).randbytes(100_000),  # noqa: S311
    "too many tensors": lambda: counting(2**63 - 1, 30),
    "too many keys": lambda: counting(5, 2**63 - 1),
    "many keys": lambda: counting(5, 2**31),
    "a string of 4 EB": lambda: b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62) + b"abc",
    # llama.cpp ends its process while it loads it
    "no layers": lambda: with_number("llama.block_count", 0),
    "no context": lambda: with_number("llama.context_length", 0),  # and here at the first question
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_ends_another_process_and_not_this_one(damage: str, tmp_path: Path) -> None:
    file = tmp_path / "damaged.gguf"
    file.write_bytes(DAMAGED[damage]())
    assert is_gguf(str(file))

    with pytest.raises(GatewayError) as refusal:
        loaded(str(file))
    file.unlink()  # pytest would keep its 100 MB

    assert refusal.value.code == Code.INVALID_REQUEST
    assert f"llama.cpp cannot load '{file}'" in refusal.value.detail


def test_a_sound_file_survives_and_is_loaded(tmp_path: Path) -> None:
    link = tmp_path / "sound.gguf"
    link.symlink_to(GGUF)

    assert loaded(str(link)).base_url.startswith("http://127.0.0.1:")


def test_a_trial_that_hangs_is_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    with ThreadPoolExecutor(1) as pool:
        assert not pool.submit(survives, str(tmp_path / "fifo"), SETTINGS, 1).result(WAIT_SECONDS)


def test_what_is_none_is_refused_in_the_same_words_and_at_once(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("Once upon a time")
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "loop.gguf").symlink_to(tmp_path / "loop.gguf")
    (tmp_path / "dangling.gguf").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "fifo.gguf")
    (tmp_path / "link.gguf").symlink_to(tmp_path / "fifo.gguf")
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "socket.gguf"))
    unix.close()
    names = [str(path) for path in tmp_path.iterdir()]
    names += [
        str(tmp_path),
        "/dev/zero",
        "/dev/tty",
        "/no/such/file",
        "/etc/shadow",
        "relative.gguf",
        "",
        "/a\0b",
        "/\ud800",
    ]

    texts = {refusal(name).replace(repr(name), "IT") for name in names}

    assert len(texts) == 1


def refusal(name: str, below: str = "") -> str:
    with pytest.raises(GatewayError) as error:
        loaded(name, below)
    return f"{error.value.code} {error.value.detail} {error.value.detail_zh}"


def test_below_the_models_folder_is_where_a_file_is_and_not_where_its_link_lies(
    tmp_path: Path,
) -> None:
    models, outside = tmp_path / "models", tmp_path / "models-of-others"
    models.mkdir()
    outside.mkdir()
    for folder in (models, outside):
        (folder / "model.gguf").write_bytes(b"GGUF")
    (models / "escape.gguf").symlink_to(outside / "model.gguf")
    (models / "folder").symlink_to(outside)
    (models / "inside.gguf").symlink_to(models / "model.gguf")
    (outside / "in.gguf").symlink_to(models / "model.gguf")
    (tmp_path / "link").symlink_to(models)

    for below in (str(models), f"{models}/", str(tmp_path / "link")):
        for name in (
            "models/model.gguf",
            "models/inside.gguf",
            "models-of-others/in.gguf",
            "models/./../link/model.gguf",
        ):
            assert is_gguf(f"{tmp_path}/{name}", below)
        for name in (
            *(
                "models-of-others/model.gguf",
                "models/escape.gguf",
                "models/folder/model.gguf",
                "models",
            ),
            "models/../models-of-others/model.gguf",
        ):
            assert not is_gguf(f"{tmp_path}/{name}", below)
    there, nowhere = f"{outside}/model.gguf", f"{outside}/no-such.gguf"
    assert refusal(there, str(models)).replace(there, "IT") == refusal(
        nowhere, str(models)
    ).replace(nowhere, "IT")


def test_the_embedded_model_lies_nowhere_in_particular(tmp_path: Path) -> None:
    assert loaded(EMBEDDED, str(tmp_path)).api_key


def test_the_models_folder_is_an_absolute_path() -> None:
    assert app_settings.load({"GATEWAY_MODELS": " /srv/models "}).models_folder == "/srv/models"
    with pytest.raises(app_settings.SettingError, match=r"^GATEWAY_MODELS is 'models'; it must be"):
        app_settings.load({"GATEWAY_MODELS": "models"})
