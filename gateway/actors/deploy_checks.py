"""What must be true of a deploy beside the other chats. Each check raises GatewayError."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.actors.model_actor import ModelActor
from gateway.actors.replica_actors import class_of
from gateway.errors import Code, GatewayError
from gateway.protocol import Engine, ModelConfig

STOCK_CLASS = "UDFMaster"
"""The class of the actor that stock byzerllm names after a model."""

Configs = Mapping[str, ModelConfig]


def check_actor(name: str, actor_class: str | None) -> None:
    """A chat's name may be no other program's actor's."""
    if actor_class not in (None, STOCK_CLASS, ModelActor.__name__):
        raise GatewayError(
            Code.INVALID_REQUEST,
            f"chat_name: {name!r} is the name of another program's actor ({actor_class})."
            " Choose another name.",
            f"chat_name：{name!r} 已被其他程序的 actor（{actor_class}）占用。请换一个名称。",
        )


async def check_chain(name: str, fallback: list[str], configs: Configs) -> None:
    """A chain holds other chats, each once, that are deployed and answer by themselves."""
    for place, other in enumerate(fallback):
        if other == name or other in fallback[:place]:
            why = f"{other} stands there twice, or is the chat itself"
            why_zh = f"{other} 重复，或就是该对话本身"
        elif is_task(other, configs):
            why = f"{other} is a task, which another chat answers; name that chat"
            why_zh = f"{other} 是一个预设任务，由另一个对话回答；请改填那个对话"
        elif other not in configs and await class_of(other) != STOCK_CLASS:
            why, why_zh = f"no chat named {other} is deployed", f"没有部署名为 {other} 的对话"
        else:
            continue
        raise _invalid("fallback", why, why_zh)


async def check_task(config: ModelConfig, configs: Configs) -> None:
    """The chat that answers a task is another one, and no task itself; nor does a task take the
    name of a chat that answers others."""
    task, name = config["task"], config["chat_name"]
    if task is None:
        return
    through = task["through"]
    if through == name or is_task(through, configs):
        why = f"{through} is a task itself; name a chat"
        why_zh = f"{through} 本身是预设任务；请填写对话"
    elif through not in configs and await class_of(through) != STOCK_CLASS:
        why, why_zh = f"no chat named {through} is deployed", f"没有部署名为 {through} 的对话"
    else:
        check_free(name, configs)
        return
    raise _invalid("through", why, why_zh)


def check_free(name: str, configs: Configs) -> None:
    """No task needs the chat, which is about to go."""
    tasks = sorted(other for other, one in configs.items() if _through(one) == name)
    if tasks:
        names = ", ".join(tasks)
        why = f"{name} answers the tasks {names}; take those away first, or deploy them again"
        why_zh = f"{name} 正在回答预设任务 {names}；请先移除它们，或让它们使用其他对话"
        raise _invalid("chat_name", why, why_zh)


def check_own_chain(name: str, configs: Configs) -> None:
    """A task has no chain but that of its chat."""
    if is_task(name, configs):
        through = _through(configs[name])
        why = f"{name} is a task, whose chain is that of {through}"
        raise _invalid("chat_name", why, f"{name} 是一个预设任务，使用 {through} 的备用链")


def is_task(name: str, configs: Configs) -> bool:
    """Return whether a name is a task's."""
    return name in configs and configs[name]["engine"] == Engine.TASK


def _through(config: ModelConfig) -> str | None:
    return config["task"]["through"] if config["task"] else None


def _invalid(field: str, why: str, why_zh: str) -> GatewayError:
    return GatewayError(
        Code.INVALID_REQUEST, f"{field}: {why}.", f"{field}：{why_zh}。", param=field
    )
