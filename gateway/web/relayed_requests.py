"""What may be asked on /v1, as frozen values: no more than the gateway must know."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.web.field_types import STREAM, Mark, not_streamed


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


class WholeRequest(OpenAIRequest):
    """What is answered in one piece."""

    stream: Annotated[bool | None, AfterValidator(not_streamed)] = Field(
        default=None, description=STREAM
    )


class EmbeddingsRequest(WholeRequest):
    """POST /v1/embeddings."""

    input: str | list[Any]


class ModerationsRequest(WholeRequest):
    """POST /v1/moderations."""

    input: str | list[Any]


class RerankRequest(WholeRequest):
    """POST /v1/rerank."""

    query: str | dict[str, Any]
    documents: list[Any]


class ImagesRequest(WholeRequest):
    """POST /v1/images/generations."""

    prompt: str


class ResponsesRequest(OpenAIRequest):
    """POST /v1/responses."""

    input: str | list[Any] | None = None


class MessagesRequest(OpenAIRequest):
    """POST /v1/messages, as Anthropic has it."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]


class CountRequest(MessagesRequest, WholeRequest):
    """POST /v1/messages/count_tokens."""
