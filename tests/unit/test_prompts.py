"""Prompts with variables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.prompts import checked_prompt, expanded, expanded_size, variables


@pytest.mark.parametrize(
    ("prompts", "names"),
    [
        (["{{content}}"], ("content",)),
        (["{{ b }}{{a}}{{b}}", "{{c.d-e_1}}"], ("b", "a", "c.d-e_1")),
        (["邮件：{{客户}}"], ("客户",)),
        (["{content} { {a} } {{{x}}}"], ("x",)),
        (["none"], ()),
    ],
)
def test_variables_are_named_in_their_order(prompts: list[str], names: tuple[str, ...]) -> None:
    assert variables(*prompts) == names


@pytest.mark.parametrize("prompt", ["{{}}", "{{a b}}", "{{1}}", "{{-a}}", "x{{a\n}b}}", "{{a|up}}"])
def test_what_only_looks_like_a_variable_is_refused(prompt: str) -> None:
    with pytest.raises(ValueError, match="is no variable"):
        checked_prompt(prompt)


@pytest.mark.parametrize("prompt", ["{{a}}", "{", "}}", "{{ open", '{"a": {"b": {}}}'])
def test_other_braces_stay(prompt: str) -> None:
    assert checked_prompt(prompt) == prompt


@given(st.text(), st.text(), st.text())
def test_any_value_arrives_as_it_is(value: str, before: str, after: str) -> None:
    before, after = before.replace("{", "("), after.replace("{", "(")
    prompt = f"{before}{{{{a}}}}{after}{{{{ b }}}}"
    values = {"a": value, "b": "{{a}}"}
    assert expanded(prompt, values) == f"{before}{value}{after}{{{{a}}}}"
    assert expanded_size(prompt, values) >= len(expanded(prompt, values))
