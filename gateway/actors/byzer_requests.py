"""Byzer's own chat requests, as stock byzerllm's clients send them (byzerllm 0.1.223,
`byzerllm_client.chat_oai` and `saas/official_openai`), as questions to a provider."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.errors import Code, GatewayError

OPTIONS = ("temperature", "top_p", "max_tokens", "reasoning_effort", "thinking")
"""What a client's `llm_config` may hold for the provider. Its max_length, always 4000, asked for or
not, is not passed on."""

NOT_DONE = ("apply_chat_template", "embedding", "stream", "tokenizer")


def question(request: dict[str, Any]) -> bytes:
    """Return the question that a request asks. `extra_body` holds fields of it, as in OpenAI's SDK.
    Raises GatewayError."""
    if unknown := [name for name in NOT_DONE if request.get(name)]:
        raise GatewayError(Code.INVALID_REQUEST, f"This model does not do {', '.join(unknown)}.")
    last = {"role": "user", "content": request.get("instruction", "")}
    options = {name: request[name] for name in OPTIONS if name in request}
    more = {**options, **_object(request.get("extra_request_params"))}
    extra = {**_object(request.get("extra_body")), **_object(more.pop("extra_body", None))}
    return orjson.dumps({"messages": [*(request.get("history") or []), last], **more, **extra})


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
