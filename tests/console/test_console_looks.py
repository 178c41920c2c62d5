"""The page at /: hostile answers do nothing on it, and everyone can use it, in a real Chromium.

Pictures for people to look at are left in tests/screenshots.
"""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import CONSOLE, LOOKS, Looker, Open, answer, ask, button, card, is_over
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.waiting import until

# A model's words.

HOSTILE = [
    "<script>hacked = 1; alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><svg/onload=alert(1)>",
    (
        "<iframe src='javascript:alert(1)'></iframe><iframe"
        " srcdoc='<script>alert(1)</script>'></iframe>"
    ),
    "<a href='javascript:alert(1)'>x</a><body onload=alert(1)><details open ontoggle=alert(1)>",
    (
        "<math><mtext></form><form><mglyph><svg><mtext><style><path id='</style><img"
        " onerror=alert(1) src>'>"
    ),
    (
        "<style>@import 'http://elsewhere.example/x.css'; * { background:"
        " url(http://elsewhere.example) }</style>"
    ),
    (
        "<meta http-equiv=refresh content='0;url=http://elsewhere.example'><base"
        " href=http://elsewhere.example>"
    ),
    "<form action=http://elsewhere.example><button>x</button></form><object data=x><embed src=x>",
    (
        "<link rel=stylesheet href=http://elsewhere.example><link rel=dns-prefetch"
        " href=//elsewhere.example>"
    ),
    '![x](http://elsewhere.example/spy.png) ![x](javascript:alert(1)) ![x](x "onerror=alert(1)")',
    (
        "[x](javascript:alert(1)) [x](JaVaScRiPt:alert(1)) [x](javascript&colon;alert(1))"
        " [x](&#106;avascript:alert(1))"
    ),
    (
        "[x](\x01javascript:alert(1)) [x](java\tscript:alert(1)) [x](vbscript:x)"
        " [x](file:///etc/passwd)"
    ),
    (
        "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==) [x](blob:http://x)"
        " [x](//elsewhere.example)"
    ),
    "<javascript:alert(1)> <data:text/html,x> [x]: javascript:alert(1)\n\n[x][x]",
    (
        '[x](http://x"onmouseover=alert(1)//) [x](<http://x" onclick="alert(1)>) [a](http://b \'c"'
        " onclick=\"alert(1)')"
    ),
    '```html"><img src=x onerror=alert(1)>\n</code></pre><script>alert(1)</script>\n```',
    "`</code><script>alert(1)</script>` **<b onclick=alert(1)>x</b>** # <h1 onclick=alert(1)>",
    (
        "| <img src=x onerror=alert(1)> | a |\n|:-:|--:|\n| <script>alert(1)</script> |"
        " [x](javascript:alert(1)) |"
    ),
    (
        "<!-- --><script>alert(1)</script --> <![CDATA[<script>alert(1)</script>]]> <?xml"
        " ?><!DOCTYPE html>"
    ),
    (
        "${alert(1)} {{alert(1)}} {{constructor.constructor('alert(1)')()}} #{alert(1)} <%="
        " alert(1) %>"
    ),
    "&lt;script&gt;alert(1)&lt;/script&gt; &#x3C;img src=x onerror=alert(1)&#x3E;",
    (
        "<noscript><p title='</noscript><img src=x"
        " onerror=alert(1)>'></noscript><template><script>alert(1)</script>"
    ),
    "> " * 200 + "<script>alert(1)</script>",
    "*a **b " * 1500 + "c** d*" * 1500,
    "\u202e<script>alert(1)</script>\u2028alert(1)\ufeff\x00<img src=x onerror=alert(1)>",
    (
        "__proto__ [constructor](http://x) <input autofocus onfocus=alert(1)> <video><source"
        " onerror=alert(1)></video>"
    ),
]

KINDS = {
    *(
        "P",
        "UL",
        "OL",
        "LI",
        "BLOCKQUOTE",
        "EM",
        "STRONG",
        "S",
        "BR",
        "HR",
        "CODE",
        "PRE",
        "H4",
        "H5",
        "H6",
    ),
    *("TABLE", "THEAD", "TBODY", "TR", "TH", "TD", "A", "SPAN", "DIV", "BUTTON"),
}
NODES = """(box) => [...box.querySelectorAll("*")].map((node) => ({
  kind: node.tagName, address: node.getAttribute("href"), rel: node.rel ?? "",
  names: node.getAttributeNames(),
}))"""


def test_a_hostile_answer_runs_nothing_and_loads_nothing(
    page: Page, deploy: Deploy, standin: StandIn, key: str
) -> None:
    chat = deploy()
    for number, text in enumerate(HOSTILE, 1):
        standin.script(key, [f"say:{text}"])
        ask(page, f"Attack {number}.", chat)
        reply = answer(page, chat)
        expect(page.locator('[data-state="done"]')).to_have_count(number)
        assert reply.locator(".text").inner_text().strip(), text
        for node in reply.locator(".text").evaluate(NODES):
            assert node["kind"] in KINDS, (text, node)
            assert not [
                name for name in node["names"] if name.startswith("on") or name in ("src", "style")
            ], (
                text,
                node,
            )
            if node["kind"] == "A":
                assert re.match(r"(https?|mailto):", node["address"]), (text, node)
                assert node["rel"] == "noopener noreferrer nofollow"
    assert page.evaluate("typeof hacked") == "undefined"


def test_markdown_is_rendered(page: Page, deploy: Deploy) -> None:
    text = (
        "# Title\n\n- **one**\n- *two* ~~three~~\n\n| a | b |\n|--|-:|\n| 1 | 2"
        " |\n\n```python\nprint(1)\n```\n"
    )
    text += (
        "\n3. [link](https://example.com/x?y=1&z=2) `code`\n\n>"
        " quote\n\n![alt](http://elsewhere.example/i.png)"
    )
    chat = deploy(model_name=f"say:{text}")

    ask(page, "Show all.", chat)

    is_over(answer(page, chat))
    reply = answer(page, chat).locator(".text")
    assert reply.locator("h4").inner_text() == "Title"
    assert reply.locator("ul > li").all_inner_texts() == ["one", "two three"]
    assert [reply.locator(kind).inner_text() for kind in ("strong", "em", "s")] == [
        "one",
        "two",
        "three",
    ]
    assert reply.locator("td").all_inner_texts() == ["1", "2"]
    assert reply.locator("pre").inner_text() == "print(1)\n"
    assert reply.locator(".bar span").first.inner_text() == "python"
    assert (
        reply.locator("ol").get_attribute("start") or "1",
        reply.locator("code").inner_text(),
    ) == ("3", "code")
    assert reply.locator("a").get_attribute("href") == "https://example.com/x?y=1&z=2"
    assert "alt (http://elsewhere.example/i.png)" in reply.inner_text()


def test_the_policy_would_stop_what_got_through(chromium: Browser, server: Server) -> None:
    page = chromium.new_context().new_page()
    page.goto(server.url)
    tried = page.evaluate("""() => {
      const said = [];
      for (const attempt of [
        () => { document.body.innerHTML = "<img src=x onerror='hacked = 1'>"; },
        () => {
          document.body.setAttribute("onclick", "hacked = 1");
          document.body.click();
          throw new Error("quiet");
        },
        () => {
          const s = document.createElement("script");
          s.text = "hacked = 1";
          document.body.append(s);
        },
        () => { setTimeout("hacked = 1", 0); },
      ]) {
        try { attempt(); said.push("done"); } catch (error) { said.push(error.name); }
      }
      return said;
    }""")
    outside = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'loaded', () => 'refused')")

    assert tried == ["TypeError", "Error", "TypeError", "TypeError"] or "done" not in tried, tried
    assert outside == "refused"
    assert page.evaluate("typeof hacked") == "undefined"
    page.context.close()


# For everyone.


def test_every_word_is_there_in_both_languages_and_used() -> None:
    english, chinese = (
        set(re.findall(r'^  "?([\w…]+)"?:\s+"', (CONSOLE / name).read_text(), re.M))
        for name in ("english.js", "chinese.js")
    )
    source = "".join(path.read_text() for path in CONSOLE.glob("*.js"))
    asked = set(re.findall(r'\bt\(\s*"([\w…]+)"', source))

    assert {key for key in english if not key.endswith("_one")} == chinese
    assert asked - english == set()
    known = {*asked, *re.findall(r'"([\w…]+)"', source)}
    made = ("theme_", "state_", "why_", "provider_")
    assert {
        key
        for key in english
        if key not in known and not key.startswith(made) and not key.endswith(("_one", "More"))
    } == set()


def test_in_chinese_everything_is_chinese(open_page: Open, deploy: Deploy) -> None:
    chat, unpaid = deploy("zhipu"), deploy("zhipu", "refuse:zhipu-1113", api_key="sk-unpaid")
    page = open_page(locale="zh-CN")
    expect(page.get_by_label("你的问题")).to_be_visible()
    page.get_by_label("你的问题").fill("你好，世界？")
    button(page, "提问").click()
    is_over(answer(page, chat))
    expect(answer(page, chat)).to_contain_text("zhipu:你好，世界？")
    expect(answer(page, unpaid).get_by_role("alert")).to_contain_text(
        "服务商表示账户欠费或额度已用完"
    )

    for view in ("运维", "用代码调用", "提问"):
        page.get_by_role("link", name=view, exact=True).click()
        text = page.locator("main > section:not([hidden])").inner_text()
        for known in (chat, unpaid):
            text = text.replace(known, "")
        if view != "用代码调用":
            assert not re.search(
                r"\b(Ask|Stop|Copy|Best|requests|Switch|Undo|Model|Replicas|answering|resting)\b",
                text,
            ), text

    button(page, "English").click()
    expect(page.get_by_label("Your question")).to_be_visible()
    expect(answer(page, unpaid).get_by_role("alert")).to_contain_text(
        "The provider says the account is unpaid"
    )
    assert page.title() == "Ask · Byzer-LLM gateway"
    page.reload()
    expect(page.get_by_label("Your question")).to_be_visible()


def test_it_is_used_with_the_keyboard_only(page: Page, deploy: Deploy) -> None:
    chat, other = deploy("openai", "stream:200:200"), deploy("zhipu")
    expect(page.get_by_role("checkbox", name=chat)).to_be_visible()

    def tab_to(wanted: Locator) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if wanted.evaluate("(element) => element === document.activeElement"):
                assert (
                    wanted.evaluate("(e) => getComputedStyle(e.closest('.chip') ?? e).outlineStyle")
                    == "solid"
                )
                return
        raise AssertionError("it is not reached with Tab")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    tab_to(page.get_by_role("checkbox", name=other))
    page.keyboard.press("Space")
    expect(page.get_by_role("checkbox", name=other)).not_to_be_checked()
    tab_to(page.get_by_label("Your question"))
    page.keyboard.type("Go on.")
    page.keyboard.press("Control+Enter")
    expect(answer(page, chat).locator(".text")).to_contain_text("w0")
    page.keyboard.press("Escape")
    is_over(answer(page, chat), "stopped")

    tab_to(page.get_by_role("link", name="Run", exact=True))
    page.keyboard.press("Enter")
    opener = button(card(page, chat), "Fallback…")
    tab_to(opener)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(dialog.get_by_label("Add a chat…"))
    page.keyboard.press("ArrowDown")
    tab_to(button(dialog, "Save"))
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("status")).to_contain_text("goes on")
    expect(button(dialog, "Close")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)


def test_a_theme_that_was_chosen_stays(open_page: Open, deploy: Deploy) -> None:
    deploy()
    page = open_page(color_scheme="light")
    theme = page.get_by_role("button", name=re.compile("^Theme"))
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    theme.click()
    theme.click()
    expect(theme).to_have_accessible_name("Theme: Dark")
    assert page.evaluate(ground) != light
    page.reload()
    expect(theme).to_have_accessible_name("Theme: Dark")
    assert page.evaluate(ground) != light


ANSWER = """The sea is **salty** and *deep*:

1. It covers 71 % of the planet, see [its page](https://example.com).
2. `waves` are driven by wind.

| ocean | depth |
|:--|--:|
| Pacific | 4,280 m |
| Atlantic | 3,646 m |

```python
def depth(ocean: str) -> float:
    return {"pacific": 4280.0, "atlantic": 3646.0}[ocean]  # a line that a phone is too narrow for
```

> All rivers flow into the sea, yet the sea is not full."""
CHINESE_ANSWER = ANSWER.replace("The sea is **salty** and *deep*", "大海又**咸**又*深*").replace(
    "All rivers flow into the sea, yet the sea is not full.", "江河都往海里流，海却不满。"
)


@pytest.mark.parametrize(("locale", "scheme", "width"), LOOKS)
def test_every_view_is_accessible_fits_and_is_pictured(
    open_page: Open,
    gateway: httpx.Client,
    with_tokens: Server,
    deploy: Deploy,
    looker: Looker,
    locale: str,
    scheme: str,
    width: int,
) -> None:
    look = {"locale": locale, "color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    chinese = locale == "zh-CN"
    name = "sea" if not chinese else "hai"
    good = deploy(
        "openai", f"say:{CHINESE_ANSWER if chinese else ANSWER}", chat_name=f"{name}_openai"
    )
    deploy("zhipu", "refuse:zhipu-1113", chat_name=f"{name}_zhipu", fallback=good)
    deploy("tongwen", "refuse:tongwen-invalid_api_key", chat_name=f"{name}_tongwen")
    try:
        door = open_page(with_tokens.url, **look)
        door.locator(".door input").fill("wrong")
        door.locator(".door button").click()
        expect(door.get_by_role("alert")).to_be_visible()
        looker.look_at(door, "door")

        page = open_page(**look)
        expect(page.locator(".chip")).to_have_count(3)
        looker.look_at(page, "ask-empty")
        page.locator("#question").fill("给我讲讲大海。" if chinese else "Tell me about the sea.")
        page.keyboard.press("Control+Enter")
        expect(page.locator("[data-state]")).to_have_count(3)
        page.locator(".pick").first.click()
        looker.look_at(page, "ask")
        page.locator("nav a[href='#run']").click()
        expect(page.locator(".card rect").first).to_be_attached()
        looker.look_at(page, "run")
        page.locator(".run .primary").click()
        page.locator("dialog summary").first.click()
        looker.look_at(page, "deploy")
        page.keyboard.press("Escape")
        page.locator(".card footer button:nth-child(4)").first.click()
        page.locator("dialog select").select_option(index=1)
        looker.look_at(page, "chain")
        page.keyboard.press("Escape")
        page.locator(".card footer .danger").first.click()
        looker.look_at(page, "undeploy")
        page.keyboard.press("Escape")
        until(lambda: f"{name}_openai" in gateway.get("/usage").text)
        page.locator("nav a[href='#usage']").click()
        expect(page.locator(".usage > .wide td").first).to_be_visible()
        looker.look_at(page, "usage")
        page.locator("nav a[href='#code']").click()
        expect(page.locator(".calls pre").first).to_be_visible()
        looker.look_at(page, "code")
    finally:
        for one in ("openai", "zhipu", "tongwen"):
            gateway.post("/openai/undeploy", json={"chat_name": f"{name}_{one}"})
    empty = open_page(**look)
    expect(empty.locator(".quick:visible")).to_be_visible()
    looker.look_at(empty, "first")
    assert looker.findings == []
