"""The page at /: what was used, what the ledger knows of the past, and who has a token, in a real
Chromium."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from gateway.commands.ray_head import RayHead
from tests.browser import LOOKS, Looker, Open, button, card
from tests.fronts import good
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.standin.raw import RawProvider, Reply, Request, whole
from tests.waiting import until

ADMIN, SHOP, EVIL = "admin-token-1", "shop-token-01", "evil-token-01"
FORMULA = "=HYPERLINK(1)"
TOKENS = f"""ops:{ADMIN}:admin,chat
shop:{SHOP}:chat chats=shop_* limit=40/min,1000tokens/day,50CNY/month
{FORMULA}:{EVIL}:chat
"""
PRICE = {"in": 100_000, "out": 100_000, "currency": "CNY"}
ANSWERING = good("Ja", prompt_tokens=10, completion_tokens=2)
"""An answer costs 1.20 CNY."""


REFUSAL = whole({"error": {"message": "unpaid", "code": "insufficient_quota"}}, "429 No")


def unless_unpaid(request: Request) -> Reply:
    return REFUSAL if request.json["model"] == "unpaid" else ANSWERING(request)


def go(page: Page, view: str) -> None:
    page.get_by_role("link", name=view, exact=True).click()


def test_usage_says_what_each_chat_cost_this_month_and_the_card_what_its_budget_is(
    page: Page, gateway: httpx.Client, standin: StandIn, chat_name: str, key: str
) -> None:
    order = {
        **{"chat_name": chat_name, "api_key": key, "model_name": "echo"},
        **{"base_url": standin.base_url("openai"), "price": {"in": 0, "out": 1_000_000}},
        **{"budget": {"money": 50, "tokens": 1000, "per": "day"}, "check": False},
    }
    assert gateway.post("/openai/deploy", json=order).json() == {"ret": "ok"}
    question = {"chat_name": chat_name, "content": "hi"}
    answered = gateway.post("/openai/chat", json=question)
    cost = int(answered.headers["X-Tokens-Out"])
    page.get_by_role("link", name="Run", exact=True).click()
    about = card(page, chat_name)
    expect(about).to_contain_text(f"Budget{cost}.00 of 50.00 CNY, this day")
    expect(about).to_contain_text("of 1,000 tokens, this day")

    until(lambda: chat_name in gateway.get("/usage").text)
    page.get_by_role("link", name="Usage", exact=True).click()
    line = page.locator(".usage > .wide tr").filter(has_text=chat_name)
    expect(line).to_contain_text(f"without a token{chat_name}10")
    expect(line).to_contain_text(f"{cost}.00 CNY")
    gateway.post("/openai/chat", json=question)
    until(lambda: '"requests":2' in gateway.get("/usage?by=chat").text.replace(" ", ""))
    button(page, "Look again").click()
    expect(line).to_contain_text(f"{chat_name}20")

    button(page, "中文").click()
    expect(line).to_contain_text("无令牌")
    expect(page.get_by_role("columnheader", name="金额")).to_be_visible()
    page.get_by_role("link", name="运维", exact=True).click()
    expect(about).to_contain_text(f"预算本日已用 {2 * cost}.00，共 50.00 CNY")


# With tokens.


@pytest.fixture(scope="module")
def shop(
    start_server: Callable[..., Server],
    ray_head: RayHead,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A gateway with tokens, chats with prices and budgets, and a past: shop_a could not answer for
    a while, and shop_b did."""
    folder = str(tmp_path_factory.mktemp("state"))
    settings = {"GATEWAY_TOKENS": TOKENS, "GATEWAY_STATE": folder, "WEB_CONCURRENCY": "1"}
    server = start_server({**ray_head.environment, **settings}, ready=False)
    server.http.headers["X-Api-Key"] = ADMIN
    server.wait_until()
    with RawProvider() as provider:
        provider.script = unless_unpaid

        def deploy(name: str, model: str = "m", **more: Any) -> None:
            body = {
                **{"chat_name": name, "api_key": f"sk-{name}", "base_url": provider.base_url},
                **{"model_name": model, "check": False, "price": PRICE, **more},
            }
            assert server.http.post("/openai/deploy", json=body).json() == {"ret": "ok"}

        def ask(name: str, token: str) -> None:
            body = {"chat_name": name, "content": f"{time.monotonic()}"}
            reply = server.http.post("/openai/chat", json=body, headers={"X-Api-Key": token})
            assert reply.status_code == 200, reply.text

        budget = {"money": 5, "per": "month"}
        deploy("shop_b", budget=budget)
        deploy("office", price={**PRICE, "currency": "USD"})
        deploy("shop_a", fallback="shop_b")
        ask("shop_a", SHOP)
        deploy("shop_a", "unpaid", fallback="shop_b")
        for _ in range(3):
            ask("shop_a", SHOP)
        deploy("shop_a", "better", fallback="shop_b")
        ask("shop_a", SHOP)
        ask("office", EVIL)
        until(lambda: len(usage(server, by="chat,caller")) == 2)
        until(lambda: sum(row["requests"] for row in usage(server)) == 6)
        yield server
        for name in ("shop_a", "shop_b", "office"):
            server.http.post("/openai/undeploy", json={"chat_name": name})
    server.stop()


def usage(server: Server, **query: str) -> list[dict[str, Any]]:
    return list(server.http.get("/usage", params=query).json()["usage"])


def signed_in(open_page: Open, server: Server, token: str, view: str, **look: Any) -> Page:
    page = open_page(server.url, f"/#{view}", **look)
    page.locator(".door input").fill(token)
    page.locator(".door button").click()
    expect(page.locator("main > section").first).to_be_visible()
    return page


def figure(page: Page, title: str) -> Locator:
    return page.locator("figure").filter(has=page.get_by_role("heading", name=title, exact=True))


def test_an_admin_sees_all_by_day_stacked_and_as_a_table(open_page: Open, shop: Server) -> None:
    page = signed_in(open_page, shop, ADMIN, "usage")
    money = figure(page, "Money, CNY")
    dollars = figure(page, "Money, USD").locator(".legend")
    expect(money.locator(".legend")).to_have_text("shop_a 6.00")
    expect(dollars).to_have_text("office 1.20")
    picture = money.get_by_role("table", name="Money, CNY")
    [cell] = [cell.get_attribute("aria-label") or "" for cell in picture.get_by_role("cell").all()]
    assert cell.endswith(": shop_a: 6.00")
    money.get_by_text("Table").click()
    expect(money.locator("tbody tr")).to_have_count(1)
    expect(money.locator("tbody td")).to_have_text("6.00")

    page.get_by_label("By", exact=True).select_option("caller")
    expect(money.locator(".legend")).to_have_text("shop 6.00")
    expect(dollars).to_have_text(f"{FORMULA} 1.20")
    outcomes = figure(page, "Requests").locator(".legend")
    expect(outcomes).to_have_text(re.compile(r"Answered 3.*another 3.*Errors 0"))
    expect(page.locator(".terms").first).to_contain_text("shop_bBudget: 3.60 of 5.00 CNY")
    expect(page.locator(".terms").last).to_contain_text("6.00 of 50.00 CNY each month")


def test_the_largest_are_told_apart_and_the_others_are_one(page: Page) -> None:
    series = page.evaluate(
        """async () => {
          const { href } = document.querySelector("link[href*='dom.js']");
          const { largest } = await import(href.replace("dom.js", "charts.js"));
          const named = new Map(Array.from({ length: 12 }, (_, at) => [`chat_${at}`, [at, 1]]));
          const words = (name) => (typeof name === "function" ? name() : name);
          return largest(named, (name) => name).map(({ name, values }) => [words(name), values]);
        }"""
    )
    assert series[0] == ["chat_11", [11, 1]]
    assert series[7] == ["5 others", [0 + 1 + 2 + 3 + 4, 5]]
    assert len(series) == 8


def test_other_days_are_looked_at(open_page: Open, shop: Server) -> None:
    page = signed_in(open_page, shop, ADMIN, "usage")
    expect(figure(page, "Tokens")).to_be_visible()
    page.get_by_label("Days").select_option("lastMonth")
    expect(page.locator("figure")).to_have_count(0)
    expect(page.locator(".usage")).to_contain_text("Nothing was asked from ")
    page.get_by_label("Days").select_option("week")
    expect(figure(page, "Tokens")).to_be_visible()
    page.get_by_label("From").fill("2026-01-01")
    expect(page.get_by_label("Days")).to_have_value("")
    expect(page.locator(".usage")).to_contain_text("from 2026-01-01 to")


def test_what_is_downloaded_equals_the_gateways_table_and_runs_no_formula(
    open_page: Open, shop: Server
) -> None:
    page = signed_in(open_page, shop, ADMIN, "usage")
    expect(figure(page, "Tokens")).to_be_visible()
    with page.expect_download() as saved:
        button(page, "Download CSV").click()

    text = Path(saved.value.path()).read_text("utf-8-sig")
    header, *lines = csv.reader(io.StringIO(text, newline=""))
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    sums = usage(shop, by="day,caller,chat")
    assert {(row["caller"].lstrip("'"), row["chat"], row["requests"]) for row in rows} == {
        (row["caller"], row["chat"], str(row["requests"])) for row in sums
    }
    assert {row["caller"] for row in rows} == {"shop", f"'{FORMULA}"}


def test_a_caller_sees_its_own_usage_and_limits_and_nothing_else(
    open_page: Open, shop: Server
) -> None:
    page = signed_in(open_page, shop, SHOP, "usage")
    expect(figure(page, "Money, CNY").locator(".legend")).to_have_text("shop_a 6.00")
    expect(page.get_by_label("By", exact=True)).to_have_count(0)
    expect(page.locator(".terms").last).to_contain_text("60 of 1,000 tokens each day")
    text = page.locator("main").inner_text()
    assert "office" not in text
    assert "HYPERLINK" not in text
    assert page.get_by_role("link", name="Callers").count() == 0


def test_a_caller_puts_rows_to_its_own_chats_only(open_page: Open, shop: Server) -> None:
    page = signed_in(open_page, shop, SHOP, "bulk")
    file = FilePayload(name="a.csv", mimeType="text/csv", buffer=b"content\r\nHi\r\n")
    page.locator("input[type=file]").set_input_files([file])
    chats = page.locator(".bulk-form").get_by_label("Who answers")
    expect(chats.locator("option")).to_have_text(["shop_a", "shop_b"])


def test_run_knows_what_was_before_the_page_was_opened(open_page: Open, shop: Server) -> None:
    page = signed_in(open_page, shop, ADMIN, "run")
    past = card(page, "shop_a").locator(".past")
    expect(past).to_contain_text(
        re.compile(
            r"5 requests in 30 days, 3 answered by another, half within [\d.]+ m?s, 99 of 100"
        )
    )
    expect(past.locator("rect.good")).to_have_count(1)
    expect(past.locator("li")).to_have_text(
        re.compile(r"^.* seconds?: the bill is unpaid\. Meanwhile answered shop_b \(3\)\.$")
    )
    expect(card(page, "office").locator(".past")).to_contain_text("1 request in 30 days")
    expect(card(page, "office").locator(".past li")).to_have_count(0)


def test_callers_are_shown_with_what_is_used_and_never_their_tokens(
    open_page: Open, shop: Server
) -> None:
    page = signed_in(open_page, shop, ADMIN, "callers")
    about = page.get_by_role("article", name="shop", exact=True)
    expect(about).to_contain_text("Maychat")
    expect(about).to_contain_text("Chatsshop_*")
    expect(about).to_contain_text(re.compile(r"This month5 requests, 60 tokens, 6\.00 CNY"))
    expect(about).to_contain_text("of 40 requests each minute")
    expect(about.get_by_role("progressbar")).to_have_count(3)
    expect(page.get_by_role("article", name=FORMULA)).to_contain_text("Chatsall")
    expect(page.locator("pre")).to_contain_text("python -m gateway token")
    assert not [token for token in (ADMIN, SHOP, EVIL) if token in page.content()]


def test_without_a_ledger_and_tokens_the_views_say_so(
    open_page: Open, start_server: Callable[..., Server], ray_head: RayHead, deploy: Deploy
) -> None:
    chat = deploy()
    bare = start_server({**ray_head.environment, "WEB_CONCURRENCY": "1", "GATEWAY_STATE": ""})
    page = open_page(bare.url)
    go(page, "Usage")
    expect(page.get_by_role("alert")).to_contain_text("GATEWAY_STATE")
    expect(card(page, chat).locator(".past")).to_contain_text("What was before is not kept")
    go(page, "Callers")
    expect(page.locator(".callers")).to_contain_text("This gateway asks for no token")
    bare.stop()


@pytest.mark.parametrize(("locale", "scheme", "width"), LOOKS)
def test_they_look_well(
    open_page: Open, shop: Server, looker: Looker, locale: str, scheme: str, width: int
) -> None:
    look = {"locale": locale, "color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    page = signed_in(open_page, shop, ADMIN, "usage", **look)
    expect(page.locator("figure")).to_have_count(4)
    looker.look_at(page, "usage-top")
    page.locator("figure summary").first.click()
    page.locator("figure").last.scroll_into_view_if_needed()
    looker.look_at(page, "usage-pictures")
    page.locator("nav a[href='#run']").click()
    expect(page.locator(".rests li")).to_be_visible()
    page.locator(".rests").scroll_into_view_if_needed()
    looker.look_at(page, "run-past")
    page.locator("nav a[href='#callers']").click()
    expect(page.locator(".callers .card").first).to_be_visible()
    looker.look_at(page, "callers")
    assert looker.findings == []
