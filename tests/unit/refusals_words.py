"""Words without a shape or a status that would help, and words that only sound like them.

Facts: threads in public trackers, where one is named beside the words; else words of the same kind.
"""
# A row is a line, so that it can be found and compared: long lines are the price.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from tests.unit.rows import Row, std

# Words of relays and small providers, each in a status that says something else.
WORDS = [
    Row("relay", "openai", status, {"code": name, "message": message}, code, message)
    for status, name, message, code in (
        (403, "1", "账户余额不够，请先充值", "PAY_BILL"),
        (403, "1", "账号已欠费，服务已暂停", "PAY_BILL"),
        (400, "1", "您的积分不足，请购买", "PAY_BILL"),
        (400, "1", "可用额度已耗尽", "PAY_BILL"),
        (500, "1", "No remaining credits on this account", "PAY_BILL"),
        (403, "1", "Your balance is negative", "PAY_BILL"),
        (400, "1", "Account past due: pay the open invoice", "PAY_BILL"),
        (403, "1", "Your account is not active, please check your billing details on our website.", "PAY_BILL"),
        (403, "1", "请先充值后再使用", "PAY_BILL"),
        # infiniflow/ragflow#1552
        (400, "1", "Access denied, please make sure your account is in good standing.", "PAY_BILL"),
        (400, "Arrearage", "Access denied.", "PAY_BILL"),
        (500, "1", "Payment required", "PAY_BILL"),
        (400, "1", "Credit limit exceeded", "PAY_BILL"),
        (400, "1", "内容审核未通过，请修改后重试", "CONTENT_BLOCKED"),
        (400, "1", "输入涉嫌违规", "CONTENT_BLOCKED"),
        (400, "DataInspectionFailed", "Refused.", "CONTENT_BLOCKED"),
        # web-infra-dev/midscene#1314
        (400, "1", "Input data may contain inappropriate content.", "CONTENT_BLOCKED"),
        (500, "1", "The request was rejected because it was considered high risk", "CONTENT_BLOCKED"),
        (403, "1", "您的输入涉及敏感内容", "CONTENT_BLOCKED"),
        (400, "1", "Your request was rejected as a result of our safety system.", "CONTENT_BLOCKED"),
        (400, "1", "The request was blocked by the content filter", "CONTENT_BLOCKED"),
        (422, "1", "Prompt violates our content policy", "CONTENT_BLOCKED"),
        (400, "1", "输入内容过长，请缩短", "TOO_LARGE"),
        (400, "1", "超出模型最大上下文长度", "TOO_LARGE"),
        (400, "1", "Your prompt is too long. Please shorten it.", "TOO_LARGE"),
        (500, "1", "This request exceeds the model's context window", "TOO_LARGE"),
        (400, "1", "Input length 5011 exceeds maximum allowed input length 4096", "TOO_LARGE"),
        (400, "1", "未找到模型 qwen-0", "NO_SUCH_MODEL"),
        (403, "1", "模型 glm-0 已下线", "NO_SUCH_MODEL"),
        (400, "1", "No such model: foo", "NO_SUCH_MODEL"),
        (400, "1", "Model 'foo' is not available", "NO_SUCH_MODEL"),
        (400, "1", "The model `foo` has been deprecated", "NO_SUCH_MODEL"),
        (403, "1", "API Key 无效或已过期", "BAD_KEY"),
        (400, "1", "API key has been revoked", "BAD_KEY"),
        (403, "1", "密钥错误", "BAD_KEY"),
        (400, "439", "Your API Token has expired.", "BAD_KEY"),
        (400, "10000", "Authentication error", "BAD_KEY"),
        (400, "1", "Not authenticated", "BAD_KEY"),
        (400, "new_api_error", "该令牌状态不可用", "BAD_KEY"),
        (400, "17", "Open api daily request limit reached", "SLOW_DOWN"),
        (403, "1", "No API key provided", "BAD_KEY"),
        (500, "1", "服务器繁忙，请稍后再试", "PROVIDER_BUSY"),
        (200, "1", "当前系统繁忙，请排队", "PROVIDER_BUSY"),
        (500, "1", "Server is busy, retry", "PROVIDER_BUSY"),
        (500, "1", "The cluster is currently under high load", "PROVIDER_BUSY"),
        (500, "1", "This model is currently experiencing high demand", "PROVIDER_BUSY"),
        (500, "1", "算力资源不足，请稍后再试", "PROVIDER_BUSY"),  # theirs, not ours
        (403, "1", "You are being rate limited", "SLOW_DOWN"),
        (429, "1", "You exceeded your current quota, please check your plan and billing details. Please retry in 34.07s.", "SLOW_DOWN"),
        (429, "1", "You exceeded your current quota, please check your plan and billing details.", "PAY_BILL"),
        (403, "1", "请求过于频繁,请稍后再试", "SLOW_DOWN"),  # GaiZhenbiao/ChuanhuChatGPT#555
        (200, "1", "触发限流", "SLOW_DOWN"),
        (500, "1", "Request was throttled", "SLOW_DOWN"),
        (403, "1", "API rate limit exceeded", "SLOW_DOWN"),
        (503, "1", "You have exceeded the rate limit of 10 requests per minute", "SLOW_DOWN"),
    )
]

# Ordinary complaints about a request with words that elsewhere mean a bill, a filter or a limit.
INNOCENT = [
    Row("innocent", "openai", 400, std(message), "BAD_UPSTREAM_REQUEST", message[:16]) for message in (
        "Thinking on this project is disabled by the administrator",
        "Zero data retention is enabled for your organization; the 'store' parameter is disabled",
        "cached content token has been revoked; create a new cache",
        "reasoning exceeded thinking budget",
        "Your plan does not include images larger than 5 MB",
        "请求参数错误：套餐字段不包含 id",
        "The 'stop' parameter only supports up to 4 sequences",
        "top_logprobs only supports up to 20",
        "metadata value: expected max length 512 characters",
        "Tool choice 'required' for this model is not supported.",
        "'max_tokens' with this model is not supported. Use 'max_completion_tokens' instead.",
        "Unavailable model features: tools",
        "The model tried to call a tool that was removed on the client side",
        "Only user, assistant and system roles are supported! (got is disabled)",
        "Unknown fields: user, is_disabled",
        "Unknown parameter: 'quota_tag'.",
        "Unrecognized request argument supplied: user_quota",
        "Invalid value for 'balance': expected an integer",
        "Invalid type for 'messages[3].content': expected one of a string or array of objects, but got an integer instead.",
        "Unsupported parameter: 'safety_identifier' is not supported with this model.",
        "Unknown name \"safety_settings\": Cannot find field.",
        "Unknown parameter: 'content_filter_results'.",
        "Unknown parameter: 'moderation_level'.",
        "'context' is a required property",
        "Unrecognized request argument supplied: context_management",
        "Invalid parameter: 'rate_limit' must be a boolean",
        "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
        "Invalid token '<' at position 0 in JSON",
        "Invalid schema for function 'get_account_balance': 'type' is not an object",
        "Invalid schema for function 'pay_bill': context=('properties', 'credits'), missing 'type'",
        "tools[0].function.name: 'check_quota' is already declared",
        "The model `gpt-6` does not support image input.",
        "This model does not support the 'billing' metadata key.",
        "Invalid model parameters: top_k",
        "temperature: range should be from 0 to 1",
        "'stream_options' can only be set when 'stream' is true",
        "Invalid value: 'pay'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
        "Additional properties are not allowed ('budget', 'billing' were unexpected)",
        "Unsupported value: 'reasoning_effort' does not support 'high' with this model.",
        "Invalid 'tools[0].function.name': string does not match pattern.",
        "The parameter max_tokens must be less than the context window of the model",
        "'overload' is not a valid enum value",
        "Missing required parameter: 'messages[1].content[0].type'.",
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
        "response_format: json_schema is not supported by this model",
        "temperature cannot exceed 2",
        "max_tokens must be less than 8192 tokens",
        "Unknown parameter: 'secret_key'.",
        "n must be 1: this model does not support more",
        "参数 balance 不合法",
        "messages 参数非法，请检查文档",
        "不支持的参数：quota",
    )
]
