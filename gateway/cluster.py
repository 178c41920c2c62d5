"""GatewayLLM: the shared ByzerLLM client, connected to a running Ray cluster.

In the gateway's process this is the only module that uses ray and byzerllm. Connecting happens after gunicorn's fork
(Ray does not survive one) and in a background thread (on the main thread `ray.init` takes over gunicorn's SIGTERM).
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

# A process whose cluster is gone for 60 s would be ended by Ray's C++ (`_Exit(1)`); ours waits for it to come back.
os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(10**9))

import ray
import ray._private.utils

# byzerllm 0.1.223 imports this name, which Ray 2.60 dropped; without it the import below fails.
ray._private.utils.hex_to_binary = bytes.fromhex

from byzerllm.utils.client.byzerllm_client import ByzerLLM
from byzerllm.utils.client.types import LLMResponse

import gateway
from gateway.directory import DEPLOY_SECONDS, Directory, replica_name
from gateway.errors import Code, GatewayError
from gateway.model_actor import DIRECTORY, DRAIN_SECONDS, NAMESPACE, ModelConfig

log = logging.getLogger(__name__)
logging.getLogger("ray").setLevel(logging.ERROR)  # it warns of every thread that is not the main one

STOCK_MODEL_TYPES = frozenset(
    f"saas/{name}"
    for name in (
        *("aws_bedrock", "azure_openai", "baichuan", "claude", "minimax", "openai_response"),
        *("openrouter", "pangu", "qianfan", "reasoning_openai", "siliconflow", "sparkdesk"),
    )
)
"""byzerllm 0.1.223's own chat models that we do not relay. An allow-list: stock byzerllm imports what it is told."""

READY_SECONDS = 2
WATCH_SECONDS = 2
RECONNECT_SECONDS = 1
ASK_SECONDS = 10
STOCK_TIMEOUT_SECONDS = 120
"""Of a chat with a model that another program deployed; ours have a timeout each."""

GRACE_SECONDS = 5
"""Beyond a chat's own timeout, which the model actor keeps, before this side gives up on the actor."""

RESTART_SECONDS = 10
"""How long a chat waits for a model actor that is being restarted."""


_FAILED_THERE = (ray.exceptions.RayTaskError, ray.exceptions.RaySystemError, ray.exceptions.UnserializableException)
"""An exception of the called code itself; the openai SDK's, which stock byzerllm lets through, do not unpickle."""


@dataclass(slots=True)
class _Replica:
    actor: Any
    in_flight: int = 0


@dataclass(slots=True)
class _Route:
    """How to reach a chat; kept until a reply shows another generation."""

    generation: int
    engine: str
    timeout: float
    replicas: list[_Replica]
    turns: Iterator[int] = field(default_factory=itertools.count)

    def pick(self) -> _Replica:
        """The replica with the least to do (as this process sees it), in turns among equals."""
        turn = next(self.turns) % len(self.replicas)
        return min(self.replicas[turn:] + self.replicas[:turn], key=lambda replica: replica.in_flight)


class GatewayLLM(ByzerLLM):  # type: ignore[misc]  # byzerllm's types do not resolve
    """A ByzerLLM whose `deploy`, `undeploy` and `chat_oai` have time limits and errors that say who must act."""

    def __init__(self, address: str, max_in_flight: int) -> None:
        super().__init__()
        # Else `<_image_>/etc/passwd</_image_>` in a prompt makes byzerllm read that file and send it upstream.
        self.skip_nontext_check = True
        self._address = address
        self._slots = threading.BoundedSemaphore(max_in_flight)
        self._routes: dict[str, _Route] = {}
        self._known: tuple[str, list[dict[str, Any]]] = ("", [])
        self._directory: Any = None
        self._why_down = "Connecting to the Ray cluster."

    def start(self) -> None:
        """Connect, watch and reconnect for as long as this process lives."""
        threading.Thread(target=self._keep_connected, name="cluster", daemon=True).start()

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

    def models(self) -> list[dict[str, Any]]:
        """Every chat on the cluster. Raises GatewayError."""
        return list(self._ask(self._connected().models.remote(), ASK_SECONDS))

    def ready(self) -> None:
        """Raise GatewayError unless the cluster answers within `READY_SECONDS`."""
        self._ask(self._connected().known.remote(), READY_SECONDS)

    # How a chat is reached.

    def _chat(self, name: str, conversation: list[dict[str, Any]], options: dict[str, Any]) -> list[LLMResponse]:
        route = self._routes.get(name) or self._find(name)
        if route.engine == "byzerllm":
            return self._chat_stock(name, conversation, options)
        body = orjson.dumps({"messages": conversation, **options})
        replica = route.pick()
        replica.in_flight += 1
        try:
            reply = orjson.loads(self._ask(replica.actor.chat.remote(body), route.timeout + GRACE_SECONDS))
        finally:
            replica.in_flight -= 1
        if reply["generation"] != route.generation:
            self._forget(name)
        if error := reply.get("error"):
            raise GatewayError(**error)
        answer = reply["answer"]
        return [LLMResponse(output=answer["text"], input=conversation[-1]["content"], metadata=answer)]

    def _chat_stock(self, name: str, conversation: list[dict[str, Any]], options: dict[str, Any]) -> list[LLMResponse]:
        try:
            # Without enable_default_sys_message=False it puts a Chinese preamble before the caller's system message.
            said: list[LLMResponse] = super().chat_oai(
                conversation, model=name, llm_config=options, enable_default_sys_message=False
            )
            return said
        except _FAILED_THERE as error:
            raise GatewayError(
                Code.PROVIDER_DOWN,
                f"The stock byzerllm model failed ({type(error).__name__}); its worker's log says why.",
                "byzerllm 原生模型调用失败，原因见其 Ray worker 日志。",
                chat_name=name,
                provider="byzerllm",
            ) from error

    def _query(self, model: str, input_value: list[dict[str, Any]]) -> Any:
        """byzerllm's own way to its models, with a time limit on every wait."""
        route = self._routes.get(model) or self._find(model)
        master = route.pick().actor
        deadline = time.monotonic() + route.timeout
        index, worker = self._ask(master.get.remote(), ASK_SECONDS)
        try:
            said = self._ask(
                worker.async_apply.remote([orjson.dumps(value).decode() for value in input_value]),
                deadline - time.monotonic(),
            )
        finally:
            master.give_back.remote(index)
        return orjson.loads(said["value"][0])

    def _find(self, name: str) -> _Route:
        found = self._ask(self._connected().find.remote(name), ASK_SECONDS)
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

    def _retried(self, name: str, chat: Callable[[], list[LLMResponse]]) -> list[LLMResponse]:
        """Look the chat up again where its actor has gone, and wait for one that is being restarted."""
        deadline = time.monotonic() + RESTART_SECONDS
        looked_again = False
        while True:
            try:
                return chat()
            except ray.exceptions.RayActorError as error:
                self._forget(name)
                if time.monotonic() > deadline:
                    raise self._down("The chat's process in the cluster ended and did not come back.") from error
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

    # How the cluster is reached.

    def _tell_directory(self, method: str, argument: Any, seconds: float) -> None:
        said = self._ask(getattr(self._connected(), method).remote(argument), seconds)
        if error := said.get("error"):
            raise GatewayError(**error)

    def _ask(self, call: Any, seconds: float) -> Any:
        """What a Ray call gives, within `seconds`; Ray's failures but an actor's own become CLUSTER_DOWN or TIMEOUT."""
        try:
            return ray.get(call, timeout=max(seconds, 0.001))
        except ray.exceptions.GetTimeoutError as error:
            ray.cancel(call)
            detail = f"No answer from the cluster within {seconds:.0f} s."
            raise GatewayError(Code.TIMEOUT if self._directory else Code.CLUSTER_DOWN, detail) from error
        except (ray.exceptions.RayActorError, *_FAILED_THERE):
            raise
        except ray.exceptions.RayError as error:
            raise self._down(type(error).__name__) from error

    def _connected(self) -> Any:
        if self._directory is None:
            raise self._down(self._why_down)
        return self._directory

    def _down(self, detail: str) -> GatewayError:
        return GatewayError(Code.CLUSTER_DOWN, detail)

    def _keep_connected(self) -> None:
        while True:
            try:
                directory = self._connect()
                while self._alive(directory):
                    time.sleep(WATCH_SECONDS)
            except Exception as error:
                self._lost(_explained(error))
            self._disconnect()
            time.sleep(RECONNECT_SECONDS)

    def _connect(self) -> Any:
        ray.init(
            address=self._address,
            namespace=NAMESPACE,
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.ERROR,
        )
        # Ray's workers, on other nodes too, need not have our code installed.
        ray.cloudpickle.register_pickle_by_value(gateway)
        options = {"name": DIRECTORY, "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True}
        directory = ray.remote(Directory).options(num_cpus=0, max_restarts=-1, **options).remote()
        self._learn(directory)
        self._routes.clear()
        self.meta_cache.clear()
        self._directory = directory
        log.info("connected to the Ray cluster at %s", ray.get_runtime_context().gcs_address)
        return directory

    def _learn(self, directory: Any) -> None:
        """Hear which chats there are; tell a newborn directory (of a new cluster, maybe) of those there were."""
        born, chats = ray.get(directory.known.remote(), timeout=WATCH_SECONDS)
        before, remembered = self._known
        if born != before and remembered:
            ray.get(directory.remember.remote(remembered), timeout=DEPLOY_SECONDS)
            born, chats = ray.get(directory.known.remote(), timeout=WATCH_SECONDS)
        self._known = born, chats

    def _alive(self, directory: Any) -> bool:
        """Whether the cluster is there.

        A directory that is busy or restarting is not a lost cluster: then Ray's control store must be gone, too.
        """
        try:
            self._learn(directory)
            return True
        except (ray.exceptions.GetTimeoutError, ray.exceptions.ActorUnavailableError) as error:
            host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
            try:
                socket.create_connection((host, int(port)), WATCH_SECONDS).close()
                return True
            except OSError:
                self._lost(_explained(error))
        except (ray.exceptions.RayError, ConnectionError) as error:
            self._lost(_explained(error))
        return False

    def _lost(self, why: str) -> None:
        if why != self._why_down or self._directory is not None:
            log.warning("no Ray cluster at %s: %s", self._address, why)
        self._why_down, self._directory = why, None
        self._routes.clear()

    def _disconnect(self) -> None:
        try:
            ray.shutdown()
        except Exception as error:
            log.warning("leaving the Ray cluster failed: %s", type(error).__name__)


def _explained(error: Exception) -> str:
    """Why there is no connection, and what to do, in a sentence."""
    text = " ".join(str(error).split())
    if "Version mismatch" in text:
        return f"{text[:400]} Start Ray with this environment's own ray, so that both versions are the same."
    if "token" in text.lower() and "auth" in text.lower():
        return "The cluster wants its token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN)."
    if isinstance(error, ConnectionError):
        return "No Ray cluster runs there. Start one (make run starts its own), or set RAY_ADDRESS=host:6379."
    return f"{type(error).__name__}: {text[:200]}"
