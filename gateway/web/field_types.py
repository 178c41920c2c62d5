"""The types of a request's fields, and what each may be. A ValueError says what was wrong."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
)

from gateway.addresses import EgressProxy, canonical
from gateway.charsets import CODECS, charset
from gateway.providers.prompts import checked_prompt
from gateway.providers.structures import Field as StructureField

CHAT_NAME = r"^[A-Za-z0-9_.\-]{1,64}$"
MAX_WORKERS = 32
MAX_TIMEOUT_SECONDS = 3600
MAX_TOKENS = 10_000_000
MAX_WAIT_SECONDS = 300
MAX_MARKDOWN = 40_000
MAX_KEYS = 64
MAX_OPTIONS_CHARACTERS = 16_384
MAX_PRICE = 1_000_000
MAX_PROMPT = 100_000
MAX_LIST = 256
MAX_CHOICE = 200

NO_OPTIONS = frozenset({"model", "messages", "prompt", "input", "stream", "stream_options"})
"""What every question has of its own."""


def from_list(value: Any) -> Any:
    """Return a list of texts as one, with commas."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return value


def checked_keys(keys: SecretStr) -> SecretStr:
    """Return one key, or several with commas between them, each once."""
    texts = [text.strip() for text in keys.get_secret_value().split(",")]
    if any(not text.isascii() or not text.isprintable() or " " in text for text in texts):
        raise ValueError("must be printable ASCII without blanks, as it goes into an HTTP header")
    if len(texts) > MAX_KEYS:
        raise ValueError(f"must be at most {MAX_KEYS} keys")
    return SecretStr(",".join(dict.fromkeys(filter(None, texts))))


def checked_proxy(url: SecretStr) -> SecretStr:
    """Return a proxy's URL in one form; "": no proxy."""
    text = url.get_secret_value().strip()
    return SecretStr(EgressProxy.from_url(text).url if text else "")


def checked_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return a chat's options, with `extra_body` (OpenAI's SDK, byzerllm) taken apart."""
    more = options.pop("extra_body", None) or {}
    if not isinstance(more, dict):
        raise ValueError("extra_body must be an object")
    options = {**more, **options}
    if taken := sorted(options.keys() & NO_OPTIONS):
        raise ValueError(f"must not hold {', '.join(taken)}: each question has its own")
    if "thinking" in options and not isinstance(options["thinking"], dict | None):
        options["thinking"] = switch(options["thinking"])
    if len(json.dumps(options)) > MAX_OPTIONS_CHARACTERS:
        raise ValueError(f"must be at most {MAX_OPTIONS_CHARACTERS} characters of JSON")
    return options


def switch(value: Any) -> Any:
    """Return whether something shall be on or off, in those words."""
    texts = {"on": "on", "true": "on", "1": "on", "off": "off", "false": "off", "0": "off"}
    choice = texts.get(str(value).lower())
    if choice is None:
        raise ValueError("must be on or off")
    return choice


def one_base_url(text: str) -> str:
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


def no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def not_streamed(stream: bool | None) -> bool | None:
    if stream:
        raise ValueError("must be false: embeddings come whole")
    return stream


def listed(value: Any) -> Any:
    """Return a list that came as one text: with commas, or as JSON where an item has one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        return from_json(value)
    return split_at_commas(value)


def checked_choices(choices: tuple[str, ...]) -> tuple[str, ...]:
    """Return the list that an answer is one of."""
    if any(not one.strip() or not one.isprintable() or len(one) > MAX_CHOICE for one in choices):
        raise ValueError(f"must be texts of 1 to {MAX_CHOICE} characters, without line breaks")
    if len(set(choices)) < len(choices):
        raise ValueError("must not hold a text twice")
    return choices


def checked_fields(fields: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """Return the named values of an answer, which `choices` has none of."""
    names = [StructureField.from_text(text).name.casefold() for text in fields]
    if len(set(names)) < len(names):
        raise ValueError("must not hold a name twice")
    if max(map(len, fields), default=0) > MAX_CHOICE:
        raise ValueError(f"must be texts of at most {MAX_CHOICE} characters")
    if fields and info.data.get("choices"):
        raise ValueError("goes not together with choices")
    return fields


def split_at_commas(value: Any) -> Any:
    return (
        [name.strip() for name in value.split(",") if name.strip()]
        if isinstance(value, str)
        else value
    )


def once_each(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def known_charset(name: str) -> str:
    if canonical_name := charset(name):
        return canonical_name
    raise ValueError(f"must be one of {', '.join(CODECS)}")


def from_json(value: Any) -> Any:
    """Return a form has only texts: a list or an object comes as JSON in one."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("must be JSON") from None


def from_200(value: Any) -> Any:
    return 200 if value == "200" else value


CHOICES = (
    "The answer is exactly one of these texts. A list, or one string with commas. If the model says"
    " something else, it is asked once more; then it is BAD_ANSWER."
)
FIELDS = (
    "The answer is a value for each of these names, in their order. A list, or one string with"
    " commas. A name may say what its value must be: amount:number, day:date, kind:a|b."
)
WAIT = "Seconds; if the answer is not there by then, its job's id is."
PROMPT = (
    "What is asked. {{name}} is a variable, which a request gives as its field of that name;"
    " {{content}} is the usual one."
)
STREAM = "Whether the answer is sent as it comes."
THINKING = (
    "on or off, where the provider can switch it; off if nobody says, but for /v1, which sends what"
    " it is sent."
)
EGRESS_PROXY = (
    "The HTTP proxy through which the provider is reached, such as"
    " http://user:password@10.0.0.9:3128; an empty text: none, also where the operator has set one."
)
FALLBACK = "The chats that answer in its place when it cannot. A list, or one string with commas."

Mark = Annotated[str, StringConstraints(pattern=CHAT_NAME)]
"""What a client calls a request or a session of its own."""

ChatName = Annotated[
    str,
    StringConstraints(pattern=CHAT_NAME),
    Field(description="How applications call the chat; it is the same under every provider."),
]
ThinkingChoice = Annotated[Literal["on", "off"], BeforeValidator(switch)]
Seconds = Annotated[float, BeforeValidator(no_boolean), Field(ge=1, le=MAX_TIMEOUT_SECONDS)]
Names = Annotated[tuple[Mark, ...], BeforeValidator(split_at_commas), Field(max_length=64)]
Money = Annotated[float, BeforeValidator(no_boolean), Field(ge=0, le=MAX_PRICE)]
Keys = Annotated[SecretStr, BeforeValidator(from_list), AfterValidator(checked_keys)]
ProxyUrl = Annotated[SecretStr, AfterValidator(checked_proxy)]
BaseUrl = Annotated[str, AfterValidator(one_base_url)]
Choices = Annotated[
    tuple[str, ...],
    BeforeValidator(listed),
    Field(max_length=MAX_LIST),
    AfterValidator(checked_choices),
]
ValueNames = Annotated[
    tuple[str, ...],
    BeforeValidator(listed),
    Field(max_length=MAX_LIST),
    AfterValidator(checked_fields),
]
Options = Annotated[dict[str, Any], BeforeValidator(from_json), AfterValidator(checked_options)]
Prompt = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_PROMPT), AfterValidator(checked_prompt)
]
ModelName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
