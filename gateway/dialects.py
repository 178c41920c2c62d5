"""Each provider's ways to say no, as tables, and the one function that reads them.

Facts: the providers' documentation, their SDKs and their users' reports; the tables name what was seen. Rows are
per provider because the same word differs: `insufficient_quota` is an unpaid bill at OpenAI and a rate limit
(tokens per minute) at DashScope.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.errors import Code

BY_STATUS: Mapping[int, Code] = {
    400: Code.BAD_UPSTREAM_REQUEST,
    401: Code.BAD_KEY,
    402: Code.PAY_BILL,
    403: Code.BAD_KEY,
    404: Code.NO_SUCH_MODEL,
    408: Code.TIMEOUT,
    413: Code.TOO_LARGE,
    422: Code.BAD_UPSTREAM_REQUEST,
    429: Code.SLOW_DOWN,
    503: Code.PROVIDER_BUSY,
    504: Code.TIMEOUT,
    529: Code.PROVIDER_BUSY,
}
"""What a refusal means whose own code no table knows."""


class Dialect(NamedTuple):
    """How one provider says no. Plain data: it travels to the model actor inside the chat's configuration.

    `words` are tried first (a pattern found in the message decides, whatever the code); then `codes`, keyed by the
    error's `code` or else `type`, where a trailing `*` matches any ending. `finish_reasons` are refusals that come
    as a successful reply.
    """

    words: Mapping[str, str] = {}
    codes: Mapping[str, str] = {}
    finish_reasons: Mapping[str, str] = {}


class Refusal(NamedTuple):
    """What a provider's error body says: our code, the provider's own code and its words."""

    code: Code
    provider_code: str
    message: str


OPENAI = Dialect(
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
        "unsupported_country_region_territory": Code.PROVIDER_DOWN,  # not reachable from where the cluster is
        "model_not_found": Code.NO_SUCH_MODEL,
        "invalid_prompt": Code.CONTENT_BLOCKED,
        "content_policy_violation": Code.CONTENT_BLOCKED,
        "content_filter": Code.CONTENT_BLOCKED,
        "context_length_exceeded": Code.TOO_LARGE,
    },
    finish_reasons={"content_filter": Code.CONTENT_BLOCKED},
)

ZHIPU = Dialect(
    words={r"maximum context length": Code.TOO_LARGE},
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
        "1210": Code.BAD_UPSTREAM_REQUEST,
        "1213": Code.BAD_UPSTREAM_REQUEST,
        "1214": Code.BAD_UPSTREAM_REQUEST,
        "1215": Code.BAD_UPSTREAM_REQUEST,
    },
    finish_reasons={
        "sensitive": Code.CONTENT_BLOCKED,
        "network_error": Code.PROVIDER_DOWN,
        "model_context_window_exceeded": Code.TOO_LARGE,
    },
)

DASHSCOPE = Dialect(
    words={
        r"free allocated quota exceeded": Code.PAY_BILL,
        r"range of input length": Code.TOO_LARGE,
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
        "InvalidParameter": Code.BAD_UPSTREAM_REQUEST,
    },
    finish_reasons={"content_filter": Code.CONTENT_BLOCKED},
)

LLAMA_CPP = Dialect(codes={"exceed_context_size_error": Code.TOO_LARGE, "unavailable_error": Code.PROVIDER_BUSY})
"""llama.cpp's own server: its codes are HTTP statuses, so the error's type decides."""


def refusal(dialect: Dialect, status: int, body: Any) -> Refusal:
    """Read a refusal of HTTP `status` whose JSON `body` (None if it was none) is nested or, DashScope's, flat."""
    error = body.get("error", body) if isinstance(body, dict) else {}
    if not isinstance(error, dict):
        error = {"message": error}
    message = str(error.get("message") or "")
    # The code may be null where only the type says it (OpenAI's billing errors), or an HTTP status (llama.cpp).
    names = [str(error[field]) for field in ("code", "type") if error.get(field)]
    found = _by_words(dialect, message) or next(filter(None, (_by_name(dialect, name) for name in names)), None)
    by_status = BY_STATUS.get(status, Code.PROVIDER_DOWN if status >= 500 else Code.BAD_UPSTREAM_REQUEST)
    return Refusal(found or by_status, names[0] if names else "", message)


def _by_words(dialect: Dialect, message: str) -> Code | None:
    return next((Code(code) for words, code in dialect.words.items() if re.search(words, message, re.I)), None)


def _by_name(dialect: Dialect, name: str) -> Code | None:
    if exact := dialect.codes.get(name):
        return Code(exact)
    starred = (row for row in dialect.codes.items() if row[0].endswith("*"))
    return next((Code(code) for stem, code in starred if name.startswith(stem[:-1])), None)
