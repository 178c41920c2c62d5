"""A model inside the cluster: llama.cpp with SmolLM2-135M (English only), or any GGUF file. No key,
no provider."""

from gateway import dialects
from gateway.local_model import EMBEDDED
from gateway.provider import Provider

LOCAL = Provider(
    name="local",
    model_types=("local/llama.cpp",),
    model_name=EMBEDDED,
    dialect=dialects.LLAMA_CPP,
    engine="llama.cpp",
    needs_key=False,
    endpoints=("/completions",),
)

local_app = LOCAL.blueprint()
