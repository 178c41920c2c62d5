"""What models say where one of a list, or named values, were asked for."""

from __future__ import annotations

import json
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.structured_answers import MisfitError, fitted
from gateway.providers.structures import Field, Form, Means, Structure, told

MAILS = ("refund", "complaint", "other")
REFUND = [
    "refund",
    " refund\n",
    "Refund",
    "REFUND.",
    '"refund"',
    "'refund'",
    "“refund”",
    "**refund**",
    "*Refund*",
    "`refund`",
    "- refund",
    "> refund",
    "(refund)",
    "refund!",
    "ｒｅｆｕｎｄ",
    "```\nrefund\n```",
    '```json\n{"answer": "refund"}\n```',
    '{"answer":"refund"}',
    '{"category": "refund", "confidence": 0.93}',
    '{"result": {"label": "Refund"}}',
    '["refund"]',
    "Sure! The category is: refund",
    "Sure! The category is: **refund**.",
    'The answer is "refund".',
    "Category：refund",
    "This mail is about a broken lamp.\n\nrefund",
    "refund\n\nThe customer wants the money back.",
    "<think>complaint? or other? hm</think>\nrefund",
    "<thinking>other</thinking>refund",
    "The best fit here would be `refund`",
]
NO_REFUND = [
    ("", "none of the list"),
    ("I cannot say.", "none of the list"),
    ("money", "none of the list"),
    ("refunds", "none of the list"),
    ("refund or complaint", "more than one"),
    ("refund, complaint, other", "more than one"),
    ('["refund", "other"]', "more than one"),
    ("Not a complaint, so: refund", "more than one"),
    ("This is not a refund.", "more in it"),
    ('It is not "refund".', "more in it"),
    ("Category: refund. I have no idea, though: not sure", "more in it"),
    ("这不是：refund", "more in it"),
    ("The customer asks for a refund of the lamp.", "more in it"),
    ('{"refund": 0.9, "complaint": 0.1}', "more than one"),
    ('{"a": "refund", "b": "complaint"}', "more than one"),
]


def structure(*choices: str) -> Structure:
    return Structure(choices=choices)


@pytest.mark.parametrize("text", REFUND)
def test_what_can_only_mean_one_of_the_list_is_taken(text: str) -> None:
    assert fitted(structure(*MAILS), text) == "refund"


@pytest.mark.parametrize(("text", "why"), NO_REFUND)
def test_what_could_mean_two_things_or_none_is_not(text: str, why: str) -> None:
    with pytest.raises(MisfitError, match=why):
        fitted(structure(*MAILS), text)


@pytest.mark.parametrize(
    ("choices", "text", "choice"),
    [
        (("yes", "no"), "No.", "no"),
        (("yes", "no"), "The answer is: **no**", "no"),
        (("Yes", "yes"), "yes", "yes"),
        (("C", "C++"), "C++", "C++"),
        (("C", "C++"), "**C++**", "C++"),
        (("C", "C++"), "C.", "C"),
        (("refund", "partial refund"), "Category: partial refund", "partial refund"),
        (("退款", "投诉", "其他"), "退款", "退款"),
        (("退款", "投诉", "其他"), "这封邮件的分类是：退款。", "退款"),
        (("退款", "投诉", "其他"), "「投诉」", "投诉"),
        (("1", "2", "3"), "2", "2"),
        (("1", "2", "3"), '{"score": 2}', "2"),
        (("A.", "A"), "A", "A"),
        (("a = b", "c"), "`a = b`", "a = b"),
    ],
)
def test_choices_that_are_like_each_other(choices: tuple[str, ...], text: str, choice: str) -> None:
    assert fitted(structure(*choices), text) == choice


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True), st.data())
def test_any_choice_comes_back_byte_for_byte(choices: list[str], data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(choices))
    if one == one.strip() and "think" not in one:
        assert fitted(structure(*choices), one) == one


@given(st.text(max_size=300))
def test_whatever_is_said_the_answer_is_one_of_the_list_or_none(text: str) -> None:
    with suppress(MisfitError):
        assert fitted(structure(*MAILS), text) in MAILS


FIELDS = Structure(fields=tuple(map(Field.from_text, ("name", "amount:number", "day:date"))))
ANN = {"name": "Ann", "amount": "1234.50", "day": "2026-01-05"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ANN),
        f"Here you are:\n```json\n{json.dumps(ANN, indent=2)}\n```\nAnything else?",
        json.dumps({"day": "2026/1/5", "amount": "1,234.50", "name": "Ann"}),
        '{"name": "Ann", "amount": 1234.50, "day": "2026-01-05T10:00:00Z", "more": [1]}',
        '{"answer": {"name": "Ann", "amount": "$ 1,234.50", "day": "2026年1月5日"}}',
        '[{"NAME": "Ann", "Amount": "+1234.50", "day": "２０２６-０１-０５"}]',
        '{"x": 1} {"name": "Ann", "amount": "￥1234.50", "day": "2026.01.05"}',
        "name: Ann\namount: 1234.50\nday: 2026-01-05",
        # Python's, with a comma at the end and a comment: mlx-lm#1004, deer-flow#2371, typia#1774
        "{'name': 'Ann', 'amount': '1234.50', 'day': '2026-01-05'}",
        '{\n  "name": "Ann",\n  "amount": "1234.50",\n  "day": "2026-01-05",  # today\n}',
        # what was only thought: LifeOS#568, vllm#22507, and harmony's channels
        f'hm: {{"name": "Bob", "amount": "", "day": ""}}\n</think>\n{json.dumps(ANN)}',
        f"<think>one</think><think>two</think>{json.dumps(ANN)}",
        f"<thought>Bob</thought>{json.dumps(ANN)}",
        f"<|channel|>analysis<|message|>Bob<|end|><|channel|>final<|message|>{json.dumps(ANN)}",
        "- **Name**: Ann\n- **Amount** = 1234.50\n- **Day**：2026-01-05",
    ],
)
def test_values_are_found_in_what_models_make_of_it(text: str) -> None:
    assert json.loads(fitted(FIELDS, text)) == ANN


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no", "no JSON object"),
        ('{"name": "Ann", "amount": "1234.50"', "breaks off, as at a max_tokens"),
        ('{"name": "Ann", "amount": "1234.50"}', "day is missing"),
        # broken JSON is no lines of `name: value`: neurolink#1304, N.E.K.O#1945, reyn#1379
        ('{\n "name": "Ann",\n "amount": "12",\n "day": "2026-01-0', "breaks off"),
        ('{\n "name": "An "n"",\n "amount": "12",\n "day": ""\n}', "no JSON object"),
        ('{\n "name": "\\-",\n "amount": "12",\n "day": ""\n}', "no JSON object"),
        ("{'name': 'Ann', 'amount': 1234.50, 'day': ''}", "no JSON object"),
        ('<think>{"name": "Bob", "amount": "", "day": ""}', "no JSON object"),
        (
            f'{json.dumps(ANN)}\n{{"name": "Bob", "amount": "", "day": ""}}',
            "more than one JSON object",
        ),
        ("name: Ann\namount: 3", "no JSON object"),
        (FIELDS.words(), "name only repeats.*amount only repeats.*day only repeats"),
        ('{"name": "Ann", "amount": "1,234", "day": ""}', "amount must be a number"),
        ('{"name": "Ann", "amount": "1.234,50", "day": ""}', "amount must be a number"),
        ('{"name": "Ann", "amount": "many", "day": ""}', "amount must be a number"),
        ('{"name": "Ann", "amount": "3万", "day": ""}', "amount must be a number"),
        ('{"name": "Ann", "amount": "1e3", "day": ""}', "amount must be a number"),
        ('{"name": "Ann", "amount": "", "day": "05.01.2026"}', "day must be a date"),
        ('{"name": "Ann", "amount": "", "day": "2026-02-30"}', "day must be a date"),
        ('{"amount": "x", "day": "y"}', "name is missing.*amount must.*day must"),
    ],
)
def test_values_that_are_missing_or_wrong_are_named(text: str, why: str) -> None:
    with pytest.raises(MisfitError, match=why):
        fitted(FIELDS, text)


def test_what_is_not_known_is_empty_and_its_order_is_kept() -> None:
    text = '{"day": null, "amount": "", "name": null}'
    assert list(json.loads(fitted(FIELDS, text)).items()) == [
        ("name", ""),
        ("amount", ""),
        ("day", ""),
    ]


def test_a_value_of_a_list_is_one_of_it() -> None:
    kind = Structure(fields=(Field.from_text("kind: one of refund|other"),))
    assert json.loads(fitted(kind, '{"kind": "Refund."}')) == {"kind": "refund"}
    for text in ('{"kind": ""}', '{"kind": "complaint"}', '{"kind": null}'):
        with pytest.raises(MisfitError, match='kind must be exactly one of "refund", "other"'):
            fitted(kind, text)


VALUE = st.text().filter(lambda text: text != Field("a").words())
"""A text that does not only repeat what was asked for."""


@given(st.dictionaries(st.sampled_from(["a", "b", "名"]), VALUE, min_size=3), st.booleans())
def test_any_text_comes_back_as_it_was(values: dict[str, str], ascii_only: bool) -> None:
    fields = Structure(fields=tuple(map(Field, values)))
    assert json.loads(fitted(fields, json.dumps(values, ensure_ascii=ascii_only))) == values


@given(st.text(max_size=300))
def test_whatever_is_said_all_values_are_there_or_none(text: str) -> None:
    with suppress(MisfitError):
        assert list(json.loads(fitted(FIELDS, text))) == ["name", "amount", "day"]


def test_a_value_may_hold_marks_of_thoughts() -> None:
    field = Structure(fields=(Field("a"),))
    assert fitted(field, '{"a": "<think>x</think>y"}') == '{"a": "<think>x</think>y"}'


def test_half_of_a_character_costs_that_character() -> None:
    field = Structure(fields=(Field("a"),))
    assert json.loads(fitted(field, r'{"a": "x\ud83dy"}')) == {"a": "x\ufffdy"}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("name", Field("name")),
        (" name : text ", Field("name")),
        ("amount:number", Field("amount", Form.NUMBER)),
        ("日期: date", Field("日期", Form.DATE)),
        ("kind:a|b c", Field("kind", Form.CHOICE, ("a", "b c"))),
        ("kind:one of a|b", Field("kind", Form.CHOICE, ("a", "b"))),
    ],
)
def test_fields_as_they_are_written(text: str, field: Field) -> None:
    assert Field.from_text(text) == field
    structure = Structure(fields=(field,))
    assert Structure.from_json(structure.to_json()) == structure


@pytest.mark.parametrize("text", ["", ":date", "a=b", "a\nb", "a:", "a:b|b", "a:b|", "a:int"])
def test_fields_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"name|colon"):
        Field.from_text(text)


def test_what_providers_are_held_to() -> None:
    assert structure("a", 'b"\\').demand(Means.GRAMMAR) == {"grammar": r'root ::= "a" | "b\"\\"'}
    schema = FIELDS.demand(Means.JSON_SCHEMA)["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == schema["required"] == ["name", "amount", "day"]
    choices = structure("a", "b").demand(Means.JSON_SCHEMA)["response_format"]["json_schema"]
    assert choices["schema"]["properties"]["answer"]["enum"] == ["a", "b"]
    assert structure("a").demand(Means.WORDS) == {}


def test_what_models_are_told_stands_after_the_question() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:"}}
    messages = [{"role": "user", "content": "q"}]
    words = structure("a", "b").words()
    assert told(messages, structure("a", "b")) == [{"role": "user", "content": f"q\n\n{words}"}]
    parts = [{"role": "user", "content": [picture]}]
    assert told(parts, FIELDS)[0]["content"] == [picture, {"type": "text", "text": FIELDS.words()}]
    assert told(messages, None) == messages
    assert re.search(r"lines.*\na\nb$", words)
