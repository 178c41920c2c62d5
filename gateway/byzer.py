"""byzerllm's own client, and the models that only it can deploy: the one importer of byzerllm in a
gateway process."""

from __future__ import annotations

import importlib
import sys
import time
from types import ModuleType
from typing import Any

import orjson
import ray
import ray._private.utils

from gateway.connection import FAILED_THERE, Connection
from gateway.errors import Code, GatewayError
from gateway.model import CHAT
from gateway.routes import Relayed, Spent

# Everything of ours stands above this line: byzerllm imports pyjava, which replaces
# collections.namedtuple, and what is then defined with it would drag pyjava and pandas (40 MB) into
# every model actor. byzerllm 0.1.223 imports this name, which Ray 2.60 dropped; without it the
# import below fails.
ray._private.utils.hex_to_binary = bytes.fromhex


def _import_when_used(package: str) -> None:
    """Let `import package` load nothing until one of its names is used. (importlib's LazyLoader
    loads it at once.)"""

    def load(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # somebody who looks through sys.modules
        if sys.modules[package] is empty:
            del sys.modules[package]
        return getattr(importlib.import_module(package), name)

    empty = ModuleType(package)
    empty.__getattr__ = load  # type: ignore[method-assign]
    sys.modules.setdefault(package, empty)


# byzerllm imports it for a client of its own that the gateway never makes: 0.8 of 2 s, and 38 MB in
# each process.
_import_when_used("anthropic")

from byzerllm.utils.client.byzerllm_client import ByzerLLM
from byzerllm.utils.client.types import LLMResponse as LLMResponse

STOCK_MODEL_TYPES = frozenset(
    f"saas/{name}"
    for name in (
        *("aws_bedrock", "azure_openai", "baichuan", "claude", "minimax", "openai_response"),
        *("openrouter", "pangu", "qianfan", "reasoning_openai", "siliconflow", "sparkdesk"),
    )
)
"""byzerllm 0.1.223's own chat models that we do not relay. An allow-list: stock byzerllm imports
what it is told."""

ASK_SECONDS = 10
STOCK_TIMEOUT_SECONDS = 120
"""Of a chat with a model that another program deployed; ours have a timeout each."""


class StockLLM(ByzerLLM):  # type: ignore[misc]  # byzerllm's types do not resolve
    """A ByzerLLM that chats with the models that stock byzerllm deployed within time limits, and
    says why it cannot."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        # Else `<_image_>/etc/passwd</_image_>` in a prompt makes byzerllm read that file and send
        # it upstream.
        self.skip_nontext_check = True
        self._connection = connection

    def _reach(self, name: str) -> tuple[Any, float]:
        """A model's UDFMaster, and the seconds that a chat with it may take."""
        raise NotImplementedError

    def chat_stock(
        self, name: str, conversation: list[dict[str, Any]], options: dict[str, Any]
    ) -> list[LLMResponse]:
        """One chat, answered. Raises GatewayError."""
        started = time.monotonic()
        try:
            # Without enable_default_sys_message=False it puts a Chinese preamble before the
            # caller's system message.
            said: list[LLMResponse] = super().chat_oai(
                conversation, model=name, llm_config=options, enable_default_sys_message=False
            )
            counts = said[0].metadata
            known = (
                int(counts.get(name, 0))
                for name in ("input_tokens_count", "generated_tokens_count")
            )
            counts["spent"] = Spent("byzerllm", time.monotonic() - started, *known)
        except FAILED_THERE as error:
            raise GatewayError(
                Code.PROVIDER_DOWN,
                f"The stock byzerllm model failed ({type(error).__name__}); its worker's log says"
                " why.",
                "byzerllm 原生模型调用失败，原因见其 Ray worker 日志。",
                chat_name=name,
                provider="byzerllm",
            ) from error
        if not said[0].output:  # stock byzerllm swallows some errors
            words = (
                "The stock byzerllm model sent an empty answer.",
                "byzerllm 原生模型返回了空的回答。",
            )
            raise GatewayError(Code.PROVIDER_DOWN, *words, chat_name=name, provider="byzerllm")
        return said

    def relay_stock(self, name: str, path: str, fields: dict[str, Any], shown: str) -> Relayed:
        """Answer one chat, in OpenAI's shape; `shown` is the model's name in it. Raises
        GatewayError."""
        known = {"messages", "temperature", "top_p", "max_tokens", "stream"}
        if path != CHAT or (other := sorted(fields.keys() - known)):
            what = path if path != CHAT else ", ".join(other)
            raise GatewayError(
                Code.INVALID_REQUEST,
                f"model: stock byzerllm deployed {name}, and it does not do {what}.",
                f"model：{name} 由 byzerllm 原生部署，不支持 {what}。",
                chat_name=name,
            )
        options: dict[str, Any] = {
            key: fields[key] for key in ("temperature", "top_p", "max_tokens") if key in fields
        }
        [said] = self.chat_stock(name, fields["messages"], options)
        spent: Spent = said.metadata["spent"]
        prompt, completion = spent.tokens_in or 0, spent.tokens_out or 0
        message = {"role": "assistant", "content": said.output}
        reply = {
            "id": f"chatcmpl-{said.metadata.get('request_id', '')}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": shown,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
        }
        return Relayed(orjson.dumps(reply), name, spent)

    def _query(self, model: str, input_value: list[dict[str, Any]]) -> Any:
        """byzerllm's own way to its models, with a time limit on every wait."""
        master, timeout = self._reach(model)
        deadline = time.monotonic() + timeout
        index, worker = self._connection.ask(master.get.remote(), ASK_SECONDS)
        try:
            said = self._connection.ask(
                worker.async_apply.remote([orjson.dumps(value).decode() for value in input_value]),
                deadline - time.monotonic(),
            )
        finally:
            master.give_back.remote(index)
        return orjson.loads(said["value"][0])
