"""How a question is put to a provider: with the model's name, the chat's options and a word on
thinking, and without the fields that the provider does not take. Pure.

A question that needs none of this goes on as it came, since parsing a large one takes as long as
all else that is done to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from gateway.protocol import CHAT, COMPLETIONS, MESSAGES, Thinking, Traits
from gateway.providers.refused_fields import NO_MEND, Mend
from gateway.providers.structures import Means, Structure

Json = dict[str, Any]

WORDED = frozenset({CHAT, COMPLETIONS})
"""The endpoints whose questions a chat's options are for, and that know OpenAI's limits."""

COUNTED_STREAM: Json = {"stream": True, "stream_options": {"include_usage": True}}
"""How a stream is asked for, so that its provider says what it took: the ledger wants to know, also
where the client does not."""

THINKING_FIELDS = frozenset(
    {
        "thinking",
        "enable_thinking",
        "thinking_budget",
        "reasoning",
        "reasoning_effort",
        "chat_template_kwargs",
        "extra_body",
    }
)
"""Whoever gives one of these has said in the provider's own words whether it shall think."""

ESSENTIAL = frozenset(
    {
        *("model", "messages", "stream", "prompt", "input", "query", "documents"),
        *("tools", "tool_choice", "functions", "function_call", "response_format"),
        *("modalities", "audio", "n", "instructions", "system"),
        *("previous_response_id", "conversation", "text", "image", "mask", "size"),
        *("dimensions", "output_dimension", "output_dtype", "input_type", "text_type", "task"),
        *("guided_json", "guided_choice", "guided_regex", "guided_grammar", "structured_outputs"),
        *("grammar", "json_schema", "format", "output_config", "output_format", "suffix"),
        # where a question may go, and what it may say
        *("provider", "models", "safe_prompt", "safety_settings", "data_sources", "mcp_servers"),
    }
)
"""Fields without which an answer would be another one: their refusal is told, not got round."""

SAYING_NOTHING: Json = {"tools": [], "functions": [], "n": 1}
"""Values of such fields without which it would be the same one."""

MOST_LEARNED = 64
"""So many fields of a path are left out for good: callers may invent names."""

LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""What takes the place of a limit that a provider refuses."""


def optional_fields(question: bytes, path: str = CHAT) -> list[str]:
    """Return the fields of a question to `path` without which the answer would still be one to
    it."""
    fields = orjson.loads(question)
    idle = {name for name, value in SAYING_NOTHING.items() if fields.get(name) == value}
    needed = {"max_tokens"} if path == MESSAGES else set()
    return sorted((fields.keys() - ESSENTIAL - needed) | (fields.keys() & idle))


class Question(NamedTuple):
    """What is asked of a provider: at which endpoint, with which body, which has no model yet.

    `plain`: it comes from a program that sees words only, to which an answer without words is none,
    and for which thoughts are a wait and a bill. `beta` is what it wants of Anthropic's protocol
    that is not in it yet, and `structure` what the answer must be.
    """

    path: str
    body: bytes
    plain: bool = False
    beta: str = ""
    structure: Structure | None = None


class QuestionRules:
    """What is done to each question of one chat. It learns which fields its provider refuses."""

    def __init__(
        self, model_name: str, traits: Traits, options: Json, thinking: Thinking = ""
    ) -> None:
        self._prefix = b'{"model":%b,' % orjson.dumps(model_name)
        self._model_name = model_name
        self._options = {name: value for name, value in options.items() if value is not None}
        self._never = frozenset(options.keys() - self._options.keys())
        self._thinking = thinking
        self._limit_field = traits["limit_field"]
        rows = (
            {"off": off, "on": on}
            for models, off, on in traits["thinking"]
            if re.search(models, model_name, re.I)
        )
        self._switch: Mapping[str, Json] = next(rows, {"off": {}, "on": {}})
        self._means = Means(traits["means"])
        self._left_out: dict[str, frozenset[str]] = {}
        self._limits_refused: set[str] = set()
        self._renamed: dict[str, str] = {}
        if self._limit_field != "max_tokens":
            self._renamed["max_tokens"] = self._limit_field

    @property
    def left_out(self) -> list[str]:
        """The fields that the provider refused, whichever endpoint it was."""
        return sorted({name for names in self._left_out.values() for name in names})

    def shaped(self, question: Question, mend: Mend = NO_MEND) -> bytes:
        """Return a question as its provider takes it, and with what its refusal asked for. One that
        is `plain` is not thought about, unless somebody says that it shall be."""
        path, body = question.path, question.body
        worded = path in WORDED
        demand = question.structure.demand(self._means) if question.structure else {}
        demand = {**demand, **(mend.fixed if worded else {})}
        nobodys: Thinking = "off" if question.plain or mend.quiet else ""
        wanted = self._thinking or nobodys
        unwanted = self._left_out.get(path, frozenset()) | mend.without
        unwanted |= self._never if worded else frozenset()
        added = worded and (self._options or (wanted and self._switch[wanted]))
        renamed = self._renamed if worded else {}
        marks = _marks((*renamed, *unwanted))
        if not (added or demand) and not any(mark in body for mark in marks):
            return self._prefix + body[1:]
        fields: Json = orjson.loads(body)
        if worded:
            for name in LIMITS.keys() & fields.keys():
                if fields[name] is None:  # typed clients' way to say nothing
                    del fields[name]
            given = fields.keys() & LIMITS.keys()
            options = self._options
            if given:  # a default under the other name would be a second limit
                options = {name: value for name, value in options.items() if name not in LIMITS}
            fields = self._switched({**options, **fields}, wanted)
        for name, other in renamed.items():
            if name in fields:
                fields.setdefault(other, fields.pop(name))
        for name in unwanted:
            fields.pop(name, None)
        return orjson.dumps({"model": self._model_name, **fields, **demand})

    def learn(self, path: str, field: str, given: bool = True) -> bool:
        """Leave out, from now on, a field that the provider of `path` has refused; a limit is first
        tried under its other name. Not `given` by the caller, it may be our switch of thinking,
        which is then no more used. Returns whether there was room to learn it."""
        ways = [way for way, fields in self._switch.items() if field in fields]
        if not given and ways and field not in self._options:
            self._switch = {**self._switch, **{way: {} for way in ways}}
            return True
        other = LIMITS.get(field) if path in WORDED else None
        if other and other not in self._limits_refused:
            self._limits_refused.add(field)
            self._renamed = {field: other}
            return True
        names = self._left_out.get(path, frozenset())
        if len(names) >= MOST_LEARNED:
            return False
        self._left_out[path] = names | {field}
        return True

    def use_words(self) -> None:
        """Hold the provider to a structure by words alone, from now on: it has refused more."""
        self._means = Means.WORDS

    def _switched(self, fields: Json, wanted: str) -> Json:
        """Return a question that turns thinking on or off, unless it says so in the provider's own
        words."""
        choice = fields.get("thinking")
        if choice in ("on", "off"):
            wanted = fields.pop("thinking")
        elif THINKING_FIELDS & fields.keys():
            return fields
        return {**self._switch[wanted], **fields} if wanted else fields


def _marks(names: Iterable[str]) -> Iterator[bytes]:
    """Yield what shows in a question that something must be done to it: on/off, or one of the
    fields `names`. Within a text, quotes are escaped."""
    yield b'"thinking":"'
    for name in names:
        yield b'"%b":' % name.encode()
