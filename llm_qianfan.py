"""Baidu Qianfan (ERNIE), version 2 of its API."""

from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.providers.structures import Means
from gateway.web.provider_views import provider_blueprint

QIANFAN = Provider(
    name="qianfan",
    model_types=("saas/qianfan",),
    model_name="ernie-5.1",
    base_url="https://qianfan.baidubce.com/v2",
    dialect=dialect(
        BAD_KEY="invalid_iam_token invalid_appid",
        PAY_BILL="account_overdue BILLING_INSUFFICIENT_BALANCE",
        PROVIDER_BUSY="cluster_*",  # its machines are full, not our share; the type is as below
        SLOW_DOWN="rate_limit_exceeded rpm_rate_limit_exceeded tpm_rate_limit_exceeded",
        PROVIDER_DOWN="internal_error dispatch_internal_error",
        NO_SUCH_MODEL="invalid_model",  # a 401, and the key is right
        CONTENT_BLOCKED="unsafe_request",
        TOO_LARGE="tokens_too_long characters_too_long",
        BAD_UPSTREAM_REQUEST="no_parameter_permission",  # a 401, too
    ),
    endpoints=("/embeddings", "/rerank", "/images/generations"),
    thinking=(
        ThinkingSwitch(
            models=r"^ernie-.*thinking|^qwen3(?!.*(thinking|instruct))",
            off={"enable_thinking": False},
            on={"enable_thinking": True},
        ),
        ThinkingSwitch(
            models=r"^(deepseek-v(3\.[12]|4)|glm-(4\.[5-9]|5)|kimi-k2\.[56])",
            off={"thinking": {"type": "disabled"}},
            on={"thinking": {"type": "enabled"}},
        ),
    ),
    means=Means.JSON_SCHEMA,
)

qianfan_app = provider_blueprint(QIANFAN)
