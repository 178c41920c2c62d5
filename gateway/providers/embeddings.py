"""Replies of /embeddings, given OpenAI's shape; and what they lack, though they are a 200. Pure.

Facts: OpenAI's Node SDK asks for base64 by itself, and reads a list of numbers that comes in its
place as a quarter of the vector (LocalAI's pull request 9135); Gemini leaves the index out
(spring-ai 7019), some leave the usage out; SiliconFlow has sent fewer vectors than there were
inputs (DeepSeek-Reasonix 727), and llama.cpp's server a vector of nulls (open-notebook 764).
"""

from __future__ import annotations

import base64
import math
from array import array
from typing import Any

import orjson

from gateway.errors import Code
from gateway.providers.chunks import Json
from gateway.providers.refusals import Refusal
from gateway.providers.usage import MAX_TOKENS, guess, is_count, usage_in

FLOAT, BASE64 = "float", "base64"
"""OpenAI's encodings. What is encoded in another way is passed on as it came."""

COUNTS = ("prompt_tokens", "total_tokens")


def unwrap(body: Json) -> None:
    """Give the list of vectors its place and its name. One may stand alone, as Volcengine's of a
    picture does; DashScope's own count by `text_index`."""
    if "embeddings" in body and "data" not in body:
        body["data"] = body.pop("embeddings")
    if isinstance(row := body.get("data"), dict) and "embedding" in row:
        body["data"] = [row]
    for row in body["data"] if isinstance(body.get("data"), list) else ():
        if isinstance(row, dict) and "text_index" in row:
            row.setdefault("index", row.pop("text_index"))


def shape(body: Json, question: bytes) -> Refusal | None:
    """Give a reply OpenAI's shape, in place, as its `question` wants it encoded; return why it is
    no answer: fewer vectors than inputs, or one without numbers."""
    fields = orjson.loads(question or b"{}")
    encoding, inputs = _encoding(fields), _inputs(fields.get("input"))
    if all(isinstance(number, int | float) for number in body["data"]):
        body["data"] = [{"embedding": body["data"]}]
    body["data"] = rows = [
        row if isinstance(row, dict) else {"embedding": row} for row in body["data"]
    ]
    if len(rows) < inputs:
        return _lacking(
            f"The provider sent {len(rows)} vectors for {inputs} inputs.",
            f"输入有 {inputs} 条，服务商只返回了 {len(rows)} 个向量。",
        )
    indexes = [_index(row.get("index")) for row in rows]
    if None not in indexes and len({*indexes}) == len(rows):
        rows.sort(key=lambda row: _index(row["index"]) or 0)
    for number, row in enumerate(rows):
        row["index"], row["object"] = number, "embedding"
        if not _encode(row, encoding):
            return _lacking(
                f"The provider's vector {number + 1} of {len(rows)} holds no numbers: its input may"
                " be too short, or too long.",
                f"服务商返回的第 {number + 1} 个向量（共 {len(rows)} 个）不含数字：对应的输入可能"
                "过短或过长。",
            )
    body["object"] = "list"
    body.setdefault("model", "")
    _count(body, fields.get("input"))
    return None


def _inputs(sent: Any) -> int:
    """Return how many vectors a question wants, at least: a list of numbers is one text's tokens,
    and parts of a text and pictures may make one vector together."""
    if isinstance(sent, list) and all(isinstance(one, str | list) for one in sent):
        return len(sent)
    return 1


def _index(value: Any) -> int | None:
    """Return a vector's index as a number: it may be written as a text, or as a fraction."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() and abs(number) < MAX_TOKENS else None


def _encoding(fields: Json) -> str:
    """Return how numbers are wanted; "": in a way that is not OpenAI's (the second is Voyage's)."""
    encoding = fields.get("encoding_format") or FLOAT
    whole = encoding in (FLOAT, BASE64) and fields.get("output_dtype", FLOAT) == FLOAT
    return str(encoding) if whole else ""


def _encode(row: Json, encoding: str) -> bool:
    """Encode a row's vector as it is wanted; return whether it holds numbers."""
    vector = row.get("embedding")
    if "embedding" not in row:  # of another kind, such as a sparse one
        return any(isinstance(value, dict | list) and value for value in row.values())
    if isinstance(vector, list) and len(vector) == 1 and isinstance(vector[0], list):
        [vector] = vector
        row["embedding"] = vector
    if not vector or (isinstance(vector, list) and None in vector):
        return False
    per_token = isinstance(vector, list) and isinstance(vector[0], list)
    if not isinstance(vector, list | str):
        return isinstance(vector, dict)
    if not encoding or per_token:
        return True
    try:
        numbers = array("f", vector) if isinstance(vector, list) else _decoded(vector)
    except (TypeError, ValueError, OverflowError):
        return False
    if not math.isfinite(sum(numbers)):
        return False
    if encoding == BASE64 and isinstance(vector, list):
        row["embedding"] = base64.b64encode(numbers.tobytes()).decode()
    elif encoding == FLOAT and isinstance(vector, str):
        row["embedding"] = numbers.tolist()
    return True


def _decoded(text: str) -> array[float]:
    """Return the numbers in a text of base64. Raises ValueError: there are none."""
    numbers = array("f")  # four bytes each, the lowest first, as OpenAI's and as this machine's
    numbers.frombytes(base64.b64decode(text, validate=True))
    return numbers


def _count(body: Json, inputs: Any) -> None:
    """Give a reply the usage that typed clients insist on: an estimate where its provider counts
    nothing."""
    counts = body.get("usage")
    if isinstance(counts, dict) and all(map(is_count, map(counts.get, COUNTS))):
        return
    tokens = usage_in(body).tokens_in
    if tokens is None and isinstance(counts, dict) and is_count(counts.get("total_tokens")):
        tokens = counts["total_tokens"]  # Voyage's, which has no other
    estimated = {"estimated": True} if tokens is None else {}
    if tokens is None:
        tokens = guess(orjson.dumps(inputs))
    body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens, **estimated}


def _lacking(detail: str, detail_zh: str) -> Refusal:
    return Refusal(Code.PROVIDER_DOWN, "", "", detail, detail_zh)
