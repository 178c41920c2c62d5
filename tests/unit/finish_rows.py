"""The `finish_reason`s that were seen, and what each makes of a reply."""

from __future__ import annotations

from typing import NamedTuple


class Finish(NamedTuple):
    """A reason that a provider gave for the end, and the gateway's code for it: none, where the
    answer is whole.

    `length` and the like are good ends too, as long as there are words: they are told apart by the
    words, not here.
    """

    provider: str
    reason: str | None
    code: str = ""
    dialect: str = "openai"


FINISHES: tuple[Finish, ...] = (
    Finish("openai", "stop"),
    Finish("openai", "length"),
    Finish("openai", "tool_calls"),
    Finish("openai", "function_call"),
    Finish("openai", "content_filter", "CONTENT_BLOCKED"),
    Finish("zhipu", "stop", "", "zhipu"),
    Finish("zhipu", "tool_calls", "", "zhipu"),
    Finish("zhipu", "length", "", "zhipu"),
    Finish("zhipu", "sensitive", "CONTENT_BLOCKED", "zhipu"),
    Finish("zhipu", "network_error", "PROVIDER_DOWN", "zhipu"),
    Finish("zhipu", "model_context_window_exceeded", "TOO_LARGE", "zhipu"),
    # GLM behind another address, deployed as OpenAI's.
    Finish("zhipu", "sensitive", "CONTENT_BLOCKED"),
    Finish("zhipu", "network_error", "PROVIDER_DOWN"),
    Finish("zhipu", "model_context_window_exceeded", "TOO_LARGE"),
    Finish("zhipu", "content_filter", "CONTENT_BLOCKED", "zhipu"),
    Finish("tongwen", "stop", "", "tongwen"),
    Finish("tongwen", "length", "", "tongwen"),
    Finish("tongwen", "null", "", "tongwen"),  # DashScope's native "not yet", a text
    Finish("tongwen", "content_filter", "CONTENT_BLOCKED", "tongwen"),
    Finish("tongwen", "sensitive", "CONTENT_BLOCKED", "tongwen"),  # a GLM that Bailian hosts
    Finish("deepseek", "insufficient_system_resource", "PROVIDER_BUSY"),
    Finish("deepseek", "insufficient_system_resource", "PROVIDER_BUSY", "tongwen"),
    Finish("hunyuan", "sensitive", "CONTENT_BLOCKED"),
    Finish("volcengine", "content_filter", "CONTENT_BLOCKED"),
    Finish("qianfan", "normal"),
    # vercel/modelfusion#343, aws-samples/bedrock-access-gateway#11
    Finish("anthropic", "end_turn"),
    Finish("anthropic", "stop_sequence"),
    Finish("anthropic", "max_tokens"),
    Finish("anthropic", "tool_use"),
    Finish("anthropic", "refusal", "CONTENT_BLOCKED"),
    # Gemini's own names come through its compatible endpoint: HKUDS/Vibe-Trading#308,
    # NousResearch/hermes-agent#53610.
    Finish("gemini", "STOP"),
    Finish("gemini", "MAX_TOKENS"),
    Finish("gemini", "SAFETY", "CONTENT_BLOCKED"),
    Finish("gemini", "RECITATION", "CONTENT_BLOCKED"),
    Finish("gemini", "BLOCKLIST", "CONTENT_BLOCKED"),
    Finish("gemini", "PROHIBITED_CONTENT", "CONTENT_BLOCKED"),
    Finish("gemini", "SPII", "CONTENT_BLOCKED"),
    Finish("gemini", "IMAGE_SAFETY", "CONTENT_BLOCKED"),
    Finish("gemini", "safety", "CONTENT_BLOCKED"),
    Finish("gemini", "content_filter: PROHIBITED_CONTENT", "CONTENT_BLOCKED"),
    Finish("gemini", "MALFORMED_FUNCTION_CALL", "PROVIDER_DOWN"),  # agentjido/req_llm#935
    Finish("gemini", "malformed_function_call", "PROVIDER_DOWN"),
    Finish("gemini", "function_call_filter: MALFORMED_FUNCTION_CALL", "PROVIDER_DOWN"),
    Finish("gemini", "malformed_response", "PROVIDER_DOWN"),  # simstudioai/sim#6302
    Finish("vertex", "model_armor", "CONTENT_BLOCKED"),  # simstudioai/sim#6302
    Finish("bedrock", "content_filtered", "CONTENT_BLOCKED"),
    Finish("bedrock", "guardrail_intervened", "CONTENT_BLOCKED"),
    Finish("openrouter", "error", "PROVIDER_DOWN"),  # gethouston/houston#1211
    Finish("mistral", "error", "PROVIDER_DOWN"),
    Finish("mistral", "model_length"),
    Finish("together", "eos"),  # openai/openai-dotnet#267
    Finish("watsonx", "eos_token"),  # vibrantlabsai/ragas#1548
    Finish("cohere", "COMPLETE"),
    Finish("cohere", "ERROR", "PROVIDER_DOWN"),
    Finish("spring", "STOP"),
    Finish("vllm", "repetition"),  # simstudioai/sim#6302
    # What nobody knows yet, and what is no reason.
    Finish("anybody", "brand_new"),
    Finish("anybody", "finished"),
    Finish("anybody", "unknown"),
    Finish("anybody", ""),
    Finish("anybody", None),
)
