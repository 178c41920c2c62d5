"""The documents are true: what they name is there, their tables say what the code says, and each
page says the same in English and in Chinese."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Blueprint

from gateway.errors import MEANINGS
from gateway.providers.provider import Provider
from gateway.settings import load
from gateway.web.contract import ChatRequest, DeployRequest, ReplyOptions
from gateway.web.foreign_errors import OPENAI_STATUSES
from tests.environment import TOP
from tests.providers import PROVIDERS

PAGES = {
    str(path.relative_to(TOP)): path.read_text()
    for path in sorted([*TOP.glob("*.md"), *TOP.glob("docs/*.md")])
}
CHINESE = [name for name in PAGES if name.endswith(".zh-CN.md")]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def table_rows(page: str) -> list[tuple[str, list[str]]]:
    """A page's rows of tables: the first cell, and the others."""
    cells = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in FENCE.sub("", PAGES[page]).splitlines()
        if line.startswith("| `")
    ]
    return [(first, rest) for first, *rest in cells]


def rows(page: str) -> dict[str, list[str]]:
    """A page's rows of tables, by their first cell."""
    return dict(table_rows(page))


def anchors(page: str) -> set[str]:
    """The headings' anchors, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", PAGES[page]), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def english(page: str) -> str:
    return page.replace(".zh-CN.md", ".md")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in LINK.findall(FENCE.sub("", PAGES[page])):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (TOP / page).parent / path if path else TOP / page
        assert target.is_file(), link
        if anchor:
            assert anchor in anchors(str(target.resolve().relative_to(TOP))), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    new = {TOP / "README.md"}
    while new:
        page = new.pop()
        reached.add(page)
        links = {
            (page.parent / link.partition("#")[0]).resolve()
            for link in LINK.findall(page.read_text())
        }
        new |= {path for path in links if path.suffix == ".md" and path.is_file()} - reached
    assert {TOP / page for page in PAGES} == reached


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_ours_that_is_named_is_there(page: str) -> None:
    named = set(
        re.findall(
            r"(?<![-/\w])(?:bench|deploy|docs|examples|gateway|tests)/[\w./-]*\w", PAGES[page]
        )
    )
    named -= {"bench/litellm", "bench/portkey"}
    assert {path for path in named if not (TOP / path).exists()} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_is_named_is_there(page: str) -> None:
    targets = re.findall(r"^([a-z-]+(?: [a-z-]+)*):(?!=)", (TOP / "Makefile").read_text(), re.M)
    there = {word for line in targets for word in line.split()}
    assert set(re.findall(r"(?:`|sudo |^)make ([a-z-]+)", PAGES[page], re.M)) <= there


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_front_door_is_short(page: str) -> None:
    assert len(PAGES[page].splitlines()) < 150


@pytest.mark.parametrize("page", CHINESE)
def test_both_languages_have_the_same_parts(page: str) -> None:
    theirs, ours = PAGES[english(page)], PAGES[page]
    assert [len(mark) for mark in re.findall(r"^(#+) ", FENCE.sub("", ours), re.MULTILINE)] == [
        len(mark) for mark in re.findall(r"^(#+) ", FENCE.sub("", theirs), re.MULTILINE)
    ]
    assert len(re.findall(r"^\|", ours, re.MULTILINE)) == len(
        re.findall(r"^\|", theirs, re.MULTILINE)
    )


@pytest.mark.parametrize("page", CHINESE)
def test_both_languages_have_the_same_code(page: str) -> None:
    def code(name: str) -> list[str]:
        return [re.sub(r" *#.*", "", block) for block in FENCE.findall(PAGES[name])]

    assert code(page) == code(english(page))


@pytest.mark.parametrize("page", CHINESE)
def test_both_languages_name_the_same_things(page: str) -> None:
    # Fields, options, codes, settings: whatever stands in backquotes in one stands in the other.
    def named(name: str) -> set[str]:
        return set(re.findall(r"`([^`\n]+)`", FENCE.sub("", PAGES[name])))

    ours = {
        re.sub(r"<编号>", "<id>", word).replace("ERROR 代码", "ERROR CODE") for word in named(page)
    }
    assert ours == named(english(page))


@pytest.mark.parametrize("page", ["docs/errors.md", "docs/errors.zh-CN.md"])
def test_every_error_is_explained_with_its_statuses(page: str) -> None:
    table = rows(page)
    assert set(table) == {f"`{code}`" for code in MEANINGS}
    for code, meaning in MEANINGS.items():
        first, *more = re.findall(r"\d{3}", table[f"`{code}`"][0])
        assert int(first) == meaning.status, code
        if code in OPENAI_STATUSES and OPENAI_STATUSES[code] != meaning.status:
            assert "/v1" in table[f"`{code}`"][0]
            assert more == [str(OPENAI_STATUSES[code])], code


@pytest.mark.parametrize("page", ["docs/settings.md", "docs/settings.zh-CN.md"])
def test_every_setting_has_its_row(page: str) -> None:
    read = {
        one or other
        for path in [TOP / "gunicorn.conf.py", *(TOP / "gateway").rglob("*.py")]
        for one, other in re.findall(
            r"""(?:environ|env|environment)(?:\.get\(|\[)"([A-Z_]+)"|_\w+\(env, "([A-Z_]+)\"""",
            path.read_text(),
        )
    }
    settings = {name for name in read if name.startswith(("GATEWAY_", "RAY_", "WEB_", "LOG_"))}
    assert len(settings) > 20
    table = " ".join(rows(page))
    assert {name for name in settings if f"`{name}`" not in table} == set()


DEFAULTS = {
    "GATEWAY_BIND": "bind",
    "GATEWAY_UNDO_SECONDS": "undo_seconds",
    "GATEWAY_PROBE_SECONDS": "probe_seconds",
    "GATEWAY_KEEP_ANSWERS": "keep_answers",
    "GATEWAY_FALLBACK_CHARSET": "fallback_charset",
    "GATEWAY_MAX_BODY_BYTES": "max_body_bytes",
    "GATEWAY_MAX_IN_FLIGHT": "max_in_flight",
    "WEB_CONCURRENCY": "processes",
    "LOG_FORMAT": "log_format",
    "GATEWAY_NOTIFY_LANG": "notify_lang",
}


@pytest.mark.parametrize("page", ["docs/settings.md", "docs/settings.zh-CN.md"])
def test_the_defaults_are_the_settings_own(page: str) -> None:
    table = rows(page)
    own = {name: str(getattr(load({}), field)) for name, field in DEFAULTS.items()}
    assert {name: table[f"`{name}`"][0].strip("`") for name in DEFAULTS} == own
    # And whatever has a value in the table is compared here.
    given = {name.strip("`") for name, (default, _) in table.items() if default.startswith("`")}
    assert given <= {*DEFAULTS, "GATEWAY_JOIN_REPEATS", "RAY_TMPDIR"}


@pytest.mark.parametrize("page", ["docs/providers.md", "docs/providers.zh-CN.md"])
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda one: one.name)
def test_every_provider_has_its_row(page: str, provider: Provider) -> None:
    # Other tables have a provider's other base URLs, and its endpoints.
    (row,) = (
        cells
        for first, cells in table_rows(page)
        if first.startswith(f"`{provider.name}`") and len(cells) == 4
    )
    model_types, base_url, model_name, thinking = row
    assert re.findall(r"`([^`]+)`", model_types) == list(provider.model_types)
    assert not provider.base_url or f"`{provider.base_url}`" == base_url
    assert provider.base_url_example in base_url
    assert model_name.startswith(f"`{provider.model_name}`")
    fields = {name for switch in provider.thinking for name in switch.off}
    assert {name for name in fields if f"`{name}`" not in thinking} == set()


@pytest.mark.parametrize("page", ["docs/providers.md", "docs/providers.zh-CN.md"])
def test_the_new_provider_works_as_it_stands(page: str) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - it is ours, and to be run
    assert isinstance(names["stepfun_app"], Blueprint)


@pytest.mark.parametrize("page", ["docs/calls.md", "docs/calls.zh-CN.md"])
def test_every_field_is_named(page: str) -> None:
    for fields in (DeployRequest, ChatRequest, ReplyOptions):
        for name in fields.model_fields:
            assert re.search(rf"`\"?{name}\b", PAGES[page]), name


def test_the_picture_of_the_house_is_true() -> None:
    command = [sys.executable, "-m", "docs.house"]
    drawn = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=60, check=True)
    assert drawn.stdout == (TOP / "docs/house.svg").read_text(), "make house"


@pytest.mark.parametrize("page", ["docs/architecture.md"])
def test_every_module_that_is_named_is_there(page: str) -> None:
    rooms = "actors|cluster|commands|notifications|providers|web"
    named = set(re.findall(rf"`(?:gateway/)?((?:{rooms})/\w+\.py)`", PAGES[page]))
    named |= {
        f"{name}.py" for name in ("channel", "errors", "protocol") if f"`{name}.py`" in PAGES[page]
    }
    assert len(named) > 30
    assert {name for name in named if not (TOP / "gateway" / name).exists()} == set()
