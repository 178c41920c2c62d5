"""Tongyi Qianwen (DashScope's OpenAI-compatible endpoint)."""

from gateway import dialects
from gateway.provider import Provider

TONGWEN = Provider(
    name="tongwen",
    model_types=("saas/qianwen",),
    model_name="qwen3.7-plus",
    base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
    dialect=dialects.DASHSCOPE,
    endpoints=("/embeddings", "/completions"),
)

tongwen_app = TONGWEN.blueprint()
