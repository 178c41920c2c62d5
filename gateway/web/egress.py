"""Which proxy a deploy's questions go through: the deploy's own, or else the operator's."""

from __future__ import annotations

from gateway.addresses import EgressProxy, is_guarded
from gateway.protocol import Engine
from gateway.web import services, validation
from gateway.web.contract import DeployRequest


def chosen(engine: Engine, order: DeployRequest) -> EgressProxy | None:
    """Return the proxy of a deploy; None: it has none. Raises GatewayError for one that it cannot
    have."""
    setting = services.settings().egress_proxy
    given = None if order.egress_proxy is None else order.egress_proxy.get_secret_value()
    url = setting if given is None else given
    if engine == Engine.LLAMA_CPP:
        if given:
            words, words_zh = "a local model has none; leave it out", "本地模型不使用代理，请去掉"
            raise validation.invalid("egress_proxy", words, words_zh)
        return None
    if not url:
        return None
    if engine == Engine.BYZERLLM:
        # A provider's own SDK would read it from the environment, which Ray keeps.
        words = (
            "stock byzerllm, which runs this model_type, takes no proxy; an empty egress_proxy has"
            " it reach its provider directly"
        )
        words_zh = '该 model_type 由 byzerllm 原生运行，不支持代理；"egress_proxy": "" 表示直接连接'
        raise validation.invalid("egress_proxy", words, words_zh)
    proxy = EgressProxy.from_url(url)
    if url != setting:
        _check(proxy)
    return proxy


def is_trusted(proxy: EgressProxy | None) -> bool:
    """Return whether the operator listed the proxy's host."""
    return proxy is not None and proxy.host in services.settings().upstream_hosts


def _check(proxy: EgressProxy) -> None:
    """Raise GatewayError for a proxy that the gateway may not talk to."""
    hosts, host = services.settings().upstream_hosts, proxy.host
    if host in hosts:
        return
    if hosts:
        words, words_zh = (
            f"{host} is neither GATEWAY_EGRESS_PROXY's nor one of GATEWAY_UPSTREAM_HOSTS",
            f"{host} 既不是 GATEWAY_EGRESS_PROXY，也不在 GATEWAY_UPSTREAM_HOSTS 中",
        )
        raise validation.invalid("egress_proxy", words, words_zh)
    if is_guarded(host):
        words = f"{host} is a link-local or metadata address; GATEWAY_UPSTREAM_HOSTS could allow it"
        words_zh = f"{host} 是链路本地或元数据地址；可用 GATEWAY_UPSTREAM_HOSTS 允许"
        raise validation.invalid("egress_proxy", words, words_zh)
