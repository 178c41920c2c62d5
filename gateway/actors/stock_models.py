"""Models of stock byzerllm that the gateway does not relay itself, deployed through its own
`ByzerLLM.deploy`.

This runs in a short Ray task, so each deploy has a client of its own: stock clients share their
settings between deploys, and two at once would publish one's key under the other's name.
"""

from __future__ import annotations

import errno
import sys
from typing import Any

import ray

from gateway.addresses import is_guarded
from gateway.protocol import DIRECTORY, NAMESPACE, ModelConfig

ASK_SECONDS = 10
CONCURRENCY = 64


class SealedParams(dict[str, Any]):
    """byzerllm's `infer_params`, which it puts into actor creation arguments: Ray's control store
    keeps those.

    So only the chat's name is pickled; each process that unpickles it asks the directory for the
    rest.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return (_unseal, (self["chat_name"],))


def _unseal(chat_name: str) -> SealedParams:
    directory = ray.get_actor(DIRECTORY, NAMESPACE)
    call = directory.config.remote(chat_name)
    config: ModelConfig | None = ray.get(call, timeout=ASK_SECONDS)
    if config is None:
        raise RuntimeError(f"{chat_name} is not deployed any more")
    if not config["trusted"]:
        guard_connections()
    params = {
        "chat_name": chat_name,
        "saas.api_key": config["api_key"],
        "saas.model": config["model_name"],
    }
    if config["base_url"]:
        params["saas.base_url"] = config["base_url"]
    return SealedParams(**params, **{"saas.timeout": config["timeout"]})


def guard_connections() -> None:
    """Let this process connect to no guarded address, whatever a name leads to: providers' own SDKs
    do not look.

    It holds for Python's sockets, for as long as the process lives, which runs nothing but this
    model.
    """

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "socket.connect" or not isinstance(arguments[1], tuple):
            return
        if is_guarded(str(arguments[1][0])):
            raise OSError(errno.EACCES, f"{arguments[1][0]} is a link-local or metadata address")

    sys.addaudithook(look)


# byzerllm logs whole prompts at level INFO, into Ray's worker logs; the actors that it creates
# inherit this.
@ray.remote(
    num_cpus=0, max_retries=0, max_calls=1, runtime_env={"env_vars": {"LOGURU_LEVEL": "ERROR"}}
)  # type: ignore[untyped-decorator]
def deploy_stock(config: ModelConfig) -> None:
    """Deploy `config` (its api_key left out: see SealedParams) with stock byzerllm; raises whatever
    that raises."""
    import ray._private.utils

    ray._private.utils.hex_to_binary = bytes.fromhex  # see gateway/cluster/ray_private.py
    from byzerllm.utils.client.byzerllm_client import ByzerLLM

    llm = ByzerLLM()
    # Without these: it waits for a GPU, holds a CPU per worker for ever, answers one chat at a time
    # per worker, sleeps under a lock, and starts 1,000 threads (pyjava 0.6.21: udf_master.py,
    # udf_worker.py).
    llm.setup_gpus_per_worker(0).setup_cpus_per_worker(0).setup_num_workers(config["workers"])
    llm.setup_worker_concurrency(CONCURRENCY).setup_load_balance_way("round_robin")
    llm.setup("masterMaxConcurrency", CONCURRENCY)
    llm.deploy(
        model_path="",
        pretrained_model_type=config["model_type"],
        udf_name=config["chat_name"],
        infer_params=_unseal(config["chat_name"]),
    )
