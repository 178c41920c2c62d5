"""The file of tokens, as the commands `token` and `revoke` change it: one at a time, whole or not
at all, and never readable for others."""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.tokens import Token, parse_token

VARIABLE = "GATEWAY_TOKENS_FILE"
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class TokensFile:
    """The lines of the file at `path`, for as long as its `with` block. Raises SystemExit: it
    cannot be read or written."""

    def __init__(self, path: str) -> None:
        self._path = Path(path).resolve()
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        try:
            # the folder's lock: the file is another one after each change
            self._lock = os.open(self._path.parent, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self.lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            if not self._path.parent.is_dir():
                raise SystemExit(f"There is no folder {self._path.parent}.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise SystemExit(f"Cannot read {self._path}: {error}.") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._lock)

    def tokens(self) -> list[Token]:
        """Return what the lines say. Raises ValueError, naming the line that is wrong."""
        tokens = []
        for number, line in enumerate(self.lines, 1):
            if line.strip() and not line.strip().startswith("#"):
                try:
                    tokens.append(parse_token(line.strip()))
                except ValueError as error:
                    raise ValueError(f"{self._path}, line {number}: {error}") from None
        return tokens

    def places(self, name: str) -> list[int]:
        """Return where the lines of a caller are, the newest last."""
        begins = f"{name}:"
        return [at for at, line in enumerate(self.lines) if line.strip().startswith(begins)]

    def write(self) -> None:
        """Put the lines in the file's place, with its owner and its mode. Raises SystemExit."""
        try:
            self._write()
        except OSError as error:
            raise SystemExit(f"Cannot write {self._path}: {error.strerror}.") from None

    def _write(self) -> None:
        owner, group, mode = self._access()
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}-")
        try:
            with os.fdopen(handle, "w") as file:
                if (owner, group) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), owner, group)
                os.fchmod(file.fileno(), mode)
                file.write("".join(f"{line}\n" for line in self.lines))
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _access(self) -> tuple[int, int, int]:
        """Return the file's owner, group and mode; of a new one in root's folder, such that the
        services' group reads it, as it reads the folder."""
        try:
            status = self._path.stat()
            return status.st_uid, status.st_gid, status.st_mode & 0o7777
        except FileNotFoundError:
            folder = self._path.parent.stat()
        if os.geteuid() == 0 and folder.st_gid != 0:
            return 0, folder.st_gid, 0o640
        return os.geteuid(), os.getegid(), 0o600


def file_option(parser: argparse.ArgumentParser) -> None:
    """Let the file be given, if the environment does not name it."""
    path = os.environ.get(VARIABLE, "").strip()
    parser.add_argument(
        "--file", default=path, required=not path, help=f"the file of tokens (else {VARIABLE})"
    )


def say_reload() -> None:
    """Say when the gateway knows of it."""
    print(
        "The gateway knows of it after a reload: systemctl reload byzer-gateway, or kill -HUP"
        " gunicorn's first process.",
        file=sys.stderr,
    )
