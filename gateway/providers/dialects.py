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
from gateway.providers.shared_words import SHARED_WORDS

BY_STATUS: Mapping[int, Code] = {
    400: Code.BAD_UPSTREAM_REQUEST,
    401: Code.BAD_KEY,
    402: Code.PAY_BILL,
    # a firewall, a country, a network: of a key or a bill the words would tell
    403: Code.PROVIDER_DOWN,
    404: Code.BAD_UPSTREAM_REQUEST,  # a wrong base URL: of a model the words would tell
    408: Code.TIMEOUT,
    413: Code.TOO_LARGE,
    422: Code.BAD_UPSTREAM_REQUEST,
    429: Code.SLOW_DOWN,
    451: Code.CONTENT_BLOCKED,
    498: Code.PROVIDER_BUSY,  # Groq's flex tier
    503: Code.PROVIDER_BUSY,
    504: Code.TIMEOUT,
    529: Code.PROVIDER_BUSY,
}
"""What a refusal means whose codes and words no table knows."""


class Dialect(NamedTuple):
    """How one provider says no.

    `words` are tried first (a pattern found in what it says decides, whatever the code); then
    `codes`, keyed by the error's `code` or else `type`, where a trailing `*` matches any ending.
    """

    words: Mapping[str, str] = {}
    codes: Mapping[str, str] = {}


_ECHO = re.compile(r"""['"]input['"]: |input_value=""")
"""After this pydantic, which vLLM and others check requests with, quotes what the caller wrote."""

_SHARED = [("|".join(patterns), code) for code, patterns in SHARED_WORDS]

OPENAI = Dialect(
    # one question beyond the tokens per minute, said with 429
    words={r"request too large for": Code.TOO_LARGE},
    codes={
        "invalid_api_key": Code.BAD_KEY,
        "insufficient_quota": Code.PAY_BILL,
        "credit_balance_exhausted": Code.PAY_BILL,
        "billing_not_active": Code.PAY_BILL,
        "billing_hard_limit_reached": Code.PAY_BILL,
        "rate_limit_exceeded": Code.SLOW_DOWN,
        "slow_down": Code.SLOW_DOWN,
        "server_is_overloaded": Code.PROVIDER_BUSY,
        "server_error": Code.PROVIDER_DOWN,
        # not reachable from where the cluster is
        "unsupported_country_region_territory": Code.PROVIDER_DOWN,
        "model_not_found": Code.NO_SUCH_MODEL,
        "invalid_prompt": Code.CONTENT_BLOCKED,
        "content_policy_violation": Code.CONTENT_BLOCKED,
        "content_filter": Code.CONTENT_BLOCKED,
        "context_length_exceeded": Code.TOO_LARGE,
        # Whoever has no table of its own is judged by this one.
        "cluster_*": Code.PROVIDER_BUSY,  # Qianfan: its machines are full, not our share of them
        "ContentSecurityDetectionError": Code.PROVIDER_DOWN,  # Volcengine: its filter failed
    },
)

ZHIPU = Dialect(
    codes={
        "401": Code.BAD_KEY,
        "1000": Code.BAD_KEY,
        "1001": Code.BAD_KEY,
        "1002": Code.BAD_KEY,
        "1003": Code.BAD_KEY,
        "1004": Code.BAD_KEY,
        "1113": Code.PAY_BILL,
        "1309": Code.PAY_BILL,
        "1302": Code.SLOW_DOWN,
        "1303": Code.SLOW_DOWN,
        "1304": Code.SLOW_DOWN,
        "1308": Code.SLOW_DOWN,
        "1310": Code.SLOW_DOWN,
        "1313": Code.SLOW_DOWN,
        "1305": Code.PROVIDER_BUSY,
        "1312": Code.PROVIDER_BUSY,
        "500": Code.PROVIDER_DOWN,
        "1211": Code.NO_SUCH_MODEL,
        "1301": Code.CONTENT_BLOCKED,
        "1261": Code.TOO_LARGE,
    },
)

DASHSCOPE = Dialect(
    words={
        r"free allocated quota exceeded": Code.PAY_BILL,
        r"exceeded your current quota": Code.SLOW_DOWN,  # tokens per minute, here
    },
    codes={
        "invalid_api_key": Code.BAD_KEY,
        "InvalidApiKey": Code.BAD_KEY,
        "Arrearage": Code.PAY_BILL,
        "AllocationQuota.FreeTierOnly": Code.PAY_BILL,
        "AccessDenied.Unpurchased": Code.PAY_BILL,
        "PrepaidBillOverdue": Code.PAY_BILL,
        "PostpaidBillOverdue": Code.PAY_BILL,
        "CommodityNotPurchased": Code.PAY_BILL,
        "Throttling*": Code.SLOW_DOWN,
        "limit_requests": Code.SLOW_DOWN,
        "limit_burst_rate": Code.SLOW_DOWN,
        "insufficient_quota": Code.SLOW_DOWN,
        "ModelServingError": Code.PROVIDER_BUSY,
        "ModelUnavailable": Code.PROVIDER_BUSY,
        "InternalError*": Code.PROVIDER_DOWN,
        "RequestTimeOut": Code.PROVIDER_DOWN,
        "model_not_found": Code.NO_SUCH_MODEL,
        "ModelNotFound": Code.NO_SUCH_MODEL,
        "data_inspection_failed": Code.CONTENT_BLOCKED,
        "DataInspectionFailed": Code.CONTENT_BLOCKED,
        "CustomRoleBlocked": Code.CONTENT_BLOCKED,
    },
)

LLAMA_CPP = Dialect(
    codes={"exceed_context_size_error": Code.TOO_LARGE, "unavailable_error": Code.PROVIDER_BUSY}
)
"""llama.cpp's own server: its codes are HTTP statuses, so the error's type decides."""

FINISH_REASONS: Mapping[str, Code] = {
    "content_filter": Code.CONTENT_BLOCKED,
    "content_filtered": Code.CONTENT_BLOCKED,
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
    "network_error": Code.PROVIDER_DOWN,
    "error": Code.PROVIDER_DOWN,
    "abort": Code.PROVIDER_DOWN,
    "malformed_function_call": Code.PROVIDER_DOWN,
    "malformed_response": Code.PROVIDER_DOWN,
    "insufficient_system_resource": Code.PROVIDER_BUSY,
}
"""What a `finish_reason` means that is no good end, in small letters."""

CUT_OFF = frozenset({"length", "max_tokens", "max_output_tokens", "max_completion_tokens"})
"""The finish reasons of an answer that took all the tokens it might."""

BROKEN_OFF = frozenset({Code.PROVIDER_DOWN, Code.PROVIDER_BUSY})
"""What breaks an answer off, however many words it has already; a filter or a limit leaves them as
they are."""


BY_NAME: dict[str, Dialect] = {
    "openai": OPENAI,
    "zhipu": ZHIPU,
    "dashscope": DASHSCOPE,
    "llama.cpp": LLAMA_CPP,
}
"""A chat's configuration names its dialect, and the tables travel to the cluster with the code."""


def name_of(dialect: Dialect) -> str:
    """Return a dialect's name. Raises LookupError: it is none of `BY_NAME`."""
    return next(name for name, one in BY_NAME.items() if one is dialect)


def meaning(
    dialect: Dialect, codes: Sequence[str], words: str, status: int, question: str = ""
) -> Code:
    """Return the code that says who must act. `codes` are the provider's codes and types, `words`
    its message.

    What a provider means by its own codes comes first, then what all providers mean by the same
    words, then the status. Words that the caller's `question` holds are nobody's bill: a provider
    may have quoted them.
    """
    text = _spaced(_ECHO.split(" ".join([*codes, words]))[0])
    own = _by_words(dialect.words.items(), text, question) or _by_codes(dialect, codes)
    by_status = BY_STATUS.get(
        status, Code.PROVIDER_DOWN if status >= 500 else Code.BAD_UPSTREAM_REQUEST
    )
    return own or _by_words(_SHARED, text, question) or by_status


def _spaced(text: str) -> str:
    """Return `AccountOverdueError` or `account_overdue_error` as words."""
    return re.sub(
        r"[\s_]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    )


def _by_words(rows: Iterable[tuple[str, str]], text: str, question: str) -> Code | None:
    for pattern, code in rows:
        for match in re.finditer(pattern, text, re.I):
            if code not in LASTING or match[0].lower() not in _spaced(question).lower():
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
