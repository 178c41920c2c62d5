"""Questions to a task: a request's fields are the variables of its prompt, and what comes out is a
question like any other."""

from __future__ import annotations

from typing import Any, cast

from gateway.errors import Code, GatewayError
from gateway.protocol import PublicConfig, Task
from gateway.providers.prompts import expanded, expanded_size, variables
from gateway.web import services, validation
from gateway.web.task_requests import RESERVED


def question_fields(task: PublicConfig, values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a request to a task as those of one to a chat. Raises GatewayError,
    naming each variable that is missing, unknown or no text."""
    own = {name: value for name, value in values.items() if name in RESERVED}
    given = {name: values[name] for name in values.keys() - own.keys()}
    system, prompt = texts(task, given)
    parts = [part for part in (system, own.get("system")) if part]
    if len(parts) > 1 and isinstance(parts[1], str):
        own["system"] = "\n\n".join(parts)
    elif parts:
        own["system"] = parts[0]
    return {**own, "content": prompt}


def openai_fields(task: PublicConfig, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the same for a question in OpenAI's shape: the last user message is `content`, other
    variables are fields beside it, and whatever is none goes through. Raises GatewayError."""
    names, messages = names_of(task), list(fields["messages"])
    place = next((n for n in reversed(range(len(messages))) if _is_users(messages[n])), None)
    if place is None:
        raise validation.invalid("messages", "holds no user message", "没有 user 消息")
    parts = messages[place].get("content")
    given = {name: fields.pop(name) for name in names if name in fields}
    given["content"] = _words(parts)
    system, prompt = texts(task, given)
    messages[place] = {**messages[place], "content": _with_words(parts, prompt)}
    if system:
        own = [{"role": "system", "content": system}]
        if messages[0].get("role") == "system":
            text = f"{system}\n\n{_words(messages.pop(0).get('content'))}"
            own = [{"role": "system", "content": text}]
        messages = own + messages
    return {**task["options"], **fields, "messages": messages}


def _is_users(message: dict[str, Any]) -> bool:
    return message.get("role") == "user"


def _with_words(content: Any, text: str) -> Any:
    """Return a message's content with other words; pictures stay."""
    if not isinstance(content, list):
        return text
    others = [part for part in content if not isinstance(part, dict) or part.get("type") != "text"]
    return [{"type": "text", "text": text}, *others]


def _words(content: Any) -> str:
    """Return the words of a message, which may be a list of parts."""
    if not isinstance(content, list):
        return str(content or "")
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def texts(task: PublicConfig, given: dict[str, Any]) -> tuple[str, str]:
    """Return a task's system message and prompt with the variables that are given. Raises
    GatewayError."""
    prompts = cast("Task", task["task"])
    system, prompt = prompts["system"], prompts["prompt"]
    names = variables(system, prompt)
    _check(task["chat_name"], names, given)
    values = {name: str(given[name]) for name in names}
    if expanded_size(system, values) + expanded_size(prompt, values) > _most():
        words = f"The prompt with its variables is larger than {_most()} (GATEWAY_MAX_BODY_BYTES)."
        words_zh = f"代入变量后的提示词超过 {_most()}（GATEWAY_MAX_BODY_BYTES）。"
        raise GatewayError(Code.TOO_LARGE, words, words_zh)
    return expanded(system, values), expanded(prompt, values)


def names_of(task: PublicConfig) -> tuple[str, ...]:
    """Return the variables of a task."""
    prompts = cast("Task", task["task"])
    return variables(prompts["system"], prompts["prompt"])


def _check(name: str, names: tuple[str, ...], given: dict[str, Any]) -> None:
    what = f"the task {name} takes {', '.join(names) or 'nothing'}"
    what_zh = f"预设任务 {name} 的变量：{'、'.join(names) or '无'}"
    wrong = []
    for field in dict.fromkeys((*names, *sorted(given))):
        value = given.get(field)
        if field not in names:
            if value not in (None, ""):
                wrong.append((field, f"is no variable; {what}", f"不是变量；{what_zh}"))
        elif value is None or (field == "content" and value == ""):
            wrong.append((field, f"is missing; {what}", f"缺少该变量；{what_zh}"))
        elif isinstance(value, bool) or not isinstance(value, str | int | float):
            wrong.append((field, "must be a text", "必须是文本"))
    if wrong:
        raise validation.all_invalid(wrong)


def _most() -> int:
    return services.settings().max_body_bytes
