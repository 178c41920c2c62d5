"""The paths that callers try for a route's own: slashes too many, other servers' base URLs, or
none.

They are answered as the route's own, never by a redirect, which turns a POST into a GET. Only what
chats is found under another path. What operates or watches the gateway is not, since a reverse
proxy hides it by its path; a 404 names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

OPENAI_PREFIX = "/v1"
ANTHROPIC_PREFIX = "/v1/messages"
DASHSCOPE_PREFIX = "/api/v1/services"
"""Where the clients of other APIs ask."""

App = Callable[[dict[str, Any], Any], Any]

_SLASHES = re.compile("/{2,}")

# Base URLs of OpenRouter, Groq, Zhipu's SDK and DashScope. An SDK that was given a whole address
# adds to it once more.
_OPENAI = re.compile(
    r"(?P<base>/v1|/v1/v1|/api/v1|/openai/v1|/api/paas/v4|/compatible-mode/v1|)"
    r"(?P<rest>/chat/completions|/completions|/embeddings|/rerank|/moderations|/images/generations"
    r"|/responses|/messages/count_tokens|/messages|/models(?:/[^/]+)?)(?P=rest)?"
)
_CHATS = re.compile(rf"{OPENAI_PREFIX}/.+|/[^/]+/chat|/jobs/[^/]+|/models|{DASHSCOPE_PREFIX}/.+")


def forgiving(app: App) -> App:
    """Return `app`, told the path of the route that is meant."""

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        path = meant(environ.get("PATH_INFO", ""))
        # Werkzeug takes //metrics for /metrics, but %2F in a path that was decoded already for
        # these three characters.
        environ["PATH_INFO"] = "/%2F" + path.lstrip("/") if path.startswith("//") else path
        return app(environ, start_response)

    return application


def meant(path: str) -> str:
    """Return the path of the route that chats and is meant by `path`; else `path` as it is."""
    plain = tidy(path)
    match = _OPENAI.fullmatch(plain)
    # /models is a route of our own
    if match and (match["base"] or not match["rest"].startswith("/models")):
        return OPENAI_PREFIX + match["rest"]
    return plain if plain is not path and _CHATS.fullmatch(plain) else path


def tidy(path: str) -> str:
    """Return `path` without slashes too many."""
    if "//" not in path and not path.endswith("/"):
        return path
    return _SLASHES.sub("/", path).rstrip("/") or "/"
