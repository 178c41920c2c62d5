"""OpenAI."""

from gateway import dialects
from gateway.provider import Provider

OPENAI = Provider(
    name="openai",
    model_types=("saas/openai", "saas/official_openai"),
    model_name="gpt-4.1",
    base_url="https://api.openai.com/v1",
    dialect=dialects.OPENAI,
    endpoints=("/embeddings", "/completions"),
)

openai_app = OPENAI.blueprint()
