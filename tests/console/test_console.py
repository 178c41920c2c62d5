"""The page at /: somebody asks several chats and compares, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.browser import CONSOLE, MODEL_MS, answer, ask, button, is_over
from tests.environment import TOP
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.waiting import until

MOST_BYTES = 200_000


@pytest.fixture
def gone_afterwards(gateway: httpx.Client) -> Iterator[list[str]]:
    """Chats that the page deploys."""
    names: list[str] = []
    yield names
    for name in names:
        gateway.post("/openai/undeploy", json={"chat_name": name})


# Who has never seen it.


def test_who_has_never_seen_it_deploys_the_model_twice_asks_both_and_compares(
    page: Page, gone_afterwards: list[str]
) -> None:
    expect(page.get_by_role("heading", name="Begin with a model that needs no key")).to_be_visible()
    for name in ("first_chat", "second_chat"):
        gone_afterwards.append(name)
        page.get_by_label("Chat name").fill(name)
        button(page, "Deploy the built-in model").click()
        expect(page.get_by_role("checkbox", name=name)).to_be_checked(timeout=MODEL_MS)

    page.get_by_label("Your question").fill("Say hello.")
    button(page, "Ask").click()

    first, second = answer(page, "first_chat"), answer(page, "second_chat")
    for reply in (first, second):
        is_over(reply, within=MODEL_MS)
        assert len(reply.locator(".text").inner_text()) > 1
        expect(reply.locator(".spent")).to_have_text(re.compile(r"^[\d.,]+ s · [1-9]\d* tokens?$"))
    here, there = first.bounding_box(), second.bounding_box()
    assert here
    assert there
    assert here["y"] == there["y"]
    assert here["x"] + here["width"] < there["x"]


# Ask.


def test_answers_stream_side_by_side(page: Page, deploy: Deploy, names: Callable[[], str]) -> None:
    one, other = deploy("openai", "stream:40:6"), deploy("zhipu", "stream:40:6")

    ask(page, "Go on.", one, other)

    for reply in (answer(page, one), answer(page, other)):
        expect(reply.locator(".text")).to_contain_text("w2")
        assert "w39" not in reply.locator(".text").inner_text()
    for reply in (answer(page, one), answer(page, other)):
        is_over(reply)
        expect(reply.locator(".text")).to_contain_text("w39")
        expect(reply.locator(".spent")).to_have_text(
            re.compile(r"^([6-9]|1\d)\.\d s · \d+ tokens$")
        )
    expect(page.get_by_role("status").last).to_have_text("All done. Write on to follow up.")


def test_one_answer_is_stopped_and_the_other_goes_on(
    page: Page, deploy: Deploy, standin: StandIn, key: str
) -> None:
    one, other = deploy("openai", "stream:200:200"), deploy("zhipu", "stream:6:6")
    ask(page, "Go on.", one, other)
    expect(answer(page, one).locator(".text")).to_contain_text("w1")

    button(answer(page, one), "Stop").click()

    is_over(answer(page, one), "stopped")
    expect(answer(page, one).locator(".text")).to_contain_text("Stopped.")
    is_over(answer(page, other))
    expect(answer(page, other).locator(".text")).to_contain_text("w5")
    until(lambda: standin.open(key) == 0, 5)


def test_all_answers_are_stopped_at_once(page: Page, deploy: Deploy) -> None:
    chats = deploy("openai", "stream:200:200"), deploy("zhipu", "hang")
    ask(page, "Go on.", *chats)
    expect(answer(page, chats[0]).locator(".text")).to_contain_text("w0")

    button(page, "Stop all").click()

    for chat in chats:
        is_over(answer(page, chat), "stopped")


def test_a_follow_up_tells_each_chat_its_own_conversation_and_asking_again_does_not(
    page: Page, deploy: Deploy, standin: StandIn
) -> None:
    one, other = deploy("openai", api_key="sk-one"), deploy("zhipu", api_key="sk-other")

    def ask_and_see(question: str, times: int) -> list[list[str]]:
        if question:
            ask(page, question, one, other)
        else:
            button(page, "Ask again").click()
        expect(page.locator('[data-state="done"]')).to_have_count(2 * times)
        asked = (standin.requests(key)[-1]["body"]["messages"] for key in ("sk-one", "sk-other"))
        return [[turn["content"] for turn in turns] for turns in asked]

    assert ask_and_see("First?", 1) == [["First?"], ["First?"]]
    followed = [["First?", "openai:First?", "Second?"], ["First?", "zhipu:First?", "Second?"]]
    assert ask_and_see("Second?", 2) == followed
    assert ask_and_see("", 3) == followed
    assert ask_and_see("Third?", 4)[0] == [*followed[0], "openai:Second?", "Third?"]

    button(page, "Start over").click()
    expect(page.get_by_role("article")).to_have_count(0)
    assert ask_and_see("Fourth?", 1)[0] == ["Fourth?"]


def test_the_best_is_counted_here_an_answer_is_copied_and_the_comparison_exported(
    page: Page, deploy: Deploy, server: Server
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    one, other = (
        deploy("openai", "say:# Title\n\n**bold** words"),
        deploy("zhipu", "refuse:zhipu-1113"),
    )
    ask(page, "Which?", one, other)
    is_over(answer(page, one))
    is_over(answer(page, other), "failed")

    answer(page, one).get_by_role("button", name="Best").click()
    expect(page.locator(".chip", has_text=one)).to_contain_text("★ 1")
    button(answer(page, one), "Copy").click()
    expect(answer(page, one).get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "# Title\n\n**bold** words"
    with page.expect_download() as saved:
        button(page, "Export").click()

    text = Path(saved.value.path()).read_text()
    assert re.search(
        rf"## Which\?\n.*### {one}\n\n_.* s · \d+ tokens · ★ Best_\n\n# Title\n\n\*\*bold\*\*"
        r" words",
        text,
        re.S,
    )
    assert re.search(rf"### {other}\n.*\*\*PAY_BILL\*\* The provider says", text, re.S)
    page.reload()
    expect(page.locator(".chip", has_text=one)).to_contain_text("★ 1")


@pytest.mark.parametrize(
    ("behaviour", "code", "remedy"),
    [
        (
            "refuse:openai-insufficient_quota",
            "PAY_BILL",
            "Pay the bill, or deploy another provider",
        ),
        ("refuse:openai-invalid_api_key", "BAD_KEY", "with a valid key"),
        ("error-mid", "PROVIDER_DOWN", "Try again later"),
    ],
)
def test_an_error_says_its_code_and_what_to_do(
    page: Page, deploy: Deploy, behaviour: str, code: str, remedy: str
) -> None:
    chat = deploy("openai", behaviour)

    ask(page, "Hello?", chat)

    is_over(answer(page, chat), "failed")
    expect(answer(page, chat).get_by_role("alert")).to_contain_text(code)
    expect(answer(page, chat).get_by_role("alert")).to_contain_text(remedy)
    if behaviour == "error-mid":
        expect(answer(page, chat)).to_contain_text("w0 w1")


def test_another_chat_that_answered_in_its_place_is_named_with_the_reason(
    page: Page, deploy: Deploy
) -> None:
    stand_in = deploy("openai")
    unpaid = deploy("zhipu", "refuse:zhipu-1113", fallback=stand_in)

    ask(page, "Hello?", unpaid)

    is_over(answer(page, unpaid))
    expect(answer(page, unpaid)).to_contain_text(
        f"{stand_in} answered in its place: the bill is unpaid."
    )
    expect(answer(page, unpaid)).to_contain_text("openai:Hello?")


# From code.


def test_ready_made_calls_name_this_gateway_and_the_chosen_chat(
    page: Page, server: Server, deploy: Deploy
) -> None:
    chat, other = deploy(), deploy()
    page.get_by_role("link", name="Try it from code").click()
    page.get_by_label("Chat", exact=True).select_option(other)

    shown = page.locator(".calls")
    expect(shown).to_contain_text(f"curl {server.url}/openai/chat")
    expect(shown).to_contain_text(f'"chat_name": "{other}"')
    expect(shown).to_contain_text("TOKEN=\n")
    button(page, "openai (Python)").click()
    expect(shown).to_contain_text(f'base_url="{server.url}/v1", api_key=""')
    expect(shown).to_contain_text(f'model="{other}"')
    page.get_by_label("Chat", exact=True).select_option(chat)
    expect(shown).to_contain_text(f'model="{chat}"')


def test_every_language_of_the_examples_is_there_with_how_to_run_it(
    page: Page, server: Server, deploy: Deploy
) -> None:
    chat = deploy()
    # A spreadsheet has its settings in its cells.
    languages = sorted(
        path.name
        for path in (TOP / "examples").iterdir()
        if path.is_dir() and path.name != "libreoffice"
    )
    assert "bash" in languages
    page.get_by_role("link", name="Try it from code").click()

    for language in languages:
        button(page, language).click()
        shown = page.locator(".calls")
        files = (TOP / "examples" / language).iterdir()
        for file in (file for file in files if file.stem.lower() != "task"):
            assert page.locator("pre", has_text=file.read_text().splitlines()[0][:40]).count(), file
        for setting in (
            "GATEWAY_HOST=127.0.0.1",
            f"GATEWAY_PORT={server.port}",
            "GATEWAY_TOKEN=",
            f"CHAT_NAME={chat}",
        ):
            expect(shown).to_contain_text(setting)


# How it comes.


def test_the_pages_headers_are_strict_and_an_upgrade_is_never_served_from_a_cache(
    server: Server,
) -> None:
    page = server.http.get("/")
    version = re.search(r"console/(\w{16})/app\.js", page.text)
    assert version
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"
    )
    assert "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert page.headers["Cache-Control"] == "no-cache"
    again = server.http.get("/", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")

    def cached(path: str) -> str:
        return server.http.get(path).headers["Cache-Control"]

    assert "immutable" in cached(f"/console/{version[1]}/app.js")
    assert cached("/console/0123456789abcdef/app.js") == "no-store"
    assert server.http.get(f"/console/{version[1]}/nothing.js").status_code == 404
    assert server.http.get(f"/console/{version[1]}/..%2fconsole.py").status_code == 404


def test_it_is_light_and_asks_nobody_else(
    chromium: Browser, server: Server, deploy: Deploy
) -> None:
    deploy()
    page = chromium.new_context().new_page()
    finished: list[Request] = []
    page.on("requestfinished", lambda request: finished.append(request))
    page.goto(server.url)
    expect(page.locator(".chip")).to_have_count(1)
    for view in ("Bulk", "Run", "Usage", "Callers", "Try it from code"):
        page.get_by_role("link", name=view, exact=True).click()
    expect(page.locator(".calls pre").first).to_be_visible()

    sizes = {
        one.url: one.sizes()["responseBodySize"] + one.sizes()["responseHeadersSize"]
        for one in list(finished)
    }
    loaded = {url: size for url, size in sizes.items() if "/console/state" not in url}
    assert all(one.url.startswith(server.url) for one in finished)
    assert len(loaded) > len(list(CONSOLE.glob("*.js")))
    print(f"\n{sum(loaded.values())} bytes in {len(loaded)} replies")
    assert sum(loaded.values()) < MOST_BYTES
    page.context.close()
