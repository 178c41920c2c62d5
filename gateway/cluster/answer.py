"""What came of a chat."""

from __future__ import annotations

from gateway.cluster.byzerllm_patches import LLMResponse
from gateway.protocol import Usage


class Answer(LLMResponse):  # type: ignore[misc]  # byzerllm's types do not resolve
    """An answer in one piece: byzerllm's own type, as its clients know it, and what is known
    beside.

    `content` is what the client shall read, in UTF-8: a chat's words, or a whole reply in OpenAI's
    shape. `model` is what the provider calls who answered, and `usage` what the answer took.
    """

    def __init__(self, content: bytes, model: str, usage: Usage, question: str = "") -> None:
        self.content = content
        self.model = model
        self.usage = usage
        self.input = question
        self.metadata = {
            "model": model,
            "input_tokens_count": usage.tokens_in or 0,
            "generated_tokens_count": usage.tokens_out or 0,
        }

    @property
    def output(self) -> str:
        """The words, as byzerllm's clients read them."""
        return self.content.decode()
