"""GatewayLLM: the shared ByzerLLM client of a gateway process, connected to a running Ray
cluster."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TypeVar

import orjson
import ray

from gateway.actors import replica_name
from gateway.byte_budget import ByteBudget
from gateway.byzer import STOCK_TIMEOUT_SECONDS, LLMResponse, StockLLM
from gateway.channel import Address, Channel, ChannelError, Channels, Kind
from gateway.connection import READY_SECONDS, Connection
from gateway.directory import DEPLOY_SECONDS
from gateway.errors import Code, GatewayError
from gateway.model import CHAT, ModelConfig
from gateway.model_actor import ANSWER, DRAIN_SECONDS, NAMESPACE, REPLY
from gateway.reader import REPLY_BYTES
from gateway.routes import Client, Relayed, Replica, Route, Spent, Stream, patience

T = TypeVar("T")

Request = tuple[str, str, str, str, bytes]
"""A form, a path, the model's name to show, the caller whose repeats join, and the request's
body."""

ANSWER_BYTES = 4 * REPLY_BYTES
"""Of large answers at once; the questions have a budget of their own, so that they cost no answer
that was paid for."""

ASK_SECONDS = 10
FIND_SECONDS = 3
"""How long a model actor may take to say where it lets chats in; on a node that is cut off it never
will."""

RESTART_SECONDS = 10
"""How long a chat waits for a model actor that is being restarted."""


class GatewayLLM(StockLLM):
    """A ByzerLLM whose `deploy`, `undeploy` and `chat_oai` have time limits and errors that say who
    must act."""

    def __init__(self, address: str, max_in_flight: int) -> None:
        super().__init__(Connection(address, self._forget_all, self._tidy))
        self.answers = ByteBudget(ANSWER_BYTES)
        self._slots = threading.BoundedSemaphore(max_in_flight)
        self._routes: dict[str, Route] = {}

    def start(self) -> None:
        """Connect, and stay connected, in the background."""
        self._connection.start()

    @property
    def hop(self) -> str:
        """By what a question is known that a chat of this cluster asked (upstream.HOP); "": there
        is no cluster yet."""
        return self._connection.hop

    @property
    def driver(self) -> str:
        """How Ray calls this process; "": it was never connected."""
        return self._connection.driver

    def settled(self, seconds: float) -> None:
        """Wait, for so long at most, until it is known whether there is a cluster."""
        self._connection.settled(seconds)

    # Asked by the views.

    def deploy(
        self,
        model_path: str,
        pretrained_model_type: str,
        udf_name: str,
        infer_params: ModelConfig,
        check: bool = False,
    ) -> dict[str, Any]:
        """Put a model behind the chat name `udf_name`; returns when it answers. Raises
        GatewayError.

        `check` asks the new model a question first; if it cannot answer, all stays as it was.
        """
        self._tell_directory(DEPLOY_SECONDS + ASK_SECONDS, "deploy", infer_params, check)
        self._forget(udf_name)
        return {
            "model_deploy_type": "saas",
            "backend": "saas",
            "model_name": infer_params["model_name"],
        }

    def undeploy(self, udf_name: str, force: bool = False) -> None:
        """Take a chat away, chats under way finishing first. Raises GatewayError
        (NOT_DEPLOYED...)."""
        self._tell_directory(DRAIN_SECONDS + 2 * ASK_SECONDS, "undeploy", udf_name)
        self._forget(udf_name)

    def undo(self, name: str) -> None:
        """Bring back what was behind a chat before its last deploy. Raises GatewayError."""
        self._tell_directory(DEPLOY_SECONDS + ASK_SECONDS, "undo", name)
        self._forget(name)

    def set_fallback(self, name: str, chain: tuple[str, ...]) -> None:
        """Which chats answer in a chat's place when it cannot. Raises GatewayError."""
        self._tell_directory(ASK_SECONDS, "set_fallback", name, list(chain))
        self._forget(name)

    def chain(self, name: str) -> tuple[str, ...]:
        """The chats that answer in a chat's place when it cannot."""
        if route := self._routes.get(name):
            return route.fallback
        found = self._connection.ask_directory(ASK_SECONDS, "find", name)
        return tuple(found["fallback"]) if found else ()

    def reply_options(self, name: str) -> dict[str, Any]:
        """How a chat's deploy said that replies are written; as far as is known, cluster or not."""
        if route := self._routes.get(name):
            return route.reply
        if known := self._connection.remembered(name):
            return known["reply"] or {}
        try:
            return self._find(name, READY_SECONDS).reply
        except GatewayError:
            return {}

    def recall(self, method: str, *arguments: Any) -> Any:
        """What the memory for applications says. Raises GatewayError."""
        return self._connection.ask_memory(ASK_SECONDS, method, *arguments)

    def chat_oai(
        self,
        conversations: list[dict[str, Any]] | bytes,
        *args: Any,
        model: str | None = None,
        llm_config: dict[str, Any] | None = None,
        caller: str = "",
        client: Client = None,
        **others: Any,
    ) -> list[LLMResponse]:
        """Answer one chat within its timeout; what a `caller` repeats meanwhile, with it. Raises
        GatewayError.

        It is given up when `client` hangs up, unless another caller waits for the same. Bytes are a
        whole request that is `packed` already, options and all: so it is there once, however many
        chats are asked.
        """
        if model is None:
            raise TypeError("model: which chat?")
        if isinstance(conversations, bytes):
            body, question = conversations, ""
        else:
            # Some providers stream unless they are told not to.
            body = packed({"messages": conversations, **(llm_config or {}), "stream": False})
            question = conversations[-1]["content"]
        with self._slot():
            return self._retried(model, lambda: self._chat(model, body, question, caller, client))

    def relay(
        self, name: str, path: str, body: bytes, client: Client = None, shown: str = ""
    ) -> Relayed:
        """Send an OpenAI-shaped request on, and return the reply as it came; `shown` is the model's
        name in it.

        Raises GatewayError.
        """
        with self._slot():
            return self._retried(name, lambda: self._relay(name, path, body, client, shown))

    def stream(
        self, name: str, path: str, body: bytes, form: str, client: Client = None, shown: str = ""
    ) -> Stream:
        """Return a stream that has begun to speak, in one of model_actor's forms; `shown` is the
        model's name in it.

        Raises GatewayError: it did not begin, or its `client` hung up before.
        """
        with ExitStack() as held:
            held.enter_context(self._slot())
            what = form, path, shown, "", body
            return self._retried(name, lambda: self._stream(name, what, client, held))

    def models(self) -> list[dict[str, Any]]:
        """Every chat on the cluster. Raises GatewayError."""
        return list(self._connection.ask_directory(ASK_SECONDS, "models"))

    def ready(self) -> None:
        """Raise GatewayError unless the cluster answers at once."""
        self._connection.ready()

    # How a chat is reached.

    def _chat(
        self, name: str, body: bytes, question: str, caller: str, client: Client
    ) -> list[LLMResponse]:
        route = self._routes.get(name) or self._find(name)
        if route.engine == "byzerllm":
            options = orjson.loads(body)
            del options["stream"]
            return self.chat_stock(name, options.pop("messages"), options)
        content, model, spent = self._whole(route, (ANSWER, CHAT, name, caller, body), client)
        return [
            LLMResponse(
                output=content.decode(), input=question, metadata={"model": model, "spent": spent}
            )
        ]

    def _relay(self, name: str, path: str, body: bytes, client: Client, shown: str) -> Relayed:
        route = self._routes.get(name) or self._find(name)
        if route.engine == "byzerllm":
            return self.relay_stock(name, path, orjson.loads(body), shown)
        return self._whole(route, (REPLY, path, shown, "", body), client)

    def _stream(self, name: str, what: Request, client: Client, held: ExitStack) -> Stream:
        route = self._routes.get(name) or self._find(name)
        if route.engine == "byzerllm":
            raise GatewayError(
                Code.INVALID_REQUEST,
                "stream: stock byzerllm deployed this model, and it does not stream here; leave"
                " stream out.",
                "stream：该模型由 byzerllm 原生部署，此处不支持流式输出；请去掉 stream。",
                chat_name=name,
                param="stream",
            )
        with ExitStack() as begun:
            channel = begun.enter_context(route.channel())
            head = self._begun(route, channel, what, client)
            held.push(begun.pop_all())
            return Stream(route, channel, client, head, held.pop_all())

    def _whole(self, route: Route, what: Request, client: Client) -> Relayed:
        """Ask for an answer in one piece. What may be repeated goes where its repeats go."""
        *_, caller, body = what
        with route.channel(near=zlib.crc32(body) if caller else None) as channel:
            head = self._begun(route, channel, what, client)
            _, content = channel.receive(client)
            _, end = channel.receive(client)
        return Relayed(
            content, head["model"], Spent(head["provider"], head["seconds"]).with_tokens(end)
        )

    def _begun(
        self, route: Route, channel: Channel, what: Request, client: Client
    ) -> dict[str, Any]:
        """Ask, and return what the actor says first. Raises GatewayError, the actor's own."""
        channel.send(*what[:-1], body=what[-1])
        kind, content = Kind.PIECE, b""
        while kind == Kind.PIECE:  # it thinks
            kind, content = channel.receive(client)
        head: dict[str, Any] = (
            orjson.loads(content) if content else {"generation": route.generation}
        )
        if head["generation"] != route.generation:
            self._forget(route.name)  # deployed anew meanwhile: find out how, next time
        if kind == Kind.ERROR:
            raise route.failed(content)
        return head

    def _find(self, name: str, seconds: float = ASK_SECONDS) -> Route:
        found = self._connection.ask_directory(seconds, "find", name)
        if found is None:
            raise GatewayError(Code.NOT_DEPLOYED, chat_name=name)
        if found.get("need_key"):
            raise GatewayError(Code.NEED_KEY, chat_name=name, provider=found["provider"])
        try:
            actors = [
                ray.get_actor(replica_name(name, i), NAMESPACE) for i in range(found["replicas"])
            ]
        except ValueError:
            raise GatewayError(Code.NOT_DEPLOYED, chat_name=name) from None
        timeout = found["timeout"] or STOCK_TIMEOUT_SECONDS
        limits = patience(timeout), self.answers
        replicas = [
            Replica(actor, Channels(partial(self._address, actor), *limits)) for actor in actors
        ]
        known = (
            found["generation"],
            found["engine"],
            timeout,
            tuple(found["fallback"]),
            found["reply"] or {},
        )
        route = Route(name, *known, replicas)
        self._routes[name] = route
        return route

    def _reach(self, name: str) -> tuple[Any, float]:
        route = self._routes.get(name) or self._find(name)
        return route.replicas[0].actor, route.timeout

    def _address(self, actor: Any) -> Address:
        """Where a model actor lets this process in. Raises ChannelError, or GatewayError."""
        try:
            here: Address = self._connection.ask(
                actor.address.remote(*self._connection.place()), FIND_SECONDS
            )
        except ray.exceptions.RayActorError as error:
            raise ChannelError("it has ended, or is being started", sent=False) from error
        except ray.exceptions.RayTaskError as error:
            detail = (
                f"The chat's node lets no other one in ({error.cause}). Install requirements.txt"
                " there, too."
            )
            raise GatewayError(Code.CLUSTER_DOWN, detail) from error
        except GatewayError as error:
            if error.code != Code.TIMEOUT:
                raise
            raise ChannelError("it does not answer: its node may be cut off", sent=False) from error
        return here

    def _forget(self, name: str) -> None:
        if route := self._routes.pop(name, None):
            route.end()
        self.meta_cache.pop(name, None)

    def _forget_all(self) -> None:
        for name in list(self._routes):
            self._forget(name)

    def _tidy(self, chats: list[dict[str, Any]]) -> None:
        """Keep no connection to a chat that is none of `chats` any more, nor one that nobody
        needs."""
        generations = {chat["chat_name"]: chat["generation"] for chat in chats}
        for name, route in list(self._routes.items()):
            if generations.get(name, 0) == route.generation:  # 0: another program deployed it
                route.close_idle()
            else:
                self._forget(name)

    def _tell_directory(self, seconds: float, method: str, *arguments: Any) -> None:
        said = self._connection.tell_directory(seconds, method, *arguments)
        if error := said.get("error"):
            raise GatewayError(**error)

    def _retried(self, name: str, chat: Callable[[], T]) -> T:
        """Once more where its process in the cluster ended: on another replica, or on the same when
        it is back.

        The provider may then have been asked twice, but a request that ends processes is not asked
        a third time. Who finds nobody there has not asked at all.
        """
        deadline = time.monotonic() + RESTART_SECONDS
        asked = forgotten = False
        while True:
            try:
                return chat()
            except (ChannelError, ray.exceptions.RayActorError) as error:
                self._connection.doubt()
                sent = not isinstance(error, ChannelError) or error.sent
                if (asked and sent) or time.monotonic() > deadline:
                    why = "ended, twice" if sent else f"cannot be reached: {error}"
                    detail = f"The chat's process in the cluster {why}."
                    raise GatewayError(Code.CLUSTER_DOWN, detail, chat_name=name) from error
                asked |= sent
                if route := self._routes.get(name):
                    # of other replicas on the same node, perhaps: what is left open may lead
                    # nowhere
                    route.close()
                self._connection.patiently(RESTART_SECONDS, lambda left: self._knock(name, left))
            except GatewayError as error:
                # A replica that was retired while this process still knew it.
                if error.code != Code.NOT_DEPLOYED or name not in self._routes or forgotten:
                    raise
                self._forget(name)
                forgotten = True

    def _knock(self, name: str, seconds: float) -> None:
        """Whether the replica that would be asked next is there. Raises what Ray says, or
        GatewayError."""
        with (self._routes.get(name) or self._find(name)).pick() as replica:
            try:
                self._connection.ask(replica.actor.stat.remote(), seconds)
            except ray.exceptions.ActorDiedError:
                self._forget(name)  # it will not come back; the chat may have others now

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(blocking=False):
            raise GatewayError(Code.GATEWAY_BUSY)
        try:
            with self._connection.connected():
                yield
        finally:
            self._slots.release()


def packed(fields: dict[str, Any]) -> bytes:
    """Return a request as its provider reads it, but for the model. Raises GatewayError."""
    try:
        return orjson.dumps(fields)
    except TypeError as error:  # it reads deeper nesting than it writes
        raise GatewayError(
            Code.INVALID_REQUEST, "The request is nested too deeply.", "请求嵌套过深。"
        ) from error
