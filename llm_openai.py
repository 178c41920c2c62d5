"""OpenAI."""

from gateway.providers import dialects
from gateway.providers.provider import Provider
from gateway.providers.structures import Means
from gateway.web.provider_views import provider_blueprint

OPENAI = Provider(
    name="openai",
    model_types=("saas/openai", "saas/official_openai"),
    model_name="gpt-4.1",
    base_url="https://api.openai.com/v1",
    dialect=dialects.OPENAI,
    endpoints=(
        *("/embeddings", "/completions", "/responses"),
        *("/moderations", "/images/generations"),
    ),
    limit_field="max_completion_tokens",  # newer models refuse max_tokens
    means=Means.JSON_SCHEMA,
)

openai_app = provider_blueprint(OPENAI)
