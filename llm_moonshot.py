"""Moonshot (Kimi)."""

from gateway.providers.balances import BalanceForm, BalanceSource
from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.providers.structures import Means
from gateway.web.provider_views import provider_blueprint

MOONSHOT = Provider(
    name="moonshot",
    model_types=("saas/moonshot",),
    model_name="kimi-k2.6",
    base_url="https://api.moonshot.cn/v1",
    # 429 has three meanings, and there is no `code`: the type tells
    dialect=dialect(
        BAD_KEY="invalid_authentication_error incorrect_api_key_error",
        PAY_BILL="exceeded_current_quota_error",
        SLOW_DOWN="rate_limit_reached_error",
        PROVIDER_BUSY="engine_overloaded_error",
        PROVIDER_DOWN="server_unavailable",
        NO_SUCH_MODEL="resource_not_found_error",
        CONTENT_BLOCKED="content_filter",
    ),
    endpoints=(),
    elsewhere={"/messages": "/anthropic/v1/messages"},
    thinking=(
        # kimi-k3 and the -code models always think, and refuse to be told otherwise
        ThinkingSwitch(
            models=r"^kimi-k2\.[56]",
            off={"thinking": {"type": "disabled"}},
            on={"thinking": {"type": "enabled"}},
        ),
    ),
    limit_field="max_completion_tokens",
    means=Means.JSON_SCHEMA,
    balance=BalanceSource(BalanceForm.MOONSHOT, ("users/me/balance",)),
)

moonshot_app = provider_blueprint(MOONSHOT)
