"""What a person should know of the chats and callers, as it is now. Pure.

It goes by state, not by events: what is so now is compared with what a channel was told, so that
nothing is told twice, and nothing is lost with a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gateway.protocol import ChatRow

LASTING = frozenset({"PAY_BILL", "BAD_KEY", "OVER_BUDGET"})
"""The codes of rests that are told. Others pass by themselves, within seconds."""

SHARE = 0.8
"""Of a budget: when so much is spent, it is told."""

ENOUGH = 1.1
"""A balance that was low is enough when it is so much over `low`: one at the brink is told once."""


class Kind(StrEnum):
    """What can be so."""

    RESTING = "resting"
    NEED_KEY = "need_key"
    NOTHING_LEFT = "nothing_left"
    BUDGET = "budget"
    BALANCE = "balance"
    CALLER = "caller"


ENDS = frozenset({Kind.RESTING, Kind.NEED_KEY, Kind.NOTHING_LEFT})
"""What is told when it ends, too."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is so of the chat or caller `name`. `detail` is a rest's code, which budget,
    or a caller's limit; `period` is the day or month in which it is told once. `facts` are for its
    sentence only."""

    kind: Kind
    name: str
    detail: str = ""
    period: str = ""
    facts: Mapping[str, str] = field(default_factory=dict, compare=False)

    def as_list(self) -> list[str]:
        """Return it as plain data, without its facts."""
        return [self.kind.value, self.name, self.detail, self.period]

    @classmethod
    def from_list(cls, fields: Sequence[str]) -> Condition:
        """Read what `as_list` returned."""
        kind, name, detail, period = fields
        return cls(Kind(kind), name, detail, period)


Conditions = frozenset[Condition]


class Look(NamedTuple):
    """What was seen at one time: GET /models' rows by name, the callers that are over a limit
    (which one, in words), and the local date."""

    rows: Mapping[str, ChatRow]
    over: Mapping[str, str]
    day: str

    def period(self, per: str) -> str:
        """Return the name of the present day or month."""
        return self.day if per == "day" else self.day[:7]


class News(NamedTuple):
    """What is to be told, and what has been told then."""

    begun: list[Condition]
    ended: list[Condition]
    noted: Conditions


def look(rows: Iterable[ChatRow], over: Mapping[str, str], day: str) -> Look:
    """Return what was seen. A task is as the chat that answers it, so it is left out."""
    return Look({row["chat_name"]: row for row in rows if row["task"] is None}, over, day)


def news(earlier: Look, later: Look, noted: Conditions) -> News:
    """Return what `noted` lacks, and what is no longer so, by two looks: what only one of them has
    seen is not told."""
    before, now = current(earlier, noted), current(later, noted)
    begun = [one for one in now if one in before and one not in noted]
    gone = noted - now - before
    ended = [one for one in gone if one.kind in ENDS and _has_ended(one, later)]
    return News(sorted(begun, key=_order), sorted(ended, key=_order), (noted - gone) | {*begun})


def current(seen: Look, noted: Conditions) -> Conditions:
    """Return what is so. What was told stays so until it is clear that it is over."""
    lasting = {one for one in noted if _lasts(one, seen)}
    return frozenset(lasting | {*_now(seen, lasting)})


def _now(seen: Look, lasting: set[Condition]) -> Iterator[Condition]:
    for row in seen.rows.values():
        yield from _of_chat(row, seen)
    limits = {(one.name, one.detail) for one in lasting if one.kind == Kind.CALLER}
    for caller, limit in seen.over.items():
        if (caller, limit) not in limits:  # else it is the same still, though the day is another
            yield Condition(Kind.CALLER, caller, limit, seen.day)


def _of_chat(row: ChatRow, seen: Look) -> Iterator[Condition]:
    name = row["chat_name"]
    able = [link for link in row["fallback"] if not _is_out(seen.rows.get(link))]
    facts = {"provider": row["provider"], "chain": ", ".join(able)}
    if code := _lasting_code(row):
        yield Condition(Kind.RESTING, name, code, facts=facts)
    if row["state"] == "need_key":
        yield Condition(Kind.NEED_KEY, name, facts=facts)
    if row["fallback"] and not able and _is_out(row):
        yield Condition(Kind.NOTHING_LEFT, name, facts={"chain": ", ".join(row["fallback"])})
    yield from _of_budget(row, seen)
    if row["balance"] and row["low"] is not None and row["balance"]["amount"] < row["low"]:
        amount, unit = row["balance"]["amount"], row["balance"]["currency"]
        # some providers name no currency
        more = {"amount": f"{_number(amount)} {unit}".strip(), "low": _number(row["low"])}
        yield Condition(Kind.BALANCE, name, facts={**facts, **more})


def _of_budget(row: ChatRow, seen: Look) -> Iterator[Condition]:
    for unit, (spent, limit) in _spending(row).items():
        if limit and spent >= SHARE * limit and row["budget"]:
            facts = {"spent": _number(spent), "limit": _number(limit), "per": row["budget"]["per"]}
            facts["unit"] = row["price"]["currency"] if unit == "money" and row["price"] else unit
            period = seen.period(row["budget"]["per"])
            yield Condition(
                Kind.BUDGET, row["chat_name"], f"{unit} {_number(limit)}", period, facts
            )


def _spending(row: ChatRow) -> dict[str, tuple[float, float | None]]:
    """Return what was spent of each budget, and how much that is."""
    budget = row["budget"]
    if budget is None:
        return {}
    return {
        "money": (budget["spent_money"], budget["money"]),
        "tokens": (budget["spent_tokens"], budget["tokens"]),
    }


def _lasts(condition: Condition, seen: Look) -> bool:
    """Return whether what was told is so still, or nothing shows that it is over."""
    if condition.kind == Kind.CALLER:
        over = seen.over.get(condition.name) == condition.detail
        return over or condition.period == seen.day
    row = seen.rows.get(condition.name)
    if row is None:
        return False
    match condition.kind:
        case Kind.RESTING:
            other = _lasting_code(row) not in ("", condition.detail)
            return row["state"] not in ("answering", "need_key") and not other
        case Kind.NEED_KEY:
            return row["state"] in ("need_key", "starting")
        case Kind.NOTHING_LEFT:
            return bool(row["fallback"]) and not _is_answered(row, seen)
        case Kind.BUDGET:
            periods = {seen.period("day"), seen.period("month")}
            limits = {
                f"{unit} {_number(limit or 0)}" for unit, (_, limit) in _spending(row).items()
            }
            return condition.period in periods and condition.detail in limits
        case Kind.BALANCE:
            balance, low = row["balance"], row["low"]
            return low is not None and (balance is None or balance["amount"] < low * ENOUGH)


def _has_ended(condition: Condition, seen: Look) -> bool:
    """Return whether what is no longer so is worth a sentence: not where the chat has gone, or
    where something else is told of it."""
    row = seen.rows.get(condition.name)
    if row is None:
        return False
    if condition.kind == Kind.NOTHING_LEFT:
        return _is_answered(row, seen)
    return row["state"] == "answering" or (
        condition.kind == Kind.NEED_KEY and row["state"] == "resting"
    )


def _is_answered(row: ChatRow, seen: Look) -> bool:
    """Return whether a chat of the chain answers."""
    chain = (seen.rows.get(link) for link in (row["chat_name"], *row["fallback"]))
    return any(link is not None and link["state"] == "answering" for link in chain)


def _is_out(row: ChatRow | None) -> bool:
    """Return whether a chat cannot answer until somebody acts."""
    return row is None or row["state"] == "need_key" or _lasting_code(row) != ""


def _lasting_code(row: ChatRow) -> str:
    """Return the code with which a chat rests until somebody acts; "": it does not."""
    resting = row["resting"] if row["state"] == "resting" else None
    return resting["code"] if resting and resting["code"] in LASTING else ""


def _order(condition: Condition) -> tuple[int, str, str]:
    """Return what sorts the worst to the top."""
    worst = (Kind.NOTHING_LEFT, Kind.RESTING, Kind.NEED_KEY)
    rank = worst.index(condition.kind) if condition.kind in worst else len(worst)
    return rank, condition.name, condition.detail


def _number(amount: float) -> str:
    return f"{amount:.2f}".rstrip("0").rstrip(".") if amount % 1 else f"{amount:.0f}"
