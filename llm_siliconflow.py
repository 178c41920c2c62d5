"""SiliconFlow."""

from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.web.provider_views import provider_blueprint

SILICONFLOW = Provider(
    name="siliconflow",
    model_types=("saas/siliconflow",),
    model_name="deepseek-ai/DeepSeek-V4-Flash",
    base_url="https://api.siliconflow.cn/v1",
    dialect=dialect(
        PAY_BILL="30001 30011",
        PROVIDER_BUSY="50505 50508 50603",
        PROVIDER_DOWN="50507 60000",
        NO_SUCH_MODEL="20012 30003",
    ),
    endpoints=("/embeddings", "/rerank", "/images/generations", "/messages"),
    thinking=(
        ThinkingSwitch(models="Instruct|Thinking|Coder|-R1", off={}, on={}),  # they do one of both
        ThinkingSwitch(
            models=r"Qwen3|DeepSeek-V(3\.[12]|4)|GLM-(4\.[5-9]|5)|Kimi-K2\.[56]",
            off={"enable_thinking": False},
            on={"enable_thinking": True},
        ),
    ),
)

siliconflow_app = provider_blueprint(SILICONFLOW)
