"""Replies of /embeddings that are odd, or lack something; judged by the types of OpenAI's SDK."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from gateway.protocol import EMBEDDINGS
from gateway.providers.dialects import OPENAI
from gateway.providers.refusals import Refusal
from gateway.providers.relayed import relayed_reply
from gateway.providers.whole_replies import Reply

NUMBERS = [0.5, -1.0, 2.0]
PACKED = base64.b64encode(struct.pack("<3f", *NUMBERS)).decode()


def reply_to(body: Any, texts: Any = "x", **fields: Any) -> Reply | Refusal:
    question = json.dumps({"input": texts, **fields}).encode()
    return relayed_reply(EMBEDDINGS, OPENAI, json.dumps(body).encode(), "", question)


def given_shape(body: Any, texts: Any = "x", **fields: Any) -> CreateEmbeddingResponse:
    reply = reply_to(body, texts, **fields)
    assert isinstance(reply, Reply), reply
    return CreateEmbeddingResponse.model_validate(reply.body, strict=True)


def test_what_is_as_it_should_be_stays_so() -> None:
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": NUMBERS}],
        "model": "m",
        "usage": {"prompt_tokens": 3, "total_tokens": 4},
        "id": "e1",
    }
    reply = reply_to(body)
    assert isinstance(reply, Reply)
    assert reply.body == body
    assert reply.usage.tokens_in == 3


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"embedding": NUMBERS}]},
        {"data": [{"embedding": NUMBERS, "index": None, "object": None}], "usage": None},
        {"data": [{"embedding": [NUMBERS]}], "usage": "3"},
        {"data": [NUMBERS]},
        {"data": {"embedding": NUMBERS}, "usage": {"prompt_tokens": "3"}},
        {"data": [{"embedding": PACKED}], "usage": {"input_tokens": 3}},
        {"data": [{"embedding": NUMBERS, "index": "0"}], "usage": {"prompt_tokens": 3}},
        # in a relay's envelope, DashScope's own, Ollama's own, TEI's own
        {"code": 0, "data": {"data": [{"embedding": NUMBERS}], "usage": {"prompt_tokens": 3}}},
        {
            "output": {"embeddings": [{"text_index": 0, "embedding": NUMBERS}]},
            "usage": {"total_tokens": 3},
            "request_id": "r",
        },
        {"model": "m", "embeddings": [NUMBERS], "prompt_eval_count": 3},
        [NUMBERS],
    ],
)
def test_typed_clients_take_a_reply_whatever_it_leaves_out(body: Any) -> None:
    typed = given_shape(body)

    assert [(row.index, row.embedding) for row in typed.data] == [(0, NUMBERS)]
    assert typed.usage.prompt_tokens > 0


def test_tokens_that_nobody_counted_are_an_estimate_that_says_so_and_are_not_paid_for() -> None:
    reply = reply_to({"data": [{"embedding": NUMBERS}]}, "x" * 98)
    assert isinstance(reply, Reply)
    assert reply.body["usage"] == {"prompt_tokens": 25, "total_tokens": 25, "estimated": True}
    assert reply.usage.tokens_in is None


def test_tokens_in_all_are_those_of_the_texts() -> None:
    """Voyage's usage has nothing else."""
    reply = reply_to({"data": [{"embedding": NUMBERS}], "usage": {"total_tokens": 5}})
    assert isinstance(reply, Reply)
    assert reply.body["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
    assert reply.usage.tokens_in == 5


@pytest.mark.parametrize("sent", [NUMBERS, PACKED], ids=["numbers", "base64"])
@pytest.mark.parametrize(
    ("encoding", "wanted"), [(None, NUMBERS), ("float", NUMBERS), ("base64", PACKED)]
)
def test_a_vector_is_encoded_as_its_caller_asked(sent: Any, encoding: Any, wanted: Any) -> None:
    reply = reply_to({"data": [{"embedding": sent}]}, encoding_format=encoding)
    assert isinstance(reply, Reply)
    assert reply.body["data"][0]["embedding"] == wanted


@pytest.mark.parametrize(
    "fields",
    [{"encoding_format": "ubinary"}, {"encoding_format": "base64", "output_dtype": "int8"}],
)
def test_an_encoding_that_openai_lacks_is_passed_on_as_it_came(fields: dict[str, Any]) -> None:
    for vector in ("AQI=", [1, 2]):
        reply = reply_to({"data": [{"embedding": vector}]}, **fields)
        assert isinstance(reply, Reply)
        assert reply.body["data"][0]["embedding"] == vector


@pytest.mark.parametrize(
    ("indexes", "first"),
    [
        *(((1, 0), 2.0), ((2, 1), 2.0), ((1.0, 0.0), 2.0), (("1", "0"), 2.0)),
        *(((0, 1), 1.0), ((0, 0), 1.0), ((None, None), 1.0), ((1, None), 1.0)),
    ],
)
def test_vectors_are_in_the_order_of_their_inputs(indexes: tuple[Any, ...], first: float) -> None:
    rows = [
        {"embedding": [number], "index": index}
        for number, index in zip((1.0, 2.0), indexes, strict=True)
    ]
    typed = given_shape({"data": rows}, ["a", "b"])
    assert [row.index for row in typed.data] == [0, 1]
    assert typed.data[0].embedding == [first]


@pytest.mark.parametrize(
    ("rows", "texts", "words"),
    [
        ([{"embedding": NUMBERS}], ["a", "b"], "1 vectors for 2 inputs"),
        ([{"embedding": NUMBERS}], [[1, 2], [3]], "1 vectors for 2 inputs"),
        (
            [{"embedding": NUMBERS}, {"embedding": None}],
            ["a", "b"],
            "vector 2 of 2 holds no numbers",
        ),
        ([{"embedding": [None, None]}], "a", "vector 1 of 1 holds no numbers"),
        ([{"embedding": []}], "a", "holds no numbers"),
        ([{"embedding": "no base64"}], "a", "holds no numbers"),
        ([{"embedding": ["a"]}], "a", "holds no numbers"),
        ([None], "a", "holds no numbers"),
        ([{"index": 0}], "a", "holds no numbers"),
    ],
)
def test_what_lacks_a_vector_is_no_answer(rows: Any, texts: Any, words: str) -> None:
    refusal = reply_to({"data": rows}, texts)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "PROVIDER_DOWN"
    assert words in refusal.detail


@pytest.mark.parametrize("texts", [[1, 2, 3], [{"text": "a"}, {"image": "b"}], "abc"])
def test_one_vector_is_enough_for_tokens_for_parts_and_for_a_text(texts: Any) -> None:
    assert len(given_shape({"data": [{"embedding": NUMBERS}]}, texts).data) == 1


def test_vectors_for_each_token_and_those_of_another_kind_are_passed_on() -> None:
    rows: list[dict[str, Any]] = [
        {"embedding": [NUMBERS, NUMBERS]},
        {"sparse_embedding": {"7": 0.5}},
    ]
    reply = reply_to({"data": [dict(row) for row in rows]}, ["a", "b"])
    assert isinstance(reply, Reply)
    for row, sent in zip(reply.body["data"], rows, strict=True):
        assert sent.items() <= row.items()


ANY = st.recursive(
    st.sampled_from((None, True, "", PACKED, "x", 0, 1, 0.5, 1e300, 2**70)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("embedding"), inner),
    max_leaves=5,
)


@settings(max_examples=500)
@given(
    st.lists(st.fixed_dictionaries({}, optional={"embedding": ANY, "index": ANY}) | ANY),
    ANY,
    st.sampled_from((None, "float", "base64", "x")),
)
def test_whatever_comes_is_an_answer_or_a_refusal(rows: Any, counts: Any, encoding: Any) -> None:
    for body in ({"data": rows, "usage": counts}, {"data": counts}):
        reply = reply_to(body, encoding_format=encoding)
        assert isinstance(reply, Refusal) or json.dumps(reply.body)
