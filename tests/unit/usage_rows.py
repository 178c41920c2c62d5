"""`usage` as it was seen, and what of it is believed: a whole number from 0 to 100 million."""

from __future__ import annotations

from typing import Any, NamedTuple


class Usage(NamedTuple):
    """The pieces of a stream (or one whole reply), and the tokens in and out that may be
    counted."""

    provider: str
    pieces: tuple[dict[str, Any], ...]
    tokens_in: int | None
    tokens_out: int | None


def _usage(provider: str, usage: Any, tokens_in: int | None, tokens_out: int | None) -> Usage:
    """One piece with `usage` at its usual place."""
    return Usage(provider, ({"choices": [], "usage": usage},), tokens_in, tokens_out)


def _pair(tokens_in: Any, tokens_out: Any) -> dict[str, Any]:
    return {"prompt_tokens": tokens_in, "completion_tokens": tokens_out}


def _odd(value: Any, count: int | None = None) -> Usage:
    """A reply whose count of words out is `value`, the other sane."""
    return _usage("odd", _pair(12, value), 12, count)


MOST = 100_000_000
_END = {"index": 0, "delta": {}, "finish_reason": "stop"}
_TIMES = {"queue_time": 0.037, "prompt_time": 0.0006, "completion_time": 0.46, "total_time": 0.46}

USAGES: tuple[Usage, ...] = (
    _usage(
        "openai",
        {
            **_pair(19, 10),
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "accepted_prediction_tokens": 0},
        },
        19,
        10,
    ),
    _usage("openai", {"prompt_tokens": 8, "total_tokens": 8}, 8, None),  # embeddings
    # responses
    _usage("openai", {"input_tokens": 75, "output_tokens": 1186, "total_tokens": 1261}, 75, 1186),
    _usage(
        "zhipu",
        {**_pair(15, 239), "prompt_tokens_details": {"cached_tokens": 0}, "total_tokens": 254},
        15,
        239,
    ),
    # native
    _usage("dashscope", {"input_tokens": 22, "output_tokens": 17, "total_tokens": 39}, 22, 17),
    _usage(
        "dashscope",
        {**_pair(22, 17), "total_tokens": 39, "prompt_tokens_details": {"cached_tokens": 0}},
        22,
        17,
    ),
    _usage("minimax", {"total_tokens": 249, "total_characters": 0, **_pair(26, 223)}, 26, 223),
    # aallan/vera-bench#97
    _usage("moonshot", {**_pair(19, 21), "total_tokens": 40, "cached_tokens": 10}, 19, 21),
    # northes/go-moonshot#17, higress-group/higress#1568
    Usage(
        "moonshot",
        ({"choices": [{**_END, "usage": {**_pair(10, 79), "total_tokens": 89}}]},),
        10,
        79,
    ),
    Usage("moonshot", ({"choices": [{**_END, "usage": _pair(10, 79)}], "usage": None},), 10, 79),
    Usage(
        "groq",
        ({"choices": [_END], "x_groq": {"id": "req_1", "usage": {**_TIMES, **_pair(18, 556)}}},),
        18,
        556,
    ),
    Usage("groq", ({"choices": [_END], "x_groq": {"id": "req_1"}},), None, None),
    _usage("groq", {**_TIMES, **_pair(18, 556), "total_tokens": 574}, 18, 556),
    # More thoughts than words out: vercel/ai#11487, vercel/ai#18614.
    _usage(
        "xai",
        {
            **_pair(279, 6),
            "total_tokens": 374,
            "completion_tokens_details": {"reasoning_tokens": 89},
        },
        279,
        6,
    ),
    _usage("baseten", {**_pair(951, 6000), "total_tokens": 6952}, 951, 6000),
    _usage(
        "openrouter",
        {**_pair(194, 2), "total_tokens": 196, "cost": 0.00014, "is_byok": False},
        194,
        2,
    ),
    _usage(
        "anthropic", {"input_tokens": 19, "output_tokens": 0, "cache_read_input_tokens": 0}, 19, 0
    ),
    _usage(
        "llama",
        {**_pair(1386, 70), "completion_tokens_details": None, "prompt_tokens_details": None},
        1386,
        70,
    ),
    # posthog
    _usage(
        "proxy", {**_pair(500, 200), "prompt_tokens_details": {"cached_tokens": None}}, 500, 200
    ),
    # A running total in every chunk: the last one counts.
    Usage(
        "siliconflow",
        ({"usage": _pair(9, 1)}, {"usage": _pair(9, 2)}, {"usage": _pair(9, 31)}),
        9,
        31,
    ),
    Usage("gemini", ({"usage": _pair(9, 0)}, {"usage": _pair(9, 14)}), 9, 14),
    Usage(
        "azure", ({"choices": [], "usage": None}, {"usage": None}, {"usage": _pair(9, 31)}), 9, 31
    ),
    # BerriAI/litellm#17136
    Usage("xai", ({"usage": _pair(9, 31)}, {"choices": [], "usage": None}), 9, 31),
    Usage("xai", ({"usage": _pair(9, 31)}, {"choices": []}), 9, 31),
    Usage("spark", ({"usage": _pair(9, 30)}, {"usage": _pair(-1, 31)}), 9, 31),
    Usage("proxy", ({"usage": _pair(9, 30)}, {"usage": "none"}), 9, 30),
    Usage("proxy", ({"usage": {"prompt_tokens": 9}}, {"usage": {"completion_tokens": 30}}), 9, 30),
    # Absent, or no object: run-llama/llama_index#22812, FoundationAgents/MetaGPT#1746,
    # openai/openai-python#1145.
    Usage("nobody", ({"choices": []},), None, None),
    Usage("nobody", (), None, None),
    _usage("nobody", None, None, None),
    _usage("nobody", {}, None, None),
    _usage("nobody", [], None, None),
    _usage("nobody", [_pair(1, 2)], None, None),
    _usage("nobody", "12", None, None),
    _usage("nobody", 12, None, None),
    _usage("nobody", True, None, None),
    _usage("nobody", {"total_tokens": 31}, None, None),
    _usage("nobody", _pair(None, None), None, None),
    Usage("nobody", ({"choices": None, "usage": _pair(1, 2)},), 1, 2),
    Usage("nobody", ({"choices": [None], "usage": _pair(1, 2)},), 1, 2),
    Usage("nobody", ({"choices": "none", "x_groq": [], "usage": None},), None, None),
    # One number insane, the other believed.
    _odd(-1),
    _odd(-(10**30)),
    _odd(3.0, 3),
    _odd(3.5),
    _odd(1e3, 1000),
    _odd(0.0, 0),
    _odd("3"),
    _odd("many"),
    _odd(None),
    _odd([3]),
    _odd({"value": 3}),
    _odd(True),
    _odd(False),
    _odd(float("nan")),
    _odd(float("inf")),
    _odd(float("-inf")),
    _odd(0, 0),
    _odd(MOST, MOST),
    _odd(MOST + 1),
    _odd(float(MOST), MOST),
    _odd(2**63),
    _odd(10**400),
    _odd(1e300),
    _usage("odd", _pair(-1, -1), None, None),
    _usage("odd", _pair("12", 31), None, 31),
    _usage("odd", {"input_tokens": -5, "output_tokens": 31}, None, 31),
    _usage("odd", {"input_tokens": 12.0, "output_tokens": "31"}, 12, None),
)
