"""The actors behind the chats, by name: made, found, asked and ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable
from typing import Any

import ray

from gateway.actors.model_actor import AT_ONCE, DRAIN_SECONDS, ModelActor
from gateway.errors import Code, GatewayError
from gateway.protocol import NAMESPACE, ModelConfig, replica_name

STATUS_SECONDS = 2
TELL_SECONDS = 10
GONE_SECONDS = 10
"""How long a killed actor's name may take to become free."""


def create_actor(model_actor: Any, chat_name: str, actor_name: str) -> Any:
    """Return an actor of the remote class `model_actor`, or the one that bears this name
    already."""
    # No CPU is reserved: an actor that waits for a provider needs none, and 4 workers must fit 2
    # cores.
    options: dict[str, Any] = {
        "name": actor_name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
    }
    limits = {
        "num_cpus": 0,
        "max_concurrency": AT_ONCE,
        "max_restarts": -1,
        "scheduling_strategy": "SPREAD",
    }
    return model_actor.options(**options, **limits).remote(chat_name)


async def get_actor(actor_name: str) -> Any | None:
    """Return a named actor, or None. In a thread: Ray imports another program's actor class here,
    for seconds maybe, and asserts that it is still to be had."""
    try:
        return await asyncio.to_thread(ray.get_actor, actor_name, NAMESPACE)
    except (ValueError, AssertionError):
        return None


def _class_name(actor: Any | None) -> str | None:
    return (
        actor and str(actor._ray_actor_creation_function_descriptor.class_name).rsplit(".", 1)[-1]
    )


async def class_of(actor_name: str) -> str | None:
    """Return the class of a named actor; None if there is none of that name."""
    return _class_name(await get_actor(actor_name))


async def replicas_of(chat_name: str, count: int = 1) -> list[Any | None]:
    """Return the actors of a chat: `count` of them, and however many more there are in a row."""
    names = (replica_name(chat_name, index) for index in range(count))
    actors = list(await asyncio.gather(*map(get_actor, names)))
    while actors[-1] is not None:
        actors.append(await get_actor(replica_name(chat_name, len(actors))))
    return actors[:-1] if len(actors) > count else actors


async def end_actors(actors: Iterable[Any]) -> None:
    """Retire and kill actors, and wait until their names are free."""
    await asyncio.gather(*(_end_one(actor) for actor in actors if actor is not None))


async def _end_one(actor: Any) -> None:
    if _class_name(actor) == ModelActor.__name__:
        await ask_actor(actor, "retire", DRAIN_SECONDS + STATUS_SECONDS)
    ray.kill(actor)
    # A killed actor still has its name for a moment; whoever asks for it then would get the dead
    # one.
    deadline = time.monotonic() + GONE_SECONDS
    while time.monotonic() < deadline and await _alive(actor):
        await asyncio.sleep(0.05)


async def _alive(actor: Any) -> bool:
    try:
        await asyncio.wait_for(actor.stat.remote(), STATUS_SECONDS)
    except ray.exceptions.ActorDiedError:
        return False
    except (ray.exceptions.RayError, TimeoutError):
        return True
    return True


async def ask_actor(
    actor: Any, method: str, seconds: float = STATUS_SECONDS, arguments: tuple[Any, ...] = ()
) -> Any:
    """Return what an actor says, or None if it does not."""
    if actor is None:
        return None
    try:
        return await asyncio.wait_for(getattr(actor, method).remote(*arguments), seconds)
    except (ray.exceptions.RayError, TimeoutError):
        return None


async def ask_config(actor_name: str) -> ModelConfig | None:
    """Return what a replica runs; None: nothing, or it is gone. Raises TimeoutError: it does not
    say, and may later."""
    try:
        actor = await get_actor(actor_name)
        if actor is None:
            return None
        config: ModelConfig | None = await asyncio.wait_for(actor.config.remote(), STATUS_SECONDS)
    except ray.exceptions.ActorDiedError:
        return None
    except ray.exceptions.RayError as error:
        raise TimeoutError from error
    return config


async def tell(replica: Any | None, method: str, *arguments: Any) -> None:
    """Tell a replica what it must know; where it does not take it, its process is ended, and starts
    again with what the directory knows."""
    if replica is None:
        return
    try:
        await asyncio.wait_for(getattr(replica, method).remote(*arguments), TELL_SECONDS)
    except (ray.exceptions.RayError, TimeoutError):
        ray.kill(replica, no_restart=False)


async def within(seconds: float, *calls: Awaitable[Any]) -> list[Any]:
    """Wait for Ray calls together. Raises GatewayError: one failed, or took too long."""
    try:
        return list(await asyncio.wait_for(asyncio.gather(*calls), seconds))
    except TimeoutError as error:
        raise GatewayError(
            Code.TIMEOUT, f"The cluster did not start the model within {seconds:g} s."
        ) from error
    except ray.exceptions.RayTaskError as error:
        # Stock byzerllm says in the exception's last line what it disliked; the lines before name
        # our processes.
        reason = str(error).strip().rsplit("\n", 1)[-1][:300]
        raise GatewayError(
            Code.INVALID_REQUEST, f"byzerllm could not deploy this model: {reason}."
        ) from error
    except ray.exceptions.RayError as error:
        raise GatewayError(
            Code.CLUSTER_DOWN,
            f"The model's process ended while it started ({type(error).__name__}).",
        ) from error
