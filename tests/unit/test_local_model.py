"""What is said where the local model's package cannot be loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.actors.local_model import load
from gateway.errors import Code, GatewayError
from gateway.protocol import EMBEDDED

NO_LIBRARY = "libgomp.so.1: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        (f"raise ImportError({NO_LIBRARY!r})", "apt install libgomp1"),
        ("import no_such_module", "pip install --no-deps -r requirements-local.txt"),
    ],
)
def test_a_package_that_cannot_be_loaded_is_told_from_one_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, remedy: str
) -> None:
    (tmp_path / "xllamacpp.py").write_text(fault)
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(GatewayError) as raised:
        load(EMBEDDED)
    assert raised.value.code is Code.INVALID_REQUEST
    assert remedy in str(raised.value)
