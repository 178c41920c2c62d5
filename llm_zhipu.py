"""Zhipu (GLM)."""

from gateway.providers import dialects
from gateway.providers.provider import Provider
from gateway.web.provider_views import provider_blueprint

ZHIPU = Provider(
    name="zhipu",
    model_types=("saas/zhipu",),
    model_name="glm-4.7",
    base_url="https://open.bigmodel.cn/api/paas/v4",
    dialect=dialects.ZHIPU,
)

zhipu_app = provider_blueprint(ZHIPU)
