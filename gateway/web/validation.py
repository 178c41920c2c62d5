"""Fields checked against the contract, once. A wrong input names its field and what it may be."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.errors import Code, GatewayError
from gateway.web import wire
from gateway.web.contract import ReplyOptions
from gateway.web.strict_request import Request

R = TypeVar("R", bound=BaseModel)

BLANK_IS_NONE = frozenset({"egress_proxy"})
"""Fields whose "" says "none", which is not to leave them out."""

MOST_WRONG = 5
"""So many wrong fields are told at once."""

_ZH = {
    "missing": "缺少该字段",
    "extra_forbidden": "没有这个字段",
    "string_pattern_mismatch": "格式不正确",
    "string_too_short": "不能为空",
    "string_too_long": "过长",
}


def parse(kind: type[R], fields: dict[str, Any]) -> R:
    """Check `fields` against `kind`. Raises GatewayError (INVALID_REQUEST), naming each wrong
    field."""
    if issubclass(kind, Request):
        # `"http_proxy": ""` and null mean "not given": old programs send every field of the
        # contract.
        needed = _required(kind)
        fields = {
            name: value
            for name, value in fields.items()
            if value not in ("", None) or name in needed or (value == "" and name in BLANK_IS_NONE)
        }
        if "http_proxy" in fields and "base_url" in fields:
            raise invalid(
                "http_proxy",
                "is the same as base_url; give one of them",
                "与 base_url 相同；请只给一个",
            )
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        raise all_invalid([_in_words(row, kind) for row in wrong]) from None


def form(default: wire.Form, *sources: Mapping[str, Any]) -> wire.Form:
    """Return how a reply is to be written: of each option the first that `sources` give, else as
    `default`. One that is wrong is passed over: `parse` refuses it, and that refusal, too, must be
    written somehow."""
    chosen: dict[str, Any] = {}
    for source in sources:
        for name in wire.Form._fields:
            if name in source and name not in chosen:
                try:
                    value = getattr(ReplyOptions.model_validate({name: source[name] or None}), name)
                except ValidationError:
                    continue
                if value is not None:
                    chosen[name] = value
    return default._replace(**chosen)


def all_invalid(wrong: list[tuple[str, str, str]]) -> GatewayError:
    """Return several wrong inputs: each is a field, and what is wrong in English and Chinese."""
    return GatewayError(
        Code.INVALID_REQUEST,
        " ".join(f"{field[:64]}: {words}." for field, words, _ in wrong[:MOST_WRONG]),
        "".join(f"{field[:64]}：{words_zh}。" for field, _, words_zh in wrong[:MOST_WRONG]),
        param=wrong[0][0][:64],
    )


def invalid(field: str, words: str, words_zh: str) -> GatewayError:
    """Return a wrong input that only shows where its meaning is known: same shape as `parse`'s
    own."""
    return all_invalid([(field, words, words_zh)])


@cache
def _required(kind: type[BaseModel]) -> frozenset[str]:
    return frozenset(name for name, field in kind.model_fields.items() if field.is_required())


def _in_words(row: Any, kind: type[BaseModel]) -> tuple[str, str, str]:
    words = _plain(row["msg"], kind)
    words_zh = f"{_ZH.get(row['type'], '取值无效')}（{words}）"
    return ".".join(map(str, row["loc"])), words, words_zh


def _plain(words: str, kind: type[BaseModel]) -> str:
    """Return pydantic's words as an operator would say them."""
    if words == "Extra inputs are not permitted":
        return f"is no field of this request; it takes {', '.join(kind.model_fields)}"
    if words.startswith("String should match pattern"):
        return "must be 1 to 64 of A-Z a-z 0-9 _ . -"
    words = (
        words.removeprefix("Value error, ")
        .replace("Input should", "must")
        .replace("String should", "must")
    )
    return words[:1].lower() + words[1:]
