"""What a provider answers when all is well: whole replies, stream chunks, embeddings. Pure: no HTTP
here.

Source: docs/provider-facts.md, the sections "OpenAI", "Zhipu (GLM)" and "Tongyi Qianwen
(DashScope)".
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import time
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

from tests.standin.refusals import Dialect

Json = dict[str, Any]
Kind = Literal["chat", "completions", "embeddings"]

# Words with the space after them; cut at 4,096, because no provider streams one event of a
# megabyte.
_PIECES = re.compile(r"\S{1,4096}\s*|\s+")


def text_of(content: Any) -> str:
    """The text of a message's content, a string or a list of typed parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def last_user_text(body: Json) -> str:
    """What the user said last."""
    answer = [
        text_of(message.get("content"))
        for message in body["messages"]
        if message.get("role") == "user"
    ]
    return answer[-1] if answer else ""


def called_tool(body: Json) -> str:
    """The function that the reply is to call: the first one offered, unless its result is already
    in."""
    if body.get("tool_choice") == "none" or body["messages"][-1].get("role") == "tool":
        return ""
    return next(
        (tool["function"]["name"] for tool in body.get("tools") or () if "function" in tool), ""
    )


def prompt_of(kind: Kind, body: Json) -> str:
    """All the text that came in, for counting tokens and, in completions, for echoing."""
    if kind == "chat":
        return " ".join(text_of(message.get("content")) for message in body["messages"])
    asked = body.get("prompt" if kind == "completions" else "input", "")
    return asked if isinstance(asked, str) else " ".join(map(str, asked))


def _tokens(text: str | None) -> int:
    """Near what a tokenizer counts in English and in Chinese alike."""
    return len((text or "").encode()) // 4 + 1


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer to one request, whole or in chunks. `usage` None means: as the dialect does it."""

    dialect: Dialect
    kind: Kind
    asked: Json
    text: str | None
    finish: str = "stop"
    tool: str = ""
    usage: bool | None = None
    id: str = field(default_factory=lambda: uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def _reasoning(self) -> str:
        """GLM thinks unless told not to; here only models named `think...` do, to keep the rest
        plain."""
        disabled = (self.asked.get("thinking") or {}).get("type") == "disabled"
        thinks = (
            self.dialect == "zhipu"
            and self.kind == "chat"
            and self.asked["model"].startswith("think")
        )
        return "Let me think. " if thinks and not disabled else ""

    def _usage(self) -> Json:
        came, went = _tokens(prompt_of(self.kind, self.asked)), _tokens(self.text)
        if self.kind == "embeddings":
            return {"prompt_tokens": came, "total_tokens": came}
        return {"prompt_tokens": came, "completion_tokens": went, "total_tokens": came + went}

    def tokens(self) -> int:
        """What it takes, in and out."""
        return int(self._usage()["total_tokens"])

    def _envelope(self, kind: str, **fields: Any) -> Json:
        beside = {"request_id": self.id} if self.dialect == "zhipu" else {}
        name = self.id if self.dialect == "zhipu" else f"chatcmpl-{self.id}"
        base = {"id": name, "object": kind, "created": self.created, "model": self.asked["model"]}
        return {**base, **beside, **fields}

    def whole(self) -> Json:
        """The reply to a request without `stream`."""
        usage = {} if self.usage is False else {"usage": self._usage()}
        if self.kind == "embeddings":
            return {
                "object": "list",
                "data": _embeddings(self.asked),
                "model": self.asked["model"],
                **usage,
            }
        if self.kind == "completions":
            choice: Json = {
                "index": 0,
                "text": self.text,
                "logprobs": None,
                "finish_reason": self.finish,
            }
            return self._envelope("text_completion", choices=[choice], **usage)
        message: Json = {"role": "assistant", "content": None if self.tool else self.text}
        if self._reasoning:
            message["reasoning_content"] = self._reasoning
        if self.tool:
            message["tool_calls"] = [self._tool_call("{}")]
        choice = {"index": 0, "message": message, "finish_reason": self.finish}
        return self._envelope("chat.completion", choices=[choice], **usage)

    def _tool_call(self, arguments: str) -> Json:
        function = {"name": self.tool, "arguments": arguments}
        return {"id": f"call_{self.id}", "type": "function", "function": function}

    def opening(self) -> list[Json]:
        """The chunks before any content: the role, or GLM's thoughts."""
        if self.kind == "completions":
            return []
        if self.dialect != "zhipu":
            return [self._chunk({"role": "assistant", "content": None if self.tool else ""})]
        thoughts = _PIECES.findall(self._reasoning)
        return [
            self._chunk({"role": "assistant", "reasoning_content": thought}) for thought in thoughts
        ]

    def content(self) -> list[Json]:
        """One chunk for each word; a tool call's name comes before its arguments, but at once in
        GLM."""
        if not self.tool:
            pieces = _PIECES.findall(self.text or "")
            role = {"role": "assistant"} if self.dialect == "zhipu" else {}
            return [self._chunk({**role, "content": piece}, text=piece) for piece in pieces]
        if self.dialect == "zhipu":
            call = {"index": 0, **self._tool_call("{}")}
            return [self._chunk({"role": "assistant", "tool_calls": [call]})]
        rest = {"index": 0, "function": {"arguments": "{}"}}
        return [
            self._chunk({"tool_calls": [{"index": 0, **self._tool_call("")}]}),
            self._chunk({"tool_calls": [rest]}),
        ]

    def closing(self) -> list[Json]:
        """The last chunks. GLM: finish_reason and usage in one. The others: usage in one without
        choices."""
        if self.dialect == "zhipu":
            last = self._chunk({"role": "assistant", "content": ""}, finish=self.finish)
            return [last if self.usage is False else {**last, "usage": self._usage()}]
        last = self._chunk({}, finish=self.finish)
        if not self._tells_usage():
            return [last]
        return [last, {**last, "choices": [], "usage": self._usage()}]

    def _tells_usage(self) -> bool:
        asked = bool((self.asked.get("stream_options") or {}).get("include_usage"))
        return asked if self.usage is None else self.usage

    def _chunk(self, delta: Json, text: str = "", finish: str | None = None) -> Json:
        choice: Json = {"index": 0, "delta": delta, "finish_reason": finish}
        if self.kind == "completions":
            choice = {"index": 0, "text": text, "finish_reason": finish}
        # OpenAI sends a null usage in every chunk before the one that tells it.
        usage = {"usage": None} if self.dialect != "zhipu" and self._tells_usage() else {}
        name = "text_completion" if self.kind == "completions" else "chat.completion.chunk"
        return self._envelope(name, choices=[choice], **usage)


def echo(dialect: Dialect, kind: Kind, body: Json, usage: bool | None = None) -> Reply:
    """`<dialect>:<what the user said last>`, or a call of the first tool offered."""
    if kind != "chat":
        return Reply(dialect, kind, body, f"{dialect}:{prompt_of(kind, body)}", usage=usage)
    if tool := called_tool(body):
        return Reply(dialect, kind, body, None, finish="tool_calls", tool=tool, usage=usage)
    return Reply(dialect, kind, body, f"{dialect}:{last_user_text(body)}", usage=usage)


def rows(body: Json) -> list[Any]:
    """The texts (or token lists) to embed."""
    asked = body.get("input", "")
    alone = not isinstance(asked, list) or (asked and isinstance(asked[0], int))
    return [asked] if alone else asked


def _embeddings(body: Json) -> list[Json]:
    """Eight floats for each row, the same for the same text; exact in float32, so both encodings
    agree."""
    data: list[Json] = []
    for index, row in enumerate(rows(body)):
        floats = [(byte - 128) / 128 for byte in hashlib.sha256(str(row).encode()).digest()[:8]]
        packed = base64.b64encode(struct.pack("<8f", *floats)).decode()
        vector = packed if body.get("encoding_format") == "base64" else floats
        data.append({"object": "embedding", "index": index, "embedding": vector})
    return data
