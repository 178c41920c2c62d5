"""A model inside the cluster: llama.cpp with SmolLM2-135M (English only), or any GGUF file. No key,
no provider."""

from gateway.protocol import EMBEDDED, Engine
from gateway.providers import dialects
from gateway.providers.provider import Provider
from gateway.web.provider_views import provider_blueprint

LOCAL = Provider(
    name="local",
    model_types=("local/llama.cpp",),
    model_name=EMBEDDED,
    dialect=dialects.LLAMA_CPP,
    engine=Engine.LLAMA_CPP,
    needs_key=False,
    endpoints=("/completions",),
)

local_app = provider_blueprint(LOCAL)
