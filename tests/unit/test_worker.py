"""gunicorn's worker is changed method by method, and each of those must be there still."""

from __future__ import annotations

from pathlib import Path

import pytest
from gunicorn.workers import gthread

from gateway.web.worker import CHATS, Worker


def test_what_overrides_gunicorns_says_so_and_gunicorn_has_it() -> None:
    for name, method in vars(Worker).items():
        if callable(method) and not name.startswith("__"):
            says_so = getattr(method, "__override__", False)
            assert says_so == hasattr(gthread.ThreadWorker, name), name


def test_gunicorn_still_makes_its_connections_by_the_name_that_we_replace() -> None:
    assert "TConn(" in Path(gthread.__file__ or "").read_text()


@pytest.mark.parametrize("path", ["/openai/chat", "/task/chat", "/v1/chat/completions"])
def test_a_question_to_a_chat_runs_in_the_pollers_thread(path: str) -> None:
    assert CHATS.fullmatch(path)


@pytest.mark.parametrize(
    "path", ["/all/chat", "//all/chat", "/%61ll/chat", "/all//chat", "/x//all/chat"]
)
def test_what_asks_many_chats_runs_in_a_thread_however_it_is_spelt(path: str) -> None:
    assert not CHATS.fullmatch(path)
