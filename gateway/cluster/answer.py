"""What came of a chat."""

from __future__ import annotations

import time
from typing import Any

from gateway.cluster.byzerllm_patches import LLMResponse
from gateway.frames import Usage


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

    def reply(self, shown: str) -> dict[str, Any]:
        """Return the words as a whole reply in OpenAI's shape; `shown` is the model's name in
        it."""
        prompt, completion = self.usage.tokens_in or 0, self.usage.tokens_out or 0
        number = str(self.metadata.get("request_id", "")).removeprefix("chatcmpl-")
        message = {"role": "assistant", "content": self.output}
        return {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": shown,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
        }
