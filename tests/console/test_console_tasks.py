"""The page at /: tasks, answers that have a form, and what is said beside a question, in a real
Chromium."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import LOOKS, OPS, Looker, Open, answer, ask, button, card, is_over
from tests.fronts import RawChat, good
from tests.server import Deploy, Server
from tests.standin.client import StandIn
from tests.standin.raw import Reply, Request

Task = Callable[..., str]


def kinds(request: Request) -> Reply:
    """A provider that sorts mails: whatever has a lamp in it is a refund."""
    words = request.json["messages"][-1]["content"]
    return good("refund" if "lamp" in words else "other")(request)


@pytest.fixture
def task(raw_chat: RawChat, deploy_task: Callable[..., str]) -> Callable[..., str]:
    """Deploys a task through a chat that sorts mails."""
    raw_chat.deploy(kinds)
    return deploy_task


def prompts(raw_chat: RawChat) -> list[str]:
    """What the provider was asked, each time."""
    return [request.json["messages"][-1]["content"] for request in raw_chat.raw.requests]


# Ask.


def test_a_task_is_asked_with_an_input_for_each_variable_and_answers_as_a_program_gets_it(
    page: Page, task: Task, raw_chat: RawChat
) -> None:
    name = task(reply={"format": "text", "eol": "crlf"})
    expect(page.get_by_label("customer")).to_be_visible()

    page.get_by_label("customer").fill("Ann")
    ask(page, "My lamp broke.", name)

    is_over(answer(page, name))
    shown = answer(page, name).locator(".bytes")
    expect(shown.locator("pre")).to_have_text("refund")
    expect(shown).to_contain_text("As a program gets it: 6 bytes, 200, text/plain; charset=utf-8")
    assert prompts(raw_chat)[-1].startswith("Sort this mail of Ann: My lamp broke.")


def test_named_values_are_shown_byte_for_byte_with_their_line_ends(
    page: Page, task: Task, raw_chat: RawChat
) -> None:
    raw_chat.raw.script = good('{"name": "安", "amount": "7"}')
    name = task(
        choices=[],
        fields=["name", "amount:number"],
        reply={"format": "text", "charset": "gbk", "eol": "crlf"},
    )

    ask(page, "It was 7.", name)

    is_over(answer(page, name))
    shown = answer(page, name).locator(".bytes")
    expect(shown.locator("pre")).to_have_text("name=安␍␊\namount=7", use_inner_text=True)
    expect(shown).to_contain_text("17 bytes, 200, text/plain; charset=gbk")


def test_a_task_without_a_content_needs_no_question(
    page: Page, task: Task, raw_chat: RawChat
) -> None:
    name = task(prompt="Greet {{customer}}.", choices=[])
    for box in page.locator(".chip input").all():
        box.set_checked(box.locator("xpath=..").inner_text().split()[0] == name)
    page.get_by_label("customer").fill("Ann")

    button(page, "Ask").click()

    is_over(answer(page, name))
    assert prompts(raw_chat)[-1] == "Greet Ann."


def test_what_is_folded_away_goes_with_the_question(
    page: Page, deploy: Deploy, standin: StandIn, key: str
) -> None:
    chat = deploy("zhipu")
    page.get_by_text("System prompt, temperature, thinking").click()
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("Temperature").fill("0.5")
    ask(page, "Hello?", chat)
    is_over(answer(page, chat))
    body = standin.requests(key)[-1]["body"]
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["temperature"], body["stream"]) == (0.5, True)

    page.get_by_label("Thinking").select_option("on")
    with page.expect_request("**/task/chat") as request:
        ask(page, "And now?", chat)
    is_over(answer(page, chat))
    body = request.value.post_data_json or {}
    assert (body["thinking"], body["stream"]) == ("on", True)
    body = standin.requests(key)[-1]["body"]
    assert [turn["content"] for turn in body["messages"]] == [
        *("Be brief.", "Hello?", "zhipu:Hello?", "And now?")
    ]
    expect(answer(page, chat)).to_contain_text("zhipu:And now?")


def test_any_chat_is_asked_for_one_of_a_list(page: Page, raw_chat: RawChat) -> None:
    raw_chat.deploy(good("It is **yes**."))
    page.get_by_text("System prompt, temperature, thinking").click()
    page.get_by_label("The answer is").select_option("choices")
    page.get_by_label("The list, a line each").fill("yes\nno")

    ask(page, "Is it?", raw_chat.name)

    is_over(answer(page, raw_chat.name))
    expect(answer(page, raw_chat.name).locator(".bytes pre")).to_have_text('"yes"')
    expect(answer(page, raw_chat.name)).to_contain_text("5 bytes, 200, application/json")


def test_an_answer_without_the_form_says_so(page: Page, task: Task, raw_chat: RawChat) -> None:
    raw_chat.raw.script = good("I would rather not say.")
    name, plain = task(), task(reply={"status": 200})

    ask(page, "Sort it.", name, plain)

    for one in (name, plain):
        is_over(answer(page, one), "failed")
        expect(answer(page, one).get_by_role("alert")).to_contain_text("BAD_ANSWER")


# A task's dialog.


def open_task(page: Page, name: str = "") -> Locator:
    page.get_by_role("link", name="Run", exact=True).click()
    button(card(page, name) if name else page, "Change…" if name else "Deploy a task…").click()
    return page.get_by_role("dialog")


def test_a_task_is_written_tried_and_deployed(
    page: Page, gateway: httpx.Client, raw_chat: RawChat, chat_name: str
) -> None:
    raw_chat.deploy(kinds)
    dialog = open_task(page)
    dialog.get_by_label("Chat name").fill(chat_name)
    dialog.get_by_label("Answered by").select_option(raw_chat.name)
    dialog.get_by_label("Prompt", exact=True).fill("A mail of {{ 客户 }}: {{content}}")
    dialog.get_by_label("The answer is").select_option("choices")
    dialog.get_by_label("The list, a line each").fill("refund\nother")
    dialog.get_by_label("客户").fill("安娜")
    dialog.get_by_label("content").fill("The lamp!")

    button(dialog, "Try it").click()
    expect(dialog.locator(".tried pre")).to_have_text('"refund"')
    assert prompts(raw_chat)[-1].startswith("A mail of 安娜: The lamp!")
    assert chat_name not in gateway.get("/models").text
    button(dialog, "Deploy").click()

    expect(dialog.get_by_role("status")).to_have_text(f"Done: {chat_name} asks {raw_chat.name}.")
    button(dialog, "Close").click()
    expect(card(page, chat_name)).to_contain_text(f"a prompt, answered by {raw_chat.name}")
    fields = {"chat_name": chat_name, "客户": "安", "content": "A lamp"}
    assert gateway.post("/task/chat", json=fields).json() == "refund"
    gateway.post("/task/undeploy", json={"chat_name": chat_name})


def test_a_prompt_is_changed_beside_the_one_there_is_and_nothing_else_is_lost(
    page: Page, gateway: httpx.Client, task: Task, raw_chat: RawChat
) -> None:
    name = task(system="You sort.", options={"temperature": 0, "seed": 7}, reply={"format": "text"})
    dialog = open_task(page, name)
    expect(dialog.locator(".now pre")).to_have_text(
        "You sort.\n\nSort this mail of {{customer}}: {{content}}", use_inner_text=True
    )
    dialog.get_by_label("Prompt", exact=True).fill("What does {{who}} want? {{content}}")
    dialog.get_by_label("customer").fill("Ann")
    dialog.get_by_label("who").fill("Bob")
    dialog.get_by_label("content").fill("My lamp.")

    button(dialog, "Try it").click()
    expect(dialog.locator(".tried")).to_have_count(2)
    expect(dialog.locator(".tried pre")).to_have_text(["refund", "refund"])
    assert {prompt.splitlines()[0] for prompt in prompts(raw_chat)} == {
        *("Sort this mail of Ann: My lamp.", "What does Bob want? My lamp.")
    }
    assert raw_chat.raw.requests[-1].json["temperature"] == 0
    button(dialog, "Save").click()

    expect(dialog.get_by_role("status")).to_contain_text(f"Done: {name}")
    deployed = gateway.get("/task/deploy", params={"chat_name": name}).json()
    assert deployed == {
        **{"chat_name": name, "through": raw_chat.name, "system": "You sort."},
        **{"prompt": "What does {{who}} want? {{content}}"},
        **{"options": {"temperature": 0, "seed": 7}},
        **{"reply": {"format": "text", "choices": ["refund", "other"]}},
    }


def test_what_is_wrong_with_a_task_is_said_and_nothing_is_lost(page: Page, task: Task) -> None:
    dialog = open_task(page, task())
    dialog.get_by_label("Prompt", exact=True).fill("Sort {{two words}}")
    button(dialog, "Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("'{{two words}}' is no variable")

    dialog.get_by_label("Prompt", exact=True).fill("Sort {{content}}")
    dialog.get_by_text("More settings").click()
    dialog.get_by_label("Options (JSON)").fill("{")
    button(dialog, "Try it").click()
    expect(dialog.locator(".trial")).to_contain_text("must be JSON objects")
    button(dialog, "Save").click()
    expect(dialog.get_by_role("alert").last).to_contain_text("options")
    expect(dialog.get_by_label("Prompt", exact=True)).to_have_value("Sort {{content}}")


HOSTILE = "<img src=x onerror='hacked=1'>{{content}}</textarea><script>hacked=1</script>"


def test_a_hostile_prompt_and_answer_do_nothing_in_the_dialog(
    page: Page, task: Task, raw_chat: RawChat
) -> None:
    raw_chat.raw.script = good(HOSTILE)
    dialog = open_task(page, task(prompt=HOSTILE, choices=[]))
    expect(dialog.locator(".now pre")).to_have_text(HOSTILE)
    dialog.get_by_label("content").fill(HOSTILE)
    button(dialog, "Try it").click()

    expect(dialog.locator(".tried pre").first).to_contain_text("<img src=x onerror='hacked=1'>")
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("dialog img, dialog script").count() == 0


def test_who_may_not_chat_writes_a_task_and_tries_nothing(
    open_page: Open, with_tokens: Server, task: Task
) -> None:
    name = task()
    page = open_page(with_tokens.url, "/#run")
    page.get_by_label("Gateway token").fill(OPS)
    button(page, "Sign in").click()

    dialog = open_task(page, name)

    expect(dialog.get_by_label("Prompt", exact=True)).to_be_visible()
    expect(button(dialog, "Try it")).to_have_count(0)


# A deploy.


def open_deploy(page: Page) -> Locator:
    page.get_by_role("link", name="Run", exact=True).click()
    button(page, "Deploy a chat…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Provider").select_option("openai")
    return dialog


def test_models_are_listed_by_the_key_that_was_typed(
    page: Page, deploy: Deploy, standin: StandIn, key: str
) -> None:
    deploy("zhipu")
    dialog = open_deploy(page)
    dialog.get_by_text("More settings").click()
    dialog.get_by_label("Base URL").fill(standin.base_url("openai"))
    assert standin.count(key) == 0, "nothing is sent before somebody asks for it"
    dialog.get_by_label("API key").fill(key)

    button(dialog, "List models").click()

    expect(dialog.get_by_role("status")).to_contain_text(re.compile(r"\d+ models?: choose"))
    assert dialog.locator("datalist option").count() > 0
    dialog.get_by_label("Provider").select_option("deepseek")
    expect(dialog.locator("datalist option")).to_have_count(0)


def test_a_deploy_says_options_thinking_price_and_budget_and_a_switch_keeps_them(
    page: Page, gateway: httpx.Client, standin: StandIn, deploy: Deploy, chat_name: str, key: str
) -> None:
    deploy("zhipu")
    dialog = open_deploy(page)
    dialog.get_by_label("Chat name").fill(chat_name)
    dialog.get_by_label("API key").fill(f"{key},{key}-2")
    dialog.get_by_label("Model", exact=True).fill("echo")
    dialog.get_by_text("More settings").click()
    dialog.get_by_label("Base URL").fill(standin.base_url("openai"))
    dialog.get_by_label("Options (JSON)").fill('{"temperature": 0.25}')
    dialog.get_by_label("Thinking").select_option("on")
    dialog.get_by_text("Price and budget").click()
    for label, value in (("In", "2"), ("Out", "8"), ("Money", "50"), ("Tell below", "5")):
        dialog.get_by_label(label, exact=True).fill(value)
    button(dialog, "Deploy").click()
    expect(dialog.get_by_role("status")).to_contain_text("Done")
    button(dialog, "Close").click()

    def row() -> dict[str, Any]:
        rows = gateway.get("/models").json()["models"]
        return dict(next(row for row in rows if row["chat_name"] == chat_name))

    terms = {name: row()[name] for name in ("options", "thinking", "price", "low", "keys")}
    assert terms == {
        **{"options": {"temperature": 0.25}, "thinking": "on", "low": 5},
        "price": {"in": 2, "out": 8, "cached": 2, "currency": "CNY"},
        "keys": {"count": 2, "resting": {}},
    }
    assert (row()["budget"]["money"], row()["budget"]["per"]) == (50, "month")

    button(card(page, chat_name), "Switch…").click()
    expect(dialog.get_by_label("Options (JSON)")).to_have_value('{\n "temperature": 0.25\n}')
    expect(dialog.get_by_label("Out", exact=True)).to_have_value("8")
    dialog.get_by_label("API key").fill(key)
    dialog.get_by_label("Model", exact=True).fill("other")
    dialog.get_by_text("More settings").click()
    dialog.get_by_label("Base URL").fill(standin.base_url("openai"))
    button(dialog, "Switch").click()
    expect(dialog.get_by_role("status")).to_contain_text("Done")
    chat = row()
    assert (chat["model_name"], chat["thinking"], chat["price"]["out"]) == ("other", "on", 8)
    gateway.post("/openai/undeploy", json={"chat_name": chat_name})


# From code.


def test_the_calls_of_a_task_send_its_variables_and_say_what_comes_back(
    page: Page, gateway: httpx.Client, server: Server, task: Task
) -> None:
    name = task(reply={"format": "text"})
    page.get_by_role("link", name="Try it from code").click()
    page.get_by_label("Chat", exact=True).select_option(name)
    shown = page.locator(".calls")

    expect(shown).to_contain_text(f"curl {server.url}/task/chat \\\n  -H", use_inner_text=True)
    expect(shown).to_contain_text(
        f'{{"chat_name": "{name}", "customer": "the customer", "content": "My lamp broke."}}'
    )
    expect(shown).to_contain_text("--data-urlencode 'customer=the customer'")
    expect(shown.locator("pre").last).to_have_text("refund\nother", use_inner_text=True)
    button(page, "openai (Python)").click()
    expect(shown).to_contain_text('extra_body={"customer":"the customer"},')
    button(page, "perl").click()
    expect(shown).to_contain_text("Has the gateway sort a mail")
    expect(shown).not_to_contain_text("http_tiny.pl")
    expect(shown.locator("p.note")).to_have_count(0)


def test_what_is_shown_to_paste_works(page: Page, task: Task, raw_chat: RawChat) -> None:
    name = task(choices=[], fields=["name", "kind:a|b"], prompt="{{who}} {{content}}")
    raw_chat.raw.script = good('{"name": "安", "kind": "b"}')
    page.get_by_role("link", name="Try it from code").click()
    page.get_by_label("Chat", exact=True).select_option(name)
    texts = page.locator(".calls pre").all_inner_texts()

    assert texts[-1] == '{"name": "…", "kind": "…"}'
    for text in texts[:-1]:
        assert (
            subprocess.check_output(["bash", "-c", text], text=True, timeout=60)
            == '{"name": "\\u5b89", "kind": "b"}'
        )
    first_lines = {prompt.splitlines()[0] for prompt in prompts(raw_chat)}
    assert first_lines == {"the who My lamp broke."}
    button(page, "perl").click()
    expect(page.locator(".calls p.note")).to_contain_text("This task takes: who, content.")


# For everyone.


@pytest.mark.parametrize(("locale", "scheme", "width"), LOOKS)
def test_tasks_look_well(
    open_page: Open, task: Task, looker: Looker, locale: str, scheme: str, width: int
) -> None:
    name = task(
        system="You sort the mails of a shop.",
        prompt="Sort this mail of {{customer}}, who has bought {{article}}:\n\n{{content}}",
    )
    page = open_page(locale=locale, color_scheme=scheme, viewport={"width": width, "height": 800})
    page.locator(".chip", has_text=name).locator("input").check()
    for input_ in page.locator(".values input").all():
        input_.fill("Ann")
    page.locator(".options summary").click()
    looker.look_at(page, "ask-options")
    page.locator(".options summary").click()
    page.locator("#question").fill("My lamp broke.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".bytes").last).to_be_visible()
    looker.look_at(page, "ask-task")
    page.locator("nav a[href='#run']").click()
    page.locator(".card", has_text=name).locator("footer .button:visible").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".trial textarea")).to_have_count(3)
    for area in dialog.locator(".trial textarea").all():
        area.fill("My lamp broke.")
    looker.look_at(page, "task")
    dialog.locator(".trial button").click()
    expect(dialog.locator(".tried")).to_have_count(2)
    expect(dialog.locator(".tried pre")).to_have_text(['"refund"'] * 2)
    dialog.locator(".tried").last.scroll_into_view_if_needed()
    looker.look_at(page, "task-tried")
    page.keyboard.press("Escape")
    page.locator(".run .primary").click()
    page.get_by_role("dialog").locator("summary").last.click()
    page.get_by_role("dialog").locator(".four").last.scroll_into_view_if_needed()
    looker.look_at(page, "deploy-money")
    page.keyboard.press("Escape")
    page.locator("nav a[href='#code']").click()
    page.locator(".code-view select").select_option(name)
    looker.look_at(page, "code-task")
    assert looker.findings == []
