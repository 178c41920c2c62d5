"""What is said where there is no connection to a cluster."""

from __future__ import annotations

import re

import pytest

from gateway.cluster.control_store import why_unreached


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "RAY_ADDRESS=host:6379"),
        (RuntimeError("InvalidAuthToken: Authentication token is missing"), "RAY_AUTH_TOKEN_PATH"),
        (RuntimeError("Version mismatch: The cluster was started with Ray 2.59.0"), "2.59.0"),
    ],
)
def test_why_there_is_none_and_what_to_do_is_said_in_both_languages(
    error: Exception, remedy: str
) -> None:
    words, words_zh = why_unreached(error)

    assert remedy in words
    assert remedy in words_zh
    assert re.search("[一-鿿]", words_zh)
    assert not re.search("[一-鿿]", words)
