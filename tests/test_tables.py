"""POST /console/table: a table is read and written for the page, whatever is in it."""

from __future__ import annotations

import io
import zipfile
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from python_calamine import CalamineWorkbook
from xlsxwriter import Workbook

GERMAN = 'Kunde;Text\r\nMüller;Die Lampe, sie ist kaputt.\r\n=1+1;"a\nb"\r\n'


def excel(*rows: list[Any], last: tuple[int, int] | None = None) -> bytes:
    """A file of Excel's own; `last` is the place of one more cell."""
    buffer = io.BytesIO()
    book = Workbook(buffer)
    sheet = book.add_worksheet()
    for number, row in enumerate(rows):
        sheet.write_row(number, 0, row)
    if last:
        sheet.write(*last, "x")
    book.close()
    return buffer.getvalue()


def send(
    gateway: httpx.Client, contents: bytes, path: str = "table", **more: Any
) -> httpx.Response:
    body = {"name": "mails", "file": b64encode(contents).decode(), **more}
    return gateway.post(f"/console/{path}", json=body)


def refusal(reply: httpx.Response) -> tuple[str, str]:
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["code"] == "INVALID_REQUEST"
    return error["message"], error["message_zh"]


def test_a_table_is_read_as_the_command_reads_it_and_comes_back_with_its_answers(
    gateway: httpx.Client,
) -> None:
    contents = GERMAN.encode("cp1252")
    table = send(gateway, contents).json()
    assert table == {
        "columns": ["Kunde", "Text"],
        "rows": [["Müller", "Die Lampe, sie ist kaputt."], ["=1+1", "a\nb"]],
        **{"charset": "windows-1252", "delimiter": ";"},
    }

    answers = [["=HYPERLINK(1)", ""], None]
    reply = send(gateway, contents, "answered_table", names=["Text"], answers=answers)

    head, first, *rest = reply.content.decode("cp1252").split("\r\n")
    assert (head, first) == (
        "Kunde;Text;Text_2;error",
        "Müller;Die Lampe, sie ist kaputt.;'=HYPERLINK(1);",
    )
    assert rest == ['=1+1;"a\nb";;', ""]


def test_excels_own_keeps_its_numbers_and_runs_no_answer(gateway: httpx.Client) -> None:
    pytest.importorskip("python_calamine")
    contents = excel(["content", "paid"], ["My lamp.", 7.5], ["Thanks.", 12])
    table = send(gateway, contents).json()
    assert table["rows"] == [["My lamp.", "7.5"], ["Thanks.", "12"]]
    assert (table["charset"], table["delimiter"]) == (None, None)

    reply = send(
        gateway, contents, "answered_table", names=["kind"], answers=[["=1+1", ""], ["other", ""]]
    )

    sheet = CalamineWorkbook.from_filelike(io.BytesIO(reply.content)).get_sheet_by_index(0)
    assert sheet.to_python() == [
        ["content", "paid", "kind", "error"],
        ["My lamp.", 7.5, "=1+1", ""],
        ["Thanks.", 12, "other", ""],
    ]
    with zipfile.ZipFile(io.BytesIO(reply.content)) as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")


def bomb() -> bytes:
    """A sheet of 5 MB that unpacks to 5 GB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(excel(["content"]))) as parts:
        names = {name: parts.read(name) for name in parts.namelist()}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as book:
        for name, contents in names.items():
            if name != "xl/worksheets/sheet1.xml":
                book.writestr(name, contents)
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            head, tail = names["xl/worksheets/sheet1.xml"].split(b"</sheetData>")
            sheet.write(head)
            block = b'<row><c t="inlineStr"><is><t>' + b"x" * 900 + b"</t></is></c></row>"
            for _ in range(200):
                sheet.write(block * 1000)
            sheet.write(b"</sheetData>" + tail)
    return buffer.getvalue()


TOO_MUCH = ("takes too much memory or time", "占用的内存或时间过多")
HOSTILE = [
    pytest.param(lambda: b"\x00" * 100_000, ("", ""), id="zeros"),
    pytest.param(lambda: b"PK\x03\x04" + b"x" * 1000, ("mails: ", "mails："), id="no zip"),
    pytest.param(lambda: excel(["content"], last=(1_048_575, 16_383)), TOO_MUCH, id="huge"),
    pytest.param(bomb, ("", ""), id="bomb"),
    pytest.param(lambda: b'a\n"' + b"x" * 5_000_000, ("", ""), id="open quote"),
    pytest.param(
        lambda: b"a\n" + b"1\n" * 50_001, ("more than 50,000 rows", "超过 50,000 行"), id="rows"
    ),
    pytest.param(lambda: b"a,b\n1,2,3\n", ("row 1 has 3 cells", "第 1 行有 3 个"), id="wide"),
]


@pytest.mark.parametrize(("contents", "words"), HOSTILE)
def test_whatever_is_sent_ends_soon_and_is_said_in_both_languages(
    gateway: httpx.Client, contents: Any, words: tuple[str, str]
) -> None:
    reply = send(gateway, contents())

    if words[0] or reply.status_code != 200:
        for text, part in zip(refusal(reply), words, strict=True):
            assert part in text
            assert "/proc/" not in text
    assert gateway.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"file": "no base64!"}, "file: "),
        ({"file": ""}, "file: "),
        ({"charset": "klingon"}, "The charset klingon is not known"),
        ({"delimiter": ";;"}, "delimiter: "),
        ({"wrong": 1}, "wrong: is no field of this request"),
    ],
)
def test_what_is_wrong_is_named(gateway: httpx.Client, more: dict[str, Any], field: str) -> None:
    body = {"file": b64encode(b"a,b\n1,2\n").decode(), **more}
    assert field in refusal(gateway.post("/console/table", json=body))[0]


def test_answers_that_are_not_its_rows_are_refused(gateway: httpx.Client) -> None:
    reply = send(gateway, b"a\n1\n2\n", "answered_table", names=["x"], answers=[["y", ""]])
    words, words_zh = refusal(reply)
    assert words.startswith("There are 2 rows and 1 answers.")
    assert words_zh.startswith("共有 2 行，而回答有 1 个。")


def test_a_flood_of_tables_leaves_the_gateway_to_others(gateway: httpx.Client) -> None:
    contents = bomb()
    with ThreadPoolExecutor(20) as pool:
        replies = [pool.submit(send, gateway, contents) for _ in range(20)]
        assert gateway.get("/models").status_code == 200
        codes = Counter(reply.result().json().get("error", {}).get("code") for reply in replies)
    assert codes["GATEWAY_BUSY"] > 0
    assert set(codes) <= {None, "INVALID_REQUEST", "GATEWAY_BUSY"}
