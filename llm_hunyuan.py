"""Tencent Hunyuan, through TokenHub, which took the old platform's place in September 2026."""

from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider, ThinkingSwitch
from gateway.web.provider_views import provider_blueprint

HUNYUAN = Provider(
    name="hunyuan",
    model_types=("saas/hunyuan",),
    model_name="hy3-preview",
    base_url="https://tokenhub.tencentmaas.com/v1",
    # numbers are TokenHub's, words the old platform's, which resellers still send
    dialect=dialect(
        BAD_KEY="401002 invalid_api_key",
        PAY_BILL=(
            "401007 401008 403004 FailedOperation.ResourcePackExhausted"
            " FailedOperation.FreeResourcePackExhausted UnsupportedOperation.PkgExhausted"
            " ResourceInsufficient.ChargeResourceExhaust ResourceUnavailable.InArrears"
            " ResourceUnavailable.LowBalance"
        ),
        SLOW_DOWN="429001 LimitExceeded RequestLimitExceeded",
        PROVIDER_BUSY="FailedOperation.EngineServerLimitExceeded",
        PROVIDER_DOWN="502001 InternalError FailedOperation.EngineRequestTimeout",
        NO_SUCH_MODEL="400004 InvalidParameterValue.Model",
        CONTENT_BLOCKED="451001 OperationDenied.TextIllegalDetected",
    ),
    endpoints=("/responses",),
    thinking=(
        ThinkingSwitch(models="^minimax|thinking", off={}, on={}),  # they do nothing else
        ThinkingSwitch(
            models=r"^(hy[34]|deepseek-v[34]|glm-5|kimi-k2)",
            off={"thinking": {"type": "disabled"}},
            on={"thinking": {"type": "enabled"}},
        ),
    ),
)

hunyuan_app = provider_blueprint(HUNYUAN)
