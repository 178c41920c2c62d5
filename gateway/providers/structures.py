"""What an answer may be asked to be, for programs that parse nothing: one of a list, or named
values. How a model is told so. Pure.

Three ways, since providers differ: llama.cpp takes a grammar, some take OpenAI's JSON schema, and
all of them take words. OpenAI's older JSON mode adds little to words, and DeepSeek's may answer
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypedDict

import orjson

Json = dict[str, Any]

ONE_OF = "one of "
"""May stand before a field's list, as people say it."""

TEXT_CHARACTERS = 500
"""How long a grammar lets one value be: a small model may never end a text by itself."""


class Form(StrEnum):
    """What a named value must look like."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    CHOICE = "one of"


class Means(StrEnum):
    """How a provider can be held to a structure, beside words."""

    GRAMMAR = "grammar"
    """llama.cpp's."""
    JSON_SCHEMA = "json_schema"
    """OpenAI's `response_format`."""
    WORDS = "words"
    """Nothing else."""


class StructureRecord(TypedDict, total=False):
    """A structure as plain data, and as requests say it: one of the two. A field is `name` or
    `name:form`."""

    choices: list[str]
    fields: list[str]


class Field(NamedTuple):
    """A named value, and what it must look like."""

    name: str
    form: Form = Form.TEXT
    choices: tuple[str, ...] = ()

    @classmethod
    def from_text(cls, text: str) -> Field:
        """Read `name`, `name:number`, `name:date` or `name:a|b`. Raises ValueError."""
        name, colon, form = (part.strip() for part in text.partition(":"))
        if not name or "=" in name or not name.isprintable():
            raise ValueError(f"{text[:64]!r} has no name that could stand before a =")
        if not colon or form == Form.TEXT:
            return cls(name)
        if form in (Form.NUMBER, Form.DATE):
            return cls(name, Form(form))
        choices = tuple(one.strip() for one in form.removeprefix(ONE_OF).split("|"))
        if len(choices) < 2 or len(set(choices)) < len(choices) or not all(choices):
            raise ValueError(f"{text[:64]!r}: after the colon stands number, date, or a list a|b")
        return cls(name, Form.CHOICE, choices)

    def words(self) -> str:
        """Return what the value must be, for a model."""
        return {
            Form.TEXT: "a text",
            Form.NUMBER: "a number: digits and a decimal point only, such as 1234.50",
            Form.DATE: "a date as YYYY-MM-DD",
            Form.CHOICE: f"exactly one of {_quoted(self.choices)}",
        }[self.form]


@dataclass(frozen=True, slots=True)
class Structure:
    """One of `choices`, or else values for `fields`, in their order."""

    choices: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()

    @classmethod
    def from_record(cls, record: StructureRecord) -> Structure | None:
        """Return the structure of a record; None: it asks for none. Raises ValueError."""
        fields = tuple(map(Field.from_text, record.get("fields") or ()))
        structure = cls(tuple(record.get("choices") or ()), fields)
        return structure if structure.choices or fields else None

    @classmethod
    def from_json(cls, text: str) -> Structure | None:
        """Read what `to_json` wrote; "": none."""
        return cls.from_record(orjson.loads(text)) if text else None

    def to_json(self) -> str:
        """Return the structure as it crosses to a model actor."""
        if self.choices:
            return orjson.dumps({"choices": self.choices}).decode()
        forms = [f"{one.name}:{'|'.join(one.choices) or one.form}" for one in self.fields]
        return orjson.dumps({"fields": forms}).decode()

    def words(self) -> str:
        """Return what a model is told, after the question."""
        if self.choices:
            rows = "\n".join(self.choices)
            return f"Answer with exactly one of these lines, as it is, and nothing else:\n{rows}"
        rows = "\n".join(f"{_text(one.name)}: {one.words()}" for one in self.fields)
        return (
            "Answer with one JSON object and nothing else. It has these keys, in this order, and"
            f" each value is a text; where the value is not known, an empty one:\n{rows}"
        )

    def demand(self, means: Means) -> Json:
        """Return the fields of a request that hold a provider to the structure, by its means."""
        if means == Means.GRAMMAR:
            return {"grammar": self._grammar()}
        if means == Means.JSON_SCHEMA:
            schema = {"name": "answer", "strict": True, "schema": self._schema()}
            return {"response_format": {"type": means.value, "json_schema": schema}}
        return {}

    def _schema(self) -> Json:
        if self.choices:
            properties: Json = {"answer": {"type": "string", "enum": list(self.choices)}}
        else:
            properties = {one.name: _property(one) for one in self.fields}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def _grammar(self) -> str:
        if self.choices:
            return f"root ::= {' | '.join(map(_literal, self.choices))}"
        rules = {
            "text": rf'"\"" char{{0,{TEXT_CHARACTERS}}} "\""',
            "char": r'[^"\\\x00-\x1F\x7F] | "\\" ["\\/nrt]',
            "number": r'"\"" ("-"? [0-9]{1,15} ("." [0-9]{1,6})?)? "\""',
            "date": r'"\"" ([1-9] [0-9]{3} "-" day)? "\""',
            "day": _DAYS,
        }
        pairs = []
        for number, one in enumerate(self.fields):
            rule: str = one.form
            if one.form == Form.CHOICE:
                rule = f"choice-{number}"
                rules[rule] = " | ".join(_literal(_text(choice)) for choice in one.choices)
            pairs.append(f"{_literal(_text(one.name) + ': ')} {rule}")
        comma = ' ", " '
        rules = {"root": f'"{{" {comma.join(pairs)} "}}"', **rules}
        return "\n".join(f"{name} ::= {body}" for name, body in rules.items())


_DAYS = " | ".join(
    f'({months}) "-" ({days})'
    for months, days in (
        ('"01" | "03" | "05" | "07" | "08" | "10" | "12"', '"0" [1-9] | [12] [0-9] | "3" [01]'),
        ('"04" | "06" | "09" | "11"', '"0" [1-9] | [12] [0-9] | "30"'),
        ('"02"', '"0" [1-9] | "1" [0-9] | "2" [0-8]'),
    )
)
"""The days of a year that every year has, as a grammar has them."""


def has_fields(structure: str) -> bool:
    """Return whether a structure, as it crosses to a model actor, asks for named values."""
    return structure.startswith('{"fields"')


def told(messages: list[Json], structure: Structure | None) -> list[Json]:
    """Return a question's messages with what the model is told of the structure of its answer:
    after the question itself, where nothing in that comes later."""
    if structure is None:
        return messages
    *first, last = messages
    content, words = last["content"], structure.words()
    if isinstance(content, list):
        content = [*content, {"type": "text", "text": words}]
    else:
        content = f"{content}\n\n{words}"
    return [*first, {**last, "content": content}]


def _property(field: Field) -> Json:
    if field.form == Form.CHOICE:
        return {"type": "string", "enum": list(field.choices)}
    return {"type": "string", "description": field.words()}


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _quoted(texts: Iterable[str]) -> str:
    return ", ".join(map(_text, texts))


def _literal(text: str) -> str:
    """Return a text as a grammar has it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
