"""Anthropic (the OpenAI-compatible endpoint)."""

from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.web.provider_views import provider_blueprint

ANTHROPIC = Provider(
    name="anthropic",
    model_types=("saas/claude",),
    model_name="claude-haiku-5-5",
    base_url="https://api.anthropic.com/v1",
    # an unpaid bill is an invalid_request_error: the words tell
    dialect=dialect(
        BAD_KEY="authentication_error",
        PAY_BILL="billing_error",
        SLOW_DOWN="rate_limit_error",
        PROVIDER_BUSY="overloaded_error",
        TOO_LARGE="request_too_large",
    ),
    key_header="x-api-key",  # which both its endpoints take
    endpoints=("/messages",),
    thinking=(
        ThinkingSwitch(
            models=r"^claude-(opus|sonnet|haiku)-4-([0-6]\b|20)",
            off={},
            on={"thinking": {"type": "enabled", "budget_tokens": 2000}},
        ),
        ThinkingSwitch(
            models=r"^claude-(opus|sonnet|haiku)-([5-9]|4-[78])",
            off={"thinking": {"type": "disabled"}},
            on={"thinking": {"type": "adaptive"}},
        ),
    ),
)

anthropic_app = provider_blueprint(ANTHROPIC)
