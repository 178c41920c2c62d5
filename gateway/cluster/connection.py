"""The connection to a Ray cluster: made, watched, and made again, for as long as a gateway process
lives.

Connecting happens after gunicorn's fork (Ray does not survive one) and in a background thread (on
the main thread `ray.init` takes over gunicorn's SIGTERM). A lost cluster is CLUSTER_DOWN at once,
and found again by itself.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray

import gateway
from gateway.actors.deployments import DEPLOY_SECONDS
from gateway.actors.directory import Directory
from gateway.cluster import control_store, ray_private
from gateway.cluster.deployed_chats import DeployedChats
from gateway.errors import OUT_OF_FILES, Code, GatewayError
from gateway.protocol import DIRECTORY, NAMESPACE, PublicConfig, hop

log = logging.getLogger(__name__)

WATCH_SECONDS = 2
RECONNECT_SECONDS = 1
AGAIN_SECONDS = 0.2

START_SECONDS = 15
"""So long a new process, or one that has lost its cluster, looks for it more often: Ray may be
starting beside it."""

LOOK_SECONDS = 1
"""How often a call that waits looks whether its cluster is still there."""

FAIL_SECONDS = 10
SILENCE_SECONDS = 20
"""A directory that has not answered for so long belongs to a cluster that is gone: another has come
to its address."""

FAILED_THERE = (
    ray.exceptions.RayTaskError,
    ray.exceptions.RaySystemError,
    ray.exceptions.UnserializableException,
)
"""An exception of the called code itself; the openai SDK's, which stock byzerllm lets through, do
not unpickle."""


class Connection:
    """To the cluster at `address`.

    `on_change` is called when it is made, since the last one's handles are void; it must not use
    Ray. `on_watch` is called with all `chats` when they change, and every two seconds. `hop` is by
    what its chats' questions are known (protocol.HOP), and `driver` is how Ray calls this process.
    """

    def __init__(
        self,
        address: str,
        on_change: Callable[[], None],
        on_watch: Callable[[list[PublicConfig]], None],
    ) -> None:
        ray_private.connect_only_when_told()
        self._address = address
        self._on_change = on_change
        self._on_watch = on_watch
        self._directory: Any = None
        self.chats = DeployedChats()
        self.hop = ""
        self.driver = ""
        self._why_down = "Connecting to the Ray cluster.", "正在连接 Ray 集群。"
        self._users = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._doubted = False
        self._tried = threading.Event()

    def start(self) -> None:
        """Connect, watch and reconnect in the background."""
        threading.Thread(target=self._keep_connected, name="cluster", daemon=True).start()

    def settled(self, seconds: float) -> None:
        """Wait, for so long at most, until it is known whether there is a cluster."""
        self._tried.wait(seconds)

    @property
    def directory(self) -> Any:
        """The directory actor. Raises GatewayError: there is no cluster, with the reason."""
        if self._directory is None:
            raise GatewayError(Code.CLUSTER_DOWN, *self._why_down)
        return self._directory

    def ask(self, call: Any, seconds: float) -> Any:
        """Return what a Ray call gives, within `seconds`. Raises GatewayError, and what the called
        actor itself raised."""
        cluster, deadline = self._directory, time.monotonic() + seconds
        try:
            while True:
                left = deadline - time.monotonic()
                try:
                    return ray.get(call, timeout=max(min(left, LOOK_SECONDS), 0.001))
                except ray.exceptions.GetTimeoutError as error:
                    # Ray itself may not say so for long.
                    if cluster is None or self._directory is not cluster:
                        raise GatewayError(Code.CLUSTER_DOWN, *self._why_down) from error
                    if left <= LOOK_SECONDS:
                        ray.cancel(call)
                        detail = f"No answer from the cluster within {seconds:.0f} s."
                        raise GatewayError(Code.TIMEOUT, detail) from error
        except (ray.exceptions.RayActorError, *FAILED_THERE):
            raise
        except ray.exceptions.RayError as error:
            raise GatewayError(Code.CLUSTER_DOWN, type(error).__name__) from error

    @contextmanager
    def using_ray(self) -> Iterator[None]:
        """Around every use of Ray but this class's own: Ray ends the process that uses it while it
        shuts down. Raises GatewayError where there is no cluster, or none any more."""
        with self._lock:
            self.directory  # noqa: B018  # it raises
            self._users += 1
        try:
            with self.connected():
                yield
        except Exception as error:
            _forget_calls(error)
            raise
        finally:
            with self._lock:
                self._users -= 1

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Turn whatever Ray raises where this process has lost its cluster into CLUSTER_DOWN: all
        handles are void, also if there is another one by now."""
        cluster = self._directory
        try:
            yield
        except GatewayError:
            raise
        except Exception as error:
            if cluster is not None and cluster is self._directory and ray.is_initialized():
                if isinstance(error, ray.exceptions.GetTimeoutError):  # not a call's: see ask
                    words = "The cluster's control store does not answer."
                    words_zh = "集群的控制存储（GCS）没有响应。"
                    raise GatewayError(Code.CLUSTER_DOWN, words, words_zh) from error
                raise
            raise GatewayError(Code.CLUSTER_DOWN, *self._why_down) from error

    def place(self) -> tuple[str, str]:
        """Return this process's node, and the folder where that keeps its sockets."""
        return ray.get_runtime_context().get_node_id(), ray_private.sockets_folder()

    def doubt(self) -> None:
        """Look at once whether the cluster is there: something in it is gone."""
        self._doubted = True
        self._wake.set()

    def _keep_connected(self) -> None:
        since = time.monotonic()
        while True:
            try:
                directory, doubted = self._connect(), False
                while self._alive(directory, doubted):
                    self._wake.wait(WATCH_SECONDS)
                    self._wake.clear()
                    doubted, self._doubted = self._doubted, False
                since = time.monotonic()
            except Exception as error:
                self._lost(error)
            self._tried.set()
            self._disconnect()
            starting = time.monotonic() < since + START_SECONDS
            time.sleep(AGAIN_SECONDS if starting else RECONNECT_SECONDS)

    def _connect(self) -> Any:
        if self._address != "auto":
            control_store.reach(self._address)  # Ray itself would look for 20 s
        # it warns of every thread that is not the main one
        logging.getLogger("ray").setLevel(logging.ERROR)
        ray_private.print_no_obituaries()
        ray.init(
            address=self._address,
            namespace=NAMESPACE,
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.ERROR,
        )
        # Ray's workers, on other nodes too, need not have our code installed.
        ray.cloudpickle.register_pickle_by_value(gateway)
        directory = shared_actor(Directory, DIRECTORY)
        ray.get(directory.chats.remote(), timeout=DEPLOY_SECONDS)  # it may be starting still
        self.chats.unfollow()
        self.chats.learn(directory)
        self.hop = hop(ray.get_runtime_context().get_session_name())
        self.driver = ray.get_runtime_context().get_job_id()
        with self._lock:  # whoever finds its handles gone waits for those of this one
            self._on_change()
            self._directory = directory
        self.chats.follow(directory, self._wake.set)
        self._tried.set()
        log.info("connected to the Ray cluster at %s", ray.get_runtime_context().gcs_address)
        return directory

    def _alive(self, directory: Any, doubted: bool) -> bool:
        """Return whether the cluster is there: its control store, and the directory, which may be
        busy or restarting."""
        try:
            # refused at once, where Ray's own calls would wait
            control_store.reach_again(ray.get_runtime_context().gcs_address)
            if doubted:
                self._require_the_same()
            self.chats.learn(directory)
            self._on_watch(self.chats.all())
            self.chats.follow(directory, self._wake.set)
        except (ray.exceptions.GetTimeoutError, ray.exceptions.ActorUnavailableError) as error:
            _forget_calls(error)
            if not doubted:
                return self._alive(directory, doubted=True)
            if self.chats.silence() < SILENCE_SECONDS:
                return True
            self._lost(error)
            return False
        except (ray.exceptions.RayError, OSError) as error:
            if isinstance(error, OSError) and error.errno in OUT_OF_FILES:
                return True  # it was not even asked
            self._lost(error)
            return False
        return True

    def _require_the_same(self) -> None:
        """Raise OSError where another cluster, or another node of ours, has come to the address:
        Ray would connect to it by itself, and wait there for what is gone."""
        ray_private.knock_at_node(WATCH_SECONDS)
        context = ray.get_runtime_context()
        session = ray_private.session_at(context.gcs_address, WATCH_SECONDS)
        if session != context.get_session_name():
            raise ConnectionResetError("another cluster has come to its address")

    def _lost(self, error: Exception) -> None:
        _forget_calls(error)
        why = control_store.why_unreached(error)
        if why != self._why_down or self._directory is not None:
            log.warning("no Ray cluster at %s: %s", self._address, why[0])
        with self._lock:
            self._why_down, self._directory = why, None

    def _disconnect(self) -> None:
        # The calls of a lost cluster fail within 2 s; those that still wait when Ray shuts down
        # would never be told.
        deadline = time.monotonic() + FAIL_SECONDS
        while self._users and time.monotonic() < deadline:
            time.sleep(0.05)
        try:
            ray.shutdown()
        except Exception as error:
            log.warning("leaving the Ray cluster failed: %s", type(error).__name__)


def shared_actor(kind: type, name: str) -> Any:
    """Return the cluster's one actor of this class and name."""
    options: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
    }
    # On the head's node, without which there is no cluster: so no other node takes it along when it
    # is lost.
    options["resources"] = {"node:__internal_head__": 0.001}
    return ray.remote(kind).options(num_cpus=0, max_restarts=-1, **options).remote()


def _forget_calls(error: BaseException | None) -> None:
    """Drop what the frames that raised an error have: calls of Ray's, which use it once more when
    they are dropped, and that may be while Ray shuts down."""
    while error:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
