"""What a 1997 runtime sends is understood, and what it gets it can read."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest

from gateway.ray_head import RayHead
from tests.conftest import Deploy, Server
from tests.standin.client import StandIn

NIHAO = "你好，世界"


@pytest.fixture(scope="module")
def lenient(start_server: Callable[..., Server], ray_head: RayHead) -> Iterator[httpx.Client]:
    """A gateway that chats by GET, too, and takes undeclared bytes that are not UTF-8 for Big5."""
    changed = {"WEB_CONCURRENCY": "1", "GATEWAY_ALLOW_GET": "1", "GATEWAY_FALLBACK_CHARSET": "big5"}
    server = start_server({**ray_head.environment, **changed})
    yield server.http
    server.stop()


def asked(standin: StandIn, key: str) -> list[str]:
    """What reached the provider."""
    return [seen["body"]["messages"][-1]["content"] for seen in standin.requests(key)]


# In.


@pytest.mark.parametrize("declared", ["", "application/x-www-form-urlencoded", "text/plain", "application/json", "x"])
def test_form_fields_are_understood_whatever_they_are_declared_as(
    gateway: httpx.Client, deploy: Deploy, declared: str
) -> None:
    body = f"%63hat%5fname={deploy()}&content=%e4%bd%a0+%26+hi&max_tokens=7"
    assert gateway.post("/openai/chat", content=body, headers={"Content-Type": declared}).json() == "openai:你 & hi"


def test_multipart_is_understood_and_a_file_is_a_field(gateway: httpx.Client, deploy: Deploy) -> None:
    files: dict[str, Any] = {"chat_name": (None, deploy()), "content": ("question.txt", NIHAO.encode("gbk"))}
    assert gateway.post("/openai/chat", files=files).json() == f"openai:{NIHAO}"


def test_a_deploy_may_be_a_form_with_every_field_a_text(
    gateway: httpx.Client, standin: StandIn, chat_name: str, key: str
) -> None:
    fields = {"chat_name": chat_name, "api_key": key, "model_name": "echo", "base_url": standin.base_url("openai")}
    more = {"model_type": "", "http_proxy": "", "workers": "1", "check": "true", "reply": '{"format": "text"}'}
    assert gateway.post("/openai/deploy", data={**fields, **more}).json() == {"ret": "ok"}

    history = json.dumps([{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}])
    ask = {"chat_name": chat_name, "content": "3", "history": history, "system": "", "temperature": ""}
    assert gateway.post("/openai/chat", data=ask).text == "openai:3"
    assert [turn["content"] for turn in standin.requests(key)[-1]["body"]["messages"]] == ["1", "2", "3"]


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
        body = f"chat_name={name}&content={quote_from_bytes(text.encode(charset.removesuffix('-sig')))}".encode()
    headers = {"Content-Type": f"text/plain; charset={declared}" if declared else ""}

    assert gateway.post("/openai/chat", content=body, headers=headers).json() == f"openai:{text}"


def test_the_fallback_charset_is_the_operators(lenient: httpx.Client, deploy: Deploy) -> None:
    body = json.dumps({"chat_name": deploy(), "content": "繁體中文"}, ensure_ascii=False).encode("big5")
    assert lenient.post("/openai/chat", content=body).json() == "openai:繁體中文"


def test_raw_line_breaks_and_padding_are_what_they_seem(gateway: httpx.Client, deploy: Deploy) -> None:
    body = b'{"chat_name": "%b", "content": "one\r\ntwo\tthree"}\0\0\x1a   ' % deploy().encode()
    assert gateway.post("/openai/chat", content=body).json() == "openai:one\r\ntwo\tthree"


def raw(server: Server, request: bytes) -> bytes:
    """What comes back for these very bytes, until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(request)
        reply = b""
        while piece := client.recv(65536):
            reply += piece
        return reply


def test_http_1_0_with_a_padded_length_is_answered_in_one_piece(server: Server, deploy: Deploy) -> None:
    body = f'{{"chat_name": "{deploy()}", "content": "hi"}}'.encode()
    head, _, answer = raw(
        server, b"POST /openai/chat HTTP/1.0\r\nContent-Length: 00%d\r\n\r\n%b" % (len(body), body)
    ).partition(b"\r\n\r\n")

    assert answer == b'"openai:hi"'
    assert b"content-length: 11" in head.lower()
    assert b"chunked" not in head.lower()


def test_chunks_and_expect_100_continue_are_understood(server: Server, deploy: Deploy) -> None:
    body = f'{{"chat_name": "{deploy()}", "content": "hi"}}'.encode()
    begin = b"POST /openai/chat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"

    chunked = raw(server, begin + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    expecting = raw(server, begin + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    assert chunked.endswith(b'\r\n\r\n"openai:hi"')
    assert expecting.startswith(b"HTTP/1.1 100 ")
    assert expecting.endswith(b'\r\n\r\n"openai:hi"')


@pytest.mark.parametrize(
    ("head", "body", "words"),
    [
        (b"Content-Length: 0\r\n", b"", b"The body is empty"),
        (b"", b'{"chat_name": "a", "content": "hi"}', b"send Content-Length"),
        (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}", b"InvalidHeader"),
        (b"Content-Length: 49\r\n", b'{"chat_name": "a", "content": "1", "content": "2"}'[:49] + b" ", b"JSON"),
        (b"Content-Length: 50\r\n", b'{"chat_name": "a", "content": "1", "content": "2"}', b"content: is there twice"),
        (b"Content-Length: 31\r\n", b"chat_name=a&content=1&content=2", b"content: is there twice"),
        (b"Content-Length: 49\r\n", b'{"chat_name": "a", "api_key": "1","api_key": "2"}', b"api_key: is there twice"),
    ],
)
def test_what_could_be_meant_in_two_ways_is_a_clear_error(
    server: Server, head: bytes, body: bytes, words: bytes
) -> None:
    reply = raw(server, b"POST /openai/chat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head + b"\r\n" + body)

    assert reply.startswith(b"HTTP/1.1 400 ")
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["error"]["code"] == "INVALID_REQUEST"
    assert words in reply


def test_a_body_without_its_length_is_not_taken_for_the_next_request(server: Server) -> None:
    reply = raw(server, b"POST /openai/chat HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

    assert reply.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in reply.lower()


def test_chat_by_get_is_the_operators_choice_and_never_takes_a_key(
    gateway: httpx.Client, lenient: httpx.Client, deploy: Deploy
) -> None:
    name = deploy()
    url = f"/openai/chat?chat_name={name}&content=%a4%a4%a4%e5&format=text"

    assert lenient.get(url).text == "openai:中文"
    assert lenient.get(url + "&content=2").status_code == 400
    assert lenient.get(f"/openai/deploy?chat_name={name}&api_key=sk-x").status_code == 405
    refused = gateway.get(url)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
    told = lenient.get("/openapi.json").json()["paths"]["/openai/chat"]["get"]
    assert {"chat_name", "content", "format"} <= {row["name"] for row in told["parameters"] if row["in"] == "query"}


# Out.


@pytest.mark.parametrize("where", ["field", "query", "accept", "deploy"])
def test_the_bare_answer_is_asked_for_in_any_of_these_places(gateway: httpx.Client, deploy: Deploy, where: str) -> None:
    name = deploy(**({"reply": {"format": "text"}} if where == "deploy" else {}))
    ask = {"chat_name": name, "content": NIHAO} | ({"format": "text"} if where == "field" else {})
    headers = {"Accept": "text/plain" if where == "accept" else "*/*"}

    reply = gateway.post(f"/openai/chat{'?format=text&_=42' if where == 'query' else ''}", json=ask, headers=headers)

    assert reply.content.decode() == f"openai:{NIHAO}"
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert int(reply.headers["Content-Length"]) == len(reply.content)


def test_a_clients_usual_accept_header_changes_nothing(gateway: httpx.Client, deploy: Deploy) -> None:
    ask = {"chat_name": deploy(), "content": "hi"}
    for accept in ("*/*", "text/html, image/gif, */*; q=.2", "application/json, text/plain, */*", "nonsense;;"):
        assert gateway.post("/openai/chat", json=ask, headers={"Accept": accept}).json() == "openai:hi"


def test_what_the_charset_lacks_becomes_a_question_mark(gateway: httpx.Client, deploy: Deploy) -> None:
    ask = {"chat_name": deploy(), "content": "naïve 你 😀\nx", "format": "text", "charset": "GBK", "eol": "crlf"}
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
    assert gateway.post("/openai/chat?format=json&charset=utf-8", content=ask).json() == f"zhipu:{NIHAO}"
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
    assert gateway.get("/nonsense", headers=headers).text.startswith("ERROR INVALID_REQUEST: GET /nonsense")
    reply = gateway.post("/openai/chat", json={"chat_name": "nobody", "content": "hi"}, headers=headers)
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
        reply = gateway.post(f"/openai/chat?{option}={value}", json={"chat_name": "any", "content": "hi"})
    else:
        reply = gateway.post("/openai/chat", json={"chat_name": "any", "content": "hi", option: value})

    assert reply.status_code == 400
    assert reply.json()["error"]["message"].startswith(f"{option}: ")


def test_a_stream_has_the_charset_and_line_ends_too(gateway: httpx.Client, deploy: Deploy) -> None:
    name = deploy(model_name="say:你好\n世界", reply={"charset": "gbk", "eol": "crlf"})
    reply = gateway.post("/openai/chat", json={"chat_name": name, "content": "hi", "stream": True})

    assert reply.content == "你好\r\n世界".encode("gbk")


def test_no_header_line_is_longer_than_old_clients_read(server: Server, deploy: Deploy, standin: StandIn) -> None:
    name = deploy(model_name="say:hi")
    body = json.dumps({"chat_name": name, "content": "hi"}).encode()
    for request in (
        b"POST /openai/chat HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),
        b"GET /%b HTTP/1.0\r\n\r\n" % (b"a" * 4000),
        b"PUT /openai/chat HTTP/1.0\r\nX-Request-Id: %b\r\n\r\n" % (b"a" * 4000),
    ):
        head = raw(server, request).partition(b"\r\n\r\n")[0]
        assert max(map(len, head.split(b"\r\n"))) < 500
        assert b"cache-control: no-store" in head.lower() or b"HTTP/1.1 4" in head
