"""Google Gemini (the OpenAI-compatible endpoint)."""

from gateway.errors import Code
from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.providers.structures import Means
from gateway.web.provider_views import provider_blueprint

GEMINI = Provider(
    name="gemini",
    model_types=("saas/gemini",),
    model_name="gemini-3.1-flash-lite",
    base_url="https://generativelanguage.googleapis.com/v1beta/openai",
    dialect=dialect(
        # not reachable from where the cluster is: another chat may be
        words={r"user location is not supported": Code.PROVIDER_DOWN},
        # the first is a 400, the others are 403s
        BAD_KEY=(
            "API_KEY_INVALID API_KEY_SERVICE_BLOCKED API_KEY_HTTP_REFERRER_BLOCKED"
            " API_KEY_IP_ADDRESS_BLOCKED CONSUMER_SUSPENDED SERVICE_DISABLED"
        ),
        PAY_BILL="BILLING_DISABLED",
        PROVIDER_BUSY="MODEL_CAPACITY_EXHAUSTED UNAVAILABLE",  # the first is a 429, too
    ),
    endpoints=("/embeddings", "/images/generations"),
    thinking=(
        ThinkingSwitch(
            models=r"gemini-2\.5-flash",
            off={"reasoning_effort": "none"},
            on={"reasoning_effort": "medium"},
        ),
        # the least they can; 2.5-pro, 3.x-pro and flash from 3.6 on refuse even this
        ThinkingSwitch(
            models=r"gemini-3(\.[15])?-flash",
            off={"reasoning_effort": "minimal"},
            on={"reasoning_effort": "medium"},
        ),
    ),
    means=Means.JSON_SCHEMA,
)

gemini_app = provider_blueprint(GEMINI)
