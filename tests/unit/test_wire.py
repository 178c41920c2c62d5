"""What old clients send is understood, and what they get they can read: charsets, forms, plain
text."""

from __future__ import annotations

import encodings
import json
from collections.abc import Callable
from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.charsets import CODECS, charset
from gateway.errors import Code, GatewayError
from gateway.web import wire

CHARSETS = sorted(CODECS)
ASCII_LIKE = [name for name in CHARSETS if not name.startswith("utf-16")]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def readings(text: str, charset: str) -> set[str]:
    """What a text's bytes may be read as: itself, or another text whose UTF-8 they are as well."""
    raw = text.encode(CODECS[charset][1])
    utf8 = raw.decode("utf-8", "ignore")
    return {text, utf8} if utf8.encode() == raw else {text}


def carried(text: str, charset: str) -> str:
    """Of `text` what a charset can carry."""
    return "".join(
        c
        for c in text
        if c.encode(CODECS[charset][1], "ignore").decode(CODECS[charset][0], "ignore") == c
    )


@given(TEXTS, st.sampled_from(CHARSETS))
def test_any_text_comes_in_as_json_in_every_charset_that_can_carry_it(
    text: str, charset: str
) -> None:
    text = carried(text, charset)
    body = json.dumps({"content": text}, ensure_ascii=False).encode(CODECS[charset][1])

    assert wire.fields(body, f"text/plain; charset={charset}")["content"] in readings(text, charset)


@given(TEXTS, st.sampled_from(ASCII_LIKE))
def test_any_text_comes_in_as_a_form_in_every_charset_that_can_carry_it(
    text: str, charset: str
) -> None:
    text = carried(text, charset)
    body = b"chat_name=a&content=" + quote_from_bytes(text.encode(CODECS[charset][1])).encode()

    fields = wire.fields(body, f"application/x-www-form-urlencoded; charset={charset}")
    assert fields["chat_name"] == "a"
    assert fields["content"] in readings(text, charset)


@pytest.mark.parametrize(
    ("raw", "label", "text"),
    [
        ("目录", "gbk", "目录"),  # sound UTF-8, too, but of two bytes a character
        ("目录", "utf-8", "目录"),
        ("你好", "iso-8859-1", "你好"),
        ("你好", "windows-1252", "你好"),
        ("你好", "gb2312", "你好"),
        ("naïve", "us-ascii", "naïve"),
    ],
)
@pytest.mark.parametrize("form", ["json", "form"])
def test_sound_utf8_is_read_as_such_whatever_it_is_called(
    raw: str, label: str, text: str, form: str
) -> None:
    content = raw.encode("gbk" if label == "gbk" else "utf-8")
    body = (
        b'{"content": "%b"}' % content
        if form == "json"
        else b"content=" + quote_from_bytes(content).encode()
    )

    assert wire.fields(body, f"text/plain; charset={label}") == {"content": text}


@given(TEXTS, st.sampled_from(CHARSETS), st.sampled_from(["json", "text"]))
def test_any_text_goes_out_in_every_charset_and_format_that_can_carry_it(
    text: str, charset: str, form: str
) -> None:
    text = carried(text, charset)
    body, content_type = wire.answer(text, wire.Form(format=form, charset=charset))

    read = body.decode(CODECS[charset][0])
    assert (json.loads(read) if form == "json" else read) == text
    assert content_type.endswith(f"; charset={charset}")


@given(TEXTS, st.sampled_from(CHARSETS), st.sampled_from(["", "lf", "crlf"]), st.data())
def test_a_stream_is_written_as_its_whole_text_would_be(
    text: str, charset: str, eol: str, data: st.DataObject
) -> None:
    form = wire.Form(format="text", charset=charset, eol=eol)
    raw = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=4)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]

    recoder = wire.Recoder(form)
    written = b"".join(map(recoder.feed, pieces)) + recoder.feed(b"", last=True)

    assert written == wire.plain(text, form).body


@settings(max_examples=1000)
@given(
    st.binary() | st.text().map(str.encode) | st.binary().map(lambda raw: b'{"a": "' + raw),
    st.text()
    | st.sampled_from(
        ["multipart/form-data; boundary=b", "text/plain; charset=utf-16", "a/b; charset=\0"]
    ),
    st.sampled_from(CHARSETS),
)
def test_no_bytes_at_all_are_more_than_the_callers_error(
    body: bytes, content_type: str, fallback: str
) -> None:
    reads: list[Callable[[], wire.Fields]] = [
        lambda: wire.fields(body, content_type, fallback),
        lambda: wire.query(body, fallback),
    ]
    for read in reads:
        answer: wire.Fields = {}
        code = Code.INVALID_REQUEST
        try:
            answer = read()
        except GatewayError as error:
            code = error.code
        assert code == Code.INVALID_REQUEST
        json.dumps(answer, ensure_ascii=False).encode()


@given(st.text(max_size=40))
def test_a_charset_is_known_or_not_but_never_a_failure(name: str) -> None:
    assert charset(name) in {None, *CODECS}


def test_a_charset_that_is_not_known_is_not_kept() -> None:
    kept = len(encodings._cache)  # Python's own, without a bound
    assert not any(charset(f"nobody-s-{number}") for number in range(100))
    assert len(encodings._cache) == kept


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("UTF8", "utf-8"),
        ("cp936", "gbk"),
        ("GB2312-80", "gb2312"),
        ("latin1", "iso-8859-1"),
        ("ISO_8859-1:1987", "iso-8859-1"),
        ("x-sjis", "shift_jis"),
        ("Windows-31J", "shift_jis"),
        ("ks_c_5601-1987", "euc-kr"),
        ('"utf-16le"', "utf-16le"),
    ],
)
def test_a_charset_is_known_by_its_other_names(name: str, known: str) -> None:
    assert charset(name) == known


CONTENT_DISPOSITION = b"Content-Disposition: form-data; name="


@given(
    st.lists(
        st.tuples(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text()),
        max_size=5,
        unique_by=lambda p: p[0],
    )
)
def test_multipart_parts_are_fields(pairs: list[tuple[str, str]]) -> None:
    boundary = b"a-boundary-that-no-text-has"
    parts = [
        b"--%b\r\n%b%b\r\n\r\n%b\r\n"
        % (boundary, CONTENT_DISPOSITION, name.encode(), value.encode(errors="replace"))
        for name, value in pairs
    ]
    body = b"".join(parts) + b"--%b--\r\n" % boundary

    read = {name: value.encode(errors="replace").decode() for name, value in pairs}
    if pairs:
        assert wire.fields(body, f"multipart/form-data; boundary={boundary.decode()}") == read


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        (
            "messages",
            ' [{"role": "user", "content": "hi"}]\r\n',
            [{"role": "user", "content": "hi"}],
        ),
        ("temperature", "0.5", 0.5),
        ("max_tokens", "16", 16),
        ("stream", "true", True),
        ("stream", "False", False),
        ("logit_bias", '{"50256": -100}', {"50256": -100}),
        ("seed", "null", None),
        ("tool_choice", "auto", "auto"),
        ("tool_choice", '{"type": "function"}', {"type": "function"}),
        ("stop", '["a", "b"]', ["a", "b"]),
        ("stop", "1", "1"),
        ("prompt", '["a"]', ["a"]),
        ("prompt", "[1] says", "[1] says"),
        ("prompt", '{"a": 1, "a": 2}', '{"a": 1, "a": 2}'),
        ("input", "42", "42"),
        ("user", "42", "42"),
        ("model", "7", "7"),
        ("guided_regex", "[0-9]+", "[0-9]+"),
        ("top_p", "NaN", "NaN"),
        ("seed", "9" * 5000, "9" * 5000),
        ("metadata", '{"a": "\\ud800"}', '{"a": "\\ud800"}'),
    ],
)
def test_a_forms_fields_on_v1_are_what_json_would_say(name: str, text: str, value: object) -> None:
    form = {name: text, "empty": ""}
    for answer in (wire.fields(urlencode(form).encode()), wire.query(urlencode(form).encode())):
        assert wire.typed(answer) == {name: value}


def test_json_fields_on_v1_stay_as_they_came() -> None:
    body = {"model": "7", "prompt": "[1]", "n": "1", "user": ""}
    assert wire.typed(wire.fields(json.dumps(body).encode())) == body


@pytest.mark.parametrize(
    "padded", [b"\xef\xbb\xbf%b", b"%b\0\0\0", b"%b\x1a", b"  \r\n%b   \0", b"%b\r\n\0 \x1a"]
)
@pytest.mark.parametrize("body", [b'{"content": "hi"}', b"content=hi"])
def test_padding_is_not_minded(padded: bytes, body: bytes) -> None:
    assert wire.fields(padded % body) == {"content": "hi"}


def test_too_many_parts_are_the_callers_error() -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="a%d"\r\n\r\nhi\r\n'
    body = b"".join(part % number for number in range(wire.MAX_FORM_FIELDS + 1)) + b"--b--\r\n"
    with pytest.raises(GatewayError, match="more than 64 form fields"):
        wire.fields(body, "multipart/form-data; boundary=b")


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\nContent-Disposition: form-data\r\n\r\nhi\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; namg="a"\r\n\r\nhi\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nhi',
        b"--b\r\n\r\nhi\r\n--b--\r\n",
        b"--c--",
    ],
)
def test_multipart_that_is_not_whole_says_so(body: bytes) -> None:
    with pytest.raises(GatewayError, match="multipart"):
        wire.fields(body, "multipart/form-data; boundary=b")
