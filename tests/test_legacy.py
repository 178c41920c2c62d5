"""What a 1997 runtime sends is understood, and what it gets it can read."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest

from gateway.commands.ray_head import RayHead
from tests.environment import clean_environment
from tests.raw_http import raw_reply
from tests.runtimes import needed
from tests.server import Deploy, Server
from tests.standin.client import StandIn

pytestmark = pytest.mark.reuses_chats

NIHAO = "你好，世界"


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server], ray_head: RayHead) -> Iterator[Server]:
    """In place of the shared `server`: a gateway that chats by GET, too."""
    started = start_server(
        {**ray_head.environment, "WEB_CONCURRENCY": "1", "GATEWAY_ALLOW_GET": "1"}
    )
    yield started
    started.stop()


@pytest.fixture(scope="module")
def gateway(server: Server) -> httpx.Client:
    """In place of the shared `gateway`: a client of this server."""
    return server.http


@pytest.fixture(scope="module")
def strict(start_server: Callable[..., Server], ray_head: RayHead) -> Iterator[Server]:
    """A gateway behind a proxy; no chats by GET, and undeclared bytes that are not UTF-8 are
    Big5."""
    changed = {
        "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
        "GATEWAY_OPEN": "1",
        "GATEWAY_FALLBACK_CHARSET": "big5",
    }
    started = start_server({**ray_head.environment, "WEB_CONCURRENCY": "1", **changed})
    yield started
    started.stop()


def asked(standin: StandIn, key: str) -> list[str]:
    """What reached the provider."""
    return [seen["body"]["messages"][-1]["content"] for seen in standin.requests(key)]


# In.


@pytest.mark.parametrize(
    "declared", ["", "application/x-www-form-urlencoded", "text/plain", "application/json", "x"]
)
def test_form_fields_are_understood_whatever_they_are_declared_as(
    gateway: httpx.Client, deploy: Deploy, declared: str
) -> None:
    body = f"%63hat%5fname={deploy()}&content=%e4%bd%a0+%26+hi&max_tokens=7"
    assert (
        gateway.post("/openai/chat", content=body, headers={"Content-Type": declared}).json()
        == "openai:你 & hi"
    )


def test_multipart_is_understood_and_a_file_is_a_field(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    files: dict[str, Any] = {
        "chat_name": (None, deploy()),
        "content": ("question.txt", NIHAO.encode("gbk")),
    }
    assert gateway.post("/openai/chat", files=files).json() == f"openai:{NIHAO}"


def test_a_deploy_may_be_a_form_with_every_field_a_text(
    gateway: httpx.Client, standin: StandIn, new_name: str, key: str
) -> None:
    fields = {
        "chat_name": new_name,
        "api_key": key,
        "model_name": "echo",
        "base_url": standin.base_url("openai"),
    }
    more = {
        "model_type": "",
        "http_proxy": "",
        "workers": "1",
        "check": "true",
        "reply": '{"format": "text"}',
    }
    assert gateway.post("/openai/deploy", data={**fields, **more}).json() == {"ret": "ok"}

    history = json.dumps([{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}])
    ask = {
        "chat_name": new_name,
        "content": "3",
        "history": history,
        "system": "",
        "temperature": "",
    }
    assert gateway.post("/openai/chat", data=ask).text == "openai:3"
    assert [turn["content"] for turn in standin.requests(key)[-1]["body"]["messages"]] == [
        "1",
        "2",
        "3",
    ]


@pytest.mark.parametrize(
    ("charset", "declared"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("utf-16-le", ""),
        ("gbk", ""),
        ("gb18030", ""),
        ("gbk", "gb2312"),
        ("gbk", "utf-8"),  # it says so, and it is not
        ("big5", "big5"),
        ("shift_jis", "Shift_JIS"),
        ("latin-1", "ISO-8859-1"),
        ("utf-16-be", "utf-16be"),
    ],
)
@pytest.mark.parametrize("form", ["json", "form", "raw form"])
def test_each_charset_is_read_as_declared_or_as_it_shows_itself(
    gateway: httpx.Client, deploy: Deploy, charset: str, declared: str, form: str
) -> None:
    text = {"latin-1": "Größe", "shift_jis": "日本語", "big5": "繁體中文"}.get(charset, NIHAO)
    name = deploy()
    if form == "json":
        body = json.dumps({"chat_name": name, "content": text}, ensure_ascii=False).encode(charset)
    elif form == "raw form" or charset.startswith("utf-16"):
        body = f"chat_name={name}&content={text}".encode(charset)
    else:
        content = quote_from_bytes(text.encode(charset.removesuffix("-sig")))
        body = f"chat_name={name}&content={content}".encode()
    headers = {"Content-Type": f"text/plain; charset={declared}" if declared else ""}

    assert gateway.post("/openai/chat", content=body, headers=headers).json() == f"openai:{text}"


def test_the_fallback_charset_is_the_operators(strict: Server, deploy: Deploy) -> None:
    body = json.dumps({"chat_name": deploy(), "content": "繁體中文"}, ensure_ascii=False).encode(
        "big5"
    )
    assert strict.http.post("/openai/chat", content=body).json() == "openai:繁體中文"


def test_raw_line_breaks_and_padding_are_what_they_seem(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    body = b'{"chat_name": "%b", "content": "one\r\ntwo\tthree"}\0\0\x1a   ' % deploy().encode()
    assert gateway.post("/openai/chat", content=body).json() == "openai:one\r\ntwo\tthree"


def test_http_1_0_with_a_padded_length_is_answered_in_one_piece(
    server: Server, deploy: Deploy
) -> None:
    body = f'{{"chat_name": "{deploy()}", "content": "hi"}}'.encode()
    head, _, answer = raw_reply(
        server, b"POST /openai/chat HTTP/1.0\r\nContent-Length: 00%d\r\n\r\n%b" % (len(body), body)
    ).partition(b"\r\n\r\n")

    assert answer == b'"openai:hi"'
    assert b"content-length: 11" in head.lower()
    assert b"chunked" not in head.lower()


def test_chunks_and_expect_100_continue_are_understood(server: Server, deploy: Deploy) -> None:
    body = f'{{"chat_name": "{deploy()}", "content": "hi"}}'.encode()
    begin = b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"

    chunked = raw_reply(
        server,
        begin + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
    )
    expecting = raw_reply(
        server, begin + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )

    assert chunked.endswith(b'\r\n\r\n"openai:hi"')
    assert expecting.startswith(b"HTTP/1.1 100 ")
    assert expecting.endswith(b'\r\n\r\n"openai:hi"')


@pytest.mark.parametrize(
    ("head", "body", "words"),
    [
        (b"Content-Length: 0\r\n", b"", b"The body is empty"),
        (b"", b'{"chat_name": "a", "content": "hi"}', b"send Content-Length"),
        (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}", b"InvalidHeader"),
        (
            b"Content-Length: 49\r\n",
            b'{"chat_name": "a", "content": "1", "content": "2"}'[:49] + b" ",
            b"JSON",
        ),
        (
            b"Content-Length: 50\r\n",
            b'{"chat_name": "a", "content": "1", "content": "2"}',
            b"content: is there twice",
        ),
        (b"Content-Length: 31\r\n", b"chat_name=a&content=1&content=2", b"content: is there twice"),
        (
            b"Content-Length: 49\r\n",
            b'{"chat_name": "a", "api_key": "1","api_key": "2"}',
            b"api_key: is there twice",
        ),
    ],
)
def test_what_could_be_meant_in_two_ways_is_a_clear_error(
    server: Server, head: bytes, body: bytes, words: bytes
) -> None:
    reply = raw_reply(
        server,
        b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        + head
        + b"\r\n"
        + body,
    )

    assert reply.startswith(b"HTTP/1.1 400 ")
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["error"]["code"] == "INVALID_REQUEST"
    assert words in reply


def test_a_body_without_its_length_is_not_taken_for_the_next_request(server: Server) -> None:
    reply = raw_reply(
        server,
        b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHost:"
        b" localhost\r\n\r\n",
    )

    assert reply.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in reply.lower()


def test_a_task_is_asked_by_get_where_chats_are(
    gateway: httpx.Client, strict: Server, deploy: Deploy, new_name: str
) -> None:
    order = {"chat_name": new_name, "through": deploy(), "prompt": "{{客户}}: {{content}}"}
    assert gateway.post("/task/deploy", json=order).status_code == 200
    url = f"/task/chat?chat_name={order['chat_name']}&content=%D6%D0%CE%C4&%BF%CD%BB%A7=Ann"

    assert gateway.get(f"{url}&format=text").text == "openai:Ann: 中文"
    assert strict.http.get(url).status_code == 405
    gateway.post("/task/undeploy", json={"chat_name": order["chat_name"]})


def test_chat_by_get_is_the_operators_choice_and_never_takes_a_key(
    gateway: httpx.Client, strict: Server, deploy: Deploy
) -> None:
    name = deploy()
    url = f"/openai/chat?chat_name={name}&content=%D6%D0%CE%C4&format=text"

    assert gateway.get(url).text == "openai:中文"
    assert gateway.get(url + "&content=2").status_code == 400
    assert gateway.get(f"/openai/deploy?chat_name={name}&api_key=sk-x").status_code == 405
    refused = strict.http.get(url)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
    report = gateway.get("/openapi.json").json()["paths"]["/openai/chat"]["get"]
    assert {"chat_name", "content", "format"} <= {
        row["name"] for row in report["parameters"] if row["in"] == "query"
    }


def test_head_asks_nobody(server: Server, deploy: Deploy, standin: StandIn, key: str) -> None:
    url = f"/openai/chat?chat_name={deploy()}&content=hi&format=text&charset=gbk"
    reply = server.http.head(url)

    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["Content-Type"] == "text/plain; charset=gbk"
    assert standin.requests(key) == []
    assert raw_reply(server, f"HEAD {url} HTTP/1.0\r\n\r\n".encode()).startswith(b"HTTP/1.0 200 ")
    assert server.http.head("/jobs/any?wait=20").status_code == 200
    assert server.http.get(url).text == "openai:hi"


def test_options_tells_what_is_allowed_and_needs_no_token(
    gateway: httpx.Client, guarded: Server
) -> None:
    for client, path, allowed in (
        (gateway, "/openai/chat", {"GET", "HEAD", "POST", "OPTIONS"}),
        (guarded.http, "/openai/chat", {"POST", "OPTIONS"}),
        (guarded.http, "/openai/deploy", {"POST", "OPTIONS"}),
        (guarded.http, "/v1/chat/completions", {"POST", "OPTIONS"}),
        (guarded.http, "/v1/models/any", {"GET", "HEAD", "OPTIONS"}),
        (guarded.http, "/models", {"GET", "HEAD", "OPTIONS"}),
        (guarded.http, "/", {"GET", "HEAD", "OPTIONS"}),
    ):
        # As a browser asks for a page of another site: it is not let in.
        reply = client.options(path, headers={"Origin": "http://other.example"})
        assert (reply.status_code, reply.content) == (200, b"")
        assert set(reply.headers["Allow"].split(", ")) == allowed
        assert not {name for name in reply.headers if name.startswith("access-control-")}
    assert gateway.options("/nonsense").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "content=你好+1%2B1".encode(),
        "content=你好+1%2B1".encode("gb18030"),
        b"content=%C4%E3%BA%C3+1%2B1",
        b"content=%e4%bd%a0%e5%a5%bd%201%2b1",
    ],
)
def test_a_query_is_read_like_a_form(server: Server, deploy: Deploy, query: bytes) -> None:
    url = b"/openai/chat?format=text&chat_name=%b&%b" % (deploy().encode(), query)
    reply = raw_reply(server, b"GET %b HTTP/1.0\r\n\r\n" % url)

    assert reply.endswith("\r\n\r\nopenai:你好 1+1".encode())


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_real_curl_puts_chinese_into_a_url(server: Server, deploy: Deploy, charset: str) -> None:
    query = f"format=text&charset={charset}&chat_name={deploy()}&content={NIHAO}"
    url = f"{server.url}/openai/chat?{query}"
    command = ("curl", "-sS", "--noproxy", "*", url.encode(charset))
    ended = subprocess.run(command, capture_output=True, timeout=60, check=True)

    assert ended.stdout.decode(charset) == f"openai:{NIHAO}"


def test_a_hash_in_a_query_is_no_end_of_the_question(server: Server, deploy: Deploy) -> None:
    url = f"/openai/chat?chat_name={deploy()}&content=C#,100%&format=text"
    assert raw_reply(server, f"GET {url} HTTP/1.0\r\n\r\n".encode()).endswith(b"openai:C#,100%")


@pytest.mark.parametrize(
    ("line", "begins"),
    [
        (
            b"GET /openai/chat?format=text&content=two words HTTP/1.0",
            "ERROR INVALID_REQUEST: There is a blank",
        ),
        (
            b"GET /openai/chat?content=two words&format=text&lang=zh HTTP/1.0",
            "ERROR INVALID_REQUEST: URL 中有空格",
        ),
        (
            "GET /openai/chat?format=text&content=你好 HTTP/1.0".encode(),
            "ERROR INVALID_REQUEST: chat_name: ",
        ),
        ("GET /你好?format=text HTTP/1.0".encode(), "ERROR INVALID_REQUEST: GET /"),
        (
            b"GET /openai/chat?format=text&content=" + b"%20" * 8000 + b" HTTP/1.0",
            "ERROR TOO_LARGE: ",
        ),
        (b"GET /openai/chat?content=two words HTTP/1.0", '{"error": {"code": "INVALID_REQUEST"'),
        (b"GET /openai/chat?format=text&status=200&lang=zh HTTP/9.9", "ERROR INVALID_REQUEST: "),
    ],
)
def test_an_error_in_the_line_is_written_as_the_query_says(
    server: Server, line: bytes, begins: str
) -> None:
    head, _, body = raw_reply(server, line + b"\r\n\r\n").partition(b"\r\n\r\n")

    assert body.decode().startswith(begins)
    kind = b"application/json" if begins.startswith("{") else b"text/plain"
    assert b"content-type: %b; charset=utf-8" % kind in head.lower()
    assert (b" 200 " in head.partition(b"\r\n")[0]) == (b"status=200" in line)


@pytest.mark.parametrize("length", ["", "Content-Length: 0\r\n", "Content-Length: 3\r\n"])
def test_a_post_may_have_its_fields_in_the_query(
    server: Server, deploy: Deploy, length: str
) -> None:
    line = (
        f"POST /openai/chat?chat_name={deploy()}&content=%C4%E3%BA%C3&format=text"
        f" HTTP/1.0\r\n{length}\r\n"
    )
    assert raw_reply(server, line.encode() + b"\r\n " * ("3" in length)).endswith(
        "openai:你好".encode()
    )


@pytest.mark.parametrize("body", [b"", b'{"chat_name": "any", "model_name": "x"}'])
def test_a_key_in_a_url_is_refused(gateway: httpx.Client, body: bytes) -> None:
    reply = gateway.post("/openai/deploy?chat_name=any&api_key=sk-in-a-url", content=body)

    assert reply.status_code == 400
    assert "URLs end up in logs" in reply.json()["error"]["message"]
    assert "sk-in-a-url" not in reply.text


# Compressed.


def bomb(size: int) -> bytes:
    return gzip.compress(b" " * size)


@pytest.mark.parametrize("label", ["gzip", "deflate", "GZIP", "", "identity", "br"])
@pytest.mark.parametrize(
    "pack", [gzip.compress, zlib.compress, bytes], ids=["gzip", "zlib", "plain"]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_may_be_compressed_whatever_its_label(
    gateway: httpx.Client, deploy: Deploy, label: str, pack: Callable[[bytes], bytes], chunked: bool
) -> None:
    body = pack(f'{{"chat_name": "{deploy()}", "content": "{NIHAO}"}}'.encode("gbk"))
    reply = gateway.post(
        "/openai/chat",
        content=iter([body]) if chunked else body,
        headers={"Content-Encoding": label},
    )
    assert reply.json() == f"openai:{NIHAO}"


def test_a_compressed_form_and_a_compressed_v1(gateway: httpx.Client, deploy: Deploy) -> None:
    name = deploy()
    form = zlib.compressobj(wbits=-15)
    body = form.compress(f"chat_name={name}&content=hi".encode()) + form.flush()
    assert (
        gateway.post("/openai/chat", content=body, headers={"Content-Encoding": "deflate"}).json()
        == "openai:hi"
    )
    ask = json.dumps({"model": name, "messages": [{"role": "user", "content": "hi"}]}).encode()
    reply = gateway.post(
        "/v1/chat/completions", content=gzip.compress(ask), headers={"Content-Encoding": "gzip"}
    )
    assert reply.json()["choices"][0]["message"]["content"] == "openai:hi"


@pytest.mark.parametrize(
    ("label", "body", "status", "words"),
    [
        ("gzip", bomb(200_000_000), 413, "GATEWAY_MAX_BODY_BYTES"),
        (
            "gzip",
            gzip.compress(b'{"chat_name": "a", "content": "hi"}', mtime=0)[:-9],
            400,
            "Content-Encoding: gzip",
        ),
        ("gzip", b"\x00\x01\x02\x03" * 9, 400, "Content-Encoding: gzip"),
        ("br", b"\x8b\x11\x80{}\x03", 400, "Content-Encoding: br"),
        ("zstd", b"\x28\xb5\x2f\xfd", 400, "Content-Encoding: zstd"),
    ],
    ids=["bomb", "cut", "no gzip", "br", "zstd"],
)
def test_a_bomb_and_what_cannot_be_unpacked_are_refused(
    gateway: httpx.Client, label: str, body: bytes, status: int, words: str
) -> None:
    reply = gateway.post("/openai/chat", content=body, headers={"Content-Encoding": label})

    assert (reply.status_code, words in reply.json()["error"]["message"]) == (
        status,
        True,
    ), reply.text


# A form on /v1.


@pytest.mark.parametrize("multipart", [False, True])
def test_a_form_on_v1_is_as_its_json(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str, multipart: bool
) -> None:
    name = deploy()
    meant: dict[str, Any] = {
        **{
            "messages": [{"role": "user", "content": NIHAO}],
            "temperature": 0.5,
            "stop": ["a"],
            "user": "42",
        },
        **{
            "tools": [],
            "logprobs": False,
            "seed": 7,
            "response_format": {"type": "text"},
            "tool_choice": "auto",
        },
    }
    form = {
        n: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for n, v in meant.items()
    }
    form |= {"model": name, "top_p": "", "store": "True"}
    sent: dict[str, Any] = (
        {"files": {n: (None, v) for n, v in form.items()}} if multipart else {"data": form}
    )
    reply = gateway.post("/v1/chat/completions", **sent)

    assert reply.json()["choices"][0]["message"]["content"] == f"openai:{NIHAO}"
    body = standin.requests(key)[-1]["body"]
    assert {n: v for n, v in body.items() if n not in ("model", "stream")} == meant | {
        "store": True
    }
    streamed = gateway.post("/v1/chat/completions", data={**form, "stream": "true"})
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    assert streamed.text.rstrip().endswith("data: [DONE]")
    broken = gateway.post("/v1/chat/completions", data={**form, "messages": '[{"role": '})
    assert broken.json()["error"]["param"] == "messages"


# Line ends.


def posted(name: str, end: str = "\n", more: str = "") -> bytes:
    body = f"chat_name={name}&content=hi"
    lines = [
        "POST /openai/chat?format=text HTTP/1.1",
        "Host: localhost",
        f"Content-Length: {len(body)}",
        *([more] if more else []),
    ]
    return (end.join(lines) + end + end + body).encode()


def test_lines_that_end_with_lf_alone_are_read_once(server: Server, deploy: Deploy) -> None:
    request = posted(deploy())
    reply = raw_reply(server, request + request)

    assert reply.endswith(b"\r\n\r\nopenai:hi")
    assert reply.count(b"HTTP/1.1 ") == 1, "what follows may be somebody else's"
    assert b"connection: close" in reply.lower()
    assert raw_reply(server, b"GET /healthz HTTP/1.0\n\n").startswith(b"HTTP/1.0 200 ")


def test_lines_that_come_one_by_one(server: Server, deploy: Deploy) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in posted(deploy()).splitlines(keepends=True):
            client.sendall(piece)
            time.sleep(0.02)
        assert b"".join(iter(lambda: client.recv(65536), b"")).endswith(b"openai:hi")


SMUGGLED = {
    "first line only": b"POST /openai/chat HTTP/1.1\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    "one line": b"POST /openai/chat HTTP/1.1\r\nHost: localhost\nContent-Length: 0\r\n\r\n",
    "last lines": b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\n\n",
    "end only": b"POST /openai/chat HTTP/1.1\nHost: localhost\nContent-Length: 0\n\r\n",
    "a bare CR": b"POST /openai/chat HTTP/1.1\nHost: localhost\rContent-Length: 0\nA: b\n\n",
    "chunks": b"POST /openai/chat HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n0\n\n",
    "chunks with CR": (
        b"POST /openai/chat HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n0\r\n\r\n"
    ),
    "folded": b"POST /openai/chat HTTP/1.1\nHost: localhost\n Content-Length: 0\n\n",
    "two lengths": b"POST /openai/chat HTTP/1.1\nContent-Length: 0\nContent-Length: 3\n\n{}",
    "a blank before the colon": b"POST /openai/chat HTTP/1.1\nContent-Length : 0\n\n",
    "a NUL": b"POST /openai/chat HTTP/1.1\nHost: a\0b\n\n",
    "an empty line first": b"\nPOST /openai/chat HTTP/1.1\nHost: localhost\n\n",
}


@pytest.mark.parametrize("request_", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_what_could_smuggle_a_request_is_refused(server: Server, request_: bytes) -> None:
    reply = raw_reply(server, request_ + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert reply.startswith(b"HTTP/1.1 400 ")
    assert reply.count(b"HTTP/1.1 ") == 1
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["error"]["code"] == "INVALID_REQUEST"


def test_behind_a_proxy_lf_alone_is_refused(strict: Server) -> None:
    reply = raw_reply(strict, posted("any"))

    assert reply.startswith(b"HTTP/1.1 400 ")
    assert reply.partition(b"\r\n\r\n")[2].startswith(
        b"ERROR INVALID_REQUEST: A header line ends with LF alone: end each"
    )


@pytest.mark.parametrize(
    "kind", ["first line only", "one line", "last lines", "end only", "a bare CR"]
)
def test_mixed_line_ends_are_named(server: Server, kind: str) -> None:
    assert b"end each line with CR LF" in raw_reply(server, SMUGGLED[kind])


def test_lf_inside_chunks_is_refused(server: Server) -> None:
    head = b"POST /openai/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    for chunks in (b"2\n{}\r\n0\r\n\r\n", b"2\r\n{}\n0\r\n\r\n", b"2\r\n{}\r\n0\r\nA: b\n\r\n\r\n"):
        reply = raw_reply(server, head + chunks)
        assert reply.startswith(b"HTTP/1.1 400 ")
        assert reply.count(b"HTTP/1.1 ") == 1


BASH = """
exec 3<>/dev/tcp/127.0.0.1/$PORT
body="chat_name=$CHAT_NAME&content=$QUESTION"
length=$(LC_ALL=C; echo ${#body})
printf 'POST /openai/chat?format=text HTTP/1.0\\nContent-Length: %d\\n\\n%s' $length "$body" >&3
cat <&3
"""
GAWK = """
BEGIN {
  service = "/inet/tcp/0/127.0.0.1/" ENVIRON["PORT"]
  body = "chat_name=" ENVIRON["CHAT_NAME"] "&content=" ENVIRON["QUESTION"]
  print "POST /openai/chat?format=text HTTP/1.0" |& service
  print "Content-Length: " length(body) |& service
  print "" |& service
  printf "%s", body |& service
  while ((service |& getline line) > 0) print line
}
"""


@pytest.mark.parametrize(
    "command", [("bash", "-c", BASH), ("gawk", "-b", GAWK)], ids=["bash", "gawk"]
)
def test_a_shell_and_awk_that_write_lf(
    server: Server, deploy: Deploy, command: tuple[str, ...]
) -> None:
    environment = {
        **clean_environment(),
        "PORT": str(server.port),
        "CHAT_NAME": deploy(),
        "QUESTION": NIHAO,
    }
    ended = subprocess.run(
        [needed(command[0]), *command[1:]],
        env=environment,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.decode().strip().endswith(f"openai:{NIHAO}")


# Out.


@pytest.mark.parametrize("where", ["field", "query", "accept", "deploy"])
def test_the_bare_answer_is_asked_for_in_any_of_these_places(
    gateway: httpx.Client, deploy: Deploy, where: str
) -> None:
    name = deploy(**({"reply": {"format": "text"}} if where == "deploy" else {}))
    ask = {"chat_name": name, "content": NIHAO} | ({"format": "text"} if where == "field" else {})
    headers = {"Accept": "text/plain" if where == "accept" else "*/*"}

    reply = gateway.post(
        f"/openai/chat{'?format=text&_=42' if where == 'query' else ''}", json=ask, headers=headers
    )

    assert reply.content.decode() == f"openai:{NIHAO}"
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert int(reply.headers["Content-Length"]) == len(reply.content)


def test_a_clients_usual_accept_header_changes_nothing(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    ask = {"chat_name": deploy(), "content": "hi"}
    for accept in (
        "*/*",
        "text/html, image/gif, */*; q=.2",
        "application/json, text/plain, */*",
        "nonsense;;",
    ):
        assert (
            gateway.post("/openai/chat", json=ask, headers={"Accept": accept}).json() == "openai:hi"
        )


def test_what_the_charset_lacks_becomes_a_question_mark(
    gateway: httpx.Client, deploy: Deploy
) -> None:
    ask = {
        "chat_name": deploy(),
        "content": "naïve 你 😀\nx",
        "format": "text",
        "charset": "GBK",
        "eol": "crlf",
    }
    reply = gateway.post("/openai/chat", json=ask)

    assert reply.content == "openai:na?ve 你 ?\r\nx".encode("gbk")
    assert reply.headers["Content-Type"] == "text/plain; charset=gbk"


def test_a_chats_defaults_serve_the_old_program_that_changes_nothing(
    gateway: httpx.Client, deploy: Deploy, standin: StandIn, key: str
) -> None:
    plain = {"format": "text", "charset": "gbk", "eol": "crlf", "status": 200, "lang": "zh"}
    name = deploy(reply=plain)
    ask = f"chat_name={name}&content={quote_from_bytes(NIHAO.encode('gbk'))}"

    assert gateway.post("/openai/chat", content=ask).content == f"openai:{NIHAO}".encode("gbk")
    [row] = [row for row in gateway.get("/models").json()["models"] if row["chat_name"] == name]
    assert row["reply"] == plain
    standin.script(key, ["refuse:openai-insufficient_quota"])
    unpaid = gateway.post("/openai/chat", content=ask)
    assert unpaid.status_code == 200
    assert unpaid.content.decode("gbk").startswith("ERROR PAY_BILL: 服务商表示账户欠费")
    malformed = gateway.post("/openai/chat", content=f"chat_name={name}&content=")
    assert malformed.content.decode("gbk").startswith("ERROR INVALID_REQUEST: content：")
    # A request's own word comes first, and a switch keeps the defaults.
    standin.script(key, [])
    deploy("zhipu", chat_name=name)
    assert (
        gateway.post("/openai/chat?format=json&charset=utf-8", content=ask).json()
        == f"zhipu:{NIHAO}"
    )
    assert gateway.post("/openai/chat", content=ask).content == f"zhipu:{NIHAO}".encode("gbk")


@pytest.mark.parametrize(
    ("options", "status", "begins"),
    [
        ({"format": "text"}, 404, "ERROR NOT_DEPLOYED: No chat of this name"),
        ({"format": "text", "lang": "zh"}, 404, "ERROR NOT_DEPLOYED: 没有部署"),
        ({"status": "200"}, 200, "ERROR NOT_DEPLOYED: No chat"),
        ({}, 404, '{"error": {"code": "NOT_DEPLOYED"'),
    ],
)
def test_an_error_is_plain_words_for_those_who_read_no_json(
    gateway: httpx.Client, options: dict[str, Any], status: int, begins: str
) -> None:
    reply = gateway.post("/openai/chat", json={"chat_name": "nobody", "content": "hi", **options})

    assert (reply.status_code, reply.text[: len(begins)]) == (status, begins)
    assert "charset=utf-8" in reply.headers["Content-Type"]


def test_accept_language_chooses_an_errors_words(gateway: httpx.Client) -> None:
    headers = {"Accept": "text/plain", "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
    assert gateway.get("/nonsense", headers=headers).text.startswith(
        "ERROR INVALID_REQUEST: GET /nonsense"
    )
    reply = gateway.post(
        "/openai/chat", json={"chat_name": "nobody", "content": "hi"}, headers=headers
    )
    assert "没有部署" in reply.text


@pytest.mark.parametrize(
    ("option", "value"),
    [("format", "xml"), ("charset", "klingon"), ("eol", "cr"), ("status", 404), ("lang", "fr")],
)
@pytest.mark.parametrize("where", ["field", "query", "deploy"])
def test_an_option_that_is_none_is_named(
    gateway: httpx.Client, chat_name: str, option: str, value: Any, where: str
) -> None:
    if where == "deploy":
        body = {"chat_name": chat_name, "api_key": "sk-x", "reply": {option: value}}
        reply = gateway.post("/openai/deploy", json=body)
        option = f"reply.{option}"
    elif where == "query":
        reply = gateway.post(
            f"/openai/chat?{option}={value}", json={"chat_name": "any", "content": "hi"}
        )
    else:
        reply = gateway.post(
            "/openai/chat", json={"chat_name": "any", "content": "hi", option: value}
        )

    assert reply.status_code == 400
    assert reply.json()["error"]["message"].startswith(f"{option}: ")


def test_a_stream_has_the_charset_and_line_ends_too(gateway: httpx.Client, deploy: Deploy) -> None:
    name = deploy(model_name="say:你好\n世界", reply={"charset": "gbk", "eol": "crlf"})
    reply = gateway.post("/openai/chat", json={"chat_name": name, "content": "hi", "stream": True})

    assert reply.content == "你好\r\n世界".encode("gbk")


def test_no_header_line_is_longer_than_old_clients_read(
    server: Server, deploy: Deploy, standin: StandIn
) -> None:
    name = deploy(model_name="say:hi")
    body = json.dumps({"chat_name": name, "content": "hi"}).encode()
    for request in (
        b"POST /openai/chat HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),
        b"GET /%b HTTP/1.0\r\n\r\n" % (b"a" * 4000),
        b"PUT /openai/chat HTTP/1.0\r\nX-Request-Id: %b\r\n\r\n" % (b"a" * 4000),
    ):
        head = raw_reply(server, request).partition(b"\r\n\r\n")[0]
        assert max(map(len, head.split(b"\r\n"))) < 500
        assert b"cache-control: no-store" in head.lower() or b"HTTP/1.1 4" in head
