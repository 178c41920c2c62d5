"""What a person reads: a sentence for everything, in both languages, and never too long."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.notifications.conditions import ENDS, LASTING, Condition, Kind
from gateway.notifications.robots import body
from gateway.notifications.sentences import MOST, letter, sentence, trial
from gateway.notify_targets import parse

BUDGET = {"spent": "170", "limit": "200", "unit": "CNY", "per": "month"}
BALANCE = {"provider": "deepseek", "amount": "19.5 CNY", "low": "20"}
ALONE = {"provider": "zhipu", "chain": ""}
HELPED = {"provider": "zhipu", "chain": "spare, local_chat"}

TABLE: list[tuple[Condition, str, str]] = [
    (
        Condition(Kind.RESTING, "shop", "PAY_BILL", facts=HELPED),
        "Chat shop rests: its bill at zhipu is not paid. Pay it there; the chat comes back by"
        " itself. Meanwhile these answer: spare, local_chat.",
        "对话 shop 休息了：zhipu 的账户欠费。请前往充值；之后会自动恢复。"
        "在此期间由 spare, local_chat 回答。",
    ),
    (
        Condition(Kind.RESTING, "shop", "BAD_KEY", facts=ALONE),
        "Chat shop rests: zhipu refuses its key. Deploy it again with a key that is valid. No other"
        " chat answers in its place.",
        "对话 shop 休息了：zhipu 拒绝其 key。请用有效的 key 重新部署。没有其他对话代为回答。",
    ),
    (
        Condition(Kind.RESTING, "shop", "OVER_BUDGET", facts=ALONE),
        "Chat shop rests: its own budget is spent. Raise it with another deploy, or wait until its"
        " next period begins. No other chat answers in its place.",
        "对话 shop 休息了：其预算已用完。请重新部署以提高预算，或等待下一周期开始。"
        "没有其他对话代为回答。",
    ),
    (
        Condition(Kind.NEED_KEY, "shop", facts=ALONE),
        "Chat shop needs its key: the cluster has lost it. Deploy it again with its key. No other"
        " chat answers in its place.",
        "对话 shop 需要 key：集群已丢失它。请带上 key 重新部署。没有其他对话代为回答。",
    ),
    (
        Condition(Kind.NOTHING_LEFT, "shop", facts=HELPED),
        "Nobody answers chat shop any more: it and its fallback (spare, local_chat) all rest or"
        " need a key. Pay, or deploy another provider under one of these names.",
        "对话 shop 已无人回答：它与后备（spare, local_chat）都在休息或需要 key。请付款，"
        "或在其中一个名称下部署其他服务商。",
    ),
    (
        Condition(Kind.BUDGET, "shop", "money 200", "2026-11", BUDGET),
        "Chat shop has spent 170 of the 200 CNY that it may in a month. When all is spent, it"
        " rests: raise its budget if it should not.",
        "对话 shop 本月已用 170，预算为 200 CNY。用完后将休息：如不希望如此，请提高预算。",
    ),
    (
        Condition(Kind.BALANCE, "shop", facts=BALANCE),
        "The balance of chat shop at deepseek is 19.5 CNY, under the 20 of its deploy. Pay in some"
        " more before it is used up.",
        "对话 shop 在 deepseek 的余额为 19.5 CNY，低于部署时设定的 20。请在用完前充值。",
    ),
    (
        Condition(Kind.CALLER, "web", "60/min", "2026-11-27"),
        "Caller web is over its limit (60/min) and is refused. Find out why, or raise the limit.",
        "调用方 web 已超过上限（60/min），请求被拒绝。请查明原因，或提高上限。",
    ),
]


@pytest.mark.parametrize(("condition", "english", "chinese"), TABLE)
def test_everything_has_its_sentence(condition: Condition, english: str, chinese: str) -> None:
    assert sentence(condition, "en") == english
    assert sentence(condition, "zh") == chinese


def test_the_table_has_every_kind_and_code() -> None:
    assert {condition.kind for condition, _, _ in TABLE} == set(Kind)
    assert {one.detail for one, _, _ in TABLE if one.kind == Kind.RESTING} == LASTING


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_end_has_its_sentence_without_facts(lang: str) -> None:
    # They are of the process that told the beginning.
    for condition, _, _ in TABLE:
        if condition.kind in ENDS:
            bare = Condition.from_list(condition.as_list())
            assert "shop" in sentence(bare, lang, ended=True)


def resting(count: int) -> list[Condition]:
    return [
        Condition(Kind.RESTING, f"chat-{number:03}", "PAY_BILL", facts=ALONE)
        for number in range(count)
    ]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_many_are_gathered_and_counted(lang: str) -> None:
    text = letter(resting(37), [], lang).text(100_000)
    assert len(text.splitlines()) == 1 + MOST + 1
    assert "17" in text.splitlines()[-1]


@given(count=st.integers(1, 60), name=st.text("a对", min_size=1, max_size=200), lang=st.booleans())
def test_a_message_fits_its_robot_and_counts_all(count: int, name: str, lang: bool) -> None:
    [wecom] = parse("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=K")
    begun = [
        Condition(Kind.RESTING, f"{name}{one}", "PAY_BILL", facts=ALONE) for one in range(count)
    ]
    text = json.loads(body(wecom, letter(begun, [], "zh" if lang else "en"), 0))["text"]["content"]

    assert len(text.encode()) <= 2048
    lines = text.splitlines()[1:]
    more = count - len(lines)
    if more:
        assert str(more + 1) in lines[-1]


def test_a_webhook_has_all_as_data() -> None:
    [webhook] = parse("https://hook.example/x")
    fields = json.loads(body(webhook, letter(resting(30), resting(1), "en"), 0))
    assert len(fields["conditions"]) == 31
    assert fields["conditions"][0] == {
        "event": "begun",
        "kind": "resting",
        "name": "chat-000",
        "detail": "PAY_BILL",
    }
    assert fields["conditions"][-1]["event"] == "ended"
    assert fields["text"].startswith("Byzer-LLM gateway:\nChat chat-000 rests")


def test_the_trial_says_that_it_is_one() -> None:
    assert "test" in trial("en").text(2048)
    assert "测试" in trial("zh").text(2048)
