"""The types of a request's fields, and what each may be. A ValueError says what was wrong."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints

from gateway.addresses import canonical
from gateway.charsets import CODECS, charset

CHAT_NAME = r"^[A-Za-z0-9_.\-]{1,64}$"
MAX_WORKERS = 32
MAX_TIMEOUT_SECONDS = 3600
MAX_TOKENS = 10_000_000
MAX_WAIT_SECONDS = 300
MAX_MARKDOWN = 40_000


def checked_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value().strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be printable ASCII without blanks, as it goes into an HTTP header")
    return SecretStr(text)


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
Seconds = Annotated[float, BeforeValidator(no_boolean), Field(ge=1, le=MAX_TIMEOUT_SECONDS)]
Names = Annotated[tuple[Mark, ...], BeforeValidator(split_at_commas), Field(max_length=64)]
BaseUrl = Annotated[str, AfterValidator(one_base_url)]
ModelName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
