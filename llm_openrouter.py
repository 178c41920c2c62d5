"""OpenRouter."""

from gateway.providers.balances import BalanceForm, BalanceSource
from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.providers.structures import Means
from gateway.web.provider_views import provider_blueprint

OPENROUTER = Provider(
    name="openrouter",
    model_types=("saas/openrouter",),
    model_name="openrouter/auto",
    base_url="https://openrouter.ai/api/v1",
    # its codes are HTTP statuses, and this a 402 that is only a wait
    dialect=dialect(SLOW_DOWN="in_flight_budget_exhausted"),
    endpoints=("/embeddings", "/responses", "/messages"),
    thinking=(
        # models that must think refuse it by name, once
        ThinkingSwitch(off={"reasoning": {"enabled": False}}, on={"reasoning": {"enabled": True}}),
    ),
    means=Means.JSON_SCHEMA,
    balance=BalanceSource(BalanceForm.OPENROUTER, ("key",)),
)

openrouter_app = provider_blueprint(OPENROUTER)
