"""GatewayLLM: the shared ByzerLLM client of a gateway process, connected to a running Ray cluster."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import orjson
import ray
import ray._private.utils

from gateway.connection import FAILED_THERE, Connection
from gateway.directory import DEPLOY_SECONDS, replica_name
from gateway.errors import Code, GatewayError
from gateway.model_actor import DRAIN_SECONDS, MID_STREAM, NAMESPACE, ModelConfig

# Everything of ours stands above this line: byzerllm imports pyjava, which replaces collections.namedtuple, and what is
# then defined with it would drag pyjava and pandas (40 MB) into every model actor.
# byzerllm 0.1.223 imports this name, which Ray 2.60 dropped; without it the import below fails.
ray._private.utils.hex_to_binary = bytes.fromhex

from byzerllm.utils.client.byzerllm_client import ByzerLLM
from byzerllm.utils.client.types import LLMResponse

T = TypeVar("T")

STOCK_MODEL_TYPES = frozenset(
    f"saas/{name}"
    for name in (
        *("aws_bedrock", "azure_openai", "baichuan", "claude", "minimax", "openai_response"),
        *("openrouter", "pangu", "qianfan", "reasoning_openai", "siliconflow", "sparkdesk"),
    )
)
"""byzerllm 0.1.223's own chat models that we do not relay. An allow-list: stock byzerllm imports what it is told."""

ASK_SECONDS = 10
STOCK_TIMEOUT_SECONDS = 120
"""Of a chat with a model that another program deployed; ours have a timeout each."""

GRACE_SECONDS = 5
"""Beyond a chat's own timeout, which the model actor keeps, before this side gives up on the actor."""

RESTART_SECONDS = 10
"""How long a chat waits for a model actor that is being restarted."""


AHEAD = 16
"""Items of a stream that wait here for a slow client, before its actor stops reading from the provider."""

LOOK_SECONDS = 0.5
"""How often a stream that is silent looks whether its client is still there."""


class Relayed(NamedTuple):
    """A provider's reply as it came, and which provider sent it."""

    reply: dict[str, Any]
    provider: str


@dataclass(slots=True)
class _Replica:
    actor: Any
    in_flight: int = 0

    @contextmanager
    def busy(self) -> Iterator[Any]:
        self.in_flight += 1
        try:
            yield self.actor
        finally:
            self.in_flight -= 1


@dataclass(slots=True)
class _Route:
    """How to reach a chat; kept until a reply shows another generation."""

    generation: int
    engine: str
    timeout: float
    replicas: list[_Replica]
    turns: Iterator[int] = field(default_factory=itertools.count)

    def pick(self) -> AbstractContextManager[Any]:
        """The actor with the least to do (as this process sees it), in turns among equals."""
        turn = next(self.turns) % len(self.replicas)
        return min(self.replicas[turn:] + self.replicas[:turn], key=lambda replica: replica.in_flight).busy()


class Stream:
    """A stream that has begun to speak; `model` and `provider` are who does. Close it, whatever happens."""

    def __init__(
        self, connection: Connection, items: Any, head: dict[str, Any], timeout: float, held: ExitStack
    ) -> None:
        self.model: str = head["model"]
        self.provider: str = head["provider"]
        self._connection = connection
        self._items = items
        self._timeout = timeout
        self._held = held

    def pieces(self, gone: Callable[[], bool]) -> Iterator[bytes]:
        """What comes, as it comes, until the end or until the client is `gone`. Raises GatewayError in mid-stream."""
        waited = 0.0
        while True:
            try:
                piece = self._connection.next(self._items, LOOK_SECONDS)
            except GatewayError as error:
                waited += LOOK_SECONDS
                if gone():
                    return
                if error.code != Code.TIMEOUT or waited > self._timeout:
                    raise
                continue
            if piece is None:
                return
            if piece.startswith(MID_STREAM):
                raise GatewayError(**orjson.loads(piece[len(MID_STREAM) :])["error"])
            waited = 0.0
            yield piece

    def hold(self, more: ExitStack) -> None:
        """Let go of `more`, too, when it is closed."""
        self._held.push(more)

    def close(self) -> None:
        """End it here and at the provider; a stream that has ended already is let go."""
        self._held.close()


class GatewayLLM(ByzerLLM):  # type: ignore[misc]  # byzerllm's types do not resolve
    """A ByzerLLM whose `deploy`, `undeploy` and `chat_oai` have time limits and errors that say who must act."""

    def __init__(self, address: str, max_in_flight: int) -> None:
        super().__init__()
        # Else `<_image_>/etc/passwd</_image_>` in a prompt makes byzerllm read that file and send it upstream.
        self.skip_nontext_check = True
        self._connection = Connection(address, on_change=self._forget_all)
        self._slots = threading.BoundedSemaphore(max_in_flight)
        self._routes: dict[str, _Route] = {}

    def start(self) -> None:
        """Connect, and stay connected, in the background."""
        self._connection.start()

    # Asked by the views.

    def deploy(
        self, model_path: str, pretrained_model_type: str, udf_name: str, infer_params: ModelConfig
    ) -> dict[str, Any]:
        """Put a model behind the chat name `udf_name`; returns when it answers. Raises GatewayError."""
        self._tell_directory("deploy", infer_params, seconds=DEPLOY_SECONDS + ASK_SECONDS)
        self._forget(udf_name)
        return {"model_deploy_type": "saas", "backend": "saas", "model_name": infer_params["model_name"]}

    def undeploy(self, udf_name: str, force: bool = False) -> None:
        """Take a chat away, chats under way finishing first. Raises GatewayError (NOT_DEPLOYED...)."""
        self._tell_directory("undeploy", udf_name, seconds=DRAIN_SECONDS + 2 * ASK_SECONDS)
        self._forget(udf_name)

    def chat_oai(
        self,
        conversations: list[dict[str, Any]],
        *args: Any,
        model: str | None = None,
        llm_config: dict[str, Any] | None = None,
        **others: Any,
    ) -> list[LLMResponse]:
        """One chat, answered within the chat's timeout. Raises GatewayError."""
        if model is None:
            raise TypeError("model: which chat?")
        with self._slot():
            return self._retried(model, lambda: self._chat(model, conversations, llm_config or {}))

    def relay(self, name: str, path: str, fields: dict[str, Any]) -> Relayed:
        """An OpenAI-shaped request, sent on but for its model, and the reply as it came. Raises GatewayError."""
        with self._slot():
            return self._retried(name, lambda: self._relay(name, path, fields))

    def stream(self, name: str, path: str, fields: dict[str, Any], include_usage: bool | None) -> Stream:
        """A stream that has begun to speak, as events, or as bare text if `include_usage` is None.

        Raises GatewayError: it did not begin.
        """
        with ExitStack() as held:
            held.enter_context(self._slot())
            stream = self._retried(name, lambda: self._stream(name, path, fields, include_usage))
            stream.hold(held.pop_all())
            return stream

    def models(self) -> list[dict[str, Any]]:
        """Every chat on the cluster. Raises GatewayError."""
        return list(self._connection.ask(self._connection.directory.models.remote(), ASK_SECONDS))

    def ready(self) -> None:
        """Raise GatewayError unless the cluster answers at once."""
        self._connection.ready()

    # How a chat is reached.

    def _chat(self, name: str, conversation: list[dict[str, Any]], options: dict[str, Any]) -> list[LLMResponse]:
        route = self._routes.get(name) or self._find(name)
        if route.engine == "byzerllm":
            return self._chat_stock(name, conversation, options)
        body = orjson.dumps({"messages": conversation, **options})
        with route.pick() as actor:
            said = self._connection.ask(actor.chat.remote(body), route.timeout + GRACE_SECONDS)
        answer = self._opened(name, route, said)["answer"]
        return [LLMResponse(output=answer["text"], input=conversation[-1]["content"], metadata=answer)]

    def _relay(self, name: str, path: str, fields: dict[str, Any]) -> Relayed:
        route = self._routes.get(name) or self._find(name)
        if route.engine == "byzerllm":
            return Relayed(self._relay_stock(name, path, fields), "byzerllm")
        with route.pick() as actor:
            said = self._connection.ask(actor.relay.remote(path, orjson.dumps(fields)), route.timeout + GRACE_SECONDS)
        opened = self._opened(name, route, said)
        return Relayed(opened["reply"], opened["provider"])

    def _stream(self, name: str, path: str, fields: dict[str, Any], include_usage: bool | None) -> Stream:
        route = self._routes.get(name) or self._find(name)
        if route.engine == "byzerllm":
            raise GatewayError(
                Code.INVALID_REQUEST,
                "stream: stock byzerllm deployed this model, and it does not stream here; leave stream out.",
                "stream：该模型由 byzerllm 原生部署，此处不支持流式输出；请去掉 stream。",
                chat_name=name,
            )
        with ExitStack() as held:
            actor = held.enter_context(route.pick())
            call = actor.stream.options(num_returns="streaming", _generator_backpressure_num_objects=AHEAD)
            items = call.remote(path, orjson.dumps(fields), include_usage)
            held.callback(ray.cancel, items)
            first = self._connection.next(items, route.timeout + GRACE_SECONDS)
            head = self._opened(name, route, first or b"{}")
            return Stream(self._connection, items, head, route.timeout + GRACE_SECONDS, held.pop_all())

    def _opened(self, name: str, route: _Route, said: bytes) -> dict[str, Any]:
        """What an actor said. Raises GatewayError, the actor's own."""
        opened: dict[str, Any] = orjson.loads(said)
        if opened["generation"] != route.generation:
            self._forget(name)  # deployed anew meanwhile: find out how, next time
        if error := opened.get("error"):
            raise GatewayError(**error)
        return opened

    def _chat_stock(self, name: str, conversation: list[dict[str, Any]], options: dict[str, Any]) -> list[LLMResponse]:
        try:
            # Without enable_default_sys_message=False it puts a Chinese preamble before the caller's system message.
            said: list[LLMResponse] = super().chat_oai(
                conversation, model=name, llm_config=options, enable_default_sys_message=False
            )
            return said
        except FAILED_THERE as error:
            raise GatewayError(
                Code.PROVIDER_DOWN,
                f"The stock byzerllm model failed ({type(error).__name__}); its worker's log says why.",
                "byzerllm 原生模型调用失败，原因见其 Ray worker 日志。",
                chat_name=name,
                provider="byzerllm",
            ) from error

    def _relay_stock(self, name: str, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        """A chat with a stock byzerllm model, in OpenAI's shape."""
        known = {"messages", "temperature", "top_p", "max_tokens", "stream"}
        if path != "/chat/completions" or (other := sorted(fields.keys() - known)):
            what = path if path != "/chat/completions" else ", ".join(other)
            raise GatewayError(
                Code.INVALID_REQUEST,
                f"model: stock byzerllm deployed {name}, and it does not do {what}.",
                f"model：{name} 由 byzerllm 原生部署，不支持 {what}。",
                chat_name=name,
            )
        options: dict[str, Any] = {key: fields[key] for key in ("temperature", "top_p", "max_tokens") if key in fields}
        [said] = self._chat_stock(name, fields["messages"], options)
        counts = said.metadata
        prompt, completion = int(counts.get("input_tokens_count", 0)), int(counts.get("generated_tokens_count", 0))
        message = {"role": "assistant", "content": said.output}
        return {
            "id": f"chatcmpl-{counts.get('request_id', '')}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": name,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        }

    def _query(self, model: str, input_value: list[dict[str, Any]]) -> Any:
        """byzerllm's own way to its models, with a time limit on every wait."""
        route = self._routes.get(model) or self._find(model)
        [master] = (replica.actor for replica in route.replicas)
        deadline = time.monotonic() + route.timeout
        index, worker = self._connection.ask(master.get.remote(), ASK_SECONDS)
        try:
            said = self._connection.ask(
                worker.async_apply.remote([orjson.dumps(value).decode() for value in input_value]),
                deadline - time.monotonic(),
            )
        finally:
            master.give_back.remote(index)
        return orjson.loads(said["value"][0])

    def _find(self, name: str) -> _Route:
        found = self._connection.ask(self._connection.directory.find.remote(name), ASK_SECONDS)
        if found is None:
            raise GatewayError(Code.NOT_DEPLOYED, chat_name=name)
        if found.get("need_key"):
            raise GatewayError(Code.NEED_KEY, chat_name=name, provider=found["provider"])
        try:
            actors = [ray.get_actor(replica_name(name, i), NAMESPACE) for i in range(found["replicas"])]
        except ValueError:
            raise GatewayError(Code.NOT_DEPLOYED, chat_name=name) from None
        timeout = found["timeout"] or STOCK_TIMEOUT_SECONDS
        route = _Route(found["generation"], found["engine"], timeout, [_Replica(actor) for actor in actors])
        self._routes[name] = route
        return route

    def _forget(self, name: str) -> None:
        self._routes.pop(name, None)
        self.meta_cache.pop(name, None)

    def _forget_all(self) -> None:
        self._routes.clear()
        self.meta_cache.clear()

    def _tell_directory(self, method: str, argument: Any, seconds: float) -> None:
        said = self._connection.ask(getattr(self._connection.directory, method).remote(argument), seconds)
        if error := said.get("error"):
            raise GatewayError(**error)

    def _retried(self, name: str, chat: Callable[[], T]) -> T:
        """Look the chat up again where its actor has gone, and wait for one that is being restarted."""
        deadline = time.monotonic() + RESTART_SECONDS
        looked_again = False
        while True:
            try:
                return chat()
            except ray.exceptions.RayActorError as error:
                self._forget(name)
                if time.monotonic() > deadline:
                    detail = "The chat's process in the cluster ended and did not come back."
                    raise GatewayError(Code.CLUSTER_DOWN, detail, chat_name=name) from error
                time.sleep(0.2)
            except GatewayError as error:
                # A replica that was retired while this process still knew it: the chat may have others now.
                if error.code != Code.NOT_DEPLOYED or looked_again or name not in self._routes:
                    raise
                looked_again = True
                self._forget(name)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(blocking=False):
            raise GatewayError(Code.GATEWAY_BUSY)
        try:
            yield
        finally:
            self._slots.release()
