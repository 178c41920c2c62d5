"""A provider is a value: what is to be known of it, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.protocol import COUNT_TOKENS, MESSAGES, Engine, Traits
from gateway.providers.balances import NOWHERE, BalanceSource
from gateway.providers.dialects import Dialect
from gateway.providers.structures import Means

STOCK_MODEL_TYPES = frozenset(
    {
        "saas/aws_bedrock",
        "saas/azure_openai",
        "saas/baichuan",
        "saas/claude",
        "saas/minimax",
        "saas/openai_response",
        "saas/openrouter",
        "saas/pangu",
        "saas/qianfan",
        "saas/reasoning_openai",
        "saas/siliconflow",
        "saas/sparkdesk",
    }
)
"""byzerllm 0.1.223's own chat models beside those that it was made for here; a provider may relay
them. An allow-list: stock byzerllm imports what it is told."""


class ThinkingSwitch(NamedTuple):
    """The fields of a request that turn thinking off, or on, for the models whose name `models` (a
    pattern) is found in. {}: nothing turns it that way, or it stands so by itself."""

    off: Mapping[str, Any]
    on: Mapping[str, Any]
    models: str = ""


@dataclass(frozen=True)
class Provider:
    """A provider's name in the URLs, what it accepts, how it is asked, and how it says no.

    `model_types` are relayed, the first being the default; `base_url` and `model_name` are
    defaults; `endpoints` are what /v1 relays beside /chat/completions, under the base URL, and
    `elsewhere` says where others lie on its host. `key_header` carries the key, as a Bearer token
    if it is Authorization. `thinking`: the first switch whose models match is the model's.
    `base_url_example` is shown where there is no base URL that is everybody's, and so must be
    given. `limit_field` is what the provider calls `max_tokens`, and by `means` it is held to the
    structure of an answer. `balance` says where a key may ask what is left in its account.
    """

    name: str
    model_types: tuple[str, ...]
    model_name: str
    dialect: Dialect
    base_url: str = ""
    base_url_example: str = ""
    engine: Engine = Engine.RELAY
    needs_key: bool = True
    endpoints: tuple[str, ...] = ("/embeddings",)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    key_header: str = "Authorization"
    thinking: tuple[ThinkingSwitch, ...] = ()
    limit_field: str = "max_tokens"
    means: Means = Means.WORDS
    balance: BalanceSource = NOWHERE

    def traits(self) -> Traits:
        """Return what a model actor must know of it, as plain data: it travels with each deploy, so
        that a provider is added by a reload of the gateway alone."""
        return Traits(
            words=[(pattern, str(code)) for pattern, code in self.dialect.words.items()],
            codes={name: str(code) for name, code in self.dialect.codes.items()},
            endpoints=self._places(),
            key_header=self.key_header,
            thinking=[
                (switch.models, dict(switch.off), dict(switch.on)) for switch in self.thinking
            ],
            limit_field=self.limit_field,
            means=self.means.value,
            balance=(str(self.balance.form), self.balance.places),
        )

    def _places(self) -> dict[str, str]:
        """Return where each endpoint lies. Tokens are counted under Anthropic's messages, wherever
        these are."""
        places = {path: path[1:] for path in self.endpoints} | dict(self.elsewhere)
        if MESSAGES in places:
            places[COUNT_TOKENS] = f"{places[MESSAGES]}/count_tokens"
        return places
