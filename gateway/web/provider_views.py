"""A provider's blueprint, made from its value. These are the only /deploy and /chat views."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from flask.blueprints import BlueprintSetupState

from gateway.addresses import is_guarded, url_host
from gateway.byte_budget import SMALL_BYTES
from gateway.frames import AnswerForm, Request
from gateway.hub import in_thread
from gateway.protocol import Budget, Engine, ModelConfig
from gateway.providers.provider import STOCK_MODEL_TYPES, Provider
from gateway.web import (
    call,
    egress,
    jobs,
    replies,
    request_fields,
    services,
    sessions,
    streaming,
    validation,
)
from gateway.web.contract import (
    ChatRequest,
    DeployRequest,
    FallbackRequest,
    ModelsRequest,
    NamedRequest,
)
from gateway.web.description import CHECKED, NAMED, Description, described
from gateway.web.schemas import ANSWER, DONE, OFFERED, PLAIN

OFFER_SECONDS = 20
"""How long a provider may take to list its models."""


def provider_blueprint(provider: Provider) -> Blueprint:
    """Return the provider's routes, under /<name>."""
    app = Blueprint(provider.name, provider.name, url_prefix=f"/{provider.name}")
    for view in (deploy, chat, undeploy, undo, fallback, models):
        app.add_url_rule(f"/{view.__name__}", view.__name__, view, methods=["POST"])

    def join(setup: BlueprintSetupState) -> None:
        setup.app.extensions.setdefault("providers", {})[provider.name] = provider
        if setup.app.extensions["settings"].allow_get:
            setup.add_url_rule("/chat", "chat", chat, methods=["GET"])

    app.record(join)
    return app


@described(
    Description(
        "Put a model behind a chat name, also in use.", DONE, "admin", DeployRequest, fails=CHECKED
    )
)
def deploy() -> Response:
    """Put a model behind a chat name; it answers when this returns."""
    order = request_fields.parsed(DeployRequest)
    config = model_config(services.providers()[request.blueprint or ""], order)
    check = services.settings().check if order.check is None else order.check
    services.llm().deploy("", config["model_type"], config["chat_name"], config, check)
    return jsonify(ret="ok")


@described(
    Description("Chat; the answer is ASCII.", ANSWER, "chat", ChatRequest, PLAIN, pends=True)
)
def chat() -> Response:
    """Ask a chat: its answer whole, as it comes, or as a job."""
    if request.method == "HEAD":
        return replies.head()
    question = request_fields.parsed(ChatRequest)
    if question.kept:
        job = jobs.packed(question)
        del question  # it may be large, and the answer may take minutes
        return in_thread(jobs.ask, job)
    body = sessions.packed(question)
    if len(body) > SMALL_BYTES:
        question = question.without_texts()
    if question.stream and call.current().structure is None:
        return _streamed(question, body)
    return _whole(question, body)


def _whole(question: ChatRequest, body: bytes) -> Response:
    llm, caller, client = services.llm(), services.caller(), streaming.client()
    structure = call.current().structure
    asked_for = structure.to_json() if structure else ""
    outcome = services.ask(
        question.chat_name,
        lambda name: llm.chat_oai(
            body, model=name, caller=caller, client=client, structure=asked_for
        ),
    )
    [answer] = outcome.answer
    sessions.remember(llm, call.current().owner, question, answer.output)
    reply = replies.answer(answer.output, named=bool(structure and structure.fields))
    replies.sign(reply, outcome, answer.model, answer.usage)
    return reply


def _streamed(question: ChatRequest, body: bytes) -> Response:
    llm, client, owner = services.llm(), streaming.client(), call.current().owner
    envelope = Request(AnswerForm.TEXT)
    stream = services.ask(question.chat_name, lambda name: llm.stream(name, envelope, body, client))
    if question.session is None:
        call.current().let_go()
        return streaming.text(stream)
    return streaming.text(stream, lambda text: sessions.remember(llm, owner, question, text))


@described(Description("Take a chat away, gently.", DONE, "admin", NamedRequest, fails=NAMED))
def undeploy() -> Response:
    """Take a chat away; chats under way finish first."""
    services.llm().undeploy(request_fields.parsed(NamedRequest).chat_name)
    return jsonify(ret="ok")


@described(
    Description("Bring back what was there before.", DONE, "admin", NamedRequest, fails=CHECKED)
)
def undo() -> Response:
    """Bring back what was behind a chat before its last deploy."""
    services.llm().undo(request_fields.parsed(NamedRequest).chat_name)
    return jsonify(ret="ok")


@described(Description("Who answers in its place.", DONE, "admin", FallbackRequest, fails=NAMED))
def fallback() -> Response:
    """Say which chats answer in a chat's place when it cannot."""
    order = request_fields.parsed(FallbackRequest)
    services.llm().set_fallback(order.chat_name, order.fallback)
    return jsonify(ret="ok")


@described(
    Description("What a provider offers to a key.", OFFERED, "admin", ModelsRequest, fails=CHECKED)
)
def models() -> Response:
    """List the models that a provider offers; nothing of it is kept."""
    order = request_fields.parsed(ModelsRequest)
    if "," in order.api_key.get_secret_value():
        raise validation.invalid("api_key", "must be one key", "只能是一个密钥")
    deploy = DeployRequest(chat_name="models", timeout=OFFER_SECONDS, **dict(order))
    config = model_config(services.providers()[request.blueprint or ""], deploy)
    return jsonify(models=services.llm().offered(config))


def model_config(provider: Provider, order: DeployRequest) -> ModelConfig:
    """Return the whole configuration of a chat. Raises GatewayError for what its provider does not
    accept."""
    model_type = order.model_type or provider.model_types[0]
    provider, engine = _relay(provider, model_type)
    relayed = engine != Engine.BYZERLLM
    base_url = order.base_url or (provider.base_url if relayed else "")
    _check_base_url(provider, engine, order)
    proxy = egress.chosen(engine, order)
    settings = services.settings()
    reply = None if order.reply is None else order.reply.model_dump(mode="json", exclude_none=True)
    thinking = (reply or {}).pop("thinking", "")
    keys = _keys(provider, engine, order)
    traits = provider.traits()
    if provider.base_url not in ("", base_url):
        traits["limit_field"] = "max_tokens"  # a server that only speaks as it does
    return ModelConfig(
        chat_name=order.chat_name,
        provider=provider.name,
        engine=engine.value,
        model_type=model_type,
        model_name=order.model_name or provider.model_name,
        base_url=base_url,
        api_key=keys,
        workers=order.workers,
        timeout=order.timeout,
        needs_key=provider.needs_key or bool(keys),  # it would be refused without, once lost
        traits=traits,
        options=order.options,
        thinking=order.thinking or thinking,
        trusted=_is_trusted(base_url, provider.base_url),
        egress_proxy=proxy.url if proxy else "",
        egress_host=proxy.netloc if proxy else "",
        egress_trusted=egress.is_trusted(proxy),
        models_folder=settings.models_folder,
        task=None,
        price=order.price.record() if order.price else None,
        budget=_budget(order),
        low=order.low,
        fallback=None if order.fallback is None else list(order.fallback),
        probe_seconds=settings.probe_seconds,
        reply=reply,
        undo_seconds=settings.undo_seconds,
        generation=0,
        since=0.0,
    )


def _budget(order: DeployRequest) -> Budget | None:
    """Return a chat's budget. Raises GatewayError: nobody says what its tokens cost."""
    if order.budget is None:
        return None
    if order.budget.money is not None and order.price is None:
        words = "money: its chat needs a price, by which money is counted"
        raise validation.invalid("budget", words, "money：该对话需要 price，才能计算金额")
    return order.budget.record()


def _relay(provider: Provider, model_type: str) -> tuple[Provider, Engine]:
    """Return whose models are of a type, and where they run: stock byzerllm's types go everywhere,
    and are relayed by the provider that has them. Raises GatewayError."""
    if model_type in provider.model_types:
        return provider, provider.engine
    if model_type in STOCK_MODEL_TYPES:
        relays = (one for one in services.providers().values() if model_type in one.model_types)
        relay = next(relays, None)
        return (relay, relay.engine) if relay else (provider, Engine.BYZERLLM)
    accepted = ", ".join((*provider.model_types, *sorted(STOCK_MODEL_TYPES)))
    words = f"{model_type[:64]!r} is not one that /{provider.name}/deploy accepts: {accepted}"
    words_zh = f"/{provider.name}/deploy 不支持该类型；可用：{accepted}"
    raise validation.invalid("model_type", words, words_zh)


def _keys(provider: Provider, engine: Engine, order: DeployRequest) -> str:
    """Return the keys of a deploy. Raises GatewayError: there are too few or too many."""
    keys = order.api_key.get_secret_value()
    if engine == Engine.LLAMA_CPP:
        return ""
    if provider.needs_key and not keys:
        words, words_zh = f"is required by {provider.name}", f"{provider.name} 需要 api_key"
        raise validation.invalid("api_key", words, words_zh)
    if engine == Engine.BYZERLLM and "," in keys:
        words = "must be one key: stock byzerllm takes no more"
        raise validation.invalid("api_key", words, "只能是一个密钥：byzerllm 原生模型不支持多个")
    return keys


def _check_base_url(provider: Provider, engine: Engine, order: DeployRequest) -> None:
    """Raise GatewayError for a base URL where there is none, or none where there must be one."""
    if engine == Engine.LLAMA_CPP and order.base_url:
        words, words_zh = f"{provider.name} has none; leave it out", f"{provider.name} 不使用该字段"
        raise validation.invalid("base_url", words, words_zh)
    if engine == Engine.RELAY and not (order.base_url or provider.base_url):
        words = (
            f"is required by {provider.name}: the server's own, such as {provider.base_url_example}"
        )
        words_zh = f"{provider.name} 需要 base_url，例如 {provider.base_url_example}"
        raise validation.invalid("base_url", words, words_zh)


def _is_trusted(base_url: str, usual: str) -> bool:
    """Return whether the operator listed this host. Raises GatewayError for one that the gateway
    may not talk to."""
    hosts, host = services.settings().upstream_hosts, url_host(base_url)
    if host in hosts:
        return True
    if host and hosts and base_url != usual:
        words = f"{host} is not one of GATEWAY_UPSTREAM_HOSTS"
        raise validation.invalid("base_url", words, f"{host} 不在 GATEWAY_UPSTREAM_HOSTS 中")
    if is_guarded(host):
        words = f"{host} is a link-local or metadata address; GATEWAY_UPSTREAM_HOSTS could allow it"
        words_zh = f"{host} 是链路本地或元数据地址；可用 GATEWAY_UPSTREAM_HOSTS 允许"
        raise validation.invalid("base_url", words, words_zh)
    return False
