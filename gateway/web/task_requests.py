"""What may be asked of a task, as frozen values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, field_validator

from gateway.providers.prompts import variables
from gateway.web.contract import ChatRequest, ReplyDefaults, StructuredRequest
from gateway.web.field_types import PROMPT, ChatName, Options, Prompt, from_json

RESERVED = frozenset({*ChatRequest.model_fields, "enable_thinking"} - {"content"})
"""What a request to any chat may say, and so is no variable of a prompt."""

OF_A_FRONT = frozenset({"model", "messages", "chat_names", "timeout"})
"""What /v1 and /all/chat take for themselves: a task that had them as variables could not be asked
there."""


class TaskQuestion(ChatRequest):
    """POST /task/chat, as it is described: whatever else is given is a variable of the task's
    prompt, and `content` is one of them."""

    model_config = ConfigDict(extra="allow")

    content: str = ""


class TaskRequest(StructuredRequest):
    """POST /task/deploy. `choices` and `fields` are the same as in `reply`, and stand before those
    there."""

    chat_name: ChatName
    through: Annotated[ChatName, Field(description="The chat that answers.")]
    prompt: Annotated[Prompt, Field(description=PROMPT)]
    system: Prompt | None = Field(
        default=None, description="A system message, which may have variables, too."
    )
    options: Options = Field(
        default_factory=dict,
        description="Fields of every question that a request does not give, such as temperature.",
    )
    reply: Annotated[ReplyDefaults, BeforeValidator(from_json)] = Field(
        default=ReplyDefaults(),
        description=(
            "How replies are written where a request does not say; an object, or JSON in a string."
        ),
    )

    @field_validator("options")
    @classmethod
    def _options_are_given(cls, options: dict[str, Any]) -> dict[str, Any]:
        if nulls := [name for name, value in options.items() if value is None]:
            words = "must not be null: what is never sent, the chat's own deploy says"
            raise ValueError(f"{', '.join(nulls)} {words}")
        return options

    @field_validator("prompt", "system")
    @classmethod
    def _variables_are_no_fields(cls, prompt: str | None) -> str | None:
        taken = [name for name in variables(prompt or "") if name in RESERVED | OF_A_FRONT]
        if taken:
            raise ValueError(f"{', '.join(taken)} is a field of every request; call it otherwise")
        return prompt
