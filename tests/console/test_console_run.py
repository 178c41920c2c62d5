"""The page at /: an operator runs the gateway, and each sees what their token allows, in a real
Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from gateway.commands.ray_head import RayHead, stop
from tests.browser import BOTH, CHAT, MODEL_MS, OPS, Open, answer, ask, button, card, is_over
from tests.environment import free_port
from tests.fronts import good
from tests.server import Deploy, Server, running_head
from tests.standin.client import StandIn
from tests.standin.raw import RawProvider

# Run.


def fill_in(
    dialog: Locator, standin: StandIn, key: str, model: str, provider: str = "openai"
) -> None:
    dialog.get_by_label("Provider").select_option(provider)
    dialog.get_by_label("API key").fill(key)
    dialog.get_by_label("Model", exact=True).fill(model)
    if not dialog.get_by_label("Base URL").is_visible():
        dialog.get_by_text("More settings").click()
    dialog.get_by_label("Base URL").fill(standin.base_url(provider))  # type: ignore[arg-type]


def test_a_task_says_who_answers_it_and_has_no_model_to_switch(
    page: Page, gateway: httpx.Client, deploy: Deploy, chat_name: str
) -> None:
    through = deploy()
    order = {"chat_name": chat_name, "through": through, "prompt": "Sort: {{content}}"}
    assert gateway.post("/task/deploy", json=order).status_code == 200
    page.get_by_role("link", name="Run", exact=True).click()

    expect(card(page, chat_name)).to_contain_text(f"a prompt, answered by {through}")
    expect(button(card(page, chat_name), "Undo…")).to_be_visible()
    expect(button(card(page, chat_name), "Switch…")).to_be_hidden()
    expect(button(card(page, through), "Switch…")).to_be_visible()
    gateway.post("/task/undeploy", json={"chat_name": chat_name})


def test_a_card_says_what_is_left_at_the_provider_and_when_that_is_little(
    page: Page, gateway: httpx.Client, standin: StandIn, chat_name: str, key: str
) -> None:
    standin.put_balance(key, 12.5)
    address = {"base_url": standin.base_url("openai"), "model_name": "echo", "api_key": key}
    order = {"chat_name": chat_name, "check": True, **address}
    assert gateway.post("/deepseek/deploy", json=order).json() == {"ret": "ok"}
    page.get_by_role("link", name="Run", exact=True).click()
    about = card(page, chat_name)
    expect(about).to_contain_text(re.compile(r"Balance12\.50 CNY, \d+ seconds? ago(?!: below)"))

    assert gateway.post("/deepseek/deploy", json={**order, "low": 20}).json() == {"ret": "ok"}
    expect(about).to_contain_text(re.compile(r"Balance12\.50 CNY, [^:]+: below 20\.00"))


def test_a_server_of_ones_own_must_have_an_address_and_needs_no_key(
    page: Page, deploy: Deploy, raw: RawProvider, chat_name: str
) -> None:
    raw.script = good("Ja")
    deploy("zhipu")
    page.get_by_role("link", name="Run", exact=True).click()
    button(page, "Deploy a chat…").click()
    dialog = page.get_by_role("dialog", name="Deploy a chat")
    dialog.get_by_label("Provider").select_option("custom")

    address = dialog.get_by_label("Base URL")
    expect(address).to_be_visible()
    expect(address).to_have_attribute("required", "")
    expect(address).to_have_attribute("placeholder", re.compile("^http://"))
    expect(dialog.get_by_label("API key")).not_to_have_attribute("required", "")
    expect(dialog.get_by_label("Chat name")).to_have_value("custom_chat")
    address.fill(raw.base_url)
    dialog.get_by_label("Model", exact=True).fill("echo")
    dialog.get_by_label("Chat name").fill(chat_name)
    button(dialog, "Deploy").click()

    expect(dialog.get_by_role("status")).to_contain_text(
        f"Done: {chat_name} answers through another server echo at 127.0.0.1:"
    )


def test_a_chat_is_deployed_and_its_key_never_comes_back(
    page: Page, gateway: httpx.Client, deploy: Deploy, standin: StandIn, chat_name: str, key: str
) -> None:
    stand_in = deploy("zhipu", api_key="sk-z")
    page.get_by_role("link", name="Run", exact=True).click()
    button(page, "Deploy a chat…").click()
    dialog = page.get_by_role("dialog", name="Deploy a chat")
    fill_in(dialog, standin, key, "echo")
    dialog.get_by_label("Chat name").fill(chat_name)
    dialog.get_by_label("Replicas").fill("2")
    dialog.get_by_label("Add a chat…").select_option(stand_in)
    expect(dialog.locator(".what")).to_contain_text(
        re.compile(
            rf"OpenAI echo at 127\.0\.0\.1:\d+ will answer at the new chat name {chat_name}\."
        )
    )
    assert dialog.get_by_label("API key").get_attribute("type") == "password"

    button(dialog, "Deploy").click()

    expect(dialog.get_by_role("status")).to_contain_text(
        f"Done: {chat_name} answers through OpenAI echo at 127.0.0.1:"
    )
    button(dialog, "Close").click()
    about = card(page, chat_name)
    expect(about).to_contain_text(
        re.compile(rf"answering.*OpenAI echo.*Replicas2.*Falls back to{stand_in}")
    )
    [row] = [
        row for row in gateway.get("/models").json()["models"] if row["chat_name"] == chat_name
    ]
    assert (row["replicas"], row["fallback"]) == (2, [stand_in])
    assert standin.count(key) == 1, "the check"
    rest = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    )
    fields = page.evaluate(
        "[...document.querySelectorAll('input')].map((field) => field.value).join()"
    )
    assert key not in page.content() + rest + fields


def test_a_key_is_gone_from_the_page_also_when_it_was_refused(
    page: Page, standin: StandIn, key: str
) -> None:
    page.goto(page.url + "#run")
    page.get_by_role("button", name=re.compile("^Deploy a(nother| chat)")).click()
    dialog = page.get_by_role("dialog")
    fill_in(dialog, standin, key, "refuse:openai-invalid_api_key")

    button(dialog, "Deploy").click()

    expect(dialog.get_by_role("alert")).to_contain_text("BAD_KEY")
    assert dialog.get_by_label("API key").input_value() == ""
    assert key not in page.content()


def test_a_switch_is_checked_first_and_changes_nothing_where_the_check_fails(
    page: Page, deploy: Deploy, standin: StandIn, chat_name: str
) -> None:
    deploy("zhipu", chat_name=chat_name)

    button(card(page, chat_name), "Switch…").click()
    dialog = page.get_by_role("dialog", name=f"Switch {chat_name}")
    fill_in(dialog, standin, "sk-refused", "refuse:openai-insufficient_quota")
    expect(dialog.locator(".what")).to_contain_text(
        re.compile(
            rf"{chat_name} now answers through Zhipu echo at .*\. From now on it will answer"
            r" through OpenAI refuse"
        )
    )
    expect(dialog.locator(".what")).to_contain_text("If it cannot, all stays as it is.")
    button(dialog, "Switch").click()
    expect(dialog.get_by_role("alert")).to_contain_text("PAY_BILL")
    expect(card(page, chat_name)).to_contain_text("Zhipu echo")

    fill_in(dialog, standin, "sk-good", "good")
    button(dialog, "Switch").click()
    expect(dialog.get_by_role("status")).to_contain_text(
        f"Done: {chat_name} answers through OpenAI good at 127.0.0.1:"
    )
    button(dialog, "Close").click()
    expect(card(page, chat_name)).to_contain_text("OpenAI good")


def test_a_deploy_is_undone(page: Page, deploy: Deploy, chat_name: str) -> None:
    deploy("zhipu", chat_name=chat_name)
    deploy("openai", chat_name=chat_name)

    button(card(page, chat_name), "Undo…").click()
    dialog = page.get_by_role("dialog", name=f"Undo the last deploy of {chat_name}")
    expect(dialog.locator(".what")).to_contain_text(
        "comes back, key included, in the place of OpenAI echo"
    )
    button(dialog, "Bring it back").click()

    expect(dialog.get_by_role("status")).to_contain_text(
        f"Done: {chat_name} answers through Zhipu echo at 127.0.0.1:"
    )


def test_what_cannot_be_undone_says_so(page: Page, deploy: Deploy) -> None:
    chat = deploy()

    button(card(page, chat), "Undo…").click()
    button(page.get_by_role("dialog"), "Bring it back").click()

    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(
        "there is nothing to undo"
    )


def test_a_chain_is_edited_link_by_link(page: Page, gateway: httpx.Client, deploy: Deploy) -> None:
    first, second = deploy("zhipu"), deploy("tongwen")
    chat = deploy(fallback=first)

    button(card(page, chat), "Fallback…").click()
    dialog = page.get_by_role("dialog", name=f"Who answers when {chat} cannot")
    dialog.get_by_label("Add a chat…").select_option(second)
    button(dialog, f"{second}: earlier").click()
    expect(dialog.locator(".what")).to_contain_text(f"{chat} → {second} → {first}.")
    button(dialog, "Save").click()

    expect(dialog.get_by_role("status")).to_contain_text(f"{chat} → {second} → {first}.")
    [row] = [row for row in gateway.get("/models").json()["models"] if row["chat_name"] == chat]
    assert row["fallback"] == [second, first]
    button(dialog, "Close").click()
    button(card(page, chat), "Fallback…").click()
    button(dialog, f"{first}: take out").click()
    button(dialog, f"{second}: take out").click()
    expect(dialog.locator(".what")).to_contain_text("nobody does in its place")


def test_a_chat_is_undeployed_after_it_was_said_what_that_means(page: Page, deploy: Deploy) -> None:
    chat = deploy()

    button(card(page, chat), "Undeploy…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".what")).to_contain_text("gets NOT_DEPLOYED")
    leaning = deploy("zhipu", fallback=chat)
    expect(dialog.locator(".what")).to_contain_text(f"It no longer stands in for {leaning}.")
    button(dialog, "Cancel").click()
    expect(card(page, chat)).to_be_visible()

    button(card(page, chat), "Undeploy…").click()
    button(dialog, "Undeploy").click()
    expect(dialog.get_by_role("status")).to_have_text(f"Done: {chat} is gone.")
    button(dialog, "Close").click()
    expect(card(page, chat)).to_have_count(0)


def test_a_resting_chat_says_why_and_since_when_and_its_plot_shows_requests_and_errors(
    page: Page, gateway: httpx.Client, deploy: Deploy
) -> None:
    chat = deploy("zhipu", "refuse:zhipu-1113")
    fine = deploy("openai")
    expect(card(page, chat)).to_contain_text("0 requests in 5 minutes")

    for name in (chat, chat, fine):
        gateway.post("/openai/chat", json={"chat_name": name, "content": "hi"})

    expect(card(page, chat)).to_contain_text(
        "2 requests in 5 minutes, 2 errors (the bill is unpaid)"
    )
    expect(card(page, chat).locator(".state")).to_have_text("resting")
    expect(card(page, chat)).to_contain_text(
        re.compile(r"PAY_BILL (now|\d+ seconds? ago): the bill is unpaid\.")
    )
    expect(card(page, chat)).to_contain_text(
        re.compile(r"tried again (in \d+ s|with the next question)\.")
    )
    assert card(page, chat).locator("rect.wrong").count() > 0
    assert card(page, fine).locator("rect.good").count() > 0
    expect(card(page, fine)).to_contain_text("1 request in 5 minutes")
    assert card(page, fine).locator("rect.wrong").count() == 0


def test_requests_in_flight_are_shown(page: Page, deploy: Deploy) -> None:
    chat = deploy(model_name="hang")
    ask(page, "Hello?", chat)
    expect(card(page, chat)).to_contain_text("In flight1")


@pytest.mark.long
def test_a_chat_whose_key_was_lost_and_a_cluster_that_is_away_say_so(
    open_page: Open, start_server: Callable[..., Server], standin: StandIn
) -> None:
    with running_head() as head:
        server = start_server({**head.environment, "WEB_CONCURRENCY": "1"})
        body = {
            "chat_name": "lost",
            "api_key": "sk-lost",
            "base_url": standin.base_url("openai"),
            "model_name": "echo",
        }
        assert server.http.post("/openai/deploy", json=body).json() == {"ret": "ok"}
        page = open_page(server.url, "/#run")
        expect(card(page, "lost").locator(".state")).to_have_text("answering")

        stop(head.process)
        expect(page.locator(".trouble")).to_contain_text("CLUSTER_DOWN", timeout=MODEL_MS)
        head.start()

        expect(card(page, "lost").locator(".state")).to_have_text("needs its key", timeout=MODEL_MS)
        expect(card(page, "lost")).to_contain_text("Switch it, with its key.")
        expect(page.locator(".trouble")).to_be_empty()
        server.stop()


def test_without_a_gateway_the_page_says_so_and_comes_back_by_itself(
    open_page: Open, start_server: Callable[..., Server], ray_head: RayHead, deploy: Deploy
) -> None:
    deploy()
    port = free_port()
    bind = {**ray_head.environment, "WEB_CONCURRENCY": "1", "GATEWAY_BIND": f"127.0.0.1:{port}"}
    first = start_server(bind, ready=False)
    first.url, first.http = (
        f"http://127.0.0.1:{port}",
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60),
    )
    first.wait_until()
    page = open_page(first.url)
    expect(page.locator(".chip")).to_have_count(1)

    first.stop()
    expect(page.locator(".trouble")).to_contain_text("NO_CONNECTION")
    second = start_server(bind, ready=False)

    expect(page.locator(".trouble")).to_be_empty(timeout=MODEL_MS)
    second.stop()


def broken(route: Route) -> None:
    """Answer as a proxy does whose connection breaks after the head."""
    route.fulfill(status=200, content_type="application/json", body='{"scopes": [')


def test_a_reply_that_breaks_off_is_told_so_and_the_page_asks_on(page: Page) -> None:
    expect(page.get_by_role("link", name="Ask", exact=True)).to_be_visible()

    page.route("**/console/state", broken)

    expect(page.locator(".trouble")).to_contain_text("NO_CONNECTION")
    page.unroute("**/console/state")
    expect(page.locator(".trouble")).to_be_empty()


def test_a_deploy_is_done_also_where_the_page_cannot_look_at_it_yet(
    page: Page, gateway: httpx.Client, standin: StandIn, chat_name: str, key: str
) -> None:
    page.get_by_role("link", name="Run", exact=True).click()
    button(page, "Deploy a chat…").or_(button(page, "Deploy another provider's model…")).click()
    dialog = page.get_by_role("dialog", name="Deploy a chat")
    fill_in(dialog, standin, key, "echo")
    dialog.get_by_label("Chat name").fill(chat_name)
    page.route("**/console/state", lambda route: route.abort())

    button(dialog, "Deploy").click()

    expect(dialog.get_by_role("status")).to_contain_text(
        f"Done: {chat_name} answers through OpenAI echo at 127.0.0.1:"
    )
    button(dialog, "Close").click()
    assert chat_name in {row["chat_name"] for row in gateway.get("/models").json()["models"]}


# Who may.


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Gateway token").fill(token)
    button(page, "Sign in").click()


def views(page: Page) -> list[str]:
    expect(page.get_by_role("navigation").get_by_role("link").first).to_be_visible()
    return page.get_by_role("navigation").get_by_role("link").all_inner_texts()


def test_a_wrong_token_is_told_so_and_the_right_one_is_kept_in_this_tab_only(
    open_page: Open, with_tokens: Server
) -> None:
    page = open_page(with_tokens.url)

    sign_in(page, "wrong")
    expect(page.get_by_role("alert")).to_contain_text("This is none of the gateway's tokens.")
    sign_in(page, BOTH)

    assert views(page) == ["Ask", "Bulk", "Run", "Usage", "Callers", "Try it from code"]
    assert BOTH in page.evaluate("JSON.stringify({...sessionStorage})")
    assert BOTH not in page.content() + page.evaluate(
        "JSON.stringify([{...localStorage}, document.cookie])"
    )
    page.reload()
    assert views(page) == ["Ask", "Bulk", "Run", "Usage", "Callers", "Try it from code"]
    other_tab = page.context.new_page()
    other_tab.goto(with_tokens.url)
    expect(other_tab.get_by_label("Gateway token")).to_be_visible()
    other_tab.close()
    button(page, "Sign out").click()
    expect(page.get_by_label("Gateway token")).to_be_visible()
    assert page.evaluate("sessionStorage.getItem('token')") is None


@pytest.mark.parametrize(
    ("token", "seen"),
    [
        (CHAT, ["Ask", "Bulk", "Usage", "Try it from code"]),
        (OPS, ["Run", "Usage", "Callers", "Try it from code"]),
    ],
)
def test_a_token_sees_what_its_scope_allows(
    open_page: Open, with_tokens: Server, token: str, seen: list[str]
) -> None:
    page = open_page(with_tokens.url, "/#run")

    sign_in(page, token)

    assert views(page) == seen
    page.goto(f"{with_tokens.url}/#{'run' if token == CHAT else 'ask'}")
    expect(page.get_by_role("heading", level=1)).to_have_text(seen[0])


def test_with_a_token_a_chat_is_asked(open_page: Open, with_tokens: Server, deploy: Deploy) -> None:
    chat = deploy()
    page = open_page(with_tokens.url)
    sign_in(page, CHAT)

    ask(page, "Hello?", chat)

    is_over(answer(page, chat))
    expect(answer(page, chat)).to_contain_text("openai:Hello?")


def test_a_page_of_another_site_can_operate_nothing(
    chromium: Browser, gateway: httpx.Client, server: Server, standin: StandIn, deploy: Deploy
) -> None:
    chat = deploy()
    page = chromium.new_context().new_page()
    page.goto(f"{standin.url}/_requests/count")

    page.evaluate(
        """([url, body]) =>
            fetch(`${url}/openai/undeploy`, { method: "POST", mode: "no-cors", body })""",
        [server.url, f'{{"chat_name": "{chat}"}}'],
    )

    page.context.close()
    assert chat in [row["chat_name"] for row in gateway.get("/models").json()["models"]]
    for headers in (
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        refused = gateway.post("/openai/undeploy", json={"chat_name": chat}, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN"), headers
