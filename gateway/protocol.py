"""What a gateway process and the actors in the cluster share: names, states, and typed records.

What crosses by Ray call are TypedDicts, plain data: Ray pickles our classes by value, so an
instance of one would bring its whole class along, and another one would arrive at each end. What
crosses on our own connections is in gateway/frames.py.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any, Literal, NotRequired, TypedDict, final

from gateway.errors import ErrorRecord

NAMESPACE = "default"
"""The Ray namespace where byzerllm's clients look for models."""

DIRECTORY = "byzerllm-gateway:directory"
"""The directory actor's name; the colon keeps it out of the chat names' alphabet."""

LEDGER = "byzerllm-gateway:ledger"
"""The name of the actor that keeps what was asked, answered and paid."""

STORE = "byzerllm-gateway:store"
"""The name of the actor that keeps the answers of jobs and the turns of sessions."""

CHAT = "/chat/completions"
"""The one endpoint that every provider has."""

COMPLETIONS = "/completions"
"""The one whose choices hold texts and no messages."""

EMBEDDINGS = "/embeddings"
"""The one whose answer is vectors."""

RESPONSES = "/responses"
MESSAGES = "/messages"
COUNT_TOKENS = "/messages/count_tokens"
"""OpenAI's newer endpoint, and Anthropic's two: asked and answered as their own protocols have
it."""

EMBEDDED = "SmolLM2-135M"
"""The name of the local model that the gateway brings along."""

HOP = "X-Byzer-Gateway"
"""The header by which a gateway knows a question that it sent itself."""

SESSION_CHARACTERS = 32_000
"""What a session remembers at most, questions and answers together."""


def hop(session: str) -> str:
    """Return HOP's value for the cluster of a Ray session, whose name no provider need see."""
    return hashlib.sha256(session.encode()).hexdigest()[:16]


def replica_name(chat_name: str, index: int) -> str:
    """Return an actor's name. The first replica bears the chat's own, as byzerllm's clients
    expect."""
    return f"{chat_name}#{index}" if index else chat_name


class Engine(StrEnum):
    """Where a chat's model runs."""

    RELAY = "relay"
    """At a provider, behind its HTTP API."""
    LLAMA_CPP = "llama.cpp"
    """In the cluster."""
    BYZERLLM = "byzerllm"
    """Wherever a stock byzerllm model runs."""
    TASK = "task"
    """Nowhere: it is a prompt, and another chat answers it."""


class ChatState(StrEnum):
    """What GET /models says of a chat."""

    ANSWERING = "answering"
    RESTING = "resting"
    STARTING = "starting"
    NEED_KEY = "need_key"


Thinking = Literal["", "on", "off"]
"""Whether a model shall think; "": as its provider likes."""


class Traits(TypedDict):
    """What is to be known of a provider where it is asked: gateway/providers/provider.py has it as
    a value. `words` and `codes` are its dialect; `endpoints` say where each lies, under the base
    URL or (with a slash before it) elsewhere on its host; a row of `thinking` is a pattern of
    models' names, and what turns thinking off and on; `balance` is a balances.BalanceSource."""

    words: list[tuple[str, str]]
    codes: dict[str, str]
    endpoints: dict[str, str]
    key_header: str
    thinking: list[tuple[str, dict[str, Any], dict[str, Any]]]
    limit_field: str
    means: str  # a structures.Means
    balance: tuple[str, tuple[str, ...]]


class Task(TypedDict):
    """A prompt that is kept here, and which chat answers it. `{{name}}` in either text is a
    variable."""

    through: str
    system: str
    prompt: str


Price = TypedDict("Price", {"in": float, "out": float, "cached": float, "currency": str})
"""What a million tokens cost: in, out, and those in that the provider's cache had."""


class Budget(TypedDict):
    """What a chat may take in each period, a "day" or a "month": money, in its price's currency,
    and tokens; None: as much as it likes."""

    money: float | None
    tokens: int | None
    per: str


class BudgetStatus(Budget):
    """A budget, and what was taken of it in this period."""

    spent_money: float
    spent_tokens: int


def used_part(budget: BudgetStatus) -> float:
    """Return how much of a budget is used: 1 is all of it."""
    money = budget["spent_money"] / budget["money"] if budget["money"] else 0.0
    return max(money, budget["spent_tokens"] / budget["tokens"] if budget["tokens"] else 0.0)


class Balance(TypedDict):
    """What is left at a provider, and the Unix time at which it said so. `currency` is "" where
    nobody says it."""

    amount: float
    currency: str
    at: int


class PublicConfig(TypedDict):
    """A chat's configuration without its key.

    `traits` are its provider's, the same object for all chats of one provider, so that Ray sends it
    once. `options` are defaults of its questions, where None keeps a field from the provider, and
    `thinking` is on, off, or as the provider likes (""). `trusted`: the operator listed the base
    URL's host. `egress_host` is the proxy on the way there, with its port ("": none), and
    `egress_trusted` says that the operator listed it. `models_folder`: where a local model's file
    must lie; "": anywhere. `low` is the balance under which a person is told. `task` None: it is a
    chat, with a model of its own. `fallback` or `reply` (contract.ReplyDefaults) None: as it was.
    `timeout`, `probe_seconds` and `undo_seconds` are in seconds. `generation` grows with every
    deploy; `since` is Unix time.
    """

    chat_name: str
    provider: str
    engine: str  # an Engine
    model_type: str
    model_name: str
    base_url: str
    workers: int
    timeout: float
    needs_key: bool
    traits: Traits
    options: dict[str, Any]
    thinking: Thinking
    trusted: bool
    egress_host: str
    egress_trusted: bool
    models_folder: str
    task: Task | None
    price: Price | None
    budget: Budget | None
    low: float | None
    fallback: list[str] | None
    reply: dict[str, Any] | None
    probe_seconds: float
    undo_seconds: float
    generation: int
    since: float


class ModelConfig(PublicConfig):
    """A chat's whole configuration, passed by method call and kept in memory only. `api_key` may be
    several, with commas between them; `egress_proxy` is a URL, which may hold a password."""

    api_key: str
    egress_proxy: str


SECRETS = frozenset({"api_key", "egress_proxy"})
"""What a ModelConfig has beyond a PublicConfig."""


class Reach(TypedDict):
    """How to reach a chat. `timeout` None: it is a stock byzerllm model's, which has none of its
    own. `endpoints` are those that it has beside CHAT, and `options` are a stock model's, which is
    asked with them from the gateway's process."""

    engine: str  # an Engine
    provider: str
    replicas: int
    timeout: float | None
    generation: int
    fallback: list[str]
    options: dict[str, Any]
    need_key: bool
    endpoints: list[str]


class Resting(TypedDict):
    """With which error code a chat rests, and the Unix times since when and until when."""

    code: str
    since: int
    until: int


class KeyStatus(TypedDict):
    """How many keys a chat has, and how many of them rest, by error code; never which."""

    count: int
    resting: dict[str, int]


class ReplicaStatus(TypedDict):
    """What one replica of a chat says of itself. `keys` tells how many keys rest, by the code that
    they rest with, and `left_out` the fields of a question that the provider has refused."""

    in_flight: int
    resting: Resting | None
    keys: KeyStatus
    left_out: list[str]
    balance: Balance | None


class Offered(TypedDict):
    """Which models a provider offers, or why that is not known."""

    models: list[str]
    error: ErrorRecord | None


class TaskStatus(TypedDict):
    """Which chat answers a task, and the variables that its prompt names, in their order."""

    through: str
    variables: list[str]


class ChatRow(TypedDict):
    """What GET /models tells of a chat; `since` is ISO 8601 in UTC, `created` the same as Unix
    time. `keys` None: it needs none, or nothing is known of them."""

    chat_name: str
    provider: str
    model_type: str | None
    model_name: str | None
    host: str | None
    egress_proxy: str | None
    since: str | None
    created: int
    fallback: list[str]
    reply: dict[str, Any]
    replicas: int
    state: str  # a ChatState
    resting: Resting | None
    options: dict[str, Any]
    thinking: str | None
    left_out: list[str]
    keys: KeyStatus | None
    task: TaskStatus | None
    price: Price | None
    budget: BudgetStatus | None
    balance: Balance | None
    low: float | None
    in_flight: NotRequired[int]


class Chats(TypedDict):
    """All our chats, as a directory knows them: `born` is that actor's birth mark, and `revision`
    grows with each change. `configs` None: nothing has changed since the revision that was asked
    about."""

    born: str
    revision: int
    configs: list[PublicConfig] | None


@final
class NearAddress(TypedDict):
    """Where a model actor lets in the gateway processes of its own node: a Unix socket, whose
    listener must be the `user` of that number. Whoever knows the `secret` is let in."""

    path: str
    user: str
    secret: str


@final
class FarAddress(TypedDict):
    """Where a model actor lets in the gateway processes of other nodes: TLS, where it shows just
    this `certificate` (PEM). Whoever knows the `secret` is let in."""

    host: str
    port: int
    certificate: str
    secret: str


Address = NearAddress | FarAddress
