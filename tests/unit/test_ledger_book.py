"""The ledger's book."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.actors.ledger_book import MICRO, Book, Count, opened


def count(chat: str = "shop", code: str = "OK", **more: Any) -> Count:
    usual = Count("2026-11-27", "till", chat, chat, "zhipu", "glm", code, "", 1)
    return usual._replace(**more)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "ledger.db")


def test_what_is_alike_is_added_up(book: Book) -> None:
    book.add("a", 1, [count(tokens_in=3, money=2 * MICRO, currency="CNY"), count("other")])
    book.add("b", 1, [count(tokens_in=4, money=1, currency="CNY"), count(code="PAY_BILL")])

    [other, shop] = book.usage(["chat"], "2026-11-01", "2026-11-30")

    assert (other["chat"], other["requests"]) == ("other", 1)
    assert (shop["requests"], shop["errors"], shop["tokens_in"]) == (3, 1, 7)
    assert shop["errors_by_code"] == {"PAY_BILL": 1}
    assert shop["money"] == {"CNY": 2 * MICRO + 1}


def test_a_batch_counts_once_however_often_it_comes(book: Book) -> None:
    for _ in range(3):
        book.add("a", 1, [count()])
    book.add("a", 2, [count()])
    book.add("a", 1, [count()])
    assert book.usage([], "2026-01-01", "2026-12-31")[0]["requests"] == 2


def test_a_caller_sees_its_own_and_days_bound(book: Book) -> None:
    book.add("a", 1, [count(), count(caller="web"), count(day="2026-11-28", caller="web")])
    [row] = book.usage(["day", "caller"], "2026-11-28", "2026-11-28", "web")
    assert (row["day"], row["caller"], row["requests"]) == ("2026-11-28", "web", 1)
    assert book.usage(["day"], "2026-11-28", "2026-11-28", "till") == []


def test_what_was_written_is_there_after_the_end(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Book(path).add("a", 1, [count()])
    assert path.stat().st_mode & 0o077 == 0
    book, words = opened(path)
    assert words == ""
    book.add("a", 1, [count()])
    assert book.usage([], "2026-01-01", "2026-12-31")[0]["requests"] == 1


def test_a_damaged_book_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    book = Book(path)
    for number in range(300):
        book.add("a", number, [count(chat=f"chat-{number}")])
    book.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    book, words = opened(path)

    assert "is set aside as ledger.db.damaged-" in words
    book.add("a", 1, [count()])
    assert book.usage([], "2026-01-01", "2026-12-31")[0]["requests"] == 1
    book.close()
    path.write_text("no database at all" * 100)
    assert "set aside" in opened(path)[1]


def test_a_full_disk_is_told_and_nothing_is_half_written(book: Book) -> None:
    book.add("a", 1, [count()])
    [pages] = book._store.execute("PRAGMA page_count").fetchone()
    book._store.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        book.add("a", 2, [count(chat=f"{number}" * 50) for number in range(1000)])
    book._store.execute("PRAGMA max_page_count = 100000")
    assert book.usage([], "2026-01-01", "2026-12-31")[0]["requests"] == 1
    book.add("a", 2, [count(chat="later")])
    assert book.usage([], "2026-01-01", "2026-12-31")[0]["requests"] == 2


def test_a_year_of_ten_chats_and_twenty_callers_is_small_and_quick(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    book = Book(path)
    for day in range(365):
        date = f"2026-{1 + day // 31:02}-{1 + day % 31:02}"
        book.add(
            "a",
            day,
            [
                count(f"chat_{chat}", code, day=date, caller=f"caller_{caller}", money=day)
                for chat in range(10)
                for caller in range(20)
                for code in ("OK", "PROVIDER_DOWN")
            ],
        )
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) < 50_000_000
    assert len(book.usage(["day", "chat"], "2026-01-01", "2026-12-31")) == 3650
