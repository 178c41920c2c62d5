"""DeepSeek."""

from gateway.providers.balances import BalanceForm, BalanceSource
from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.web.provider_views import provider_blueprint

DEEPSEEK = Provider(
    name="deepseek",
    model_types=("saas/deepseek",),
    model_name="deepseek-v4-flash",
    base_url="https://api.deepseek.com",
    # its `code` is nearly always invalid_request_error: the status and the words tell
    dialect=dialect(
        BAD_KEY="authentication_error",
        SLOW_DOWN="rate_limit_error",
        PROVIDER_BUSY="service_unavailable_error",
    ),
    endpoints=(),
    elsewhere={"/messages": "/anthropic/v1/messages"},
    thinking=(
        ThinkingSwitch(
            off={"thinking": {"type": "disabled"}}, on={"thinking": {"type": "enabled"}}
        ),
    ),
    balance=BalanceSource(BalanceForm.DEEPSEEK, ("/user/balance",)),
)

deepseek_app = provider_blueprint(DEEPSEEK)
