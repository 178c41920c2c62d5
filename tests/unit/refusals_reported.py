"""More ways to say no, as public reports have them: what was new in each is in no other file.

Facts: threads in public trackers, named beside the bytes seen in them, and public code.
"""
# A row is a line, so that it can be found and compared: long lines are the price.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from typing import Any

from tests.unit.rows import Row


def _rows(provider: str, dialect: str, *seen: tuple[int, Any, str]) -> list[Row]:
    return [Row(provider, dialect, status, body, code) for status, body, code in seen]


REPORTED = [
    *_rows(
        "relay", "openai",
        (403, {"error": {"message": "User's credit limit is insufficient, remaining credit limit: $0.000000", "type": "api_error", "param": None, "code": "insufficient_user_quota"}}, "PAY_BILL"),
        # GordeyZuev/LEAP#6
        (429, {"error": "Too Many Requests", "message": "You have exceeded your usage limits. Please try again later or contact Fireworks to explore dedicated capacity."}, "SLOW_DOWN"),
        # CopilotChat.nvim#1052
        (401, {"error": {"code": "unauthorized", "message": "Your account type is not currently supported", "details": "Your account type is not currently supported"}}, "BAD_KEY"),
        # continue#10839
        (403, b'Model disabled.', "NO_SUCH_MODEL"),
        # continue#11335
        (403, {"error": {"message": "Your request was blocked.", "type": "api_error", "param": None, "code": None}}, "PROVIDER_DOWN"),
        # continue#11953
        (500, {"error": "llama runner process has terminated: %!w(<nil>)"}, "PROVIDER_DOWN"),
        # continue#10295
        (500, {"error": "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check ollama server logs for details"}, "PROVIDER_DOWN"),
        # continue#12735
        (400, {"error": "{\"error\":{\"code\":400,\"message\":\"request (42947 tokens) exceeds the available context size (8192 tokens), try increasing it\",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":42947,\"n_ctx\":8192}}"}, "TOO_LARGE"),
        # ccr#966
        (400, {"error": {"message": "", "localized_message": "", "type": "upstream_error", "param": "400", "code": "bad_response_status_code"}}, "BAD_UPSTREAM_REQUEST"),
        # ccr#1020
        (400, {"error": {"message": "Error from provider(openrouter,google/gemini-3-pro-preview: 400): {\"error\":{\"message\":\"Provider returned error\",\"code\":400,\"metadata\":{\"raw\":\"{\\n  \\\"error\\\": {\\n    \\\"code\\\": 400,\\n \\\"message\\\": \\\"Request contains an invalid argument.\\\",\\n    \\\"status\\\": \\\"INVALID_ARGUMENT\\\"\\n  }\\n}\\n\",\"provider_name\":\"Google\"}}}", "type": "api_error", "code": "provider_response_error"}}, "BAD_UPSTREAM_REQUEST"),
        # Qwen3-VL#238
        (400, {"object": "error", "message": "", "type": "BadRequestError", "param": None, "code": 400}, "BAD_UPSTREAM_REQUEST"),
        (400, {"error": {"message": "Current length is 9000 while limit is 8192", "type": "invalid_request_error", "param": None, "code": "context_length_exceeded"}}, "TOO_LARGE"),
        (400, {"error": {"message": "prompt token count of 140000 exceeds the limit of 128000", "type": None, "param": None, "code": "model_max_prompt_tokens_exceeded"}}, "TOO_LARGE"),
        (400, {"error": {"message": "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens. Please reduce the length of the messages.", "type": "invalid_request_error", "param": None, "code": "context_length_exceeded"}}, "TOO_LARGE"),
        (400, {"error": {"message": "Input tokens exceed the configured limit of 922000 tokens.", "type": "invalid_request_error", "param": None, "code": None}}, "TOO_LARGE"),
        (400, {"error": {"message": "The engine prompt length 1327246 exceeds the max_model_len 131072. Please reduce prompt.", "type": "BadRequestError", "param": None, "code": 400}}, "TOO_LARGE"),
        (400, {"message": "Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update the input to try again."}, "TOO_LARGE"),
        # terricain/aioboto3#352
        (400, {"message": "Invocation of model ID anthropic.claude-3-5-sonnet-20241022-v2:0 with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model."}, "NO_SUCH_MODEL"),
        # earendil-works/pi#4993, RooCodeInc/Roo-Code#10473, MattJColes/lgtmaybe#70
        (400, {"message": "The provided model identifier is invalid."}, "NO_SUCH_MODEL"),
        # langgenius/dify#2829, aws-samples/generative-ai-to-build-a-devsecops-chatbot#3
        (403, {"message": "You don't have access to the model with the specified model ID."}, "NO_SUCH_MODEL"),
        # Tracer-Cloud/opensre#1812
        (403, {"message": "Model access is denied due to INVALID_PAYMENT_INSTRUMENT:A valid payment instrument must be provided.. Your AWS Marketplace subscription for this model cannot be completed at this time. If you recently fixed this issue, try again after 2 minutes."}, "PAY_BILL"),
        # kiro#11191
        (400, {"message": "Operation not allowed"}, "BAD_UPSTREAM_REQUEST"),
        # anthropics/claude-code#4505
        (403, {"message": "The security token included in the request is invalid."}, "BAD_KEY"),
        (404, {"message": "This model version has reached the end of its life. Please refer to the AWS documentation for more details."}, "NO_SUCH_MODEL"),
        (404, {"message": "Model use case details have not been submitted for this account. Fill out the Anthropic use case details form before using the model. If you have already filled out the form, try again in 15 minutes."}, "NO_SUCH_MODEL"),
        # griptape-nodes-engine#1079
        (403, {"code": "The caller does not have permission to execute the specified operation", "error": "Your newly created teams doesn't have any credits yet. You can purchase credits on https://console.x.ai/team/c853730f-fe0f-4537-b8a2-0e6e33c8342d."}, "PAY_BILL"),
        # continue#12670
        (403, {"code": "The caller does not have permission to execute the specified operation", "error": "Your newly created team doesn't have any credits or licenses yet. You can purchase those on https://console.x.ai/team/481c7584-ab46-4974-b86b-a4978384e229."}, "PAY_BILL"),
        # hermes#26847
        (403, {"code": "personal-team-blocked:spending-limit", "error": "You have run out of credits or need a Grok subscription. Add credits at https://grok.com/?_s=usage or upgrade at https://grok.com/supergrok"}, "PAY_BILL"),
        # hermes#50854
        (429, {"error": {"code": "1311", "message": "Your current subscription plan does not yet include access to GLM-5V-Turbo"}, "request_id": "2026"}, "PAY_BILL"),
        # continue#9233
        (429, {"error": "you've reached your hourly usage limit, please wait or upgrade to continue"}, "SLOW_DOWN"),
        # hermes#68832
        (429, {"error": "you (seppe) have reached your weekly usage limit, upgrade for higher limits: https://ollama.com/upgrade or add extra usage: https://ollama.com/settings (ref: x)"}, "PAY_BILL"),
        # continue#11444
        (429, {"error": "you (ae2055838) have reached your session usage limit, upgrade for higher limits: https://ollama.com/upgrade"}, "PAY_BILL"),
        # grammar-nazi-bot#954
        (429, {"message": "Requests per minute limit exceeded - too many requests sent.", "type": "too_many_requests_error", "param": "quota", "code": "request_quota_exceeded"}, "SLOW_DOWN"),
        # continue#9800
        (429, {"message": "Tokens per minute limit exceeded - too many tokens processed.", "type": "too_many_tokens_error", "param": "quota", "code": "token_quota_exceeded"}, "SLOW_DOWN"),
        # Langchain-Chatchat#2475
        (400, {"error_code": 3, "error_msg": "Unsupported openapi method"}, "BAD_UPSTREAM_REQUEST"),
        # Langchain-Chatchat#2083
        (400, {"object": "error", "message": "**NETWORK ERROR DUE TO HIGH TRAFFIC. PLEASE REGENERATE OR REFRESH THIS PAGE.**\n\n(\"addmm_impl_cpu_\" not implemented for 'Half')", "code": 50001}, "PROVIDER_BUSY"),
        # cline#1426
        (401, {"error": {"message": "The API key or AK/SK in the request is missing or invalid. requestId: 0217", "type": "invalid_request_error", "param": None, "code": None}}, "BAD_KEY"),
        # 9router#2527, freellmapi#522
        (400, {"status": 400, "title": "Bad Request", "detail": "Function id '87ea0ddc-cff1-4bca-bf8b-3bd98a35ddd0': DEGRADED function cannot be invoked"}, "PROVIDER_DOWN"),
        # opencode#44204
        (410, {"type": "about:blank", "title": "Gone", "status": 410, "detail": "The model 'z-ai/glm-5.2' has reached its end of life on 2026-08-21T09:00:00Z and is no longer available."}, "NO_SUCH_MODEL"),
        # free-claude-code#1485
        (429, {"status": 429, "title": "Too Many Requests"}, "SLOW_DOWN"),
        # free-claude-code#91
        (503, {"detail": "503: NVIDIA_NIM_API_KEY is not set. Add it to your .env file. Get a key at https://build.nvidia.com/settings/api-keys"}, "BAD_KEY"),
        # agents-course#558, councilof#1102
        (403, {"error": "This authentication method does not have sufficient permissions to call Inference Providers on behalf of user AmirHagai."}, "BAD_KEY"),
        # claude2api#1
        (401, {"error": "Missing or invalid Authorization header"}, "BAD_KEY"),
        # CLIProxyAPI#3409
        (400, {"type": "error", "error": {"type": "invalid_request_error", "message": "This organization has been disabled."}, "request_id": "req_011"}, "BAD_KEY"),
        # node-chatgpt-api#49
        (429, {"status": False, "error": "You are rate-limited Rate-limited or API key is invalid"}, "SLOW_DOWN"),
        # node-chatgpt-api#49
        (404, {"error": {"message": "That model does not exist", "type": "invalid_request_error"}}, "NO_SUCH_MODEL"),
        # openclaude#1303
        (401, {"error": {"message": "Invalid API key", "type": "authentication_error", "code": "api_key_invalid"}}, "BAD_KEY"),
        # hackingBuddyGPT#138
        (403, b'<html><title>403: Forbidden</title><body>403: Forbidden</body></html>', "PROVIDER_DOWN"),
        (429, {"result": None, "success": False, "errors": [{"code": 4006, "message": "AiError: AiError: you have used up your daily free allocation of 10,000 neurons, please upgrade to Cloudflare's Workers Paid plan if you would like to continue usage."}], "messages": []}, "SLOW_DOWN"),
        (429, {"result": None, "success": False, "errors": [{"code": 3040, "message": "AiError: AiError: Capacity temporarily exceeded, please try again."}], "messages": []}, "PROVIDER_BUSY"),
        # docs#19677
        (403, {"result": None, "success": False, "errors": [{"code": 5018, "message": "The account is not allowed to access this model"}], "messages": []}, "NO_SUCH_MODEL"),
        # docs#19677
        (403, {"result": None, "success": False, "errors": [{"code": 5016, "message": "User has not agreed to Llama3.2 model terms"}], "messages": []}, "NO_SUCH_MODEL"),
        # arlanrakh/talk-to-girlfriend-ai#6
        (403, {"error": {"message": "AI Gateway requires a valid credit card on file to service requests. Please visit https://vercel.com/d?to=%2F%5Bteam%5D%2F%7E%2Fai%3Fmodal%3Dadd-credit-card to add a card and unlock your free credits.", "type": "customer_verification_required"}}, "PAY_BILL"),
        # aider#4495
        (403, {"error": {"message": "Free credits temporarily have restricted access due to abuse. We are working on a resolution. Paid credits continue to have unrestricted access. Read more on how to purchase credits at https://vercel.com/docs/ai-gateway/pricing", "type": "rate_limit_exceeded"}}, "SLOW_DOWN"),
        (403, {"error": {"message": "Free tier users do not have access to this model. Upgrade to paid credits.", "type": "no_providers_available"}}, "PAY_BILL"),
        (402, {"error": {"message": "Insufficient credits", "type": "insufficient_funds"}}, "PAY_BILL"),
        (429, {"error": {"message": "Model busy, retry later", "type": "invalid_request_error", "param": None, "code": "engine_overloaded"}}, "PROVIDER_BUSY"),
        (429, {"error": {"message": "Model busy, retry later"}}, "PROVIDER_BUSY"),
        (401, {"message": "Inactive subscription or usage limit reached", "request_id": "abc"}, "PAY_BILL"),
        (403, {"message": "Inactive subscription or usage limit reached"}, "PAY_BILL"),
        # terobox/ChatGPT-API-Faucet#5, QuantumNous/new-api#2326
        (403, {"error": {"message": "用户已被封禁", "type": "one_api_error"}}, "BAD_KEY"),
        # terobox/ChatGPT-API-Faucet#5, QuantumNous/new-api#2326
        (403, {"error": {"message": "用户已被封禁 (request id: 2026)", "type": "new_api_error", "code": ""}}, "BAD_KEY"),
        # codex2api#115
        (401, {"error": {"message": "Encountered invalidated oauth token for user, failing request", "type": None, "code": "token_revoked", "param": None}, "status": 401}, "BAD_KEY"),
        # cita-777/metapi#582
        (400, {"error": {"message": "input token limit is 202752", "type": "invalid_argument", "param": None, "code": "invalid_argument"}}, "TOO_LARGE"),
        # Nutlope/logocreator#10
        (403, {"error": {"message": "Access to this model is allowed for build tier 2 and above. Also please make sure that you have a positive balance. Please upgrade your tier by buying credits at https://api.together.xyz/settings/billing.", "type": "tier_access", "param": None, "code": None}}, "PAY_BILL"),
        # Nutlope/logocreator#10
        (403, b'Your Together AI account needs a credit card on file to use this app', "PAY_BILL"),
        # qwen-code#9605
        (403, {"message": "Access to model denied. Please make sure you are eligible for using the model."}, "NO_SUCH_MODEL"),
        (400, {"error": {"message": "This content was flagged for possible cybersecurity risk. If this seems wrong, try rephrasing your request. To get authorized for security work, join the Trusted Access for Cyber program: https://chatgpt.com/cyber", "type": "invalid_request", "param": None, "code": "cyber_policy"}}, "CONTENT_BLOCKED"),
        (400, {"error": {"message": "This request has been flagged for possible cybersecurity risk.", "code": "cyber_policy"}}, "CONTENT_BLOCKED"),
        # MiniMax-M2.7#36
        (429, {"error": {"http_code": "429", "type": "rate_limit_error", "message": "usage limit exceeded, 5-hour usage limit reached for Token Plan Starter (0/0 used), resets at 2026-05-15T15:00:00Z (2056)"}}, "SLOW_DOWN"),
        # XiaomiMiMo/MiMo#99
        (402, {"type": "server_error", "message": "Upstream request failed: Insufficient account funds"}, "PAY_BILL"),
        (400, {"error": {"code": "400", "message": "Param Incorrect", "param": "text is not set"}}, "BAD_UPSTREAM_REQUEST"),
        (400, {"error": {"code": "", "message": "The requested model is not supported.", "param": "model", "type": "invalid_request_error"}}, "NO_SUCH_MODEL"),
        (400, {"error": {"code": "model_not_supported", "message": "The requested model is not supported.", "param": "model", "type": "invalid_request_error"}}, "NO_SUCH_MODEL"),
        (404, {"message": "model 'command-r-plus-08-2024' was removed on September 15, 2025. See https://docs.cohere.com/docs/models for available models."}, "NO_SUCH_MODEL"),
        (400, {"error": {"message": "ExceededTokenBudget: Current spend for token: 72.6; Max Budget for Token: 2e-07", "type": "auth_error", "code": "400"}}, "PAY_BILL"),
        (500, {"error": {"message": "模型 x 倍率或价格未配置，请联系管理员设置或开始自用模式", "type": "new_api_error", "code": "model_price_error"}}, "NO_SUCH_MODEL"),
        # ggml-org/llama.cpp#12295
        (500, {"error": {"code": 500, "message": "input is too large to process. increase the physical batch size", "type": "server_error"}}, "TOO_LARGE"),
        # containers/ramalama#2852
        (500, {"error": {"code": 500, "message": "input (600 tokens) is too large to process. increase the physical batch size (current batch size: 512)", "type": "server_error"}}, "TOO_LARGE"),
    ),
    *_rows(
        "tongwen", "tongwen",
        # jetbrains-cc-gui#561
        (403, b'event:error\ndata:{"code":"AccessDenied","message":"Rate limit exceeded. Please wait and try again, or upgrade your API plan.","request_id":"3eb5779e"}', "SLOW_DOWN"),
        # LangBot#1028
        (403, {"code": "App.AccessDenied", "message": "App access denied.", "request_id": "9ef7aad5"}, "PROVIDER_DOWN"),
        # openhanako#2402
        (400, {"error": {"code": "invalid_parameter_error", "param": None, "message": "max_completion_tokens [16384] must be greater than thinking_budget [32768]", "type": "invalid_request_error"}, "id": "chatcmpl-d3"}, "BAD_UPSTREAM_REQUEST"),
        # graph-rag-agent#81
        (400, {"error": {"message": "<400> InternalError.Algo.InvalidParameter: Value error, contents is neither str nor list of str.", "type": "invalid_request_error", "code": "invalid_parameter_error"}}, "BAD_UPSTREAM_REQUEST"),
        # langgenius/dify#13769
        (403, {"error": {"message": "Model access denied.", "type": "Model.AccessDenied", "param": None, "code": "Model.AccessDenied"}, "request_id": "x"}, "NO_SUCH_MODEL"),
        # pi#7588
        (403, {"message": "Access to model denied. Please make sure you are eligible for using the model.", "id": "bdb3050b", "type": "AccessDenied.Unpurchased", "code": "AccessDenied.Unpurchased"}, "PAY_BILL"),
        # AionUi#2726
        (405, {"error": {"message": "Coding Plan is currently only available for Coding Agents", "type": "invalid_request_error", "code": "invalid_request_error"}}, "PROVIDER_DOWN"),
        (200, {"code": "InvalidParameter", "message": "temperature: should be in [0,2)", "request_id": "x"}, "BAD_UPSTREAM_REQUEST"),
        (400, {"error": {"code": "InternalError.Algo.InvalidParameter", "message": "An assistant message with tool_calls must be followed", "type": "x"}}, "BAD_UPSTREAM_REQUEST"),
        (400, {"code": "InternalError.Algo.InvalidParameter", "message": "Range of input length should be [1, 129024]", "request_id": "x"}, "TOO_LARGE"),
    ),
    *_rows(
        "gemini", "gemini",
        # google/generative-ai-docs#356
        (403, {"error": {"code": 403, "message": "Permission denied: Consumer 'api_key:AIzaSyA' has been suspended.", "status": "PERMISSION_DENIED", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "CONSUMER_SUSPENDED", "domain": "googleapis.com"}]}}, "BAD_KEY"),
        # google-gemini/gemini-cli#14519
        (403, {"error": {"code": 403, "message": "The caller does not have permission", "status": "PERMISSION_DENIED"}}, "PROVIDER_DOWN"),
        (403, {"error": {"code": 403, "message": "This API method requires billing to be enabled. Please enable billing on project #1 by visiting https://console.developers.google.com/billing/enable?project=1 then retry.", "status": "PERMISSION_DENIED", "details": [{"reason": "BILLING_DISABLED"}]}}, "PAY_BILL"),
        (400, {"error": {"code": 400, "message": "Unable to submit request because the input token count is 2000000 but model only supports up to 1048576. Reduce the input token count and try again.", "status": "INVALID_ARGUMENT"}}, "TOO_LARGE"),
        (400, {"error": {"code": 400, "message": "Request payload size exceeds the limit: 20971520 bytes.", "status": "INVALID_ARGUMENT"}}, "TOO_LARGE"),
        (429, {"error": {"code": 429, "message": "Your project has exceeded its monthly spending cap. Please go to AI Studio at https://ai.studio/spend to manage your project spend cap.", "status": "RESOURCE_EXHAUSTED"}}, "PAY_BILL"),
        # gemini-cli#14811
        (429, {"error": {"code": 429, "message": "Resource exhausted. Please try again later. Please refer to https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details.", "status": "RESOURCE_EXHAUSTED"}}, "SLOW_DOWN"),
        # gemini-cli#14603
        (400, {"error": {"code": 400, "message": "You don't have access to this model or the model name is invalid", "status": "INVALID_ARGUMENT"}}, "NO_SUCH_MODEL"),
    ),
    *_rows(
        "siliconflow", "siliconflow",
        # continue#10839
        (403, b'"Model disabled."', "NO_SUCH_MODEL"),
    ),
    *_rows(
        "openrouter", "openrouter",
        # crush#683
        (400, {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "{\"object\":\"error\",\"message\":\"Unexpected role 'tool' after role 'user'\",\"type\":\"invalid_request_message_order\",\"param\":null,\"code\":\"3230\"}", "provider_name": "Mistral"}}}, "BAD_UPSTREAM_REQUEST"),
        # continue#12711
        (403, {"error": {"message": "Provider returned error", "code": 403, "metadata": {"raw": "", "provider_name": "Z.AI"}}}, "PROVIDER_DOWN"),
        (404, {"error": {"message": "No allowed providers are available for the selected model.", "code": 404, "metadata": {"available_providers": ["x"]}}}, "NO_SUCH_MODEL"),
        (404, {"error": {"message": "No endpoints found matching your data policy (Free model publication). Configure: https://openrouter.ai/settings/privacy", "code": 404}}, "NO_SUCH_MODEL"),
    ),
    *_rows(
        "deepseek", "deepseek",
        # doge-code#5
        (400, {"error": {"message": "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", "type": "invalid_request_error", "param": None, "code": "invalid_request_error"}}, "BAD_UPSTREAM_REQUEST"),
        (400, {"error": {"message": "The supported API model names are deepseek-v4-pro, deepseek-v4-flash, but you passed deepseek-chat.", "type": "invalid_request_error", "param": None, "code": None}}, "NO_SUCH_MODEL"),
    ),
    *_rows(
        "zhipu", "zhipu",
        # oh-my-pi#39
        (429, {"error": {"code": "1311", "message": "Your current subscription plan does not yet include access to GLM-5"}, "request_id": "2026"}, "PAY_BILL"),
        # cc-switch#1386
        (429, {"error": {"code": "1311", "message": "当前订阅套餐暂未开放GLM-5权限"}, "request_id": "2026"}, "PAY_BILL"),
        # GLM-5#77
        (429, {"error": {"code": "1313", "message": "Your account's current usage pattern does not comply with the Fair Usage Policy, and your request frequency has been limited. For details, please refer to the Subscription Service Agreement. To restore access, please submit a request."}, "request_id": "2026"}, "SLOW_DOWN"),
        # ccs#402
        (429, {"error": {"code": "1302", "message": "High concurrency usage of this API, please reduce concurrency or contact customer service to increase limits"}, "request_id": "2026"}, "SLOW_DOWN"),
        # dify#5850
        (429, {"error": {"code": "1113", "message": "您的账户已欠费，请充值后重试。"}, "request_id": "2026"}, "PAY_BILL"),
    ),
    *_rows(
        "hunyuan", "hunyuan",
        # lobehub#8244
        (400, {"error": {"id": "75dd", "message": "请求格式有误", "type": "runtime_error", "param": None, "code": "4003"}}, "BAD_UPSTREAM_REQUEST"),
        # OpenManus#894
        (400, {"error": {"id": "3d98", "message": "messages 中 user（tool） 和 assistant 角色需交替出现 (一问一答)，以 user 提问开始， user（tool）提问结束, tool 可以连续出现多次", "type": "invalid_request_error", "param": None, "code": "1001"}}, "BAD_UPSTREAM_REQUEST"),
    ),
    *_rows(
        "qianfan", "qianfan",
        # new-api#737
        (400, {"error": {"message": "parameter check failed, max_completion_tokens range is [2, 4096]", "type": "invalid_request_error", "param": None, "code": "invalid_argument"}}, "BAD_UPSTREAM_REQUEST"),
    ),
    *_rows(
        "volcengine", "volcengine",
        # cline#1426
        (401, {"error": {"message": "The API key or AK/SK in the request is missing or invalid. Request id: 02", "type": "Unauthorized", "param": None, "code": "AuthenticationError"}}, "BAD_KEY"),
        (400, {"error": {"code": "InvalidParameter", "message": "One or more parameters specified in the request are not valid. Request id: 0", "param": "", "type": "BadRequest"}}, "BAD_UPSTREAM_REQUEST"),
    ),
    *_rows(
        "moonshot", "moonshot",
        # Langchain-Chatchat#3767
        (404, {"error": {"message": "not found the model or permission denied", "type": "resource_not_found_error"}}, "NO_SUCH_MODEL"),
    ),
    *_rows(
        "azure", "azure",
        # azure-sql-db-chatbot#3
        (403, {"error": {"code": "403", "message": "Access denied due to Virtual Network/Firewall rules."}}, "PROVIDER_DOWN"),
        # continue#12547
        (403, {"error": {"code": "403", "message": "A Virtual Network is configured for this resource. Please use the correct endpoint for making requests. Check https://aka.ms/cogsvc-vnet for more details."}}, "PROVIDER_DOWN"),
        # sample-app-aoai#1000, browser-use#1295
        (403, {"error": {"code": "AuthenticationTypeDisabled", "message": "Key based authentication is disabled for this resource."}}, "BAD_KEY"),
    ),
    *_rows(
        "openai", "openai",
        # LibreChat#6926
        (400, {"error": {"message": "Your organization must be verified to stream this model. Please go to: https://platform.openai.com/settings/organization/general and click on Verify Organization. If you just verified, it can take up to 15 minutes for access to propagate.", "type": "invalid_request_error", "param": None, "code": "unsupported_value"}}, "BAD_UPSTREAM_REQUEST"),
        # openai-go#565
        (404, {"error": {"message": "Your organization must be verified to use the model `gpt-5`. Please go to: https://platform.openai.com/settings/organization/general and click on Verify Organization. If you just verified, it can take up to 15 minutes for access to propagate.", "type": "invalid_request_error", "param": None, "code": "model_not_found"}}, "NO_SUCH_MODEL"),
        # OpenHands#2562
        (401, {"error": {"message": "You must be a member of an organization to use the API. Please contact us through our help center at help.openai.com.", "type": "invalid_request_error", "param": None, "code": "no_organization"}}, "BAD_KEY"),
    ),
    *_rows(
        "anthropic", "anthropic",
        # claude-code#72457
        (400, {"type": "error", "error": {"type": "invalid_request_error", "message": "This organization has been disabled."}, "request_id": "req_011"}, "BAD_KEY"),
        # anthropic-sdk-python#1700
        (403, {"type": "error", "error": {"type": "permission_error", "message": "This organization has been disabled."}, "request_id": "req_011"}, "BAD_KEY"),
        (400, {"type": "error", "error": {"type": "invalid_request_error", "message": "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."}, "request_id": "req_011"}, "PAY_BILL"),
        (400, {"type": "error", "error": {"type": "invalid_request_error", "message": "Third-party apps now draw from your extra usage, not your plan limits. Add more at claude.ai/settings/usage and keep going."}, "request_id": "req_011"}, "PAY_BILL"),
    ),
]
