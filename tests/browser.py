"""The console in a real Chromium: fixtures that open it, and what people do on it.

Whatever a test does, afterwards nothing was asked of another origin, no dialog came up, no script
failed, and the page's policy had nothing to forbid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page, Request, expect, sync_playwright

from gateway.commands.ray_head import RayHead
from tests.environment import TOP
from tests.runtimes import needed, npm_installed
from tests.server import Server

CONSOLE = TOP / "gateway" / "web" / "console"
FLAGS = [
    *(
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
    ),
    *("--disable-component-update", "--disable-sync"),
]
PATIENCE_MS = 30_000
MODEL_MS = 300_000
"""For what the local model or a cluster's start takes, on a busy machine."""

expect.set_options(timeout=PATIENCE_MS)

CHAT, OPS, BOTH = "chat-51c07d", "ops-90aa3e", "both-e7731b"
TOKENS = f"shop:{CHAT}:chat\nops:{OPS}:admin\nboss:{BOTH}:chat,admin\n"

Open = Callable[..., Page]

PICTURES = TOP / "tests" / "screenshots"
PHONE = 360
LOOKS = [
    # a phone is the harder to fit
    pytest.param("en-US", "light", 1280, id="en-light-wide", marks=pytest.mark.long),
    pytest.param("en-US", "dark", PHONE, id="en-dark-phone"),
    pytest.param("zh-CN", "dark", 1280, id="zh-dark-wide", marks=pytest.mark.long),
    pytest.param("zh-CN", "light", PHONE, id="zh-light-phone"),
]
"""Parameters (locale, scheme, width) of tests that use a `looker`."""

VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.violatedDirective} ${event.sample}`));
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needed("chromium"), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, server: Server) -> Iterator[Open]:
    """Open the console of a gateway as somebody with a browser of these settings."""
    foreign: list[str] = []
    raised: list[str] = []
    pages: list[Page] = []

    def note_foreign(home: str, asked: Request) -> None:
        if not asked.url.startswith((home, "blob:")):
            foreign.append(asked.url)

    def note_dialog(dialog: Dialog) -> None:
        raised.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def opened(url: str = server.url, path: str = "/", **settings: Any) -> Page:
        settings = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}, **settings}
        page = chromium.new_context(**settings).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(VIOLATIONS)
        page.on("request", partial(note_foreign, url))
        page.on("dialog", note_dialog)
        page.on("pageerror", lambda error: raised.append(str(error)))
        pages.append(page)
        page.goto(url + path)
        return page

    yield opened
    for page in pages:
        assert page.evaluate("violations") == []
        page.context.close()
    assert (foreign, raised) == ([], [])


@pytest.fixture
def page(open_page: Open) -> Page:
    return open_page()


TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("main *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth)
    .map((one) => `${one.tagName}.${one.className} ${one.getBoundingClientRect().right}`)
    .slice(0, 8)
"""


class Looker:
    """Takes pictures of views for people to look at, and keeps what axe-core finds serious."""

    def __init__(self, axe: str, look: str) -> None:
        self._axe, self._look = axe, look
        self.findings: list[str] = []

    def look_at(self, page: Page, view: str) -> None:
        """Picture a view, which must not be wider than its window."""
        page.screenshot(path=PICTURES / f"{self._look}-{view}.png")
        width = page.evaluate("innerWidth")
        assert page.evaluate(TOO_WIDE) == [], (view, width)
        page.evaluate(self._axe)
        for one in page.evaluate("axe.run()")["violations"]:
            if one["impact"] in ("serious", "critical"):
                nodes = [node["html"][:200] for node in one["nodes"]]
                self.findings.append(f"{view}: {one['id']}: {nodes}")


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, as it is injected into a page."""
    modules = npm_installed(TOP / "tests" / "axe") / "node_modules"
    return (modules / "axe-core" / "axe.min.js").read_text()


@pytest.fixture
def looker(axe: str, request: pytest.FixtureRequest) -> Looker:
    """Looks at the views of a test with the parameters LOOKS."""
    PICTURES.mkdir(exist_ok=True)
    return Looker(axe, request.node.callspec.id)


@pytest.fixture(scope="module")
def with_tokens(start_server: Callable[..., Server], ray_head: RayHead) -> Iterator[Server]:
    """The same chats, through a gateway with tokens."""
    server = start_server(
        {**ray_head.environment, "WEB_CONCURRENCY": "1", "GATEWAY_TOKENS": TOKENS}
    )
    yield server
    server.stop()


def button(inside: Page | Locator, name: str) -> Locator:
    return inside.get_by_role("button", name=name, exact=True)


def answer(page: Page, chat: str) -> Locator:
    """The last answer of a chat."""
    return page.get_by_role("article", name=chat, exact=True).last


def ask(page: Page, question: str, *chats: str) -> None:
    """Ask these chats and no others."""
    for chat in chats:
        expect(page.get_by_role("checkbox", name=chat)).to_be_visible()
    for box in page.locator(".chip input").all():
        box.set_checked(box.locator("xpath=..").inner_text().split()[0] in chats)
    page.get_by_label("Your question").fill(question)
    button(page, "Ask").click()


def is_over(said: Locator, how: str = "done", within: int = PATIENCE_MS) -> None:
    """The answer has ended so: done, stopped or failed."""
    expect(said).to_have_attribute("data-state", how, timeout=within)


def card(page: Page, chat: str) -> Locator:
    """A chat's card in Run."""
    if not page.url.endswith("#run"):
        page.get_by_role("link", name="Run", exact=True).click()
    return page.get_by_role("article", name=chat, exact=True)
