"""Whole replies of the endpoints that are passed on as they come: what is an answer there, and what
only looks like one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.protocol import COUNT_TOKENS, EMBEDDINGS, MESSAGES, RESPONSES
from gateway.providers import embeddings
from gateway.providers.chunks import Json
from gateway.providers.dialects import Dialect
from gateway.providers.documents import parsed
from gateway.providers.reader import Reply
from gateway.providers.refusals import Refusal, complains, document
from gateway.providers.usage import Usage, usage_in
from gateway.providers.verdicts import is_answer, no_answer, without_words

LISTS: Mapping[str, tuple[str, ...]] = {
    EMBEDDINGS: ("data",),
    "/images/generations": ("data", "images"),  # the second: SiliconFlow's
    "/moderations": ("results", "result_list"),  # Zhipu's
    "/rerank": ("results", "data"),  # Jina's and Cohere's; Voyage's
}
"""Where the answer is a list: the names that it goes by."""

PARTS: Mapping[str, str] = {RESPONSES: "output", MESSAGES: "content"}
"""Where the answer is a list of parts, some of which may be thoughts: its name."""

THOUGHTS = frozenset({"reasoning", "thinking", "redacted_thinking"})

UNDER_WAY = frozenset({"queued", "in_progress"})
"""The states of a response that was asked for in the background: its id is the answer."""


def relayed_reply(
    path: str, dialect: Dialect, raw: bytes, label: str = "", question: bytes = b""
) -> Reply | Refusal:
    """Read the body `raw` of a reply of `path`, which came with success. `label` is the charset
    that it was labelled with, `question` the request's body."""
    try:
        body = parsed(raw, label)
    except ValueError:
        return no_answer(dialect, document(raw, label), question)
    if not isinstance(body, dict) or complains(body):
        return no_answer(dialect, body, question)
    if path == EMBEDDINGS:
        embeddings.unwrap(body)
    if path in PARTS:
        refusal = emptiness(path, body) if has_parts(path, body) else None
        if refusal or not has_parts(path, body):
            return refusal or no_answer(dialect, body, question)
    elif not _answers(path, body):
        return no_answer(dialect, body, question)
    if path == EMBEDDINGS:
        if refusal := embeddings.shape(body, question):
            return refusal
        if "estimated" in body["usage"]:
            return Reply(body, "", Usage())
    return Reply(body, "", relayed_usage(path, body))


def has_parts(path: str, body: Json) -> bool:
    """Return whether a body has the shape of an answer, be it an empty one."""
    return isinstance(body.get(PARTS[path]), list) and body.get("status") != "failed"


def emptiness(path: str, body: Json) -> Refusal | None:
    """Return why an answer in parts says nothing; None: it says something."""
    parts = [part for part in body[PARTS[path]] if isinstance(part, dict)]
    if any(map(speaks, parts)) or str(body.get("status")) in UNDER_WAY:
        return None
    return without_words(reason(body), any(map(thinks, parts)))


def speaks(part: Json) -> bool:
    """Return whether a part of an answer says or does something; thoughts alone are none."""
    kind = part.get("type")
    if thinks(part):
        return False
    if kind == "message":
        inside = part.get("content")
        return isinstance(inside, list) and any(
            speaks(one) for one in inside if isinstance(one, dict)
        )
    if kind in ("text", "output_text"):
        return is_answer(str(part.get("text") or ""))
    return kind != "refusal" or bool(part.get("refusal"))


def thinks(part: Json) -> bool:
    """Return whether a part of an answer is a thought."""
    return str(part.get("type")) in THOUGHTS


def reason(body: Json) -> str:
    """Return what a body gives as the reason of its end, as far as it gives one."""
    details = body.get("incomplete_details")
    incomplete = details.get("reason") if isinstance(details, dict) else None
    return str(incomplete or body.get("stop_reason") or "")


def relayed_usage(path: str, body: Json) -> Usage:
    """Return the tokens of a reply. Anthropic counts those apart that it read from its cache, or
    wrote into it."""
    usage, counts = usage_in(body), body.get("usage")
    if path != MESSAGES or usage.tokens_in is None or not isinstance(counts, dict):
        return usage
    cached = (
        usage_in({"usage": {"input_tokens": counts.get(name)}}).tokens_in or 0
        for name in ("cache_read_input_tokens", "cache_creation_input_tokens")
    )
    return usage._replace(tokens_in=usage.tokens_in + sum(cached))


def _answers(path: str, body: Json) -> bool:
    if path == COUNT_TOKENS:
        return usage_in({"usage": body}).tokens_in is not None
    answer: Any = next(filter(None, map(body.get, LISTS.get(path, ("data",)))), None)
    return isinstance(answer, list)
