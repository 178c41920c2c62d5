"""A provider is a value; its blueprint is made from it. These are the only /deploy and /chat
views."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify
from flask.blueprints import BlueprintSetupState

from gateway import contract, jobs, replies, service, sessions, streaming
from gateway.addresses import is_guarded
from gateway.byte_budget import SMALL_BYTES
from gateway.byzer import STOCK_MODEL_TYPES
from gateway.contract import ChatRequest, DeployRequest, FallbackRequest, NamedRequest
from gateway.dialects import Dialect
from gateway.model import CHAT, ModelConfig
from gateway.model_actor import TEXT


@dataclass(frozen=True)
class Provider:
    """What is to be known of a provider: its name in the URLs, what it accepts, and how it says no.

    `model_types` are relayed, the first being the default; `base_url` and `model_name` are
    defaults. `engine` is where the model runs (see ModelConfig); `endpoints` are what /v1 relays
    beside /chat/completions.
    """

    name: str
    model_types: tuple[str, ...]
    model_name: str
    dialect: Dialect
    base_url: str = ""
    engine: str = "relay"
    needs_key: bool = True
    endpoints: tuple[str, ...] = ("/embeddings",)

    def config(self, asked: DeployRequest) -> ModelConfig:
        """The whole configuration of a chat. Raises GatewayError for what this provider does not
        accept."""
        model_type = asked.model_type or self.model_types[0]
        relayed = model_type in self.model_types
        if not relayed and model_type not in STOCK_MODEL_TYPES:
            known = ", ".join((*self.model_types, *sorted(STOCK_MODEL_TYPES)))
            words = f"{model_type[:64]!r} is not one that /{self.name}/deploy accepts: {known}"
            raise contract.invalid(
                "model_type", words, f"/{self.name}/deploy 不支持该类型；可用：{known}"
            )
        if self.needs_key and not asked.api_key.get_secret_value():
            raise contract.invalid(
                "api_key", f"is required by {self.name}", f"{self.name} 需要 api_key"
            )
        if not self.needs_key and asked.base_url:
            raise contract.invalid(
                "base_url", f"{self.name} has none; leave it out", f"{self.name} 不使用该字段"
            )
        base_url = asked.base_url or (self.base_url if relayed else "")
        return ModelConfig(
            chat_name=asked.chat_name,
            provider=self.name,
            engine=self.engine if relayed else "byzerllm",
            model_type=model_type,
            model_name=asked.model_name or self.model_name,
            base_url=base_url,
            api_key=asked.api_key.get_secret_value() if self.needs_key else "",
            workers=asked.workers,
            timeout=asked.timeout,
            endpoints=list(self.endpoints),
            trusted=self._trusted(base_url),
            models_folder=service.settings().models_folder,
            fallback=None if asked.fallback is None else list(asked.fallback),
            probe_seconds=service.settings().probe_seconds,
            reply=None if asked.reply is None else asked.reply.model_dump(exclude_none=True),
            undo_seconds=service.settings().undo_seconds,
            dialect={name: dict(rows) for name, rows in self.dialect._asdict().items()},
            generation=0,
            since=0.0,
        )

    def told(self) -> dict[str, str | bool]:
        """What the console's form for a deploy must know."""
        defaults = {"model_name": self.model_name, "base_url": self.base_url}
        return {"name": self.name, "needs_key": self.needs_key, **defaults}

    def _trusted(self, base_url: str) -> bool:
        """Whether the operator listed this host. Raises GatewayError for one that the gateway may
        not talk to."""
        hosts, host = service.settings().upstream_hosts, urlsplit(base_url).hostname or ""
        if host in hosts:
            return True
        if host and hosts and base_url != self.base_url:
            words = f"{host} is not one of GATEWAY_UPSTREAM_HOSTS"
            raise contract.invalid("base_url", words, f"{host} 不在 GATEWAY_UPSTREAM_HOSTS 中")
        if is_guarded(host):
            words = (
                f"{host} is a link-local or metadata address; GATEWAY_UPSTREAM_HOSTS could allow it"
            )
            raise contract.invalid(
                "base_url",
                words,
                f"{host} 是链路本地或元数据地址；可用 GATEWAY_UPSTREAM_HOSTS 允许",
            )
        return False

    def blueprint(self) -> Blueprint:
        """The provider's routes, under /<name>."""
        app = Blueprint(self.name, self.name, url_prefix=f"/{self.name}")
        app.record(
            lambda setup: setup.app.extensions.setdefault("providers", []).append(self.told())
        )

        @app.post("/deploy")
        def deploy() -> Response:
            service.require("admin")
            asked = service.asked(DeployRequest)
            config = self.config(asked)
            check = service.settings().check if asked.check is None else asked.check
            service.llm().deploy("", config["model_type"], config["chat_name"], config, check)
            return jsonify(ret="ok")

        @app.post("/chat")
        def chat() -> Response:
            service.require("chat")
            if service.only_looks():
                return replies.nothing()
            asked = service.asked(ChatRequest)
            if asked.kept:
                job = jobs.packed(asked)
                del asked  # it may be large, and the answer may take minutes
                return jobs.ask(job)
            body, llm = sessions.packed(asked), service.llm()
            if len(body) > SMALL_BYTES:
                asked = asked.without_texts()
            owner, caller, client = service.owner(), service.caller(), streaming.client()
            if asked.stream:
                stream = service.ask(
                    asked.chat_name, lambda n: llm.stream(n, CHAT, body, TEXT, client)
                )
                if asked.session is None:
                    service.let_go()
                    return streaming.text(stream)
                return streaming.text(
                    stream, lambda text: sessions.remember(llm, owner, asked, text)
                )
            said = service.ask(
                asked.chat_name, lambda n: llm.chat_oai(body, model=n, caller=caller, client=client)
            )
            [answer] = said.answer
            sessions.remember(llm, owner, asked, answer.output)
            reply = replies.answer(answer.output)
            replies.sign(reply, said, answer.metadata.get("model", ""), answer.metadata["spent"])
            return reply

        def chat_by_get(setup: BlueprintSetupState) -> None:
            if setup.app.extensions["settings"].allow_get:
                setup.add_url_rule("/chat", "chat", chat, methods=["GET"])

        app.record(chat_by_get)

        @app.post("/undeploy")
        def undeploy() -> Response:
            service.require("admin")
            service.llm().undeploy(service.asked(NamedRequest).chat_name)
            return jsonify(ret="ok")

        @app.post("/undo")
        def undo() -> Response:
            service.require("admin")
            service.llm().undo(service.asked(NamedRequest).chat_name)
            return jsonify(ret="ok")

        @app.post("/fallback")
        def fallback() -> Response:
            service.require("admin")
            asked = service.asked(FallbackRequest)
            service.llm().set_fallback(asked.chat_name, asked.fallback)
            return jsonify(ret="ok")

        return app
