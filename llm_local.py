"""A model inside the cluster: llama.cpp with SmolLM2-135M (English only), or any GGUF file. No key,
no provider."""

from gateway.protocol import EMBEDDED, Engine
from gateway.providers.dialects import dialect
from gateway.providers.provider import Provider
from gateway.providers.structures import Means
from gateway.web.provider_views import provider_blueprint

LOCAL = Provider(
    name="local",
    model_types=("local/llama.cpp",),
    model_name=EMBEDDED,
    # its codes are HTTP statuses, so the error's type decides
    dialect=dialect(TOO_LARGE="exceed_context_size_error", PROVIDER_BUSY="unavailable_error"),
    engine=Engine.LLAMA_CPP,
    needs_key=False,
    endpoints=("/completions",),
    means=Means.GRAMMAR,
)

local_app = provider_blueprint(LOCAL)
