"""Volcengine Ark (Doubao)."""

from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.providers.structures import Means
from gateway.web.provider_views import provider_blueprint

VOLCENGINE = Provider(
    name="volcengine",
    model_types=("saas/doubao",),
    model_name="doubao-seed-2-0-lite-260215",
    base_url="https://ark.cn-beijing.volces.com/api/v3",
    dialect=dialect(
        BAD_KEY="AuthenticationError InvalidApiKey MissingHeader",
        # the last one is the owner's own cap; QuotaExceeded is a trial's end or a wait, as it says
        PAY_BILL=(
            "AccountOverdueError OperationDenied.ServiceOverdue InsufficientAccountBalance"
            " InvalidAccountStatus InvalidSubscription Forbidden.InvalidSubscription"
            " SetLimitExceeded"
        ),
        SLOW_DOWN=(
            "RateLimitExceeded* AccountRateLimitExceeded ModelAccount* APIAccount*"
            " InflightBatchsizeExceeded QuotaExceeded.AgentPlan*"
        ),
        PROVIDER_BUSY="ServerOverloaded RequestBurstTooFast",
        # the second: its own filter failed
        PROVIDER_DOWN="InternalServiceError ContentSecurityDetectionError",
        NO_SUCH_MODEL=(
            "InvalidEndpointOrModel* InvalidEndpoint* ModelAccessDenied ModelNotOpen"
            " UnsupportedModel OperationDenied.ServiceNotOpen"
        ),
        CONTENT_BLOCKED="SensitiveContentDetected* ContentFilter",
        TOO_LARGE="OutofContextError RequestTooLarge RequestBodyTooLarge",
    ),
    endpoints=("/embeddings", "/responses", "/images/generations"),
    thinking=(
        ThinkingSwitch(
            models=r"^doubao-seed-\d(?!.*thinking)",
            off={"thinking": {"type": "disabled"}},
            on={"thinking": {"type": "enabled"}},
        ),
    ),
    means=Means.JSON_SCHEMA,
)

volcengine_app = provider_blueprint(VOLCENGINE)
