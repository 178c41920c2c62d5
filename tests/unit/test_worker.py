"""gunicorn's worker is changed method by method, and each of those must be there still."""

from __future__ import annotations

from pathlib import Path

import pytest
from gunicorn.workers import gthread

from gateway.web.fast_worker import FastWorker
from gateway.web.worker import Worker


@pytest.mark.parametrize("ours", [FastWorker, Worker])
def test_what_overrides_gunicorns_says_so_and_gunicorn_has_it(ours: type) -> None:
    base = ours.__mro__[1]
    for name, method in vars(ours).items():
        if callable(method) and not name.startswith("__"):
            assert getattr(method, "__override__", False) == hasattr(base, name), name


def test_gunicorn_still_makes_its_connections_by_the_name_that_we_replace() -> None:
    assert "TConn(" in Path(gthread.__file__ or "").read_text()
