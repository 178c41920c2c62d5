"""How Zhipu and DashScope say no beyond tests/standin/refusals.py, in their own tables and in
OpenAI's; and the words of others in theirs.

Facts: docs/provider-facts.md, and threads in public trackers, named beside the bytes seen in them.
"""
# A row is a line, so that it can be found and compared: long lines are the price.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.unit.refusals_hosted import CHALLENGE, JSON_404, page
from tests.unit.rows import Row, bare, flat, native, std

_TOO_LOW = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."


def _dialect(dialect: str) -> list[Row]:
    """The same words in front of another table: a relay or another provider's model behind its
    address."""
    rows: list[tuple[int, Any, str, str]] = [
        (403, {"error": {"message": "用户额度不足, 剩余额度: ＄0.000000 (request id: 1)", "type": "new_api_error", "param": "", "code": "insufficient_user_quota"}}, "PAY_BILL", "用户额度不足"),
        (402, std("Insufficient Balance", "unknown_error", "invalid_request_error"), "PAY_BILL", "Insufficient Balance"),
        (400, std("Content Exists Risk", code="invalid_request_error"), "CONTENT_BLOCKED", "Content Exists Risk"),
        (400, std("This model's maximum context length is 65536 tokens. However, your messages resulted in 70012 tokens."), "TOO_LARGE", "70012 tokens"),
        (400, native("invalid_request_error", _TOO_LOW), "PAY_BILL", "too low"),
        (403, {"error": {"code": "AccountOverdueError", "message": "The request failed because your account has an overdue balance.", "type": "Forbidden"}}, "PAY_BILL", "overdue"),
        (500, native("api_error", "insufficient balance (1008)"), "PAY_BILL", "(1008)"),
        (429, bare("The engine is currently overloaded, please try again later", "engine_overloaded_error"), "PROVIDER_BUSY", "overloaded"),
        (400, std("Model Not Exist", code="invalid_request_error"), "NO_SUCH_MODEL", "Model Not Exist"),
        (400, std("Unknown parameter: 'quota_tag'."), "BAD_UPSTREAM_REQUEST", "quota_tag"),
        (403, {"message": "Forbidden"}, "PROVIDER_DOWN", "Forbidden"),
        (404, {"detail": "Not Found"}, "BAD_UPSTREAM_REQUEST", "Not Found"),
        (404, page("404 Not Found"), "BAD_UPSTREAM_REQUEST", ""),
        (403, CHALLENGE, "PROVIDER_DOWN", ""),
        (200, {"error": "something went wrong"}, "PROVIDER_DOWN", "something went wrong"),
        (503, b"no healthy upstream", "PROVIDER_BUSY", "no healthy upstream"),
    ]
    return [Row("relay", dialect, *row) for row in rows]


def _zhipu(status: int, number: str, message: str, code: str, beside: Mapping[str, Any] | None = None) -> Row:
    return Row("zhipu", "zhipu", status, {"error": {"code": number, "message": message}, **(beside or {"request_id": "202603142338501da90b7ebe1d473d"})}, code, message[:16])


_RESOURCE = "Insufficient balance or no resource package. Please recharge."

ZHIPU = [
    *_dialect("zhipu"),
    _zhipu(429, "1113", _RESOURCE, "PAY_BILL"),  # 7836246/cursor2api#30
    _zhipu(429, "1302", "Rate limit reached for requests", "SLOW_DOWN"),
    _zhipu(429, "1305", "The service may be temporarily overloaded, please try again later", "PROVIDER_BUSY"),
    _zhipu(429, "1308", "Usage limit reached for 5 hour. Your limit will reset at 2026-11-26 18:05:12", "SLOW_DOWN"),
    _zhipu(400, "1211", "Unknown Model, please check the model code.", "NO_SUCH_MODEL"),
    _zhipu(400, "1301", "System detected potentially unsafe or sensitive content in input or generation. Please avoid using prompts that may generate sensitive content.", "CONTENT_BLOCKED", {"contentFilter": [{"role": "user", "level": 1}]}),
    _zhipu(400, "1214", "The messages parameter is illegal. Please check the documentation.", "BAD_UPSTREAM_REQUEST"),
    _zhipu(401, "401", "token expired or incorrect", "BAD_KEY"),
    _zhipu(500, "1234", "网络错误，错误id：2026112011020351, 请联系客服。", "PROVIDER_DOWN"),
    # zai-org/feedback#789
    Row("zhipu", "zhipu", 429, {"type": "error", "error": {"type": "rate_limit_error", "code": "1113", "message": f"[1113][{_RESOURCE}][20260922232915e8288c66f9ff4aaa]"}, "request_id": "20260922"}, "PAY_BILL", "Please recharge"),
    # the same, deployed as OpenAI's
    Row("zhipu", "openai", 429, {"type": "error", "error": {"type": "rate_limit_error", "code": "1113", "message": f"[1113][{_RESOURCE}][20260922232915e8288c66f9ff4aaa]"}, "request_id": "20260922"}, "PAY_BILL", "Please recharge"),
    Row("zhipu", "openai", 429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}, "PAY_BILL", "余额不足"),
    Row("zhipu", "openai", 429, {"error": {"code": "1305", "message": "该模型当前访问量过大，请您稍后再试"}}, "PROVIDER_BUSY", "访问量过大"),
    Row("zhipu", "openai", 400, {"error": {"code": "1211", "message": "模型不存在，请检查模型代码。"}}, "NO_SUCH_MODEL", "模型不存在"),
    Row("zhipu", "zhipu", 200, {"code": 1302, "msg": "您的账户已达到速率限制，请您控制请求频率", "success": False}, "SLOW_DOWN", "速率限制"),
    Row("zhipu", "zhipu", 200, {"code": 500, "msg": "Internal Server Error", "success": False, "data": None}, "PROVIDER_DOWN", "Internal Server Error"),
    Row("zhipu", "zhipu", 200, {"error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}}, "CONTENT_BLOCKED", "敏感内容"),
    Row("zhipu", "zhipu", 404, JSON_404, "BAD_UPSTREAM_REQUEST", "Not Found"),
]


def _tongwen(status: int, name: str, message: str, code: str, kind: str = "") -> Row:
    return Row("tongwen", "tongwen", status, {"error": {"code": name, "param": None, "message": message, "type": kind or name}, "request_id": "8f1c5e0a"}, code, message[:16])


_PAST = "You exceeded your current quota, please check your plan and billing details. For details, see: https://help.aliyun.com/zh/model-studio/error-code#token-limit"

TONGWEN = [
    *_dialect("tongwen"),
    _tongwen(429, "insufficient_quota", _PAST, "SLOW_DOWN"),  # tokens per minute
    Row("tongwen", "tongwen", 200, flat("insufficient_quota", _PAST, request_id="8f1c"), "SLOW_DOWN", "current quota"),
    Row("tongwen", "tongwen", 200, flat("Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit.", request_id="8f1c"), "SLOW_DOWN", "Allocated quota"),
    Row("tongwen", "tongwen", 200, flat("Arrearage", "Access denied, please make sure your account is in good standing.", request_id="8f1c"), "PAY_BILL", "good standing"),
    # The same words, deployed as OpenAI's.
    Row("tongwen", "openai", 400, {"error": {"code": "Arrearage", "param": None, "message": "Access denied, please make sure your account is in good standing.", "type": "Arrearage"}, "request_id": "8f1c"}, "PAY_BILL", "good standing"),
    Row("tongwen", "openai", 403, {"error": {"code": "AllocationQuota.FreeTierOnly", "message": "The free tier of the model has been exhausted. If you wish to continue access the model on a paid basis, please disable the \"use free tier only\" mode in the management console.", "type": "AllocationQuota.FreeTierOnly"}}, "PAY_BILL", "free tier"),
    Row("tongwen", "openai", 400, {"error": {"code": "data_inspection_failed", "param": None, "message": "Input data may contain inappropriate content.", "type": "data_inspection_failed"}}, "CONTENT_BLOCKED", "inappropriate content"),
    Row("tongwen", "openai", 400, {"error": {"code": "invalid_parameter_error", "message": "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]", "type": "invalid_request_error"}}, "TOO_LARGE", "129024"),
    _tongwen(400, "data_inspection_failed", "<400> InternalError.Algo.DataInspectionFailed: Input text data may contain inappropriate content.", "CONTENT_BLOCKED"),
    # QwenLM/qwen-code#3704
    _tongwen(401, "invalid_api_key", "invalid access token or token expired", "BAD_KEY", "invalid_request_error"),
    _tongwen(400, "invalid_parameter_error", "The thinking_budget parameter must be a positive integer and not greater than 38912", "BAD_UPSTREAM_REQUEST", "invalid_request_error"),
    _tongwen(400, "invalid_parameter_error", "<400> InternalError.Algo.InvalidParameter: The tool call is not supported.", "BAD_UPSTREAM_REQUEST", "invalid_request_error"),
    # Its own code says no more than the status does; the words say which parameter.
    Row("tongwen", "tongwen", 400, flat("InvalidParameter", "Model not exist.", request_id="8f1c"), "NO_SUCH_MODEL", "Model not exist"),
]

DIALECTS = [*ZHIPU, *TONGWEN]
