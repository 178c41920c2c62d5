"""/task: prompts that are kept here, so that a program says what differs from one question to the
next, and nothing else."""

from __future__ import annotations

from typing import cast

from flask import Blueprint, Response, jsonify
from flask.blueprints import BlueprintSetupState

from gateway.protocol import Engine, ModelConfig, Task
from gateway.providers.dialects import Dialect
from gateway.providers.provider import Provider
from gateway.web import provider_views, request_fields, services, validation
from gateway.web.contract import NamedRequest
from gateway.web.description import CHECKED, Description, described
from gateway.web.schemas import ANSWER, DONE, PLAIN, TASK_ORDER
from gateway.web.task_requests import TaskQuestion, TaskRequest

TASK = Provider("task", (), "", Dialect(), engine=Engine.TASK, needs_key=False, endpoints=())
"""What is to be known of a task where a provider is meant."""

task_app = Blueprint("task", __name__, url_prefix="/task")
for _view in (provider_views.undeploy, provider_views.undo):
    task_app.add_url_rule(f"/{_view.__name__}", _view.__name__, _view, methods=["POST"])


@task_app.post("/deploy")
@described(
    Description("Put a prompt behind a chat name.", DONE, "admin", TaskRequest, fails=CHECKED)
)
def deploy() -> Response:
    """Put a prompt behind a chat name, also in use; every process knows it when this returns."""
    config = task_config(request_fields.parsed(TaskRequest))
    services.llm().deploy("", config["model_type"], config["chat_name"], config)
    return jsonify(ret="ok")


@task_app.get("/deploy")
@described(Description("What was deployed.", TASK_ORDER, "admin", NamedRequest))
def deployed() -> Response:
    """Return a task as its deploy said it, for whoever wants to look at it, or to deploy it with a
    change."""
    name = request_fields.parsed(NamedRequest).chat_name
    if (config := services.llm().task(name)) is None:
        services.llm().require_cluster()  # without it, not all names are known
        words, words_zh = (
            "is no task's name; GET /models lists them",
            "不是预设任务；见 GET /models",
        )
        raise validation.invalid("chat_name", words, words_zh)
    more = {"options": config["options"], "reply": config["reply"] or {}}
    return jsonify(chat_name=name, **cast("Task", config["task"]), **more)


@task_app.post("/chat")
@described(
    Description(
        "Ask; the fields are the prompt's.", ANSWER, "chat", TaskQuestion, PLAIN, pends=True
    )
)
def chat() -> Response:
    """Ask a task, or any other chat."""
    return provider_views.chat()


@task_app.record
def _allow_get(setup: BlueprintSetupState) -> None:
    if setup.app.extensions["settings"].allow_get:
        setup.add_url_rule("/chat", "chat", chat, methods=["GET"])


def task_config(order: TaskRequest) -> ModelConfig:
    """Return the whole configuration of a task. Nothing of the chat that it was before is kept."""
    settings = services.settings()
    reply = order.reply.model_dump(mode="json", exclude_none=True)
    thinking = reply.pop("thinking", None)
    if order.choices or order.fields:
        reply.pop("choices", None)
        reply.pop("fields", None)
        asked = {"choices": order.choices, "fields": order.fields}
        reply |= {name: list(texts) for name, texts in asked.items() if texts}
    return ModelConfig(
        chat_name=order.chat_name,
        provider=TASK.name,
        engine=TASK.engine.value,
        model_type="",
        model_name="",
        base_url="",
        api_key="",
        workers=0,
        timeout=0.0,
        needs_key=False,
        traits=TASK.traits(),
        options={**({"thinking": thinking} if thinking else {}), **order.options},
        thinking="",
        trusted=False,
        egress_proxy="",
        egress_host="",
        egress_trusted=False,
        models_folder="",
        task=Task(through=order.through, system=order.system or "", prompt=order.prompt),
        price=None,
        budget=None,
        low=None,
        fallback=[],
        reply=reply,
        probe_seconds=0.0,
        undo_seconds=settings.undo_seconds,
        generation=0,
        since=0.0,
    )
