"""Each provider's ways to say no, as tables, and the one function that reads them.

Facts: the providers' documentation, their SDKs and their users' reports; the tables name what was
seen. Codes are per provider because the same word differs: `insufficient_quota` is an unpaid bill
at OpenAI and a rate limit (tokens per minute) at DashScope. Words that all providers use for the
same thing are in one table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.errors import LASTING, Code
from gateway.providers.question_texts import NO_QUESTION, QuestionTexts, as_words
from gateway.providers.shared_words import SHARED_WORDS

BY_STATUS: Mapping[int, Code] = {
    400: Code.BAD_UPSTREAM_REQUEST,
    401: Code.BAD_KEY,
    402: Code.PAY_BILL,
    # a firewall, a country, a network: of a key or a bill the words would tell
    403: Code.PROVIDER_DOWN,
    404: Code.BAD_UPSTREAM_REQUEST,  # a wrong base URL: of a model the words would tell
    408: Code.TIMEOUT,
    409: Code.PROVIDER_BUSY,  # OpenAI's SDKs take it for a lock that will be free soon
    413: Code.TOO_LARGE,
    421: Code.PROVIDER_DOWN,  # a proxy's own trouble with whom it asks
    422: Code.BAD_UPSTREAM_REQUEST,
    424: Code.PROVIDER_DOWN,  # Bedrock's: the model itself failed
    425: Code.PROVIDER_BUSY,
    429: Code.SLOW_DOWN,
    451: Code.CONTENT_BLOCKED,
    498: Code.PROVIDER_BUSY,  # Groq's flex tier
    499: Code.PROVIDER_DOWN,  # nginx's: whoever stood between has hung up
    503: Code.PROVIDER_BUSY,
    504: Code.TIMEOUT,
    529: Code.PROVIDER_BUSY,
}
"""What a refusal means whose codes and words no table knows."""


STANDING_FOR: Mapping[str, int] = {
    "invalid_request_error": 400,
    "BadRequestError": 400,
    "InvalidParameter": 400,
    "invalid_parameter_error": 400,
    "INVALID_ARGUMENT": 400,
    "server_error": 500,
    "internal_server_error": 500,
    "InternalServerError": 500,
}
"""Codes and types that say no more than an HTTP status does, where HTTP itself says success. Those
of 500 come with 400, too: a relay's own, for whatever its provider said."""


class Dialect(NamedTuple):
    """How one provider says no.

    `words` are tried first (a pattern found in what it says decides, whatever the code); then
    `codes`, keyed by the error's `code` or else `type`, where a trailing `*` matches any ending.
    """

    words: Mapping[str, str] = {}
    codes: Mapping[str, str] = {}


def dialect(words: Mapping[str, str] | None = None, **codes: str) -> Dialect:
    """Return a dialect from rows: for each code of ours, the provider's that mean it, with blanks
    between."""
    rows = {name: Code[code] for code, names in codes.items() for name in names.split()}
    return Dialect(words or {}, rows)


_ECHO = re.compile(r"""['"]input['"]: |input_value=""")
"""After this pydantic, which vLLM and others check requests with, quotes what the caller wrote."""

_SHARED = [("|".join(patterns), code) for code, patterns in SHARED_WORDS]

OPENAI = dialect(
    # one question beyond the tokens per minute, said with 429
    words={r"request too large for": Code.TOO_LARGE},
    BAD_KEY="invalid_api_key",
    PAY_BILL=(
        "insufficient_quota credit_balance_exhausted billing_not_active billing_hard_limit_reached"
    ),
    SLOW_DOWN="rate_limit_exceeded slow_down",
    # Qianfan's cluster_*: its machines are full, not our share of them
    PROVIDER_BUSY="server_is_overloaded cluster_*",
    # not reachable from where the cluster is; Volcengine's filter failed
    PROVIDER_DOWN="unsupported_country_region_territory ContentSecurityDetectionError",
    NO_SUCH_MODEL="model_not_found",
    CONTENT_BLOCKED="invalid_prompt content_policy_violation content_filter",
    TOO_LARGE="context_length_exceeded",
)
"""Whoever has no table of its own is judged by this one."""

FINISH_REASONS: Mapping[str, Code] = {
    "content_filter": Code.CONTENT_BLOCKED,
    "content_filtered": Code.CONTENT_BLOCKED,
    "contentfilter": Code.CONTENT_BLOCKED,
    "error_toxic": Code.CONTENT_BLOCKED,
    "language": Code.CONTENT_BLOCKED,
    "image_prohibited_content": Code.CONTENT_BLOCKED,
    "sensitive": Code.CONTENT_BLOCKED,
    "refusal": Code.CONTENT_BLOCKED,
    "safety": Code.CONTENT_BLOCKED,
    "image_safety": Code.CONTENT_BLOCKED,
    "recitation": Code.CONTENT_BLOCKED,
    "blocklist": Code.CONTENT_BLOCKED,
    "prohibited_content": Code.CONTENT_BLOCKED,
    "spii": Code.CONTENT_BLOCKED,
    "model_armor": Code.CONTENT_BLOCKED,
    "guardrail_intervened": Code.CONTENT_BLOCKED,
    "model_context_window_exceeded": Code.TOO_LARGE,
    "context_length_exceeded": Code.TOO_LARGE,
    "network_error": Code.PROVIDER_DOWN,
    "error": Code.PROVIDER_DOWN,
    "abort": Code.PROVIDER_DOWN,
    "server_error": Code.PROVIDER_DOWN,
    "timeout": Code.PROVIDER_DOWN,
    "cancelled": Code.PROVIDER_DOWN,
    "canceled": Code.PROVIDER_DOWN,
    "user_cancel": Code.PROVIDER_DOWN,
    "engine_overloaded": Code.PROVIDER_BUSY,
    "malformed_function_call": Code.PROVIDER_DOWN,
    "malformed_response": Code.PROVIDER_DOWN,
    "insufficient_system_resource": Code.PROVIDER_BUSY,
}
"""What a `finish_reason` means that is no good end, in small letters."""


def finish_code(finish: str) -> Code | None:
    """Return what a finish reason means that is no good end; None: a good one. Some relays put
    their own word before the provider's."""
    parts = finish.lower().replace("-", "_").split(": ")
    return next((code for part in parts if (code := FINISH_REASONS.get(part))), None)


CUT_OFF = frozenset(
    {
        *("length", "max_tokens", "max_output_tokens", "max_completion_tokens"),
        *("model_length", "max_length", "token_limit"),
    }
)
"""The finish reasons of an answer that took all the tokens it might."""

BROKEN_OFF = frozenset({Code.PROVIDER_DOWN, Code.PROVIDER_BUSY})
"""What breaks an answer off, however many words it has already; a filter or a limit leaves them as
they are."""


def meaning(
    dialect: Dialect,
    codes: Sequence[str],
    words: str,
    status: int,
    question: QuestionTexts = NO_QUESTION,
) -> Code:
    """Return the code that says who must act. `codes` are the provider's codes and types, `words`
    its message.

    What a provider means by its own codes comes first, then what all providers mean by the same
    words, then a code that says no more than "bad request", then the status. Words that the
    caller's question holds are nobody's bill: a provider may have quoted them.
    """
    text = as_words(_ECHO.split(" ".join([*codes, words]))[0])
    own = _by_words(dialect.words.items(), text, question) or _by_codes(dialect, codes)
    if own and own != Code.BAD_UPSTREAM_REQUEST:
        return own
    return _by_words(_SHARED, text, question) or own or _by_status(status, codes)


def standing_for(codes: Iterable[str]) -> int:
    """Return the HTTP status that an error's codes and types stand for; 0: none."""
    return next((status for code in codes if (status := STANDING_FOR.get(code))), 0)


def _by_status(status: int, codes: Iterable[str]) -> Code:
    if status == 400:
        status = max(status, standing_for(codes))
    if code := BY_STATUS.get(status):
        return code
    return Code.PROVIDER_DOWN if status >= 500 else Code.BAD_UPSTREAM_REQUEST


def _by_words(rows: Iterable[tuple[str, str]], text: str, question: QuestionTexts) -> Code | None:
    for pattern, code in rows:
        for match in re.finditer(pattern, text, re.I):
            if code not in LASTING or not question.holds(match[0]):
                return Code(code)
    return None


def _by_codes(dialect: Dialect, codes: Iterable[str]) -> Code | None:
    starred = [(stem[:-1], code) for stem, code in dialect.codes.items() if stem.endswith("*")]
    for name in codes:
        if exact := dialect.codes.get(name):
            return Code(exact)
        for stem, code in starred:
            if name.startswith(stem):
                return Code(code)
    return None
