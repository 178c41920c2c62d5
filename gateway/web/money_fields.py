"""What a deploy says of money: what its tokens cost, and what it may take."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from gateway.protocol import Budget, Price
from gateway.web.field_types import Money, no_boolean
from gateway.web.strict_request import Request


class PriceOfTokens(Request):
    """What a million tokens cost: in, out, and those in that the provider's cache had (else as
    `in`). An answer's money is counted with it."""

    in_: Money = Field(alias="in")
    out: Money
    cached: Money | None = None
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = Field(
        default="CNY", description="Such as CNY or USD."
    )

    def record(self) -> Price:
        """Return it as plain data."""
        cached = self.in_ if self.cached is None else self.cached
        return {"in": self.in_, "out": self.out, "cached": cached, "currency": self.currency}


class BudgetOfChat(Request):
    """What a chat may take in each day or month: money, in its price's currency, or tokens, or
    both."""

    money: Annotated[Money, Field(gt=0)] | None = None
    tokens: Annotated[int, BeforeValidator(no_boolean), Field(ge=1)] | None = None
    per: Literal["day", "month"] = "month"

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.money is None and self.tokens is None:
            raise ValueError("must name money or tokens")
        return self

    def record(self) -> Budget:
        """Return it as plain data."""
        return {"money": self.money, "tokens": self.tokens, "per": self.per}
