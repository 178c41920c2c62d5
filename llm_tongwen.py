"""Tongyi Qianwen (DashScope's OpenAI-compatible endpoint)."""

from gateway.providers import dialects
from gateway.providers.provider import Provider
from gateway.web.provider_views import provider_blueprint

TONGWEN = Provider(
    name="tongwen",
    model_types=("saas/qianwen",),
    model_name="qwen3.7-plus",
    base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
    dialect=dialects.DASHSCOPE,
    endpoints=("/embeddings", "/completions"),
)

tongwen_app = provider_blueprint(TONGWEN)
