"""The contract: what may be asked, as frozen values."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)

from gateway.web.field_types import (
    CHOICES,
    EGRESS_PROXY,
    FALLBACK,
    FIELDS,
    MAX_TOKENS,
    MAX_WAIT_SECONDS,
    MAX_WORKERS,
    STREAM,
    THINKING,
    WAIT,
    BaseUrl,
    ChatName,
    Choices,
    Keys,
    Mark,
    ModelName,
    Money,
    Names,
    Options,
    ProxyUrl,
    Seconds,
    ThinkingChoice,
    ValueNames,
    from_200,
    from_json,
    known_charset,
    no_boolean,
    once_each,
)
from gateway.web.money_fields import BudgetOfChat, PriceOfTokens
from gateway.web.strict_request import Request


class ReplyOptions(Request):
    """How the reply is written; None: as else. `status` 200: errors also come with 200, as plain
    text."""

    format: Literal["json", "text", "csv"] | None = Field(
        default=None,
        description=(
            "json: a JSON string in ASCII, or an object of texts where `fields` are asked for;"
            " text: the bare answer, or a line name=value for each; csv: one line of the values."
        ),
    )
    charset: Annotated[str, AfterValidator(known_charset)] | None = Field(
        default=None, description="Of the reply; what it lacks becomes a question mark."
    )
    eol: Literal["lf", "crlf"] | None = Field(
        default=None, description="Line ends of an answer in plain text."
    )
    status: Annotated[Literal[200], BeforeValidator(from_200)] | None = Field(
        default=None,
        description=(
            "200: errors have this status, too, and are plain text that begins with ERROR."
        ),
    )
    lang: Literal["en", "zh"] | None = Field(default=None, description="Of errors in plain text.")


class StructuredRequest(Request):
    """What the answer must be: one of `choices`, or a value for each of `fields`."""

    choices: Choices | None = Field(default=None, description=CHOICES)
    fields: ValueNames | None = Field(default=None, description=FIELDS)


class ReplyDefaults(ReplyOptions, StructuredRequest):
    """How a chat's replies are written where a request does not say, what its answers must be, and
    whether its model thinks."""

    thinking: ThinkingChoice | None = Field(default=None, description=THINKING)


class DeployRequest(Request):
    """POST /<provider>/deploy. `timeout` is in seconds; None takes the provider's or the operator's
    default.

    `api_key` may be several, a list or one string with commas: each has a breaker of its own.
    `egress_proxy` None is the operator's, and "" none.
    `options` are fields of a question where a request does not give them; None is never sent.
    `fallback` is a list of chat names, or one string with commas; None keeps the chain there is.
    `budget` and `low` are in the currency of `price` and of the provider's balance.
    `check` asks the new model one real question first. `reply` is how replies are written where a
    request does not say; None keeps it.
    """

    chat_name: ChatName
    api_key: Keys = Field(
        default=SecretStr(""),
        description=(
            "The provider's key: kept in memory only, and shown in no reply. Several, a list or one"
            " string with commas, take turns."
        ),
    )
    model_name: ModelName | None = Field(
        default=None,
        description=(
            "What the provider calls the model; else its usual one. Local models: the path of a"
            " GGUF file."
        ),
    )
    model_type: str | None = Field(
        default=None,
        description=(
            "Such as saas/openai; else the provider's own. GET /models shows it; an error lists"
            " all."
        ),
    )
    base_url: BaseUrl | None = Field(
        default=None,
        validation_alias=AliasChoices("base_url", "http_proxy"),
        description=(
            "Another server that speaks the provider's protocol, such as"
            " https://api.example.com/v1."
        ),
    )
    egress_proxy: ProxyUrl | None = Field(default=None, description=EGRESS_PROXY)
    workers: Annotated[int, BeforeValidator(no_boolean), Field(ge=1, le=MAX_WORKERS)] = Field(
        default=1, description="Replicas."
    )
    timeout: Seconds = Field(default=120, description="Seconds that one chat may take.")
    fallback: Names | None = Field(default=None, description=FALLBACK)
    check: bool | None = Field(
        default=None,
        description="Whether the new model must answer a question first; else all stays as it was.",
    )
    options: Options = Field(
        default_factory=dict,
        description=(
            "Fields of every question that a request does not give, such as temperature; null:"
            " never sent. An object, or JSON in a string."
        ),
    )
    price: Annotated[PriceOfTokens, BeforeValidator(from_json)] | None = Field(
        default=None,
        description="What its tokens cost, for GET /usage; an object, or JSON in a string.",
    )
    budget: Annotated[BudgetOfChat, BeforeValidator(from_json)] | None = Field(
        default=None,
        description=(
            "What it may take by day or month; then it rests, and its chain answers. An object, or"
            " JSON in a string."
        ),
    )
    low: Money | None = Field(
        default=None,
        description="Tell of the provider's balance when it is below this, where it says one.",
    )
    thinking: ThinkingChoice | None = Field(default=None, description=THINKING)
    reply: Annotated[ReplyDefaults, BeforeValidator(from_json)] | None = Field(
        default=None,
        description=(
            "How replies are written where a request does not say; an object, or JSON in a string."
        ),
    )


class ModelsRequest(Request):
    """POST /<provider>/models: a deploy's fields that say where its models are, and with which
    key."""

    api_key: Keys = Field(
        default=SecretStr(""), description="The provider's key: used once, and kept nowhere."
    )
    base_url: BaseUrl | None = Field(default=None, description="As in a deploy.")
    egress_proxy: ProxyUrl | None = Field(default=None, description=EGRESS_PROXY)


class Turn(Request):
    """One message of a conversation so far."""

    role: Literal["system", "user", "assistant"]
    content: str


class Question(StructuredRequest):
    """What is asked of a chat. Only the options that were given are sent on."""

    content: Annotated[str, StringConstraints(min_length=1)]
    system: str | None = None
    history: Annotated[tuple[Turn, ...], BeforeValidator(from_json)] = Field(
        default=(), description="The turns so far. A list, or JSON in a string."
    )
    temperature: Annotated[float, BeforeValidator(no_boolean), Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, BeforeValidator(no_boolean), Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, BeforeValidator(no_boolean), Field(ge=1, le=MAX_TOKENS)] | None = (
        None
    )
    thinking: ThinkingChoice | None = Field(
        default=None,
        validation_alias=AliasChoices("thinking", "enable_thinking"),
        description=THINKING,
    )
    stream: bool = Field(default=False, description=STREAM)

    def conversation(self) -> list[dict[str, str]]:
        """Return the messages as providers expect them: system, history, content."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        turns = [{"role": turn.role, "content": turn.content} for turn in self.history]
        return [*first, *turns, {"role": "user", "content": self.content}]

    def without_texts(self) -> Self:
        """Return the same without what was asked, which is packed by now, and may be large."""
        return self.model_copy(update={"content": "", "system": None, "history": ()})

    def options(self) -> dict[str, float | int | str]:
        """Return the options that were given, and no other. `thinking` is on or off, which the
        model's process says in its provider's words."""
        given = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "thinking": self.thinking,
        }
        return {name: value for name, value in given.items() if value is not None}


class ChatRequest(Question, ReplyOptions):
    """POST /<provider>/chat. `wait` is in seconds.

    `job`: the answer is fetched later. `request_id`: whoever asks again with it gets the same
    answer. `session` keeps the turns so far; `reset` forgets them first.
    """

    chat_name: ChatName
    job: bool = Field(
        default=False, description="Whether the answer is fetched later, from /jobs/{name}."
    )
    wait: Annotated[float, BeforeValidator(no_boolean), Field(ge=0, le=MAX_WAIT_SECONDS)] | None = (
        Field(default=None, description=WAIT)
    )
    request_id: Mark | None = Field(
        default=None, description="Whoever asks again with it gets the same answer, paid for once."
    )
    session: Mark | None = Field(
        default=None, description="Keeps the turns so far, under any name."
    )
    reset: bool = Field(default=False, description="Whether the session is forgotten first.")

    def without_texts(self) -> Self:
        """Return the same without what was asked, which is packed by now; but for a session, which
        remembers it."""
        return super().without_texts() if self.session is None else self

    @property
    def kept(self) -> bool:
        """Whether the answer is kept, to be fetched later or again."""
        return self.job or self.wait is not None or self.request_id is not None


class AskAllRequest(Question):
    """POST /all/chat: `chat_names` are all if not given, and each is asked once; `timeout` is in
    seconds, for all of them together. What else is given is a variable of tasks among them."""

    model_config = ConfigDict(extra="allow")

    chat_names: Annotated[Names, AfterValidator(once_each)] = Field(
        default=(),
        description=(
            "Which chats; all of them if it is not given. A list, or one string with commas."
        ),
    )
    timeout: Seconds = Field(default=120, description="Seconds that one chat may take.")


class JobRequest(ReplyOptions):
    """GET /jobs/<id>: `wait` is in seconds."""

    wait: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] = Field(default=0, description=WAIT)


class NamedRequest(Request):
    """POST /<provider>/undeploy and /<provider>/undo."""

    chat_name: ChatName


class FallbackRequest(NamedRequest):
    """POST /<provider>/fallback: an empty list takes the chain away."""

    fallback: Names = Field(description=FALLBACK)
