"""Coverage-guided fuzzing of the parser (`make fuzz-wire`): no bytes at all are more than the
caller's error."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(
    include=["gateway", "json", "urllib", "werkzeug", "email", "encodings"]
):
    from gateway.charsets import CODECS
    from gateway.errors import GatewayError
    from gateway.web import wire

CONTENT_TYPES = (
    *(
        "",
        "application/json",
        "text/plain; charset=utf-16",
        "text/plain; charset=gbk",
        "x/y; charset=nonsense",
    ),
    *(
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "multipart/form-data",
    ),
)
CHARSETS = tuple(CODECS)


def one(data: bytes) -> None:
    """One request. What the parser raises beside GatewayError is a find."""
    if len(data) < 3:
        return
    chosen = CONTENT_TYPES[data[0] % len(CONTENT_TYPES)]
    content_type = chosen if data[0] < 128 else data[3:40].decode("latin-1")
    fallback = CHARSETS[data[1] % len(CHARSETS)]
    with suppress(GatewayError):
        answer = wire.fields(data[3:], content_type, fallback)
        json.dumps(answer, ensure_ascii=False).encode()
    with suppress(GatewayError):
        wire.query(data[3:], fallback)
    text = data[3:].decode(errors="replace")
    form = wire.Form("text", CHARSETS[data[2] % len(CHARSETS)], ("", "lf", "crlf")[data[2] % 3])
    recoder = wire.Recoder(form)
    pieces = (
        recoder.feed(text.encode()[:7])
        + recoder.feed(text.encode()[7:])
        + recoder.feed(b"", last=True)
    )
    if pieces != wire.plain(text, form).body:
        raise AssertionError("a stream is not what its whole text is")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
