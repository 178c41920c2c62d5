"""GatewayLLM: the shared ByzerLLM client of a gateway process, connected to a running Ray
cluster."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import orjson

from gateway.actors.deployments import DEPLOY_SECONDS
from gateway.actors.model_actor import DRAIN_SECONDS
from gateway.byte_budget import ByteBudget
from gateway.cluster.answer import Answer
from gateway.cluster.calls import Calls
from gateway.cluster.channel import Channel
from gateway.cluster.chat_table import ASK_SECONDS, ChatTable
from gateway.cluster.connection import Connection
from gateway.cluster.replicas import ReplicaSet
from gateway.cluster.retry import Retry
from gateway.cluster.stock_client import StockLLM
from gateway.cluster.stream import Stream, WholeStream
from gateway.cluster.structured import structured
from gateway.errors import Code, ErrorRecord, GatewayError
from gateway.frames import AnswerForm, Client, Head, Request, Usage, packed
from gateway.hub import in_thread
from gateway.protocol import (
    CHAT,
    COUNT_TOKENS,
    EMBEDDINGS,
    Budget,
    ChatRow,
    Engine,
    ModelConfig,
    Offered,
    Price,
    PublicConfig,
)
from gateway.providers.event_streams import EVENTFUL
from gateway.providers.questions import WORDED
from gateway.providers.reader import REPLY_BYTES
from gateway.providers.stock import with_defaults
from gateway.providers.structures import Structure
from gateway.providers.usage import guess

STRUCTURES = frozenset({"choices", "fields"})
"""What says the structure of an answer: one of them at a time."""

ANSWER_BYTES = 4 * REPLY_BYTES
"""Of large answers at once; the questions have a budget of their own, so that they cost no answer
that was paid for."""


FREE = frozenset({COUNT_TOKENS, "/moderations"})
"""The endpoints whose providers take nothing for them: of what they do not count nothing is
guessed."""


class GatewayLLM(StockLLM):
    """A ByzerLLM whose `deploy`, `undeploy` and `chat_oai` have time limits and errors that say who
    must act."""

    def __init__(self, address: str, max_in_flight: int) -> None:
        super().__init__(Connection(address, self._on_change, self._on_watch))
        self.answers = ByteBudget(ANSWER_BYTES)
        self._slots = threading.BoundedSemaphore(max_in_flight)
        self._calls = Calls(self._connection)
        self._table = ChatTable(self._connection, self._calls, self.answers, self._on_forget)
        self._retry = Retry(self._connection, self._calls, self._table)

    def start(self) -> None:
        """Connect, and stay connected, in the background."""
        self._connection.start()

    @property
    def hop(self) -> str:
        """By what a question is known that a chat of this cluster asked (protocol.HOP); "": there
        is no cluster yet."""
        return self._connection.hop

    @property
    def driver(self) -> str:
        """How Ray calls this process; "": it was never connected."""
        return self._connection.driver

    def settled(self, seconds: float) -> None:
        """Wait, for so long at most, until it is known whether there is a cluster."""
        self._connection.settled(seconds)

    # Called by the views.

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
        self._table.forget(udf_name)
        return {
            "model_deploy_type": "saas",
            "backend": "saas",
            "model_name": infer_params["model_name"],
        }

    def undeploy(self, udf_name: str, force: bool = False) -> None:
        """Take a chat away, chats under way finishing first. Raises GatewayError
        (NOT_DEPLOYED...)."""
        self._tell_directory(DRAIN_SECONDS + 2 * ASK_SECONDS, "undeploy", udf_name)
        self._table.forget(udf_name)

    def undo(self, name: str) -> None:
        """Bring back what was behind a chat before its last deploy. Raises GatewayError."""
        self._tell_directory(DEPLOY_SECONDS + ASK_SECONDS, "undo", name)
        self._table.forget(name)

    def set_fallback(self, name: str, chain: tuple[str, ...]) -> None:
        """Say which chats answer in a chat's place when it cannot. Raises GatewayError."""
        self._tell_directory(ASK_SECONDS, "set_fallback", name, list(chain))
        self._table.forget(name)

    def chain(self, name: str, path: str = CHAT) -> tuple[str, ...]:
        """Return the chats that answer in a chat's place when it cannot: those of its chain that
        have the endpoint `path`, and for vectors the same model, since those of two models cannot
        be compared. Raises GatewayError."""
        chain = self._table.chain(name, path)
        if path != EMBEDDINGS:
            return chain
        return tuple(other for other in chain if self._weights(other) == self._weights(name))

    def _weights(self, name: str) -> str:
        """Return a chat's model by the name that it has everywhere: `BAAI/bge-m3` is `bge-m3`."""
        config = self._connection.chats.get(name)
        return config["model_name"].rpartition("/")[2].casefold() if config else ""

    def task(self, name: str) -> PublicConfig | None:
        """Return the task of this name; None: there is none."""
        config = self._connection.chats.get(name)
        return config if config and config["task"] else None

    def reply_options(self, name: str) -> dict[str, Any]:
        """Return how a chat's deploy said that replies are written; a task's says it before its
        chat's."""
        config = self._connection.chats.get(name)
        if config is None:
            return {}
        own = config["reply"] or {}
        if config["task"] is None:
            return own
        chats = self.reply_options(config["task"]["through"])
        if own.keys() & STRUCTURES:
            chats = {key: value for key, value in chats.items() if key not in STRUCTURES}
        return {**chats, **own}

    def require_cluster(self) -> None:
        """Raise GatewayError (CLUSTER_DOWN) unless there is one: without it, not all names are
        known."""
        self._connection.directory  # noqa: B018  # it raises

    def ask_store(self, method: str, *arguments: Any) -> Any:
        """Call a method of the store of jobs and sessions. Raises GatewayError."""
        return self._calls.ask_store(ASK_SECONDS, method, *arguments)

    def ask_ledger(self, method: str, *arguments: Any) -> Any:
        """Call a method of the ledger. Raises GatewayError."""
        return self._calls.ask_ledger(ASK_SECONDS, method, *arguments)

    def price(self, name: str) -> Price | None:
        """Return what a chat's tokens cost; None: nobody said."""
        config = self._connection.chats.get(name)
        return config["price"] if config else None

    def budget(self, name: str) -> Budget | None:
        """Return what a chat may use; None: as much as it likes."""
        config = self._connection.chats.get(name)
        return config["budget"] if config else None

    def budgets(self) -> list[str]:
        """Return the names of the chats that have a budget."""
        return self._connection.chats.names(lambda config: config["budget"] is not None)

    def chat_oai(
        self,
        conversations: list[dict[str, Any]] | bytes,
        *args: Any,
        model: str | None = None,
        llm_config: dict[str, Any] | None = None,
        caller: str = "",
        client: Client = None,
        structure: str = "",
        **others: Any,
    ) -> list[Answer]:
        """Answer one chat within its timeout; what a `caller` repeats meanwhile, with it. Raises
        GatewayError.

        It is given up when `client` hangs up, unless another caller waits for the same. Bytes are a
        whole request that is `packed` already, options and all: so it is there once, however many
        chats are asked. What does not fit the `structure` (JSON) is no answer.
        """
        if model is None:
            raise TypeError("model: which chat?")
        if isinstance(conversations, bytes):
            body, question = conversations, ""
        else:
            # Some providers stream unless they are told not to.
            body = packed({"messages": conversations, **(llm_config or {}), "stream": False})
            question = conversations[-1]["content"]
        request = Request(AnswerForm.ANSWER, caller=caller, structure=structure)
        with self._slot():
            answer = self._answered(model, request, body, client)
        answer.input = question
        return [answer]

    def relay(self, name: str, request: Request, body: bytes, client: Client = None) -> Answer:
        """Send a request on to an endpoint, and return the reply as it came. Raises
        GatewayError."""
        with self._slot():
            if request.structure:
                return self._shaped(name, request, body, client)
            return self._retry.run(name, lambda: self._relay(name, request, body, client))

    def stream(self, name: str, request: Request, body: bytes, client: Client = None) -> Stream:
        """Return a stream that has begun to speak. Raises GatewayError: it did not begin, or its
        `client` hung up before."""
        with ExitStack() as stack:
            stack.enter_context(self._slot())
            if request.structure:  # it is checked before anything of it is sent
                return WholeStream(self._shaped(name, request, body, client), request)
            begun = self._retry.run(name, lambda: self._begun(name, request, body, client, stack))
            if isinstance(begun, WholeStream):
                return begun
            return Stream(name, begun, client, request.form, body, stack.pop_all().close)

    def models(self) -> list[ChatRow]:
        """Return every chat on the cluster. Raises GatewayError."""
        return list(self._calls.ask_directory(ASK_SECONDS, "models"))

    def offered(self, config: ModelConfig) -> list[str]:
        """Return which models a provider offers to a key. Raises GatewayError."""
        seconds = config["timeout"] + ASK_SECONDS
        offer: Offered = self._calls.tell_directory(seconds, "offered", config)
        if offer["error"]:
            raise GatewayError.from_dict(offer["error"])
        return offer["models"]

    def ready(self) -> None:
        """Raise GatewayError unless the cluster answers at once."""
        self._calls.ready()

    # How a chat is asked.

    def _answered(self, name: str, request: Request, body: bytes, client: Client) -> Answer:
        """Return the words of an answer, which fit their structure."""

        def ask(body: bytes) -> Answer:
            return self._retry.run(name, lambda: self._chat(name, request, body, client))

        structure = Structure.from_json(request.structure)
        return structured(name, structure, body, ask) if structure else ask(body)

    def _shaped(self, name: str, request: Request, body: bytes, client: Client) -> Answer:
        """Return the same in the form that is asked for: words, or a whole reply."""
        words = Request(AnswerForm.ANSWER, structure=request.structure)
        answer = self._answered(name, words, body, client)
        if request.form == AnswerForm.TEXT:
            return answer
        return Answer(orjson.dumps(answer.reply(request.shown)), answer.model, answer.usage)

    def _chat(self, name: str, request: Request, body: bytes, client: Client) -> Answer:
        replicas = self._table.get(name)
        if replicas.engine == Engine.BYZERLLM:
            fields = with_defaults(replicas.options, orjson.loads(body))
            return in_thread(self.chat_stock, name, fields["messages"], fields)
        return self._whole(replicas, request, body, client)

    def _relay(self, name: str, request: Request, body: bytes, client: Client) -> Answer:
        self._table.require(name, request.path)
        replicas = self._table.get(name)
        if replicas.engine == Engine.BYZERLLM:
            fields = with_defaults(replicas.options, orjson.loads(body))
            return in_thread(self.relay_stock, name, fields, request.shown)
        return self._whole(replicas, request, body, client)

    def _begun(
        self, name: str, request: Request, body: bytes, client: Client, stack: ExitStack
    ) -> tuple[Channel, Head] | WholeStream:
        """Return the connection of a stream that has begun, and its head, which `stack` holds; or
        the whole of it, where it comes in one piece."""
        self._table.require(name, request.path)
        replicas = self._table.get(name)
        if replicas.engine == Engine.BYZERLLM:
            fields = with_defaults(replicas.options, orjson.loads(body))
            return in_thread(self.stream_stock, name, request, fields)
        return stack.enter_context(self._opened(replicas, request, body, client))

    @contextmanager
    def _opened(
        self, replicas: ReplicaSet, request: Request, body: bytes, client: Client
    ) -> Iterator[tuple[Channel, Head]]:
        with replicas.channel() as channel:
            yield channel, replicas.begin(channel, request, body, client)

    def _whole(self, replicas: ReplicaSet, request: Request, body: bytes, client: Client) -> Answer:
        """Ask for an answer in one piece. What may be repeated goes where its repeats go."""
        near = zlib.crc32(body) if request.caller else None
        with replicas.channel(near) as channel:
            head = replicas.begin(channel, request, body, client)
            _, content = channel.receive(client)
            _, end = channel.receive(client)
        usage = Usage(head.provider, head.seconds).with_tokens(end)
        if None in (usage.tokens_in, usage.tokens_out) and request.path not in FREE:
            worded = request.path in WORDED | EVENTFUL  # vectors and pictures have no tokens
            usage = usage.guessed(guess(body), guess(content) if worded else 0)
        return Answer(content, head.model, usage)

    def _reach(self, name: str) -> tuple[Any, float]:
        replicas = self._table.get(name)
        return replicas.replicas[0].actor, replicas.timeout

    def _on_change(self) -> None:
        self._table.forget_all()

    def _on_watch(self, configs: list[PublicConfig]) -> None:
        self._table.watch(configs)

    def _on_forget(self, name: str) -> None:
        self.meta_cache.pop(name, None)

    def _tell_directory(self, seconds: float, method: str, *arguments: Any) -> None:
        error: ErrorRecord | None = self._calls.tell_directory(seconds, method, *arguments)
        if error:
            raise GatewayError.from_dict(error)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(blocking=False):
            raise GatewayError(Code.GATEWAY_BUSY)
        try:
            with self._connection.connected():
                yield
        finally:
            self._slots.release()
