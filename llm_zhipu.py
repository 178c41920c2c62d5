"""Zhipu (GLM)."""

from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.web.provider_views import provider_blueprint

ZHIPU = Provider(
    name="zhipu",
    model_types=("saas/zhipu",),
    model_name="glm-4.7",
    base_url="https://open.bigmodel.cn/api/paas/v4",
    dialect=dialect(
        BAD_KEY="401 1000 1001 1002 1003 1004",
        PAY_BILL="1113 1309 1311",  # the last: what its plan lacks
        SLOW_DOWN="1302 1303 1304 1308 1310 1313",
        PROVIDER_BUSY="1305 1312",
        PROVIDER_DOWN="500",
        NO_SUCH_MODEL="1211",
        CONTENT_BLOCKED="1301",
        TOO_LARGE="1261",
    ),
    endpoints=("/embeddings", "/rerank", "/moderations", "/images/generations"),
    elsewhere={"/messages": "/api/anthropic/v1/messages"},
    thinking=(
        ThinkingSwitch(
            models=r"^glm-(4\.[5-9]|[5-9]|\d\d)",
            off={"thinking": {"type": "disabled"}},
            on={"thinking": {"type": "enabled"}},
        ),
    ),
)

zhipu_app = provider_blueprint(ZHIPU)
