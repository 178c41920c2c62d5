"""Tables for `python -m gateway bulk`: what any program wrote is read as it was meant, and comes
out as it was."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.tables import dialects
from gateway.tables.dialects import Dialect, find_dialect
from gateway.tables.error import TableError
from gateway.tables.files import CsvSink, CsvTable, harmless, text
from gateway.tables.xlsx import MAX_CHARACTERS, XlsxSink, XlsxTable

CHINESE = "客户,内容\r\n张三,你好，我的包裹还没有到。\r\n"
TAIWANESE = "客戶,內容\r\n王小明,您好，我的包裹還沒有到。\r\n"
JAPANESE = "顧客,内容\r\n田中,荷物がまだ届いていません。\r\n"
KOREAN = "고객,내용\r\n김철수,소포가 아직 도착하지 않았습니다.\r\n"
GERMAN = "Kunde;Text\r\nMüller;Das Paket ist nicht da, bitte prüfen Sie das für mich.\r\n"

CODECS = ["utf-8", "utf-8-sig", "utf-16", "gb18030", "cp950", "cp932", "cp1252", "latin-1"]


def table(path: Path, charset: str = "", delimiter: str = "", header: bool = True) -> CsvTable:
    return CsvTable(path, find_dialect(path, charset, delimiter), header)


@pytest.mark.parametrize(
    ("words", "codec", "delimiter"),
    [
        (CHINESE, "utf-8", ","),
        (CHINESE, "utf-8-sig", ","),
        (CHINESE, "utf-16", ","),
        (CHINESE.replace(",", "\t"), "utf-16", "\t"),
        ("content,x\r\nhi,1\r\n", "utf-16-le", ","),
        ("content,x\r\nhi,1\r\n", "utf-16-be", ","),
        (CHINESE, "gb18030", ","),
        ("内容\r\n退款\r\n投诉\r\n", "gb18030", ","),
        ("a,b\r\n" + "plain,1\r\n" * 60_000 + "张三,你好\r\n", "gb18030", ","),
        ("a;b\r\n" + "客户;My lamp\r\n谢谢;other\r\n" * 20, "gb18030", ";"),
        (TAIWANESE, "cp950", ","),
        (JAPANESE, "cp932", ","),
        (JAPANESE, "euc_jp", ","),
        (KOREAN, "cp949", ","),
        (GERMAN, "cp1252", ";"),
        (GERMAN, "utf-8-sig", ";"),
        ("a|b\nx, y|1\n", "utf-8", "|"),
    ],
)
def test_the_charset_and_the_delimiter_are_found(
    words: str, codec: str, delimiter: str, tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(words.encode(codec))
    dialect = find_dialect(path)
    eol = "\r\n" if "\r\n" in words else "\n"
    assert dialect == Dialect(codec, delimiter, eol)
    rows = [line.split(delimiter) for line in words.split(eol)[:-1]]
    assert [CsvTable(path, dialect).header, *CsvTable(path, dialect).rows()] == rows


def test_excels_own_csv_works_as_it_is_and_so_does_what_comes_out(tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    excel = '\ufeffKunde;Text\r\nMüller;"zwei\nZeilen; ""so"""\r\n;\r\n'
    path.write_bytes(excel.encode())
    one = table(path)
    assert one.columns == ["Kunde", "Text"]
    assert list(one.rows()) == [["Müller", 'zwei\nZeilen; "so"'], ["", ""]]

    sink = CsvSink(out, one.dialect)
    sink.write(one.header or (), ["answer"])
    for row in one.rows():
        sink.write(row, ["ja; nein"])
    sink.close()
    new = excel.replace("Text", "Text;answer").replace('"""\r', '""";"ja; nein"\r')
    assert out.read_bytes().decode() == new.replace(";\r\n", ';;"ja; nein"\r\n')


def test_excels_line_that_names_the_delimiter_is_no_row(tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("sep=|\r\na|b,c\r\n1|2\r\n")
    one = table(path)
    assert (one.columns, list(one.rows())) == (["a", "b,c"], [["1", "2"]])
    sink = CsvSink(out, one.dialect)
    sink.write(["1", "2"], ["3"])
    sink.close()
    assert out.read_bytes() == b"sep=|\r\n1|2|3\r\n"


def test_one_column_of_sentences_is_one_column(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("content\nHello, world\nYes\n")
    assert list(table(path).rows()) == [["Hello, world"], ["Yes"]]


def test_a_short_row_is_filled_up_an_empty_line_is_none_and_a_long_row_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "in.csv"
    path.write_text("a,b,c\n1\n\n1,2,3\n")
    assert list(table(path).rows()) == [["1", "", ""], ["1", "2", "3"]]
    path.write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(TableError, match="row 2 has 3 cells, but there are 2 columns"):
        list(table(path, delimiter=",").rows())


def test_without_a_header_columns_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("x,y\n1,2\n")
    one = table(path, header=False)
    assert (one.header, one.columns, list(one.rows())) == (
        None,
        ["1", "2"],
        [["x", "y"], ["1", "2"]],
    )


@pytest.mark.parametrize(
    ("raw", "charset", "words"),
    [
        (b"", "", "there is nothing in it"),
        (b"a,b\n\xff\xfe\xfd,1\n" * 9, "utf-8", "it is not utf-8"),
        (b"a,b\n" + "张".encode() * 5 + b",1\n", "us-ascii", "it is not us-ascii"),
        (b"a,b\n1,2\n", "klingon", "The charset klingon is not known; it may be utf-8"),
        (b'a,b\n"1,2\n' + b"x" * dialects.MAX_CELL, "", "a quote that is never closed"),
    ],
)
def test_what_cannot_be_read_is_said(raw: bytes, charset: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(raw)
    with pytest.raises(TableError, match=words):
        list(table(path, charset).rows())


def test_what_a_charset_lacks_becomes_a_question_mark_and_is_counted(tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_bytes(CHINESE.encode("gbk"))
    assert table(path, "gbk").dialect.codec == "gb18030"  # which lacks nothing
    sink = CsvSink(out, Dialect("latin-1", ","))
    sink.write(["é"], ["ça 好"])
    sink.write(["é"], ["ça"])
    sink.write(["张三"], ["ça"])  # what was in the file may be lost, too
    sink.close()
    written = "é,ça ?\r\né,ça\r\n??,ça\r\n".encode("latin-1")
    assert (out.read_bytes(), sink.losses) == (written, 2)


@pytest.mark.parametrize("answer", ["-5", "+5", "-1,234.50", "-5%", "1e-5", "-5e3", "no", "", " 5"])
def test_numbers_and_words_stay_as_they_are(answer: str) -> None:
    assert harmless(answer) == answer


@pytest.mark.parametrize(
    "answer",
    ["=1+1", "@SUM(A1)", "-1+cmd|' /C calc'!A0", "+1+1", "\t=1", " =1", "\r=1", "＝1", "- x"],
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe_unless_it_shall_be_exact(
    answer: str, tmp_path: Path
) -> None:
    for exact, cell in ((False, f"'{answer}"), (True, answer)):
        sink = CsvSink(tmp_path / "out.csv", Dialect("utf-8", ","), exact)
        sink.write(["=copied"], [answer])
        sink.close()
        with (tmp_path / "out.csv").open(newline="") as file:
            assert list(csv.reader(file)) == [["=copied", cell]]


def carried(codec: str) -> Callable[[str], str]:
    """Leaves of a text what a codec can carry."""
    return lambda text: text.encode(codec, "ignore").decode(codec)


@settings(max_examples=200)
@given(st.data())
def test_any_cells_come_back_as_they_were(tmp_path: Path, data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from(CODECS))
    dialect = Dialect(
        codec, data.draw(st.sampled_from(",;\t|")), data.draw(st.sampled_from(["\r\n", "\n", "\r"]))
    )
    cell = st.text(max_size=20).map(carried(codec)) | st.text(" ,;\t|\"'\r\n=", max_size=5)
    width = data.draw(st.integers(1, 4))
    rows = data.draw(st.lists(st.lists(cell, min_size=width, max_size=width), max_size=6))
    path = tmp_path / "cells.csv"
    sink = CsvSink(path, dialect, exact=True)
    for row in [["title"] * width, *rows]:
        sink.write(row[:1], row[1:])
    sink.close()
    assert sink.losses == 0
    assert list(CsvTable(path, dialect).rows()) == rows


def test_excels_own_files_keep_what_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "table.xlsx"
    when = datetime.datetime(2026, 11, 27, 4, 18)
    rows: list[list[Any]] = [
        ["007", 5.5, when, True, "=1+1"],
        ["", -3, when.date(), False, "a\r\nb"],
    ]
    sink = XlsxSink(path)
    for row in [["a", "b", "c", "d", "e"], *rows]:
        sink.write(row, ["=cmd()", "-5"])
    assert not path.exists()
    sink.close()
    one = XlsxTable(path)
    assert one.columns == ["a", "b", "c", "d", "e", "=cmd()", "-5"]
    assert list(one.rows()) == [[*row, "=cmd()", "-5"] for row in rows]
    assert sink.losses == 0
    assert [text(cell) for cell in next(one.rows())][:4] == [
        "007",
        "5.5",
        "2026-11-27 04:18:00",
        "TRUE",
    ]


def test_what_excel_has_no_place_for_is_cut_and_counted(tmp_path: Path) -> None:
    sink = XlsxSink(tmp_path / "table.xlsx")
    sink.write([], ["x" * (MAX_CHARACTERS + 1), "a\x01b\ud800", "fine"])
    sink.close()
    assert XlsxTable(tmp_path / "table.xlsx").columns == ["x" * MAX_CHARACTERS, "a?b?", "fine"]
    assert sink.losses == 2


def test_what_is_no_excel_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "table.xlsx").write_text("no")
    with pytest.raises(TableError, match=r"table\.xlsx"):
        XlsxTable(tmp_path / "table.xlsx")
