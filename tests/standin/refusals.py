"""Every way the providers say no, as data, with the gateway code each must become.

Source: "How each says no" and "Bodies, as seen" in docs/provider-facts.md. Where those
give only a code, the message is from the provider's own list (Model Studio "error-code",
bigmodel.cn "api-code").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Dialect = Literal["openai", "zhipu", "tongwen"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way to say no: what the provider sends, and the gateway's `code` for it.

    `{key}` in the body stands for the key the request came with. A row with a `finish_reason` is a
    200 reply with empty content and that finish reason; it has no body of its own.
    """

    dialect: Dialect
    name: str
    code: str
    status: int
    body: dict[str, Any] | str | None
    headers: Mapping[str, str] = field(default_factory=dict)
    finish_reason: str = ""

    @property
    def provider_code(self) -> str | None:
        """The provider's own code: nested, flat (DashScope native) or absent."""
        body = self.body if isinstance(self.body, dict) else {}
        code: str | None = body.get("error", body).get("code")
        return code


# (gateway code, HTTP status) -> the provider's code -> its message. What follows a "-" in the code
# is not sent: it tells rows of the same code apart.
Rows = dict[tuple[str, int], dict[str, str]]

_QUOTA = "You exceeded your current quota, please check your plan and billing details."

_OPENAI: Rows = {
    ("BAD_KEY", 401): {
        "invalid_api_key": (
            "Incorrect API key provided: sk-ab***yz. You can find your API key at https://..."
        ),
        # Some proxies in front of OpenAI do not mask the key as OpenAI does.
        "invalid_api_key-echo": (
            "Incorrect API key provided: {key}. You can find your API key at https://..."
        ),
    },
    ("PAY_BILL", 429): {
        "insufficient_quota": (
            f"{_QUOTA} For more information on this error, read the docs: https://..."
        ),
        # From older deployments and some proxies: a null code, so that the type alone tells.
        "insufficient_quota-null_code": _QUOTA,
        "credit_balance_exhausted": (
            "Your credit balance is exhausted. Please add credits to continue."
        ),
        "billing_not_active": (
            "Your account is not active, please check your billing details on our website."
        ),
        "billing_hard_limit_reached": "Billing hard limit has been reached.",
    },
    ("SLOW_DOWN", 429): {
        "rate_limit_exceeded": (
            "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): "
            "Limit 30000, Used 29500, Requested 1200. Please try again in 1s."
        ),
        "slow_down": "Please reduce your request rate to its original level.",
    },
    ("PROVIDER_BUSY", 503): {
        "server_is_overloaded": "Our servers are currently overloaded. Please try again later.",
    },
    ("PROVIDER_DOWN", 500): {
        "server_error": "The server had an error processing your request.",
        "server_error-null_code": (
            "The server had an error while processing your request. Sorry about that!"
        ),
    },
    ("PROVIDER_DOWN", 502): {"server_error-502": "Bad gateway."},
    ("NO_SUCH_MODEL", 404): {
        "model_not_found": "The model `gpt-0` does not exist or you do not have access to it.",
    },
    ("CONTENT_BLOCKED", 400): {
        "invalid_prompt": "Invalid prompt: your prompt was flagged as violating our usage policy.",
        "content_policy_violation": "Your request was rejected as a result of our safety system.",
    },
    ("TOO_LARGE", 400): {
        "context_length_exceeded": (
            "This model's maximum context length is 128000 tokens. However, your "
            "messages resulted in 200012 tokens."
        ),
    },
    ("BAD_UPSTREAM_REQUEST", 400): {
        "unsupported_parameter": (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead."
        ),
        "invalid_json-null_code": "We could not parse the JSON body of your request.",
        "unsupported_value": (
            "Unsupported value: 'temperature' does not support 0.2 with this model."
        ),
    },
}
_OPENAI_TYPES = {
    "insufficient_quota": "insufficient_quota",
    "credit_balance_exhausted": "insufficient_quota",
    "billing_not_active": "billing_not_active",
    "billing_hard_limit_reached": "insufficient_quota",
    "rate_limit_exceeded": "tokens",
    "slow_down": "requests",
    "server_is_overloaded": "service_unavailable_error",
    "server_error": "server_error",
}

_ZHIPU: Rows = {
    ("BAD_KEY", 401): {
        "401": "令牌已过期或验证不正确！",
        "1000": "身份验证失败。",
        "1001": "Header中未收到Authorization参数，无法进行身份验证。",
        "1002": "Authorization Token非法，请确认Authorization Token正确传递。",
        "1003": "Authorization Token已过期，请重新生成/获取Authorization Token。",
        "1004": "通过提供的Authorization Token的验证失败。",
    },
    ("PAY_BILL", 429): {
        "1113": "余额不足或无可用资源包,请充值。",
        "1113-request_id": "余额不足或无可用资源包,请充值。",
        "1309": "您的GLM Coding Plan套餐已到期，暂无法使用，可前往官网续订后恢复。",
    },
    ("SLOW_DOWN", 429): {
        "1302": "您的账户已达到速率限制，请您控制请求频率",
        "1303": "您当前使用该API的频率过高，请降低频率，或联系客服增加限额。",
        "1304": "该API已达今日调用次数限额，如有更多需求，请联系客服购买。",
        "1308": "已达到 5 小时的使用上限。您的限额将在 2026-11-25 07:41:44 重置。",
        "1310": "已达到每周使用上限，您的限额将在 2099-11-30 00:00:00 重置。",
        "1313": "您的账户当前使用模式不符合公平使用策略，请求频率已受到限制。",
    },
    ("PROVIDER_BUSY", 429): {
        "1305": "该模型当前访问量过大，请您稍后再试",
        "1312": "该模型当前访问量过大，请您稍后再试",
    },
    ("PROVIDER_DOWN", 500): {"500": "内部错误", "1234": "网络错误，请联系客服。"},
    ("NO_SUCH_MODEL", 400): {"1211": "模型不存在，请检查模型代码。"},
    ("CONTENT_BLOCKED", 400): {
        "1301": "系统检测到输入或生成内容可能包含不安全或敏感内容，请您避免输入。"
    },
    ("TOO_LARGE", 400): {
        "1261": "Prompt exceeds max length",
        "1210-too_long": "API 调用参数有误: this model's maximum context length is 131072 tokens.",
    },
    ("BAD_UPSTREAM_REQUEST", 400): {
        "1210": "API 调用参数有误，请检查文档。",
        "1213": "未正常接收到prompt参数。",
        "1214": "messages 参数非法。请检查文档。",
        "1215": "temperature与top_p不能同时设置，请检查文档。",
    },
}

_FREE = "Free allocated quota exceeded."
_BURST = (
    "Request rate increased too quickly. To ensure system stability, please adjust your client"
    " logic."
)
_RANGE = "Range of input length should be [1, 30720]"
# a 500's name inside a plain 400's message: a trap
_INNER = "<400> InternalError.Algo.InvalidParameter: "

_TONGWEN: Rows = {
    ("BAD_KEY", 401): {
        "invalid_api_key": (
            "Incorrect API key provided. For details, see: https://help.aliyun.com/..."
        ),
        "InvalidApiKey": "Invalid API-key provided.",
    },
    ("PAY_BILL", 400): {
        "Arrearage": "Access denied, please make sure your account is in good standing.",
    },
    ("PAY_BILL", 403): {
        "AllocationQuota.FreeTierOnly": "The free tier of the model has been exhausted.",
        "AccessDenied.Unpurchased": "Access to model denied. Please make sure you are eligible.",
    },
    ("PAY_BILL", 429): {
        "PrepaidBillOverdue": "The prepaid bill is overdue.",
        "PostpaidBillOverdue": "The postpaid bill is overdue.",
        # With other words both codes mean "tokens per minute": only the message tells bill from
        # limit.
        "Throttling.AllocationQuota-free": _FREE,
        "insufficient_quota-free": _FREE,
    },
    ("SLOW_DOWN", 429): {
        "Throttling": "Requests throttling triggered.",
        "Throttling.RateQuota": "Requests rate limit exceeded, please try again later.",
        "Throttling.AllocationQuota": "Allocated quota exceeded, please increase your quota limit.",
        "Throttling.BurstRate": _BURST,
        "limit_requests": "You exceeded your current requests list.",
        "limit_burst_rate": _BURST,
        "insufficient_quota": _QUOTA,
    },
    ("PROVIDER_BUSY", 503): {
        "ModelServingError": (
            "Too many requests. You are being throttled due to system capacity limits."
        ),
        "ModelUnavailable": "Model is unavailable, please try again later.",
    },
    ("PROVIDER_DOWN", 500): {
        "InternalError": (
            "An internal error has occured, please try again later or contact service support."
        ),
        "InternalError.Algo": "inference internal error.",
        "InternalError.Timeout": "An internal timeout error has occured during execution.",
        "RequestTimeOut": "Request timed out, please try again later.",
    },
    ("NO_SUCH_MODEL", 404): {
        "model_not_found": "The model `qwen-0` does not exist or you do not have access to it.",
        "ModelNotFound": "Model can not be found.",
    },
    ("CONTENT_BLOCKED", 400): {
        "data_inspection_failed": "Input data may contain inappropriate content.",
        "DataInspectionFailed": "Input or output data may contain sensitive content.",
        "CustomRoleBlocked": (
            "Input or output data may contain inappropriate content with custom rule."
        ),
    },
    ("TOO_LARGE", 400): {
        "InvalidParameter-range": _RANGE,
        # What compatible mode says today for the same thing
        # (github.com/agentscope-ai/QwenPaw/issues/6255).
        "invalid_parameter_error-range": _INNER + _RANGE,
    },
    ("BAD_UPSTREAM_REQUEST", 400): {
        "InvalidParameter": (
            "Required parameter(s) missing or invalid, please check the request parameters."
        ),
        "InvalidParameter-rows": f"{_INNER}Value error, batch size should not be larger than 10.",
        "invalid_parameter_error": (
            "This model only support stream mode, please enable the stream parameter."
        ),
    },
}
# Seen in the flat native shape too.
_NATIVE = {"InvalidApiKey", "Arrearage", "Throttling", "DataInspectionFailed"}

_FINISHES: dict[tuple[Dialect, str], str] = {
    ("openai", "content_filter"): "CONTENT_BLOCKED",
    ("zhipu", "sensitive"): "CONTENT_BLOCKED",
    ("zhipu", "network_error"): "PROVIDER_DOWN",
    ("zhipu", "model_context_window_exceeded"): "TOO_LARGE",
}

# A code that no table knows: only its HTTP status tells.
_BY_STATUS = {
    400: "BAD_UPSTREAM_REQUEST",
    401: "BAD_KEY",
    402: "PAY_BILL",
    403: "PROVIDER_DOWN",
    404: "BAD_UPSTREAM_REQUEST",
    429: "SLOW_DOWN",
    500: "PROVIDER_DOWN",
    503: "PROVIDER_BUSY",
}
_NEW: Rows = {
    (code, status): {f"unknown-{status}": "Brand new."} for status, code in _BY_STATUS.items()
}

_RETRY_AFTER = {
    "openai-rate_limit_exceeded",
    "zhipu-1302",
    "tongwen-Throttling",
    "tongwen-limit_requests",
}
_ID = "8f1c5e0a-3c1d-9b0e-a7b4-5d6f7a8b9c0d"
# A Cloudflare worker in front of the provider answers in its own way.
_HTML = (
    "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
)


def _openai_body(said: str, note: str, message: str) -> dict[str, Any]:
    kind = _OPENAI_TYPES.get(said, "invalid_request_error")
    code = None if note == "null_code" else said
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _zhipu_body(said: str, note: str, message: str) -> dict[str, Any]:
    beside: dict[str, Any] = {"request_id": _ID} if note == "request_id" else {}
    if said == "1301":
        beside["contentFilter"] = [{"level": 1, "role": "user"}]
    return {"error": {"code": said, "message": message}, **beside}


def _tongwen_body(said: str, note: str, message: str) -> dict[str, Any]:
    if note == "native":
        return {"code": said, "message": message, "request_id": _ID}
    kind = (
        "invalid_request_error" if said in {"invalid_api_key", "invalid_parameter_error"} else said
    )
    error = {"code": said, "param": None, "message": message, "type": kind}
    return {"error": error, "id": f"chatcmpl-{_ID}", "request_id": _ID}


_Body = Callable[[str, str, str], dict[str, Any]]
_TABLES: dict[Dialect, tuple[Rows, _Body]] = {
    "openai": (_OPENAI, _openai_body),
    "zhipu": (_ZHIPU, _zhipu_body),
    "tongwen": (_TONGWEN, _tongwen_body),
}


def _all() -> Iterator[Refusal]:
    for dialect, (rows, body) in _TABLES.items():
        for (code, status), answer in (*rows.items(), *_NEW.items()):
            native = {f"{name}-native": answer[name] for name in answer if name in _NATIVE}
            for slug, message in {**answer, **native}.items():
                name = f"{dialect}-{slug}"
                headers = {"Retry-After": "7"} if name in _RETRY_AFTER else {}
                provider_code, _, note = slug.partition("-")
                yield Refusal(
                    dialect, name, code, status, body(provider_code, note, message), headers
                )
        yield Refusal(dialect, f"{dialect}-plain-402", "PAY_BILL", 402, {})
        yield Refusal(dialect, f"{dialect}-html-502", "PROVIDER_DOWN", 502, _HTML)
    for (dialect, reason), code in _FINISHES.items():
        yield Refusal(dialect, f"{dialect}-{reason}", code, 200, None, finish_reason=reason)


REFUSALS: tuple[Refusal, ...] = tuple(_all())
BY_NAME: dict[str, Refusal] = {row.name: row for row in REFUSALS}
