"""The image of deploy/Containerfile, built by buildah on a Debian that debootstrap makes.

No engine runs containers where the tests run, so it is entered as `buildah run --isolation chroot`
does: with its own files, users and environment, in the host's network. Opt-in: make test-container.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.environment import TOP, free_port
from tests.waiting import until

pytestmark = [
    pytest.mark.skipif(not os.environ.get("CONTAINER"), reason="make test-container runs it"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a Debian"),
]

MIRROR = "http://deb.debian.org/debian"
SLIM = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "var/cache/apt/archives",
    "var/lib/apt/lists",
)
BUILD_SECONDS = 900
MOST_MB = 900
KEY = "sk-only-in-a-deploy-to-a-container"
ADMIN = "admin-token-of-the-container-0123456789"


class Images:
    """buildah, with images and containers in a folder of this test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._command = [
            "buildah",
            f"--root={folder}/images",
            f"--runroot={folder}/run",
            "--storage-driver=vfs",
        ]

    def __call__(self, *words: str, seconds: int = BUILD_SECONDS) -> str:
        """What a command of buildah's says. Raises CalledProcessError, and TimeoutExpired."""
        done = subprocess.run(
            [*self._command, *words], timeout=seconds, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.strip()

    def start(self, container: str, *words: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a command in a container."""
        run = ["run", "--isolation=chroot", container, "--", *words]
        with log.open("wb") as file:
            return subprocess.Popen([*self._command, *run], stdout=file, stderr=file)


@pytest.fixture(scope="module")
def images() -> Iterator[Images]:
    folder = Path(tempfile.mkdtemp(prefix="byzer-images-", dir=os.environ.get("CONTAINER_DIR")))
    yield Images(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def base(images: Images) -> str:
    """A Debian, with this machine's ways to the package indexes."""
    root = images.folder / "debian"
    make = ["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm"]
    log = images.folder / "debootstrap.log"
    with log.open("wb") as file:
        done = subprocess.run([*make, str(root), MIRROR], stdout=file, timeout=BUILD_SECONDS)
    assert done.returncode == 0, log.read_text()[-2000:]
    for path in ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf", "/etc/apt/apt.conf"):
        if Path(path).is_file():
            shutil.copy(path, f"{root}{path}")
    for path in SLIM:  # as Debian's own slim images
        shutil.rmtree(root / path, ignore_errors=True)
    container = images("from", "scratch")
    images("add", "-q", container, str(root), "/")
    images("commit", "-q", container, "localhost/debian")
    images("rm", container)
    shutil.rmtree(root)
    return "localhost/debian"


@pytest.fixture(scope="module")
def image(images: Images, base: str) -> str:
    started = time.monotonic()
    images(
        "bud",
        "-q",
        "--isolation=chroot",
        f"--build-arg=BASE={base}",
        "-f",
        "deploy/Containerfile",
        "-t",
        "byzer-gateway",
        str(TOP),
    )
    print(f"\nbuilt in {time.monotonic() - started:.0f} s")
    return "byzer-gateway"


@pytest.fixture
def container(images: Images, image: str) -> Iterator[str]:
    name = images("from", image)
    yield name
    images("rm", name)


def test_the_image_is_small_and_says_how_it_is_run(images: Images, image: str) -> None:
    about = json.loads(images("inspect", "--type=image", image))
    config = about["OCIv1"]["config"]
    assert config["User"] == "8099:8099"
    assert config["Entrypoint"] == ["tini", "-g", "--"]
    assert config["Cmd"] == ["python", "-m", "gateway", "run"]
    assert "/var/lib/byzer-gateway" in config["Volumes"]

    amount, unit = images("images", "--format={{.Size}}", image).split()
    size = float(amount) * {"MB": 1, "GB": 1000}[unit]
    print(f"\n{size:.0f} MB")
    assert size < MOST_MB


def test_it_chats_with_its_local_model_and_keeps_no_key(images: Images, container: str) -> None:
    port = free_port()
    root = Path(images("mount", container))
    tokens = root / "var/lib/byzer-gateway/tokens"
    tokens.touch(mode=0o600)
    tokens.write_text(f"operator:{ADMIN}:chat,admin\n")
    os.chown(tokens, 8099, 8099)
    before = _files(root)
    log = images.folder / "run.log"
    settings = [
        f"GATEWAY_BIND=127.0.0.1:{port}",
        "GATEWAY_TOKENS_FILE=/var/lib/byzer-gateway/tokens",
    ]
    command = ["tini", "-g", "--", "python", "-m", "gateway", "run"]
    process = images.start(container, "env", *settings, *command, log=log)
    http = httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {ADMIN}"},
        timeout=60,
        trust_env=False,
    )
    try:
        until(lambda: _is_ready(http) or _ended(process, log), 180)
        local = http.post("/local/deploy", json={"chat_name": "local_chat"})
        assert local.json() == {"ret": "ok"}, local.text
        reply = http.post("/local/chat", json={"chat_name": "local_chat", "content": "Say hello."})
        assert (reply.status_code, bool(reply.json())) == (200, True), reply.text

        deploy = {
            "chat_name": "far",
            "api_key": KEY,
            "model_name": "m",
            "base_url": "http://127.0.0.1:9/v1",
        }
        assert http.post("/openai/deploy", json=deploy).status_code == 200
        assert (
            http.post("/openai/chat", json={"chat_name": "far", "content": "hi"}).status_code == 502
        )

        inside = [path for path in _files(root) if KEY.encode() in path.read_bytes()]
        assert not inside
        written = {path.relative_to(root).parts[0] for path in _files(root) - before}
        assert written <= {"tmp", "var", "dev", "run"}, "it would not run with the rest read-only"
    finally:
        http.close()
        for tini in psutil.Process(process.pid).children(recursive=True):
            if tini.name() == "tini":
                tini.terminate()
        process.wait(60)


def test_no_layer_holds_a_key_or_a_token(images: Images, container: str) -> None:
    root = Path(images("mount", container))
    assert not list(root.rglob("ray-token"))
    assert not list(root.rglob("admin-token"))
    secret = re.compile(rb"sk-[A-Za-z0-9]{20,}")
    ours = [path for path in _files(root / "opt/byzer-gateway") if ".venv" not in path.parts]
    assert ours
    assert not [path for path in ours if secret.search(path.read_bytes())]


def _files(root: Path) -> set[Path]:
    """All regular files, but for what the kernel shows."""
    shown = {root / name for name in ("proc", "sys", "dev")}
    return {
        Path(folder, name)
        for folder, folders, names in os.walk(root)
        if not (shown & {Path(folder), *Path(folder).parents})
        for name in names
        if Path(folder, name).is_file() and not Path(folder, name).is_symlink()
    }


def _is_ready(http: httpx.Client) -> bool:
    return http.get("/readyz").status_code == 200


def _ended(process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()[-3000:]
    return False
