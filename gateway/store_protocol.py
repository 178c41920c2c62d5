"""What a gateway process and the cluster's store (gateway/actors/store_actor.py) say to each other:
of jobs, of what people were told, and of what is limited. Plain data, as in gateway/protocol.py."""

from __future__ import annotations

from typing import Literal, TypedDict

# Jobs.

Owner = str
"""Whose a job is: nobody else can read it. There are as many as tokens."""

Key = tuple[Owner, str]
"""A job's owner and name."""

Begun = Literal["new", "known", "other", "full", "early"]
State = Literal["here", "unknown", "lost"]
News = tuple[Key, State, bytes | None]
Given = tuple[Key, str, bytes, int]
"""A job's key, its question's digest, the question, and how many processes that asked it have
ended."""


class Caller(TypedDict):
    """The gateway process that calls: its name, its Ray driver's id, the store that it knew last
    ("": none), and for how many seconds it keeps answers."""

    process: str
    driver: str
    store: str
    keep: int


class Heard(TypedDict):
    """What a process is told when it says what it asks for: which store this is, the jobs that are
    its own to ask for from now on, and those of which the store does not know."""

    store: str
    given: list[Given]
    unknown: list[Key]


# What people were told.


class Note(TypedDict):
    """Of which conditions (gateway/notifications) a channel has been told; `revision` grows with
    each message."""

    revision: int
    conditions: list[list[str]]


class Turn(TypedDict):
    """What a process is told when it shows its notes: the channels to which it is to speak, and the
    newest notes."""

    mine: list[str]
    notes: dict[str, Note]


# What is limited.

Amounts = dict[str, float]
"""How much, by unit: "requests", "tokens", or a currency."""


class MeterLimit(TypedDict):
    """How much of a unit may be used `per` min, day or month; `words` are how the operator wrote
    it."""

    amount: float
    unit: str
    per: str
    words: str


class LimitRefusal(TypedDict):
    """Which of the limits is reached (its place; -1: the meter has not begun), and for how many
    seconds."""

    limit: int
    seconds: float


class Used(TypedDict):
    """How many requests there were within a minute, what was used today and this month, and the
    Unix time when that last changed (0: before the meter began)."""

    minute: int
    day: Amounts
    month: Amounts
    changed: int
