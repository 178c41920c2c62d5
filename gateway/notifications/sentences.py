"""What a person is told, in English and Chinese: one plain sentence or two for each thing. Pure.

Names of chats, callers and providers, codes and amounts are all that is filled in: never a key, a
prompt, an answer, or a provider's words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.notifications.conditions import Condition, Kind

MOST = 20
"""So many sentences stand in one message; the rest is counted."""

TITLE = {"en": "Byzer-LLM gateway:", "zh": "Byzer-LLM 网关："}
"""The first line. A robot that wants a keyword can have Byzer-LLM."""

TEST = {
    "en": "This is a test: whoever reads it will be told when a chat needs somebody.",
    "zh": "这是一条测试消息：看到它的人会在对话需要处理时收到通知。",
}
MORE = {
    "en": "... and {count} more: GET /models shows all.",
    "zh": "……另有 {count} 条：GET /models 可查看全部。",
}

PERIODS = {"en": {"day": "day", "month": "month"}, "zh": {"day": "今日", "month": "本月"}}

INSTEAD = {"en": " Meanwhile these answer: {chain}.", "zh": "在此期间由 {chain} 回答。"}
ALONE = {"en": " No other chat answers in its place.", "zh": "没有其他对话代为回答。"}
"""What is added where a chat cannot answer."""

BEGUN: dict[tuple[Kind, str], tuple[str, str]] = {
    (Kind.RESTING, "PAY_BILL"): (
        "Chat {name} rests: its bill at {provider} is not paid. Pay it there; the chat comes back"
        " by itself.",
        "对话 {name} 休息了：{provider} 的账户欠费。请前往充值；之后会自动恢复。",
    ),
    (Kind.RESTING, "BAD_KEY"): (
        "Chat {name} rests: {provider} refuses its key. Deploy it again with a key that is valid.",
        "对话 {name} 休息了：{provider} 拒绝其 key。请用有效的 key 重新部署。",
    ),
    (Kind.RESTING, "OVER_BUDGET"): (
        "Chat {name} rests: its own budget is spent. Raise it with another deploy, or wait until"
        " its next period begins.",
        "对话 {name} 休息了：其预算已用完。请重新部署以提高预算，或等待下一周期开始。",
    ),
    (Kind.NEED_KEY, ""): (
        "Chat {name} needs its key: the cluster has lost it. Deploy it again with its key.",
        "对话 {name} 需要 key：集群已丢失它。请带上 key 重新部署。",
    ),
    (Kind.NOTHING_LEFT, ""): (
        "Nobody answers chat {name} any more: it and its fallback ({chain}) all rest or need a key."
        " Pay, or deploy another provider under one of these names.",
        "对话 {name} 已无人回答：它与后备（{chain}）都在休息或需要 key。请付款，"
        "或在其中一个名称下部署其他服务商。",
    ),
    (Kind.BUDGET, ""): (
        "Chat {name} has spent {spent} of the {limit} {unit} that it may in a {period}. When all is"
        " spent, it rests: raise its budget if it should not.",
        "对话 {name} {period}已用 {spent}，预算为 {limit} {unit}。用完后将休息："
        "如不希望如此，请提高预算。",
    ),
    (Kind.BALANCE, ""): (
        "The balance of chat {name} at {provider} is {amount}, under the {low} of its"
        " deploy. Pay in some more before it is used up.",
        "对话 {name} 在 {provider} 的余额为 {amount}，低于部署时设定的 {low}。请在用完前充值。",
    ),
    (Kind.CALLER, ""): (
        "Caller {name} is over its limit ({detail}) and is refused. Find out why, or raise the"
        " limit.",
        "调用方 {name} 已超过上限（{detail}），请求被拒绝。请查明原因，或提高上限。",
    ),
}
"""By kind and code, in English and in Chinese."""

ENDED: dict[tuple[Kind, str], tuple[str, str]] = {
    (Kind.RESTING, "PAY_BILL"): (
        "Chat {name} answers again: its bill is no longer unpaid.",
        "对话 {name} 已恢复回答：账户不再欠费。",
    ),
    (Kind.RESTING, "BAD_KEY"): (
        "Chat {name} answers again: its key is no longer refused.",
        "对话 {name} 已恢复回答：key 不再被拒绝。",
    ),
    (Kind.RESTING, "OVER_BUDGET"): (
        "Chat {name} answers again: its budget has begun anew or was raised.",
        "对话 {name} 已恢复回答：预算周期已重新开始，或预算已提高。",
    ),
    (Kind.NEED_KEY, ""): ("Chat {name} has its key again.", "对话 {name} 已重新获得 key。"),
    (Kind.NOTHING_LEFT, ""): (
        "Chat {name} is answered again, by itself or by its fallback.",
        "对话 {name} 已恢复：它自己或其后备可以回答。",
    ),
}

WITHOUT_ANSWER = frozenset({Kind.RESTING, Kind.NEED_KEY})


class Letter(NamedTuple):
    """One message: its sentences, and what they are about, as data."""

    sentences: list[str]
    conditions: list[dict[str, str]]
    lang: str

    @property
    def title(self) -> str:
        """The first line."""
        return TITLE[self.lang]

    def text(self, most_bytes: int) -> str:
        """Return the message, in `most_bytes` of UTF-8 at most."""
        first = self.sentences[:MOST]
        while len((text := self._joined(first)).encode()) > most_bytes and first:
            first = first[:-1]
        return text

    def _joined(self, first: Sequence[str]) -> str:
        more = len(self.sentences) - len(first)
        lines = [self.title, *first]
        return "\n".join([*lines, MORE[self.lang].format(count=more)] if more else lines)


def letter(begun: Sequence[Condition], ended: Sequence[Condition], lang: str) -> Letter:
    """Return what is to be told, in one message."""
    events = [*(("begun", one) for one in begun), *(("ended", one) for one in ended)]
    sentences = [sentence(one, lang, event == "ended") for event, one in events]
    rows = [
        {"event": event, "kind": one.kind.value, "name": one.name, "detail": one.detail}
        for event, one in events
    ]
    return Letter(sentences, rows, lang)


def trial(lang: str) -> Letter:
    """Return what `python -m gateway notify-test` sends."""
    return Letter([TEST[lang]], [], lang)


def sentence(condition: Condition, lang: str, ended: bool = False) -> str:
    """Return what a person is told of a condition that has begun, or ended."""
    table = ENDED if ended else BEGUN
    pair = table.get((condition.kind, condition.detail)) or table[condition.kind, ""]
    facts = _facts(condition, lang)
    words = pair[lang == "zh"].format_map(facts)
    if ended or condition.kind not in WITHOUT_ANSWER:
        return words
    more = INSTEAD if facts["chain"] else ALONE
    return words + more[lang].format_map(facts)


def _facts(condition: Condition, lang: str) -> Mapping[str, str]:
    period = PERIODS[lang].get(condition.facts.get("per", ""), "")
    own = {"name": condition.name, "detail": condition.detail, "period": period}
    return {**condition.facts, **own}
