"""The page at /: a table's rows are answered in the browser, and nothing is lost or paid twice, in
a real Chromium."""

from __future__ import annotations

import io
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect
from python_calamine import CalamineWorkbook
from xlsxwriter import Workbook

from tests.browser import LOOKS, MODEL_MS, Looker, Open, button
from tests.fronts import RawChat, good
from tests.standin.raw import Reply, Request, whole
from tests.waiting import until

FORMULA = "=HYPERLINK(1)"
HOSTILE = '<img src=x onerror="hacked=1">'


def kinds(request: Request) -> Reply:
    """A provider that sorts mails, and answers a question about formulas with one."""
    words = request.json["messages"][-1]["content"]
    kind = "refund" if "lamp" in words else "other"
    return good(FORMULA if "formula" in words else kind, prompt_tokens=9, completion_tokens=1)(
        request
    )


@pytest.fixture
def task(raw_chat: RawChat, deploy_task: Callable[..., str]) -> Callable[..., str]:
    """Deploys a task through a chat that sorts mails."""
    raw_chat.deploy(kinds, price={"in": 1000, "out": 10_000})
    return deploy_task


def csv_of(rows: int, codec: str = "gb18030") -> bytes:
    """A table as Excel saves it in China."""
    lines = ["customer;content"]
    lines += [
        f"客户{n};{'My lamp broke' if n % 2 else '谢谢'}, no. {n}" for n in range(1, rows + 1)
    ]
    return ("\r\n".join(lines) + "\r\n").encode(codec)


def open_bulk(page: Page) -> None:
    page.get_by_role("link", name="Bulk", exact=True).click()


def drop(page: Page, contents: bytes, name: str = "mails.csv") -> None:
    """Choose a file."""
    open_bulk(page)
    file = FilePayload(name=name, mimeType="text/csv", buffer=contents)
    page.locator("input[type=file]").set_input_files([file])


def saved(page: Page) -> tuple[str, bytes]:
    with page.expect_download() as download:
        button(page, "Download").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def asked(raw_chat: RawChat) -> Counter[str]:
    """How often the provider was asked each question."""
    return Counter(
        request.json["messages"][-1]["content"].partition("\n")[0]
        for request in raw_chat.raw.requests
    )


def form(page: Page) -> Locator:
    """What is asked, of which columns."""
    return page.locator(".bulk-form")


def state(page: Page) -> Locator:
    return page.locator(".bulk-run [role=status]").first


# A whole run.


def test_200_rows_that_excel_wrote_are_classified_and_come_back_as_they_were(
    page: Page, task: Callable[..., str], raw_chat: RawChat
) -> None:
    name = task()
    drop(page, csv_of(200))
    expect(form(page)).to_contain_text("mails.csv 200 rows, gb18030, cells with ;")
    expect(page.locator(".bulk-form tbody tr")).to_have_count(5)
    form(page).get_by_label("Who answers").select_option(name)
    expect(form(page)).to_contain_text("It answers one of: refund, other.")
    expect(form(page).get_by_label("customer")).to_have_value("0")
    expect(form(page).get_by_label("content")).to_have_value("1")

    button(page, "Try the first 3").click()
    expect(state(page)).to_have_text("3 of 200 rows have answers. It is paused.")
    assert len(raw_chat.raw.requests) == 3
    button(page, "Go on").click()
    expect(state(page)).to_have_text("All 200 rows have answers.", timeout=MODEL_MS)

    expect(page.locator(".bulk-run")).to_contain_text("2,000 tokens, 3.80 CNY")
    file, contents = saved(page)
    assert file == f"mails-{name}.csv"
    lines = contents.decode("gb18030").split("\r\n")
    assert lines[:3] == [
        "customer;content;answer;error",
        "客户1;My lamp broke, no. 1;refund;",
        "客户2;谢谢, no. 2;other;",
    ]
    assert len(lines) == 202
    counts = asked(raw_chat)
    assert len(counts) == 200
    assert set(counts.values()) == {1}, "nothing is paid twice"

    button(page, "Call it from a program").click()
    expect(page.get_by_label("Chat", exact=True)).to_have_value(name)
    expect(page.locator(".calls")).to_contain_text("/task/chat")


def test_a_reload_goes_on_where_it_was_and_pays_for_nothing_twice(
    page: Page, task: Callable[..., str], raw_chat: RawChat
) -> None:
    name = task()

    paused = threading.Event()

    def slowly(request: Request) -> Reply:
        if len(raw_chat.raw.requests) > 71:
            paused.wait(60)
        return [0.05, *as_steps(kinds(request))]

    raw_chat.raw.script = slowly
    drop(page, csv_of(120))
    form(page).get_by_label("Who answers").select_option(name)
    button(page, "Run all 120 rows").click()
    until(lambda: len(raw_chat.raw.requests) > 30)

    page.reload()
    open_bulk(page)
    expect(state(page)).to_contain_text("It is paused.")
    done = int(page.locator(".bulk-run progress").get_attribute("value") or 0)
    assert 0 < done < 120
    button(page, "Go on").click()
    until(lambda: len(raw_chat.raw.requests) > 70)
    button(page, "Pause").click()
    paused.set()
    expect(button(page, "Go on")).to_be_visible()
    button(page, "Go on").click()
    expect(state(page)).to_have_text("All 120 rows have answers.", timeout=MODEL_MS)

    assert len(asked(raw_chat)) == 120
    assert set(asked(raw_chat).values()) == {1}
    assert saved(page)[1].decode("gb18030").count("refund") == 60


def as_steps(reply: Reply) -> list[Any]:
    return [reply] if isinstance(reply, bytes) else list(reply)


def test_an_unpaid_bill_stops_the_run_which_goes_on_after_a_redeploy(
    page: Page, task: Callable[..., str], raw_chat: RawChat
) -> None:
    name = task()
    refusal = whole({"error": {"message": "unpaid", "code": "insufficient_quota"}}, "429 No")

    def until_unpaid(request: Request) -> Reply:
        return kinds(request) if len(raw_chat.raw.requests) <= 10 else refusal

    raw_chat.raw.script = until_unpaid
    drop(page, csv_of(40))
    form(page).get_by_label("Who answers").select_option(name)
    button(page, "Run all 40 rows").click()
    expect(page.locator(".bulk-run").get_by_role("alert")).to_contain_text("PAY_BILL")
    expect(state(page)).to_contain_text("It stopped:")

    raw_chat.deploy(kinds, price={"in": 1000, "out": 10_000})
    raw_chat.raw.script = kinds
    button(page, "Go on").click()
    expect(state(page)).to_have_text("All 40 rows have answers.")
    expect(page.locator(".bulk-run").get_by_role("alert")).to_have_count(0)


def test_errors_of_single_rows_are_shown_and_asked_again(
    page: Page, task: Callable[..., str], raw_chat: RawChat
) -> None:
    name = task()
    raw_chat.raw.script = lambda request: good("I would rather not.")(request)
    drop(page, csv_of(30))
    form(page).get_by_label("Who answers").select_option(name)
    button(page, "Try the first 3").click()
    expect(page.locator("td.wrong").first).to_contain_text("BAD_ANSWER: ")
    raw_chat.raw.script = kinds
    button(page, "Go on").click()
    expect(state(page)).to_have_text("All 30 rows were asked; 3 have an error.")

    page.get_by_label("Errors only").check()
    expect(page.locator(".rows tbody tr")).to_have_count(3)
    expect(page.locator(".rows .hint")).to_have_text("1 to 3 of 3")
    button(page, "Ask the errors again").click()
    expect(state(page)).to_have_text("All 30 rows have answers.")
    expect(page.locator(".rows tbody tr")).to_have_count(0)
    page.get_by_label("Errors only").uncheck()
    button(page, "Later").click()
    expect(page.locator(".rows .hint")).to_have_text("26 to 30 of 30")


# What may be in it.


def test_hostile_cells_and_answers_do_nothing(
    page: Page, task: Callable[..., str], raw_chat: RawChat
) -> None:
    name = task(choices=[], prompt="{{content}}")
    long = "formula " + "x" * 1_000_000
    rows = [
        HOSTILE,
        f"{FORMULA} formula",
        'quotes "and"\nlines, formula',
        long,
        "",
        "\u202eformula",
    ]
    body = "content,=1+1\r\n" + "".join(
        f'"{row.replace(chr(34), chr(34) * 2)}",@x\r\n' for row in rows
    )
    raw_chat.raw.script = lambda request: good(
        HOSTILE if "img" in request.json["messages"][-1]["content"] else FORMULA
    )(request)
    drop(page, body.encode("utf-8-sig"), f"{HOSTILE}.csv")
    form(page).get_by_label("Who answers").select_option(name)
    button(page, "Run all 6 rows").click()
    expect(state(page)).to_have_text("All 6 rows have answers.")

    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("main img").count() == 0
    longest = max(len(text) for text in page.locator(".rows td").all_inner_texts())
    assert longest < 1000
    lines = saved(page)[1].decode("utf-8-sig").split("\r\n")
    assert lines[0] == "content,=1+1,answer,error"
    answers = [line.rpartition("@x,")[2] for line in lines[1:-1]]
    assert answers[1:] == [f"'{FORMULA},"] * 3 + [","] + [f"'{FORMULA},"]
    assert len(raw_chat.raw.requests) == 5, "an empty row asks nothing"


def test_excels_own_goes_in_and_comes_out(
    page: Page, task: Callable[..., str], raw_chat: RawChat
) -> None:
    name = task()
    buffer = io.BytesIO()
    book = Workbook(buffer)
    sheet = book.add_worksheet()
    for number, row in enumerate([["Customer", "Content", "paid"], ["Ann", "My lamp", 7.5]]):
        sheet.write_row(number, 0, row)
    book.close()
    drop(page, buffer.getvalue(), "mails.xlsx")
    expect(form(page)).to_contain_text("1 row of Excel's own")
    form(page).get_by_label("Who answers").select_option(name)
    button(page, "Run the row").click()
    expect(state(page)).to_have_text("All 1 rows have answers.")

    file, contents = saved(page)
    assert file == f"mails-{name}.xlsx"
    rows = CalamineWorkbook.from_filelike(io.BytesIO(contents)).get_sheet_by_index(0).to_python()
    assert rows[1] == ["Ann", "My lamp", 7.5, "refund", ""]


def test_how_a_file_is_read_can_be_corrected_and_what_is_wrong_with_it_is_said(
    page: Page, task: Callable[..., str]
) -> None:
    task()
    drop(page, b"1;2\r\n3;4,5\r\n")
    expect(form(page)).to_contain_text("1 row")
    page.get_by_text("Read it otherwise").click()
    form(page).get_by_label("The first row names the columns").uncheck()
    expect(form(page)).to_contain_text("2 rows")
    page.get_by_text("Read it otherwise").click()
    form(page).get_by_label("Between the cells").select_option(",")
    expect(page.get_by_role("alert")).to_contain_text("INVALID_REQUEST")
    button(page, "Remove").click()
    expect(page.locator(".drop")).to_be_visible()
    drop(page, b"PK\x03\x04 no book", "mails.xlsx")
    expect(page.get_by_role("alert")).to_contain_text("mails.xlsx")


def test_a_named_value_is_a_column_of_its_own(
    page: Page, task: Callable[..., str], raw_chat: RawChat
) -> None:
    raw_chat.deploy(good('{"name": "Ann", "sum": "7"}'))
    drop(page, b"text\r\nAnn owes 7\r\n")
    form(page).get_by_label("Who answers").select_option(raw_chat.name)
    form(page).get_by_label("The answer is").select_option("fields")
    form(page).get_by_label("The names, a line each").fill("name\nsum:number")
    button(page, "Run the row").click()
    expect(state(page)).to_have_text("All 1 rows have answers.")
    assert saved(page)[1] == b"text,name,sum,error\r\nAnn owes 7,Ann,7,\r\n"


# How many, and who.


def test_5000_rows_do_not_make_the_page_slow(
    page: Page, task: Callable[..., str], raw_chat: RawChat
) -> None:
    name = task()
    drop(page, csv_of(5000))
    form(page).get_by_label("Who answers").select_option(name)
    button(page, "Run all 5,000 rows").click()
    until(lambda: len(raw_chat.raw.requests) > (4800 if os.environ.get("LONG") else 150), 600)

    assert page.locator(".rows tbody tr").count() == 25
    assert page.locator("main *").count() < 1500
    late = page.evaluate(
        """async () => {
          const late = [];
          for (let n = 0; n < 40; n += 1) {
            const before = performance.now();
            await new Promise((done) => setTimeout(done, 25));
            late.push(performance.now() - before - 25);
          }
          return late.sort((one, other) => one - other);
        }"""
    )
    print(f"\nlate by {late[20]:.1f} ms (median), {late[38]:.1f} ms (worst but one)")
    button(page, "Pause").click()
    expect(button(page, "Go on")).to_be_visible()
    for _ in range(3):
        button(page, "Later").click()
    expect(page.locator(".rows .hint")).to_have_text("76 to 100 of 5,000")


def test_another_tab_does_not_run_it_too(
    page: Page, task: Callable[..., str], raw_chat: RawChat
) -> None:
    name = task()
    seen = threading.Event()

    def script(request: Request) -> Reply:
        if len(raw_chat.raw.requests) > 5:
            seen.wait(60)  # so that it is under way when the other tab looks
        return kinds(request)

    raw_chat.raw.script = script
    drop(page, csv_of(60))
    form(page).get_by_label("Who answers").select_option(name)
    button(page, "Run all 60 rows").click()
    until(lambda: len(raw_chat.raw.requests) > 4)

    other = page.context.new_page()
    other.goto(page.url.partition("#")[0] + "#bulk")
    expect(state(other)).to_contain_text("Another tab of this browser runs it.")
    seen.set()
    other.close()
    expect(state(page)).to_have_text("All 60 rows have answers.", timeout=MODEL_MS)
    assert set(asked(raw_chat).values()) == {1}


def test_it_is_used_with_the_keyboard_only(page: Page, task: Callable[..., str]) -> None:
    task()
    open_bulk(page)
    with page.expect_file_chooser() as chooser:
        page.locator("input[type=file]").press("Enter")
    file = FilePayload(name="m.csv", mimeType="text/csv", buffer=csv_of(4))
    chooser.value.set_files([file])
    expect(form(page)).to_be_visible()
    button(page, "Run all 4 rows").focus()
    page.keyboard.press("Enter")
    expect(state(page)).to_have_text("All 4 rows have answers.")


@pytest.mark.long
def test_who_has_never_seen_it_classifies_200_rows_and_gives_a_program_its_call(
    page: Page, gateway: httpx.Client
) -> None:
    button(page, "Deploy the built-in model").click()
    expect(page.get_by_role("checkbox", name="local_chat")).to_be_checked(timeout=MODEL_MS)
    page.get_by_role("link", name="Run", exact=True).click()
    button(page, "Deploy a task…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Chat name").fill("sort_mail")
    dialog.get_by_label("Prompt", exact=True).fill("Sort this mail: {{content}}")
    dialog.get_by_label("The answer is").select_option("choices")
    dialog.get_by_label("The list, a line each").fill("refund\nother")
    button(dialog, "Deploy").click()
    button(dialog, "Close").click(timeout=MODEL_MS)
    began = time.monotonic()
    drop(page, csv_of(200))
    expect(form(page).get_by_label("Who answers")).to_have_value("sort_mail")
    button(page, "Run all 200 rows").click()
    expect(state(page)).to_have_text("All 200 rows have answers.", timeout=2 * MODEL_MS)
    print(f"\n200 rows in {time.monotonic() - began:.0f} s")
    expect(page.locator(".bulk-run .hint").first).to_contain_text("tokens")
    rows = saved(page)[1].decode("gb18030").split("\r\n")[1:201]
    assert {row.split(";")[2] for row in rows} <= {"refund", "other"}
    button(page, "Call it from a program").click()
    expect(page.locator(".calls pre").first).to_contain_text('"chat_name": "sort_mail"')
    for name in ("sort_mail", "local_chat"):
        gateway.post("/task/undeploy", json={"chat_name": name})


@pytest.mark.parametrize(("locale", "scheme", "width"), LOOKS)
def test_it_looks_well(
    open_page: Open,
    task: Callable[..., str],
    raw_chat: RawChat,
    looker: Looker,
    locale: str,
    scheme: str,
    width: int,
) -> None:
    name = task()
    look = {"locale": locale, "color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    page = open_page(**look)
    page.locator("nav a[href='#bulk']").click()
    expect(page.locator(".drop")).to_be_visible()
    looker.look_at(page, "bulk-drop")
    file = FilePayload(name="mails.csv", mimeType="text/csv", buffer=csv_of(200))
    page.locator("input[type=file]").set_input_files([file])
    page.locator(".bulk-form > .pair select").first.wait_for()
    page.locator(".bulk-form > .pair select").first.select_option(name)
    looker.look_at(page, "bulk-settings")
    page.locator(".bulk-form button").first.click()
    expect(page.locator(".rows td.answered", has_text="refund").first).to_be_visible()
    looker.look_at(page, "bulk-run")
    assert looker.findings == []
