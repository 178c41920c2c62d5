"""The ledger's book."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.actors import ledger_rests
from gateway.actors.ledger_book import MICRO, Batch, Book, Count, opened
from gateway.actors.ledger_seconds import bucket


def count(chat: str = "shop", code: str = "OK", **more: Any) -> Count:
    usual = Count("2026-11-27", "till", chat, chat, "zhipu", "glm", code, "", 1)
    return usual._replace(**more)


def batch(*counts: Count, **more: Any) -> Batch:
    return {
        "counts": [list(one) for one in counts],
        **{"seconds": [], "turned_away": [], "answered": {}, **more},  # type: ignore[typeddict-item]
    }


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "ledger.db")


def test_what_is_alike_is_added_up(book: Book) -> None:
    book.add("a", 1, batch(count(tokens_in=3, money=2 * MICRO, currency="CNY"), count("other")))
    book.add("b", 1, batch(count(tokens_in=4, money=1, currency="CNY"), count(code="PAY_BILL")))

    [other, shop] = book.usage(["chat"], "2026-11-01", "2026-11-30")

    assert (other["chat"], other["requests"]) == ("other", 1)
    assert (shop["requests"], shop["errors"], shop["tokens_in"]) == (3, 1, 7)
    assert shop["errors_by_code"] == {"PAY_BILL": 1}
    assert shop["money"] == {"CNY": 2 * MICRO + 1}


def test_a_batch_counts_once_however_often_it_comes(book: Book) -> None:
    for _ in range(3):
        book.add("a", 1, batch(count()))
    book.add("a", 2, batch(count()))
    book.add("a", 1, batch(count()))
    assert book.usage([], "2026-01-01", "2026-12-31")[0]["requests"] == 2


def test_a_caller_sees_its_own_and_days_bound(book: Book) -> None:
    book.add("a", 1, batch(count(), count(caller="web"), count(day="2026-11-28", caller="web")))
    [row] = book.usage(["day", "caller"], "2026-11-28", "2026-11-28", "web")
    assert (row["day"], row["caller"], row["requests"]) == ("2026-11-28", "web", 1)
    assert book.usage(["day"], "2026-11-28", "2026-11-28", "till") == []


def test_what_was_written_is_there_after_the_end(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Book(path).add("a", 1, batch(count()))
    assert path.stat().st_mode & 0o077 == 0
    book, words = opened(path)
    assert words == ""
    book.add("a", 1, batch(count()))
    assert book.usage([], "2026-01-01", "2026-12-31")[0]["requests"] == 1


def test_a_damaged_book_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    book = Book(path)
    for number in range(300):
        book.add("a", number, batch(count(chat=f"chat-{number}")))
    book.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    book, words = opened(path)

    assert "is set aside as ledger.db.damaged-" in words
    book.add("a", 1, batch(count()))
    assert book.usage([], "2026-01-01", "2026-12-31")[0]["requests"] == 1
    book.close()
    path.write_text("no database at all" * 100)
    assert "set aside" in opened(path)[1]


def test_a_full_disk_is_told_and_nothing_is_half_written(book: Book) -> None:
    book.add("a", 1, batch(count()))
    [pages] = book._store.execute("PRAGMA page_count").fetchone()
    book._store.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        book.add("a", 2, batch(*(count(chat=f"{number}" * 50) for number in range(1000))))
    book._store.execute("PRAGMA max_page_count = 100000")
    assert book.usage([], "2026-01-01", "2026-12-31")[0]["requests"] == 1
    book.add("a", 2, batch(count(chat="later")))
    assert book.usage([], "2026-01-01", "2026-12-31")[0]["requests"] == 2


def test_a_year_of_ten_chats_and_twenty_callers_is_small_and_quick(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    book = Book(path)
    for day in range(365):
        date = f"2026-{1 + day // 31:02}-{1 + day % 31:02}"
        book.add(
            "a",
            day,
            batch(
                *(
                    count(f"chat_{chat}", code, day=date, caller=f"caller_{caller}", money=day)
                    for chat in range(10)
                    for caller in range(20)
                    for code in ("OK", "PROVIDER_DOWN")
                )
            ),
        )
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) < 50_000_000
    assert len(book.usage(["day", "chat"], "2026-01-01", "2026-12-31")) == 3650


# How long answers took.


def test_percentiles_are_those_of_all_processes_and_days_together(book: Book) -> None:
    quick, slow = bucket(0.2), bucket(8)
    more = [["2026-11-27", "shop", "shop", quick, 90], ["2026-11-27", "shop", "shop", slow, 5]]
    book.add("a", 1, batch(count(), seconds=more))
    later = [["2026-11-28", "shop", "spare", slow, 5]]
    book.add("b", 1, batch(count(day="2026-11-28", served_by="spare"), seconds=later))

    [row] = book.usage(["chat"], "2026-11-27", "2026-11-28")

    assert row["seconds"]["p50"] == pytest.approx(0.2, rel=0.1)
    assert row["seconds"]["p99"] == pytest.approx(8, rel=0.1)
    days = book.usage(["day"], "2026-11-27", "2026-11-28")
    assert [row["seconds"]["p50"] < 1 for row in days] == [True, False]
    assert book.usage(["code"], "2026-11-27", "2026-11-28")[0]["seconds"] is None
    own = book.usage(["chat"], "2026-11-27", "2026-11-28", "till")
    assert own[0]["seconds"] is None, "others' are in it"


def test_a_time_that_is_none_costs_no_count() -> None:
    assert bucket(0) == bucket(-1) == bucket(0.001)
    assert bucket(1e9) == bucket(36_000)


# When chats could not answer.


BEGAN = int(time.time()) - 86_400
"""What is told here happened so many seconds after this."""


def away(at: float, code: str = "PAY_BILL", by: str = "spare", last: float = 0) -> list[Any]:
    return ["shop", code, by, 1, BEGAN + at, BEGAN + (last or at)]


def answered(**chats: float) -> dict[str, float]:
    return {chat: BEGAN + at for chat, at in chats.items()}


def rests(book: Book) -> list[tuple[Any, ...]]:
    rows = book.rests("shop", 0, 9e9)
    return [
        (
            row["code"],
            row["since"] - BEGAN,
            row["until"] and row["until"] - BEGAN,
            row["answered_by"],
        )
        for row in rows
    ]


def test_a_rest_lasts_from_the_first_that_was_turned_away_to_the_next_own_answer(
    book: Book,
) -> None:
    book.add(
        "a", 1, batch(turned_away=[away(1000), away(1001, by="")], answered=answered(spare=1000))
    )
    book.add("b", 1, batch(turned_away=[away(1002)]))
    assert rests(book) == [("PAY_BILL", 1000, None, {"spare": 2})]

    book.add("a", 2, batch(answered=answered(shop=5000.5)))

    assert rests(book) == [("PAY_BILL", 1000, 5000, {"spare": 2})]
    assert book.rests("spare", 0, 9e9) == []
    assert book.rests(None, 0, 9e9)[0]["requests"] == 3


def test_another_code_is_another_rest_and_the_same_one_soon_after_goes_on(book: Book) -> None:
    book.add("a", 1, batch(turned_away=[away(1000), away(1010, "BAD_KEY")]))
    book.add("a", 2, batch(answered=answered(shop=1020)))
    book.add("a", 3, batch(turned_away=[away(1050, "BAD_KEY")], answered=answered(shop=1060)))
    book.add("a", 4, batch(turned_away=[away(1500, "BAD_KEY")]))

    assert rests(book) == [
        ("BAD_KEY", 1500, None, {"spare": 1}),
        ("BAD_KEY", 1010, 1060, {"spare": 2}),
        ("PAY_BILL", 1000, 1010, {"spare": 1}),
    ]


def test_what_is_told_late_does_not_open_a_rest_that_is_over(book: Book) -> None:
    book.add("quick", 1, batch(answered=answered(shop=1010)))
    book.add("slow", 1, batch(turned_away=[away(1000, last=1002)]))
    assert rests(book) == [("PAY_BILL", 1000, 1010, {"spare": 1})]


def test_a_refusal_told_late_is_of_a_rest_before_the_last_one(book: Book) -> None:
    book.add("quick", 1, batch(turned_away=[away(1002, "SLOW_DOWN")]))
    book.add("slow", 1, batch(turned_away=[away(1000)]))
    book.add("quick", 2, batch(turned_away=[away(1003, "SLOW_DOWN")]))
    assert rests(book) == [
        ("SLOW_DOWN", 1002, None, {"spare": 2}),
        ("PAY_BILL", 1000, 1002, {"spare": 1}),
    ]


def test_a_rest_that_is_over_stays_so_when_the_writer_was_started_anew(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    book = Book(path)
    book.add("a", 1, batch(turned_away=[away(1000)], answered=answered(shop=1010)))
    book.close()

    book = Book(path)
    book.add("slow", 1, batch(turned_away=[away(1005)]))

    assert rests(book) == [("PAY_BILL", 1000, 1010, {"spare": 2})]


def test_a_batch_of_rests_counts_once_too(book: Book) -> None:
    for _ in range(3):
        book.add("a", 1, batch(turned_away=[away(1000)]))
    assert rests(book) == [("PAY_BILL", 1000, None, {"spare": 1})]


def test_the_oldest_rests_are_forgotten(book: Book) -> None:
    now = time.time() - BEGAN
    old = now - ledger_rests.KEEP_SECONDS - 10
    book.add("a", 1, batch(turned_away=[away(old), away(old + 4000, "BAD_KEY"), away(now)]))
    assert [row[0] for row in rests(book)] == ["PAY_BILL", "BAD_KEY"]


def test_an_older_book_gains_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    book = Book(path)
    book.add("a", 1, batch(count()))
    for table in ("seconds", "rests", "stand_ins"):
        book._store.execute(f"DROP TABLE {table}")
    book.close()

    newer = Book(path)
    newer.add("a", 2, batch(count(), seconds=[["2026-11-27", "shop", "shop", 3, 1]]))

    assert newer.usage(["chat"], "2026-11-27", "2026-11-27")[0]["requests"] == 2
