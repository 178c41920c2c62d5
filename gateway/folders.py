"""Whether a folder is closed to the other users of this machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def opening(folder: Path, owner: int | None = None) -> str:
    """Return how users other than `owner` (None: ours) and root get into `folder`, or can put
    another in its place.

    It is "" where they cannot. Raises OSError: there is no such folder.
    """
    # Whoever owns / is root, by whatever number a user namespace shows them.
    trusted = {0, os.stat("/").st_uid, os.geteuid() if owner is None else owner}
    real = Path(os.path.realpath(folder, strict=True))
    for path in (*reversed(real.parents), real):
        status = path.stat()
        if status.st_uid not in trusted:
            return f"{path} belongs to user {status.st_uid}"
        mode = stat.S_IMODE(status.st_mode)
        if not mode & 0o077:
            return ""  # nobody else gets any further
        if mode & 0o022 and not mode & stat.S_ISVTX:
            return f"others can write to {path} (mode {mode:o})"
    return f"others can enter {real} (mode {mode:o})"
