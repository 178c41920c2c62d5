"""MiniMax."""

from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.web.provider_views import provider_blueprint

MINIMAX = Provider(
    name="minimax",
    model_types=("saas/minimax",),
    model_name="MiniMax-M3",
    base_url="https://api.minimaxi.com/v1",
    # the number is the truth wherever it stands: in a field, or in brackets behind the words
    dialect=dialect(
        BAD_KEY="1004 2049",
        PAY_BILL="1008 2061",
        SLOW_DOWN="1002 1039 1041 2045 2056",
        PROVIDER_BUSY="1033 2064",
        PROVIDER_DOWN="1000 1001 1013 1024",
        CONTENT_BLOCKED="1026 1027",
        BAD_UPSTREAM_REQUEST="2013 1042",
    ),
    endpoints=("/responses",),
    elsewhere={"/messages": "/anthropic/v1/messages"},
    thinking=(
        # else thoughts stand in the answer, between <think> and </think>
        ThinkingSwitch(
            models="^minimax-m3",
            off={"thinking": {"type": "disabled"}, "reasoning_split": True},
            on={"thinking": {"type": "adaptive"}, "reasoning_split": True},
        ),
        ThinkingSwitch(
            models="^minimax-m2", off={"reasoning_split": True}, on={"reasoning_split": True}
        ),
    ),
    limit_field="max_completion_tokens",
)

minimax_app = provider_blueprint(MINIMAX)
