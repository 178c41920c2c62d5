"""An answer that must have a structure: checked, asked for once more, and then refused."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from gateway.cluster.answer import Answer
from gateway.errors import Code, GatewayError, clean
from gateway.frames import Usage
from gateway.providers.structured_answers import MisfitError, fitted
from gateway.providers.structures import Structure


def structured(
    name: str, structure: Structure, body: bytes, ask: Callable[[bytes], Answer]
) -> Answer:
    """Ask chat `name`, and return the answer as its structure has it. Where it does not fit, ask
    once more, saying what was wrong. Raises GatewayError (BAD_ANSWER...)."""
    answer = ask(body)
    try:
        return _with(answer, fitted(structure, answer.output), answer.usage)
    except MisfitError as misfit:
        words = f"That was not what was asked for: {misfit}. {structure.words()}"
        try:
            again = ask(_gone_on(body, answer.output, words))
        except GatewayError as error:
            error.usage = answer.usage
            raise
    usage = _sum(answer.usage, again.usage)
    try:
        return _with(again, fitted(structure, again.output), usage)
    except MisfitError as misfit:
        failed = GatewayError(
            Code.BAD_ANSWER,
            f"What the model said does not fit, also when it was asked once more: {misfit}.",
            "模型的回答不符合要求，再问一次后仍不符合。",
            chat_name=name,
            provider=again.usage.provider,
            provider_message=clean(again.output),
        )
        failed.usage = usage
        raise failed from None


def _gone_on(body: bytes, answer: str, words: str) -> bytes:
    """Return a question with its answer, and what is said to that."""
    fields = orjson.loads(body)
    fields["messages"] += [
        {"role": "assistant", "content": answer},
        {"role": "user", "content": words},
    ]
    return orjson.dumps(fields)


def _with(answer: Answer, text: str, usage: Usage) -> Answer:
    return Answer(text.encode(), answer.model, usage)


def _sum(first: Usage, second: Usage) -> Usage:
    def both(one: int | None, other: int | None) -> int | None:
        return None if one is None and other is None else (one or 0) + (other or 0)

    return Usage(
        second.provider,
        first.seconds + second.seconds,
        both(first.tokens_in, second.tokens_in),
        both(first.tokens_out, second.tokens_out),
        both(first.cached, second.cached),
        first.guess_in + second.guess_in,
        first.guess_out + second.guess_out,
    )
