"""Any OpenAI-compatible server: vLLM, Ollama, llama.cpp, LM Studio, one-api, new-api, ..."""

from gateway.providers import dialects
from gateway.providers.balances import BalanceForm, BalanceSource
from gateway.providers.provider import Provider
from gateway.providers.structures import Means
from gateway.web.provider_views import provider_blueprint

CUSTOM = Provider(
    name="custom",
    model_types=("saas/custom",),
    model_name="default",
    base_url_example="http://127.0.0.1:11434/v1",
    dialect=dialects.OPENAI,  # relays pass OpenAI's codes on; of one's own servers the words tell
    endpoints=(
        "/embeddings",
        "/completions",
        "/rerank",
        "/responses",
        "/messages",
        "/moderations",
        "/images/generations",
    ),
    needs_key=False,
    means=Means.JSON_SCHEMA,
    balance=BalanceSource(  # of the relays; another server is asked once
        BalanceForm.ONE_API, ("dashboard/billing/subscription", "dashboard/billing/usage")
    ),
)

custom_app = provider_blueprint(CUSTOM)
