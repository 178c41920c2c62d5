"""How the providers of China say no.

Facts: the providers' documentation, and threads in public trackers, named beside the bytes seen in
them. "(words by the docs)": the shape and the code were seen, the sentence is the
documentation's.
"""
# A row is a line, so that it can be found and compared: long lines are the price.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

from typing import Any

from tests.unit.rows import Row, bare, flat, native, std


def _deepseek(status: int, message: str, code: str, kind: str = "invalid_request_error") -> Row:
    # Its `code` is nearly always invalid_request_error: only the status and the words tell.
    return Row("deepseek", "openai", status, std(message, kind, "invalid_request_error"), code, message[:20])


DEEPSEEK = [
    _deepseek(402, "Insufficient Balance", "PAY_BILL", "unknown_error"),  # danilofalcao/jarvis#62
    _deepseek(400, "Content Exists Risk", "CONTENT_BLOCKED"),  # 666ghj/BettaFish#108
    # deepseek-ai/DeepSeek-V2#30
    Row("deepseek", "openai", 400, {"detail": "Content Exists Risk"}, "CONTENT_BLOCKED", "Content Exists Risk"),
    _deepseek(400, "Model Not Exist", "NO_SUCH_MODEL"),  # ConardLi/easy-dataset#9
    # decolua/9router#773
    _deepseek(400, "The `reasoning_content` in the thinking mode must be passed back to the API.", "BAD_UPSTREAM_REQUEST"),
    # decolua/9router#773
    _deepseek(400, "Failed to deserialize the JSON body into the target type: messages[1].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`, `latest_reminder` at line 1 column 51036", "BAD_UPSTREAM_REQUEST"),
    # esengine/DeepSeek-Reasonix#1906
    _deepseek(400, "Failed to parse the request body as JSON: messages[158].content: unexpected end of hex escape at line 1 column 350781", "BAD_UPSTREAM_REQUEST"),
    _deepseek(400, "deepseek-reasoner does not support Function Calling", "BAD_UPSTREAM_REQUEST"),
    _deepseek(400, "This model's maximum context length is 131072 tokens. However, you requested 140531 tokens (132339 in the messages, 8192 in the completion). Please reduce the length of the messages or completion.", "TOO_LARGE"),
    _deepseek(401, "Authentication Fails, Your api key: ****abcd is invalid", "BAD_KEY", "authentication_error"),
    _deepseek(401, "Authentication Fails (governor)", "BAD_KEY", "authentication_error"),
    _deepseek(422, "Failed to deserialize the JSON body into the target type: temperature: invalid type: string \"0.7\", expected f32 at line 1 column 97", "BAD_UPSTREAM_REQUEST"),
    # (words by the docs)
    _deepseek(429, "Too many concurrent requests, please retry later", "SLOW_DOWN", "rate_limit_error"),
    _deepseek(503, "Service is too busy. We advise users to temporarily switch to alternative LLM API service providers.", "PROVIDER_BUSY", "service_unavailable_error"),
    _deepseek(500, "Internal Server Error", "PROVIDER_DOWN", "internal_server_error"),
    # as relays pass it on: OpenCSGs/csghub-server#1369
    _deepseek(200, "Insufficient Balance", "PAY_BILL", "unknown_error"),
]

_AK = "org-446a70bb2cc542e3960c0b7f05e4e0e1 <ak-f817m9q3k3wi11gjwbgi>"


def _moonshot(status: int, kind: str, message: str, code: str) -> Row:
    return Row("moonshot", "openai", status, bare(message, kind), code, message[-20:])


MOONSHOT = [
    # One status, three meanings.
    # MoonshotAI/kimi-code#1857
    _moonshot(429, "exceeded_current_quota_error", f"Your account {_AK} is suspended due to insufficient balance, please recharge your account or check your plan and billing details", "PAY_BILL"),
    _moonshot(429, "exceeded_current_quota_error", "You exceeded your current token quota: 1000000, please check your account balance", "PAY_BILL"),
    # MoonshotAI/Kimi-K2#5
    _moonshot(403, "exceeded_current_quota_error", f"Your account {_AK} is not active, organization <org-446a70bb> exceeded current quota, please check your plan and billing details", "PAY_BILL"),
    # harry0703/MoneyPrinterTurbo#339
    _moonshot(429, "rate_limit_reached_error", f"Your account {_AK} request reached max request: 3, please try again after 1 seconds", "SLOW_DOWN"),
    _moonshot(429, "rate_limit_reached_error", f"Your account {_AK} request reached organization TPD rate limit, current: 1500231, limit: 1500000", "SLOW_DOWN"),
    _moonshot(429, "rate_limit_reached_error", f"Your account {_AK} request reached organization max concurrency: 1, please try again after 1 seconds", "SLOW_DOWN"),
    # MoonshotAI/MoonshotAI-Cookbook#16
    _moonshot(429, "engine_overloaded_error", "The engine is currently overloaded, please try again later", "PROVIDER_BUSY"),
    _moonshot(404, "resource_not_found_error", "Not found the model kimi-k9 or Permission denied", "NO_SUCH_MODEL"),
    # Conway-Research/automaton#69
    _moonshot(401, "invalid_authentication_error", "Invalid Authentication", "BAD_KEY"),
    _moonshot(401, "incorrect_api_key_error", "Incorrect API key provided", "BAD_KEY"),
    _moonshot(400, "content_filter", "The request was rejected because it was considered high risk", "CONTENT_BLOCKED"),
    # MoonshotAI/kimi-cli#2011
    _moonshot(400, "invalid_request_error", "Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)", "TOO_LARGE"),
    _moonshot(400, "invalid_request_error", "Input token length too long", "TOO_LARGE"),
    # Bike4Mind/bike4mind#1089
    _moonshot(400, "invalid_request_error", "invalid temperature: only 1 is allowed for this model", "BAD_UPSTREAM_REQUEST"),
    _moonshot(400, "invalid_request_error", "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2", "BAD_UPSTREAM_REQUEST"),
    _moonshot(500, "server_error", "Internal server error", "PROVIDER_DOWN"),
    # The coding plan.
    # NanmiCoder/cc-haha#1208
    Row("moonshot", "openai", 403, {"error": {"type": "permission_error", "message": "You've reached your usage limit for this billing cycle. Your quota will be refreshed in the next cycle. To continue now, purchase extra usage or upgrade your plan: https://www.kimi.com/code/#pricing"}, "type": "error"}, "PAY_BILL", "billing cycle"),
    # can1357/oh-my-pi#11827
    _moonshot(403, "access_terminated_error", "You've reached your monthly usage limit for this billing cycle", "PAY_BILL"),
    _moonshot(402, "invalid_request_error", "We're unable to verify your membership benefits at this time. Please ensure your membership is active.", "PAY_BILL"),
    _moonshot(429, "rate_limit_reached_error", "You've reached your usage limit for this period. Your quota will be refreshed in the next period.", "SLOW_DOWN"),
    _moonshot(403, "access_terminated_error", "Kimi For Coding is currently only available for Coding Agents such as Kimi CLI, Claude Code, Roo Code, Kilo Code, etc.", "PROVIDER_DOWN"),
]

_ARK_ID = " Request id: 02175807918128087536ccb70d6c1a12319f6b583ee3463218d67"


def _ark(status: int, name: str, kind: str, message: str, code: str) -> Row:
    body = {"error": {"code": name, "message": message + _ARK_ID, "param": "", "type": kind}}
    return Row("volcengine", "openai", status, body, code, message[:24])


VOLCENGINE = [
    # coze-dev/coze-studio#2195
    _ark(403, "AccountOverdueError", "Forbidden", "The request failed because your account has an overdue balance.", "PAY_BILL"),
    _ark(403, "OperationDenied.ServiceOverdue", "Forbidden", "The request failed because your service is overdue.", "PAY_BILL"),
    _ark(403, "InsufficientAccountBalance", "Forbidden", "The request failed because your account has insufficient balance.", "PAY_BILL"),
    # volcengine/MineContext#328
    _ark(429, "SetLimitExceeded", "TooManyRequests", "Your account [2100334555] has reached the set inference limit for the [doubao-seed-1-6-flash] model, and the model service has been paused. To continue using this model, please visit the Model Activation page to adjust or close the \"Safe Experience Mode\".", "PAY_BILL"),
    _ark(429, "QuotaExceeded", "TooManyRequests", "Your account has used up the free trial quota of the model doubao-seed-1-6.", "PAY_BILL"),
    _ark(429, "QuotaExceeded", "TooManyRequests", "您的账号对该模型的免费试用额度已用完。", "PAY_BILL"),
    # steipete/CodexBar#2610
    _ark(400, "InvalidSubscription", "BadRequest", "Your account does not have a valid CodingPlan subscription, or your subscription has expired.", "PAY_BILL"),
    _ark(429, "QuotaExceeded", "TooManyRequests", "You have exceeded the 5-hour usage quota. It will reset at 2026-11-26 18:05:12 +0800 CST.", "SLOW_DOWN"),
    _ark(429, "QuotaExceeded", "TooManyRequests", "You have exceeded the weekly usage quota. It will reset at 2026-11-30 00:00:00 +0800 CST.", "SLOW_DOWN"),
    _ark(429, "RateLimitExceeded.EndpointRPMExceeded", "TooManyRequests", "The Requests Per Minute (RPM) limit of the associated endpoint for your account has been exceeded.", "SLOW_DOWN"),
    _ark(429, "RateLimitExceeded.FoundationModelTPMExceeded", "TooManyRequests", "The Tokens Per Minute (TPM) limit of the associated foundation model for your account has been exceeded.", "SLOW_DOWN"),
    _ark(429, "ModelAccountTpmRateLimitExceeded", "TooManyRequests", "The request was rejected because it exceeded the account TPM limit of the model.", "SLOW_DOWN"),
    _ark(429, "AccountRateLimitExceeded", "TooManyRequests", "The request exceeded the rate limit of the account.", "SLOW_DOWN"),
    _ark(429, "InflightBatchsizeExceeded", "TooManyRequests", "The number of requests in flight exceeded the limit of the account.", "SLOW_DOWN"),
    _ark(429, "ServerOverloaded", "TooManyRequests", "The service is currently unable to handle additional requests due to server overload.", "PROVIDER_BUSY"),
    _ark(429, "RequestBurstTooFast", "TooManyRequests", "The requests grew too suddenly for the system.", "PROVIDER_BUSY"),
    # cloudwego/eino#107
    _ark(404, "InvalidEndpointOrModel.NotFound", "NotFound", "The model or endpoint doubao-1.5-pro-32k does not exist or you do not have access to it.", "NO_SUCH_MODEL"),
    # nicepkg/aide#80
    _ark(404, "InvalidEndpoint.NotFound", "NotFound", "The request targeted an endpoint that does not exist or is invalid.", "NO_SUCH_MODEL"),
    _ark(404, "InvalidEndpointOrModel.ModelIDAccessDisabled", "NotFound", "The request failed because access by model ID is disabled for your account.", "NO_SUCH_MODEL"),
    _ark(404, "ModelNotOpen", "NotFound", "Your account 2100334555 has not activated the model doubao-seed-1-6. Please activate the model service in the Ark Console.", "NO_SUCH_MODEL"),
    _ark(404, "UnsupportedModel", "BadRequest", "The requested model doubao-seed-1-6 does not support the coding plan feature.", "NO_SUCH_MODEL"),
    _ark(400, "InvalidEndpoint.ClosedEndpoint", "BadRequest", "The request targeted an endpoint that is currently closed or temporarily unavailable.", "NO_SUCH_MODEL"),
    _ark(401, "AuthenticationError", "Unauthorized", "The API key in the request is missing or invalid.", "BAD_KEY"),
    _ark(401, "MissingHeader", "Unauthorized", "The Authorization header is missing.", "BAD_KEY"),
    _ark(400, "InputTextSensitiveContentDetected", "BadRequest", "The request failed because the input text may contain sensitive information.", "CONTENT_BLOCKED"),
    _ark(400, "OutputTextSensitiveContentDetected.PolicyViolation", "BadRequest", "The request failed because the output text may be related to copyright restrictions.", "CONTENT_BLOCKED"),
    _ark(400, "SensitiveContentDetected.SevereViolation", "BadRequest", "The request failed because the input text may contain severe violation information.", "CONTENT_BLOCKED"),
    _ark(400, "InputTextRiskDetection", "BadRequest", "The request failed because the input text was found risky.", "CONTENT_BLOCKED"),
    _ark(400, "ContentFilter", "BadRequest", "The request was refused.", "CONTENT_BLOCKED"),
    # its checker failed, the text is not to blame
    _ark(400, "ContentSecurityDetectionError", "BadRequest", "The request failed because the content check could not be done.", "PROVIDER_DOWN"),
    _ark(400, "OutofContextError", "BadRequest", "The request failed.", "TOO_LARGE"),
    _ark(400, "InvalidParameter", "BadRequest", "Total tokens of image and text exceed max message tokens.", "TOO_LARGE"),
    _ark(413, "RequestBodyTooLarge", "RequestEntityTooLarge", "The body is larger than the limit.", "TOO_LARGE"),
    _ark(400, "MissingParameter", "BadRequest", "The request failed because it is missing `messages` parameter.", "BAD_UPSTREAM_REQUEST"),
    _ark(400, "InvalidParameter", "BadRequest", "The parameter `temperature` specified in the request is not valid: expected a value <= 2, but got `3` instead.", "BAD_UPSTREAM_REQUEST"),
    _ark(400, "InvalidParameter.quota_tag", "BadRequest", "The parameter `quota_tag` specified in the request is not valid.", "BAD_UPSTREAM_REQUEST"),
    _ark(500, "InternalServiceError", "InternalServerError", "The service encountered an unexpected internal error.", "PROVIDER_DOWN"),
]


def _qianfan(status: int, name: str, kind: str, message: str, code: str) -> Row:
    return Row("qianfan", "openai", status, {"error": {"code": name, "message": message, "type": kind}, "id": "as-wbx23eriqh"}, code, message)


QIANFAN = [
    _qianfan(401, "invalid_iam_token", "invalid_request_error", "IAM Certification failed", "BAD_KEY"),
    _qianfan(401, "invalid_appid", "invalid_request_error", "No permission to use the appid", "BAD_KEY"),
    _qianfan(403, "account_overdue", "access_denied", "Your account is overdue", "PAY_BILL"),
    # a 401, and the key is right
    _qianfan(401, "invalid_model", "invalid_request_error", "No permission to use the model", "NO_SUCH_MODEL"),
    _qianfan(400, "invalid_model", "invalid_request_error", "model is empty", "NO_SUCH_MODEL"),
    # PaddlePaddle/ERNIE#1031
    _qianfan(429, "rpm_rate_limit_exceeded", "rate_limit_exceeded", "Rate limit reached for RPM", "SLOW_DOWN"),
    _qianfan(429, "input_tpm_rate_limit_exceeded", "rate_limit_exceeded", "Rate limit reached for input TPM", "SLOW_DOWN"),
    _qianfan(429, "preemptible_rate_limit_exceeded", "rate_limit_exceeded", "Rate limit reached for preemptible resource", "SLOW_DOWN"),
    # Their whole cluster is full, not our share; the type is the same as above.
    _qianfan(429, "cluster_rate_limit_exceeded", "rate_limit_exceeded", "Rate limit reached for cluster", "PROVIDER_BUSY"),
    _qianfan(429, "cluster_rpm_rate_limit_exceeded", "rate_limit_exceeded", "Rate limit reached for cluster RPM", "PROVIDER_BUSY"),
    _qianfan(403, "system_unsafe", "unsafe_request", "the content of system is unsafe", "CONTENT_BLOCKED"),
    _qianfan(400, "user_setting_unsafe", "unsafe_request", "the content of user setting is unsafe", "CONTENT_BLOCKED"),
    _qianfan(400, "tokens_too_long", "invalid_request_error", "Prompt tokens too long", "TOO_LARGE"),
    _qianfan(400, "characters_too_long", "invalid_request_error", "Prompt characters too long", "TOO_LARGE"),
    _qianfan(400, "invalid_messages", "invalid_request_error", "the length of messages must be an odd number", "BAD_UPSTREAM_REQUEST"),
    _qianfan(400, "malformed_json", "invalid_request_error", "Invalid JSON", "BAD_UPSTREAM_REQUEST"),
    _qianfan(405, "method_not_supported", "invalid_request_error", "Only POST requests are accepted", "BAD_UPSTREAM_REQUEST"),
    _qianfan(500, "dispatch_internal_error", "internal_error", "Internal error", "PROVIDER_DOWN"),
    Row("qianfan", "openai", 200, flat("rpm_rate_limit_exceeded", "Rate limit reached for RPM"), "SLOW_DOWN", "RPM"),
    Row("qianfan", "openai", 429, flat("BILLING_INSUFFICIENT_BALANCE", "insufficient balance"), "PAY_BILL", "insufficient balance"),
    # a 401, and the key is right (words by the docs)
    Row("qianfan", "qianfan", 401, {"error": {"code": "no_parameter_permission", "message": "No permission to use the parameter", "type": "invalid_request_error"}, "id": "as-wbx23eriqh"}, "BAD_UPSTREAM_REQUEST", "the parameter"),
    # binary-husky/gpt_academic#2162
    Row("qianfan", "openai", 200, {"error_code": 110, "error_msg": "Access token invalid or no longer valid"}, "BAD_KEY", "no longer valid"),
]


def _tokenhub(status: int, kind: str, name: str, message: str, code: str, source: str = "gateway") -> Row:
    error = {"type": kind, "code": name, "message": message, "source": source, "upstream_code": None, "upstream_status": None, "request_id": "8f1c"}
    return Row("tokenhub", "openai", status, {"error": error}, code, message)


def _hunyuan(status: int, name: str, message: str, code: str) -> Row:
    return Row("hunyuan", "openai", status, std(message, "runtime_error", name), code, message)


TENCENT = [
    _tokenhub(401, "authentication_error", "401002", "invalid api key", "BAD_KEY", "client"),
    _tokenhub(402, "permission_error", "401007", "account unavailable", "PAY_BILL", "client"),
    _tokenhub(402, "permission_error", "403004", "FREE_QUOTA_EXHAUSTED", "PAY_BILL", "client"),
    _tokenhub(429, "rate_limit_error", "429001", "rate limit exceeded, dimension: rpm", "SLOW_DOWN"),
    _tokenhub(451, "content_filter_error", "451001", "content blocked", "CONTENT_BLOCKED"),
    _tokenhub(502, "upstream_error", "502001", "upstream service error", "PROVIDER_DOWN", "upstream"),
    _tokenhub(503, "upstream_error", "503001", "upstream service unavailable", "PROVIDER_BUSY", "upstream"),
    _tokenhub(400, "invalid_request_error", "400001", "invalid parameter: temperature", "BAD_UPSTREAM_REQUEST", "client"),
    # (words by the docs; the old platform cut what was too long from the front, and said nothing)
    _tokenhub(400, "invalid_request_error", "400001", "the input exceeds the maximum context length of the model", "TOO_LARGE", "client"),
    Row("tokenhub", "hunyuan", 400, {"error": {"type": "invalid_request_error", "code": "400004", "message": "hy0 cannot be called", "source": "client"}}, "NO_SUCH_MODEL", "hy0"),
    # a model that was not opened in the console (cloud.tencent.com/developer/article/2779936)
    _tokenhub(402, "permission_error", "401008", "the service is not enabled", "PAY_BILL", "client"),
    _hunyuan(401, "invalid_api_key", "Incorrect API key provided. You can find your API key at https://console.cloud.tencent.com/hunyuan/api-key", "BAD_KEY"),
    _hunyuan(400, "FailedOperation.ResourcePackExhausted", "资源包余量已用尽，请购买资源包或开通后付费。", "PAY_BILL"),
    _hunyuan(429, "FailedOperation.FreeResourcePackExhausted", "免费资源包余量已用尽，请购买资源包或开通后付费。", "PAY_BILL"),
    _hunyuan(400, "ResourceUnavailable.InArrears", "账号已欠费。", "PAY_BILL"),
    _hunyuan(400, "ResourceInsufficient.ChargeResourceExhaust", "计费资源已耗尽。", "PAY_BILL"),
    # TencentCloud/tencentcloud-sdk-nodejs#126
    _hunyuan(400, "UnsupportedOperation.PkgExhausted", "The resource pack allowance has been exhausted, please check your resource pack.", "PAY_BILL"),
    _hunyuan(429, "RequestLimitExceeded", "请求的次数超过了频率限制。", "SLOW_DOWN"),
    _hunyuan(429, "LimitExceeded", "请求限频，请稍后重试。", "SLOW_DOWN"),
    _hunyuan(400, "OperationDenied.TextIllegalDetected", "文本内容包含违法违规信息。", "CONTENT_BLOCKED"),
    _hunyuan(500, "FailedOperation.EngineRequestTimeout", "引擎请求超时，请稍后重试。", "PROVIDER_DOWN"),
    _hunyuan(500, "InternalError", "内部错误。", "PROVIDER_DOWN"),
]


def _minimax(number: int, message: str, code: str, **beside: Any) -> Row:
    body = {"id": "", "choices": None, "created": 0, "model": "", "object": "", **beside, "usage": None, "base_resp": {"status_code": number, "status_msg": message}}
    return Row("minimax", "openai", 200, body, code, message)


MINIMAX = [
    _minimax(1008, "insufficient balance", "PAY_BILL"),
    _minimax(2049, "invalid api key", "BAD_KEY"),  # MiniMax-AI/MiniMax-01#37
    _minimax(1004, "login fail: Please carry the API secret key in the 'Authorization' field of the request header", "BAD_KEY"),
    _minimax(1002, "rate limit exceeded", "SLOW_DOWN"),
    _minimax(2045, "rate growth limit", "SLOW_DOWN"),
    _minimax(1026, "input new_sensitive", "CONTENT_BLOCKED", input_sensitive=True, input_sensitive_type=1),
    _minimax(1027, "output new_sensitive", "CONTENT_BLOCKED", output_sensitive=True, output_sensitive_type=1),
    _minimax(1000, "unknown error", "PROVIDER_DOWN", input_sensitive=False, output_sensitive=False),
    _minimax(1001, "request timeout", "PROVIDER_DOWN"),
    _minimax(1013, "internal service error", "PROVIDER_DOWN"),
    # MiniMax-AI/MiniMax-01#37
    Row("minimax", "openai", 200, {"base_resp": {"status_code": 2049, "status_msg": "invalid api key"}}, "BAD_KEY", "invalid api key"),
    # MiniMax-AI/MiniMax-M2#62
    Row("minimax", "openai", 500, native("api_error", "insufficient balance (1008)"), "PAY_BILL", "(1008)"),
    # modelscope/modelscope#1691
    Row("minimax", "openai", 429, {"error": {"http_code": "429", "message": "insufficient balance (1008)", "type": "insufficient_balance_error"}, "request_id": "0614"}, "PAY_BILL", "(1008)"),
    # MiniMax-AI/MiniMax-M3#11
    Row("minimax", "openai", 500, native("api_error", "input new_sensitive, messages[13]'s content[2] image is sensitive, please check your input (1026)"), "CONTENT_BLOCKED", "(1026)"),
    Row("minimax", "openai", 400, native("bad_request_error", "invalid params, unknown model 'minimax-m9' (2013)"), "NO_SUCH_MODEL", "minimax-m9"),
    Row("minimax", "openai", 400, native("bad_request_error", "invalid params, context window exceeds limit (2013)"), "TOO_LARGE", "context window"),
    Row("minimax", "openai", 400, native("bad_request_error", "invalid params, thinking.type: allowed values are adaptive, disabled (2013)"), "BAD_UPSTREAM_REQUEST", "thinking.type"),
    Row("minimax", "openai", 429, native("rate_limit_error", "your current token plan not support model, MiniMax-M2.7-highspeed (2061)"), "PAY_BILL", "(2061)"),
    Row("minimax", "openai", 401, native("authorized_error", "invalid api key (2049)"), "BAD_KEY", "(2049)"),
    # the number alone tells
    Row("minimax", "minimax", 500, native("api_error", "refused (1008)"), "PAY_BILL", "(1008)"),
    Row("minimax", "minimax", 429, native("rate_limit_error", "usage limit exceeded, resets at 2026-11-27 05:00 (2056)"), "SLOW_DOWN", "(2056)"),
    Row("minimax", "minimax", 500, native("api_error", "try again (1033)"), "PROVIDER_BUSY", "(1033)"),
    # anomalyco/opencode#9038
    Row("minimax", "openai", 520, native("api_error", "unknown error, 520 (1000)"), "PROVIDER_DOWN", "(1000)"),
    Row("minimax", "openai", 529, native("overloaded_error", "The server cluster is currently under high load. Please retry after a short wait (2064)"), "PROVIDER_BUSY", "(2064)"),
]


def _siliconflow(status: int, number: int, message: str, code: str) -> Row:
    return Row("siliconflow", "openai", status, flat(number, message, data=None), code, message)


SILICONFLOW = [
    _siliconflow(403, 30001, "Sorry, your account balance is insufficient", "PAY_BILL"),
    _siliconflow(402, 30001, "Sorry, your account balance is insufficient", "PAY_BILL"),
    _siliconflow(200, 30001, "Sorry, your account balance is insufficient", "PAY_BILL"),
    # FoundationAgents/OpenManus#438
    _siliconflow(403, 30011, "The selected model requires paid balance. Your paid balance is insufficient. Please top up and try again.", "PAY_BILL"),
    # coze-dev/coze-studio#801
    _siliconflow(503, 50508, "System is too busy now. Please try again later.", "PROVIDER_BUSY"),
    _siliconflow(400, 20012, "Model does not exist. Please check it carefully.", "NO_SUCH_MODEL"),
    _siliconflow(403, 30003, "Model disabled.", "NO_SUCH_MODEL"),
    _siliconflow(429, 50603, "System is too busy now. Please try again later.", "PROVIDER_BUSY"),
    _siliconflow(503, 50505, "Model service overloaded. Please try again later.", "PROVIDER_BUSY"),
    _siliconflow(500, 50507, "Unknown error.", "PROVIDER_DOWN"),
    _siliconflow(500, 60000, "Unknown error.", "PROVIDER_DOWN"),
    _siliconflow(400, 20015, "length of prompt_tokens (40213) must be less than max_seq_len (32768).", "TOO_LARGE"),
    _siliconflow(400, 20015, "The parameter is invalid. Please check again.", "BAD_UPSTREAM_REQUEST"),
    _siliconflow(400, 20024, "Json mode is not supported for this model.", "BAD_UPSTREAM_REQUEST"),
    # AIDotNet/OpenDeepWiki#269
    Row("siliconflow", "openai", 429, {"message": "Request was rejected due to rate limiting. Details: TPM limit reached.", "data": None}, "SLOW_DOWN", "TPM limit reached"),
    # jxq1997216/AITranslator#32
    Row("siliconflow", "openai", 429, {"message": "Request was rejected due to rate limiting. Details: RPH limit reached.", "data": None}, "SLOW_DOWN", "RPH limit reached"),
    # no code of its own is known (?)
    Row("siliconflow", "openai", 451, flat(20015, "The request was refused.", data=None), "CONTENT_BLOCKED", "was refused"),
    # EatWorld/UmiOCR-AI-OCR-Plugin#39
    _siliconflow(400, 20015, "Value error, current model does not support parameter `enable_thinking`.", "BAD_UPSTREAM_REQUEST"),
    Row("siliconflow", "openai", 401, b'"Invalid token"', "BAD_KEY", "Invalid token"),
    Row("siliconflow", "openai", 401, b'"Api key is invalid"', "BAD_KEY", "Api key is invalid"),
    Row("siliconflow", "openai", 404, b'"404 page not found"', "BAD_UPSTREAM_REQUEST", "404 page not found"),
]

STEPFUN = [
    Row("stepfun", "openai", 401, bare("Incorrect API key provided", "invalid_api_key"), "BAD_KEY", "Incorrect API key"),
    Row("stepfun", "openai", 402, bare("You exceeded your current quota, please check your plan and billing details", "quota_exceeded"), "PAY_BILL", "current quota"),
    Row("stepfun", "openai", 429, bare("Rate limit reached, please try again later", "rate_limit_exceeded"), "SLOW_DOWN", "Rate limit"),
    Row("stepfun", "openai", 451, bare("The content you provided or machine outputted is blocked.", "censorship_blocked"), "CONTENT_BLOCKED", "is blocked"),
    Row("stepfun", "openai", 400, bare("model step-0 does not exist", "invalid_request_error"), "NO_SUCH_MODEL", "step-0"),
    Row("stepfun", "openai", 400, bare("messages must not be empty", "invalid_request_error"), "BAD_UPSTREAM_REQUEST", "must not be empty"),
    Row("stepfun", "openai", 404, b"404 page not found", "BAD_UPSTREAM_REQUEST", "404 page not found"),
    Row("stepfun", "openai", 503, bare("The engine is currently overloaded, please try again later", "engine_overloaded"), "PROVIDER_BUSY", "overloaded"),
    Row("stepfun", "openai", 500, bare("internal error", "server_error"), "PROVIDER_DOWN", "internal error"),
]


def _spark(number: int, message: str, code: str) -> Row:
    return Row("spark", "openai", 200, flat(number, message, sid="cht000b806d@dx190d9c418f5b808560"), code, message)


SPARK = [
    # CCLMSY/nonebot-plugin-sparkapi#8
    _spark(11200, "AppIdNoAuthError:(17:27:05.718) tokens.total", "PAY_BILL"),
    # binary-husky/gpt_academic#1230
    Row("spark", "openai", 403, {"error": {"message": "AppIdNoAuthError:(12:17:04.432) tokens.total", "type": "api_error", "param": None, "code": "11200"}, "sid": "cht000b5e72@dx18b988c77afb81b540"}, "PAY_BILL", "tokens.total"),
    _spark(11202, "AppIdQpsOverFlowError:(09:01:44.112) qps", "SLOW_DOWN"),
    # (Words by the docs.)
    _spark(10007, "用户流量受限：服务正在处理用户当前的问题，需等待处理完成后再发送新的请求。", "SLOW_DOWN"),
    _spark(10008, "服务容量不足，联系工作人员", "PROVIDER_BUSY"),
    _spark(10110, "服务忙，请稍后再试。", "PROVIDER_BUSY"),
    _spark(10013, "输入内容审核不通过，涉嫌违规，请重新调整输入内容", "CONTENT_BLOCKED"),
    _spark(10014, "输出内容涉及敏感信息，审核不通过，后续结果无法展示给用户", "CONTENT_BLOCKED"),
    _spark(10907, "token数量超过上限。对话历史+问题的字数太多，需要精简输入。", "TOO_LARGE"),
    _spark(10012, "EngineInternalError:(11:20:01.004) engine", "PROVIDER_DOWN"),
    # A gateway of its own stands before it.
    Row("spark", "openai", 401, {"message": "Unauthorized"}, "BAD_KEY", "Unauthorized"),
    Row("spark", "openai", 401, {"message": "HMAC signature does not match"}, "BAD_KEY", "HMAC"),
    # dongrixinyu/JioNLP#5
    Row("spark", "openai", 403, {"message": "HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication"}, "BAD_KEY", "HMAC"),
]

MODELSCOPE = [
    # WuMingDao/zenith-image-generator#51
    Row("modelscope", "openai", 401, {"errors": {"message": "Authentication failed, please make sure that a valid ModelScope token is supplied."}, "request_id": "8f1c"}, "BAD_KEY", "ModelScope token"),
    Row("modelscope", "openai", 400, {"errors": {"message": "Model id : foo/bar , has no provider supported"}, "request_id": "8f1c"}, "NO_SUCH_MODEL", "has no provider supported"),
    Row("modelscope", "openai", 429, {"error": {"message": "Model id : foo/bar , has no provider supported"}}, "NO_SUCH_MODEL", "has no provider supported"),
    Row("modelscope", "openai", 429, {"errors": {"message": "Request limit exceeded."}, "request_id": "8f1c"}, "SLOW_DOWN", "limit exceeded"),
]

CHINA = [*DEEPSEEK, *MOONSHOT, *VOLCENGINE, *QIANFAN, *TENCENT, *MINIMAX, *SILICONFLOW, *STEPFUN, *SPARK, *MODELSCOPE]
