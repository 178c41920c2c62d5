"""Zhipu (GLM)."""

from gateway import dialects
from gateway.provider import Provider

ZHIPU = Provider(
    name="zhipu",
    model_types=("saas/zhipu",),
    model_name="glm-4.7",
    base_url="https://open.bigmodel.cn/api/paas/v4",
    dialect=dialects.ZHIPU,
)

zhipu_app = ZHIPU.blueprint()
