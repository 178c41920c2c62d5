"""Azure OpenAI, version 1 of its API: the model is the deployment's name there."""

from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider
from gateway.providers.structures import Means
from gateway.web.provider_views import provider_blueprint

AZURE = Provider(
    name="azure",
    model_types=("saas/azure_openai",),
    model_name="gpt-4.1",
    base_url_example="https://YOUR-RESOURCE.openai.azure.com/openai/v1",
    dialect=dialect(
        BAD_KEY="401",
        PAY_BILL="insufficient_quota",
        SLOW_DOWN="429 RateLimitReached",
        PROVIDER_BUSY="NoCapacity",  # a 429
        NO_SUCH_MODEL="DeploymentNotFound",
        CONTENT_BLOCKED="content_filter ResponsibleAIPolicyViolation",
        TOO_LARGE="context_length_exceeded",
    ),
    endpoints=("/embeddings", "/completions", "/responses", "/images/generations"),
    key_header="api-key",
    limit_field="max_completion_tokens",
    means=Means.JSON_SCHEMA,
)

azure_app = provider_blueprint(AZURE)
