"""What a run of bulk has been answered, and which run may go on with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.commands.bulk.answers import Answer, Answers
from gateway.commands.bulk.words import BulkError

SETTINGS = {"chat": "sort", "columns": {"content": "mail"}}
NEW = {"names": ["name", "phone"], "fields": True}


def test_a_run_goes_on_with_its_own_columns_only(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    answers = Answers(out, {**SETTINGS, "new": NEW})
    answers.keep("1", Answer(("Ann", "555")))
    answers.close(done=False)

    again = Answers(out, {**SETTINGS, "new": NEW})
    assert again.find("1") == Answer(("Ann", "555"))
    again.close(done=False)
    with pytest.raises(BulkError, match="other settings"):
        Answers(out, {**SETTINGS, "new": {**NEW, "names": ["city", "name", "phone"]}})


def test_a_run_that_an_older_version_began_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    Answers(out, SETTINGS).close(done=False)
    Answers(out, {**SETTINGS, "new": NEW}).close(done=False)
    with pytest.raises(BulkError, match="other settings"):
        Answers(out, {**SETTINGS, "choices": "a,b", "new": NEW})
