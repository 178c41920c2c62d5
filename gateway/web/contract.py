"""What may be asked, parsed once into frozen values. A wrong input names its field and what it may
be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)

from gateway.addresses import canonical
from gateway.charsets import CODECS, charset
from gateway.errors import Code, GatewayError
from gateway.web import wire

CHAT_NAME = r"^[A-Za-z0-9_.\-]{1,64}$"
MAX_WORKERS = 32
MAX_TIMEOUT_SECONDS = 3600
MAX_TOKENS = 10_000_000
MAX_WAIT_SECONDS = 300
MAX_MARKDOWN = 40_000


def _key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value().strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be printable ASCII without blanks, as it goes into an HTTP header")
    return SecretStr(text)


def _base_url(text: str) -> str:
    text = text.strip().rstrip("/").removesuffix("/chat/completions")
    try:
        url = urlsplit(text)
        host, port = canonical(url.hostname or ""), url.port
        sound = url.scheme in ("http", "https") and port != 0
    except ValueError:
        sound = False
    if (
        not sound
        or url.username is not None
        or url.query
        or url.fragment
        or not text.isprintable()
        or " " in text
    ):
        raise ValueError(
            "must be a URL such as https://api.openai.com/v1, without user, query or fragment"
        )
    # From here on a host has one spelling: what is checked is what is connected to.
    netloc = (f"[{host}]" if ":" in host else host) + ("" if port is None else f":{port}")
    return f"{url.scheme}://{netloc}{url.path}"


def _no_booleans(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _whole(stream: bool | None) -> bool | None:
    if stream:
        raise ValueError("must be false: embeddings come whole")
    return stream


def _split(value: Any) -> Any:
    return (
        [name.strip() for name in value.split(",") if name.strip()]
        if isinstance(value, str)
        else value
    )


def _once_each(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _charset(name: str) -> str:
    if known := charset(name):
        return known
    raise ValueError(f"must be one of {', '.join(CODECS)}")


def _from_json(value: Any) -> Any:
    """Return a form has only texts: a list or an object comes as JSON in one."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("must be JSON") from None


def _from_200(value: Any) -> Any:
    return 200 if value == "200" else value


WAIT = "Seconds; if the answer is not there by then, its job's id is."
STREAM = "Whether the answer is sent as it comes."
FALLBACK = "The chats that answer in its place when it cannot. A list, or one string with commas."

Mark = Annotated[str, StringConstraints(pattern=CHAT_NAME)]
"""What a client calls a request or a session of its own."""

ChatName = Annotated[
    str,
    StringConstraints(pattern=CHAT_NAME),
    Field(description="How applications call the chat; it is the same under every provider."),
]
Seconds = Annotated[float, BeforeValidator(_no_booleans), Field(ge=1, le=MAX_TIMEOUT_SECONDS)]
Names = Annotated[tuple[Mark, ...], BeforeValidator(_split), Field(max_length=64)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
ModelName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]


class Request(BaseModel):
    """A field that is not known is refused rather than lost. Numbers may come as strings: old
    clients send them so."""

    # hide_input_in_errors: a validation error must not quote a key or a prompt into a log.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, protected_namespaces=()
    )


class ReplyOptions(Request):
    """How the reply is written; None: as else. `status` 200: errors also come with 200, as plain
    text."""

    format: Literal["json", "text"] | None = Field(
        default=None, description="json: a JSON string in ASCII; text: the bare answer."
    )
    charset: Annotated[str, AfterValidator(_charset)] | None = Field(
        default=None, description="Of the reply; what it lacks becomes a question mark."
    )
    eol: Literal["lf", "crlf"] | None = Field(
        default=None, description="Line ends of an answer in plain text."
    )
    status: Annotated[Literal[200], BeforeValidator(_from_200)] | None = Field(
        default=None,
        description=(
            "200: errors have this status, too, and are plain text that begins with ERROR."
        ),
    )
    lang: Literal["en", "zh"] | None = Field(default=None, description="Of errors in plain text.")


class DeployRequest(Request):
    """POST /<provider>/deploy. `timeout` is in seconds; None takes the provider's or the operator's
    default.

    `fallback` is a list of chat names, or one string with commas; None keeps the chain there is.
    `check` asks the new model one real question first. `reply` is how replies are written where a
    request does not say; None keeps it.
    """

    chat_name: ChatName
    api_key: Annotated[SecretStr, AfterValidator(_key)] = Field(
        default=SecretStr(""),
        description="The provider's key: kept in memory only, and shown in no reply.",
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
    workers: Annotated[int, BeforeValidator(_no_booleans), Field(ge=1, le=MAX_WORKERS)] = Field(
        default=1, description="Replicas."
    )
    timeout: Seconds = Field(default=120, description="Seconds that one chat may take.")
    fallback: Names | None = Field(default=None, description=FALLBACK)
    check: bool | None = Field(
        default=None,
        description="Whether the new model must answer a question first; else all stays as it was.",
    )
    reply: Annotated[ReplyOptions, BeforeValidator(_from_json)] | None = Field(
        default=None,
        description=(
            "How replies are written where a request does not say; an object, or JSON in a string."
        ),
    )


class Turn(Request):
    """One message of a conversation so far."""

    role: Literal["system", "user", "assistant"]
    content: str


class Question(Request):
    """What is asked of a chat. Only the options that were given are sent on."""

    content: Annotated[str, StringConstraints(min_length=1)]
    system: str | None = None
    history: Annotated[tuple[Turn, ...], BeforeValidator(_from_json)] = Field(
        default=(), description="The turns so far. A list, or JSON in a string."
    )
    temperature: Annotated[float, BeforeValidator(_no_booleans), Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, BeforeValidator(_no_booleans), Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, BeforeValidator(_no_booleans), Field(ge=1, le=MAX_TOKENS)] | None = (
        None
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

    def options(self) -> dict[str, float | int]:
        """Return the sampling options that were given, and no other."""
        given = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
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
    wait: (
        Annotated[float, BeforeValidator(_no_booleans), Field(ge=0, le=MAX_WAIT_SECONDS)] | None
    ) = Field(default=None, description=WAIT)
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
    seconds, for all of them together."""

    chat_names: Annotated[Names, AfterValidator(_once_each)] = Field(
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


class MarkdownRequest(Request):
    """POST /console/markdown. Longer texts could keep a process busy for seconds; the page shows
    them as they are."""

    text: Annotated[str, StringConstraints(max_length=MAX_MARKDOWN)]


class StreamOptions(BaseModel):
    """OpenAI's `stream_options`."""

    include_usage: bool | None = None


class OpenAIRequest(BaseModel):
    """POST /v1/...: what the gateway must know; any other field goes through unread. `model` is a
    chat name.

    What OpenAI lets be null may be null: typed clients send every field that they know.
    """

    model_config = ConfigDict(
        frozen=True, extra="allow", hide_input_in_errors=True, protected_namespaces=()
    )

    model: Annotated[Mark, Field(description="The chat's name.")]
    stream: bool | None = Field(default=None, description=STREAM)
    stream_options: StreamOptions | None = None

    def include_usage(self) -> bool:
        """Return whether the stream shall end with a count of tokens."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


class CompletionRequest(OpenAIRequest):
    """POST /v1/chat/completions."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]


class TextCompletionRequest(OpenAIRequest):
    """POST /v1/completions."""

    prompt: str | list[Any] | None


class EmbeddingsRequest(OpenAIRequest):
    """POST /v1/embeddings."""

    input: str | list[Any]
    stream: Annotated[bool | None, AfterValidator(_whole)] = Field(default=None, description=STREAM)


R = TypeVar("R", bound=BaseModel)

_ZH = {
    "missing": "缺少该字段",
    "extra_forbidden": "没有这个字段",
    "string_pattern_mismatch": "格式不正确",
    "string_too_short": "不能为空",
    "string_too_long": "过长",
}


def parse(kind: type[R], fields: dict[str, Any]) -> R:
    """Check `fields` against `kind`. Raises GatewayError (INVALID_REQUEST), naming each wrong
    field."""
    if issubclass(kind, Request):
        # `"http_proxy": ""` and null mean "not given": old programs send every field of the
        # contract.
        needed = _required(kind)
        fields = {
            name: value
            for name, value in fields.items()
            if value not in ("", None) or name in needed
        }
        if "http_proxy" in fields and "base_url" in fields:
            raise invalid(
                "http_proxy",
                "is the same as base_url; give one of them",
                "与 base_url 相同；请只给一个",
            )
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        what = [
            (".".join(map(str, row["loc"])), row["type"], _plain(row["msg"], kind))
            for row in wrong[:5]
        ]
        raise GatewayError(
            Code.INVALID_REQUEST,
            " ".join(f"{field}: {words}." for field, _, words in what),
            "".join(
                f"{field}：{_ZH.get(type_, '取值无效')}（{words}）。"
                for field, type_, words in what
            ),
            param=what[0][0],
        ) from None


def form(default: wire.Form, *sources: Mapping[str, Any]) -> wire.Form:
    """Return how a reply is to be written: of each option the first that `sources` give, else as
    `default`. One that is wrong is passed over: `parse` refuses it, and that refusal, too, must be
    written somehow."""
    chosen: dict[str, Any] = {}
    for source in sources:
        for name in wire.Form._fields:
            if name in source and name not in chosen:
                try:
                    value = getattr(ReplyOptions.model_validate({name: source[name] or None}), name)
                except ValidationError:
                    continue
                if value is not None:
                    chosen[name] = value
    return default._replace(**chosen)


def invalid(field: str, words: str, words_zh: str) -> GatewayError:
    """Return a wrong input that only shows where its meaning is known: same shape as `parse`'s
    own."""
    return GatewayError(
        Code.INVALID_REQUEST, f"{field}: {words}.", f"{field}：{words_zh}。", param=field
    )


@cache
def _required(kind: type[BaseModel]) -> frozenset[str]:
    return frozenset(name for name, field in kind.model_fields.items() if field.is_required())


def _plain(words: str, kind: type[BaseModel]) -> str:
    """Return pydantic's words as an operator would say them."""
    if words == "Extra inputs are not permitted":
        return f"is no field of this request; it takes {', '.join(kind.model_fields)}"
    if words.startswith("String should match pattern"):
        return "must be 1 to 64 of A-Z a-z 0-9 _ . -"
    words = (
        words.removeprefix("Value error, ")
        .replace("Input should", "must")
        .replace("String should", "must")
    )
    return words[:1].lower() + words[1:]
