"""What all requests have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Request(BaseModel):
    """A field that is not known is refused rather than lost. Numbers may come as strings: old
    clients send them so."""

    # hide_input_in_errors: a validation error must not quote a key or a prompt into a log.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, protected_namespaces=()
    )
