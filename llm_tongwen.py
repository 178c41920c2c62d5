"""Tongyi Qianwen (DashScope's OpenAI-compatible endpoint)."""

from gateway.errors import Code
from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.web.provider_views import provider_blueprint

TONGWEN = Provider(
    name="tongwen",
    model_types=("saas/qianwen",),
    model_name="qwen3.7-plus",
    base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
    dialect=dialect(
        words={
            r"free allocated quota exceeded": Code.PAY_BILL,
            r"exceeded your current quota": Code.SLOW_DOWN,  # tokens per minute, here
        },
        BAD_KEY="invalid_api_key InvalidApiKey",
        PAY_BILL=(
            "Arrearage AllocationQuota.FreeTierOnly AccessDenied.Unpurchased PrepaidBillOverdue"
            " PostpaidBillOverdue CommodityNotPurchased"
        ),
        SLOW_DOWN="Throttling* limit_requests limit_burst_rate insufficient_quota",
        PROVIDER_BUSY="ModelServingError ModelUnavailable",
        PROVIDER_DOWN="InternalError* RequestTimeOut",
        BAD_UPSTREAM_REQUEST="InternalError.Algo.InvalidParameter",
        NO_SUCH_MODEL="model_not_found ModelNotFound",
        CONTENT_BLOCKED="data_inspection_failed DataInspectionFailed CustomRoleBlocked",
    ),
    endpoints=("/embeddings", "/completions", "/responses"),
    elsewhere={
        "/messages": "/apps/anthropic/v1/messages",
        "/rerank": "/compatible-api/v1/reranks",
    },
    thinking=(
        ThinkingSwitch(models="thinking|^qwq", off={}, on={}),  # they do nothing else
        # open Qwen3 models answer in one piece only without thoughts
        ThinkingSwitch(off={"enable_thinking": False}, on={"enable_thinking": True}),
    ),
)

tongwen_app = provider_blueprint(TONGWEN)
