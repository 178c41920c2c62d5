"""The clients of examples/ that ask a task build and parse nothing, so they are the short ones; and
what docs/old-clients.md shows of named values is true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from gateway.web import wire
from tests.environment import TOP
from tests.runtimes import EXAMPLES, SECONDS, needed

LANGUAGES = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_task_takes_fewer_lines_than_a_chat(language: str) -> None:
    files = list((EXAMPLES / language).iterdir())
    [task] = (path for path in files if path.stem.lower() == "task")
    chats = [path for path in files if path != task]
    assert chats
    assert lines(task) < min(map(lines, chats))


NOTE = 'a=b, "c"\r\n\\n\\\\r 镕誠\n\\'
REPLY = wire.named_values({"名": "安娜", "note": NOTE, "none": ""}, wire.Form("text")).body
PROGRAMS = {
    "tclsh": """fconfigure stdin -encoding utf-8 -translation lf
        fconfigure stdout -encoding utf-8 -translation lf
        set reply [read stdin]
        CODE
        puts -nonewline $values(note)$values(none)""",
    "perl": """use strict; use warnings; my %values; local $/; my $reply = <STDIN>;
        CODE
        print $values{note}, $values{none}""",
}


@pytest.mark.parametrize(("program", "word"), [("tclsh", "foreach line"), ("perl", "my %meaning")])
def test_what_the_page_shows_turns_line_breaks_back(
    program: str, word: str, tmp_path: Path
) -> None:
    page = (TOP / "docs/old-clients.md").read_text()
    [code] = (block for block in re.findall(r"```\n(.*?)```", page, re.DOTALL) if word in block)
    script = tmp_path / "script"
    script.write_text(PROGRAMS[program].replace("CODE", code))

    ended = subprocess.run(
        [needed(program), script], input=REPLY, capture_output=True, timeout=SECONDS, check=False
    )

    assert (ended.stderr, ended.stdout.decode()) == (b"", NOTE)
