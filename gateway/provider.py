"""A provider is a value; its blueprint is made from it. These are the only /deploy, /chat and /undeploy views."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, jsonify

from gateway import contract, service, wire
from gateway.cluster import STOCK_MODEL_TYPES
from gateway.contract import ChatRequest, DeployRequest, UndeployRequest
from gateway.dialects import Dialect
from gateway.model_actor import TEXT, ModelConfig
from gateway.streaming import streamed


@dataclass(frozen=True)
class Provider:
    """What is to be known of a provider: its name in the URLs, what it accepts, and how it says no.

    `model_types` are relayed, the first being the default; `base_url` and `model_name` are defaults. `engine` is where
    the model runs (see ModelConfig); `endpoints` are what /v1 relays beside /chat/completions.
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
        """The whole configuration of a chat. Raises GatewayError for what this provider does not accept."""
        model_type = asked.model_type or self.model_types[0]
        relayed = model_type in self.model_types
        if not relayed and model_type not in STOCK_MODEL_TYPES:
            known = ", ".join((*self.model_types, *sorted(STOCK_MODEL_TYPES)))
            words = f"{model_type[:64]!r} is not one that /{self.name}/deploy accepts: {known}"
            raise contract.invalid("model_type", words, f"/{self.name}/deploy 不支持该类型；可用：{known}")
        if self.needs_key and not asked.api_key.get_secret_value():
            raise contract.invalid("api_key", f"is required by {self.name}", f"{self.name} 需要 api_key")
        if not self.needs_key and asked.base_url:
            raise contract.invalid("base_url", f"{self.name} has none; leave it out", f"{self.name} 不使用该字段")
        return ModelConfig(
            chat_name=asked.chat_name,
            provider=self.name,
            engine=self.engine if relayed else "byzerllm",
            model_type=model_type,
            model_name=asked.model_name or self.model_name,
            base_url=asked.base_url or (self.base_url if relayed else ""),
            api_key=asked.api_key.get_secret_value() if self.needs_key else "",
            workers=asked.workers,
            timeout=asked.timeout,
            endpoints=list(self.endpoints),
            dialect={name: dict(rows) for name, rows in self.dialect._asdict().items()},
            generation=0,
            since=0.0,
        )

    def blueprint(self) -> Blueprint:
        """The provider's three routes, under /<name>."""
        app = Blueprint(self.name, self.name, url_prefix=f"/{self.name}")

        @app.post("/deploy")
        def deploy() -> Response:
            service.require("admin")
            config = self.config(contract.parse(DeployRequest, service.fields()))
            service.llm().deploy("", config["model_type"], config["chat_name"], config)
            return jsonify(ret="ok")

        @app.post("/chat")
        def chat() -> Response:
            service.require("chat")
            asked = contract.parse(ChatRequest, service.fields())
            if asked.stream:
                body = {"messages": asked.conversation(), **asked.options(), "stream": True}
                stream = service.llm().stream(asked.chat_name, "/chat/completions", body, TEXT)
                return streamed(stream, asked.chat_name, wire.TEXT)
            [answer] = service.llm().chat_oai(asked.conversation(), model=asked.chat_name, llm_config=asked.options())
            return Response(wire.json_string(answer.output), content_type=wire.JSON)

        @app.post("/undeploy")
        def undeploy() -> Response:
            service.require("admin")
            service.llm().undeploy(contract.parse(UndeployRequest, service.fields()).chat_name)
            return jsonify(ret="ok")

        return app
