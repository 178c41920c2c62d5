"""What Prometheus is told: counts of all gateway processes together, and the state of the chats in
the cluster.

Each process writes into files of its own in one folder, which the others read (prometheus_client's
multiprocess mode). The folder belongs to the processes' common parent, gunicorn's or uWSGI's
master, and is removed after its time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from gateway.frames import Usage
from gateway.protocol import ChatRow, used_part
from gateway.web.count_file import CountFile
from gateway.web.counts_folder import counts_folder

# prometheus_client reads the folder's name when it is imported.
FOLDER = counts_folder(os.getppid())
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(FOLDER)

from prometheus_client import values

# A process asks for its own number at each count, which costs more than the count. It is loaded
# after the last fork.
_pid = os.getpid()
values.MmapedDict = CountFile  # type: ignore[attr-defined, assignment]
values.ValueClass = values.MultiProcessValue(lambda: _pid)  # type: ignore[no-untyped-call]

from prometheus_client import (  # it reads the folder's name
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

OWN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
PROVIDER_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)

OPERATING = ("/deploy", "/undo", "/fallback", "/undeploy")
"""The ends of routes that name a chat and do not ask it."""

# Not collected from this process alone, but from all: so none is in prometheus_client's own
# registry.
_none = CollectorRegistry()
requests = Counter(
    "gateway_requests",
    "Requests, by what became of them (OK, or an error code).",
    ["route", "chat", "code"],
    registry=_none,
)
own_seconds = Histogram(
    "gateway_own_seconds",
    "Our own part of an answered chat: until its answer, or its first word, without the provider's"
    " part.",
    ["route"],
    registry=_none,
    buckets=OWN_BUCKETS,
)
provider_seconds = Histogram(
    "gateway_provider_seconds",
    "The provider's part of an answered chat: until its answer, or its first word.",
    ["provider"],
    registry=_none,
    buckets=PROVIDER_BUCKETS,
)
in_flight = Gauge(
    "gateway_in_flight", "Requests under way.", registry=_none, multiprocess_mode="livesum"
)
tokens = Counter(
    "gateway_tokens", "Tokens, as the providers count them.", ["chat", "direction"], registry=_none
)
callers = Counter(
    "gateway_callers",
    "Answers and errors of chats, by the name of the token that asked.",
    ["caller", "chat"],
    registry=_none,
)
money = Counter(
    "gateway_money",
    "What the answers of chats with a price cost.",
    ["chat", "currency"],
    registry=_none,
)
fallbacks = Counter(
    "gateway_fallbacks",
    "Chats that another one answered for.",
    ["chat", "served_by", "code"],
    registry=_none,
)
dropped_lines = Counter(
    "gateway_log_lines_dropped",
    "Lines about requests that nobody read in time from standard output.",
    registry=_none,
)


def count_usage(chat: str, usage: Usage) -> None:
    """Count what a chat's answer took."""
    provider_seconds.labels(usage.provider).observe(usage.seconds)
    count_tokens(chat, usage)


def count_tokens(chat: str, usage: Usage) -> None:
    """Count the tokens of an answer, where they are known."""
    for direction, number in (("in", usage.tokens_in), ("out", usage.tokens_out)):
        if number:
            tokens.labels(chat, direction).inc(number)


def count_fallback(chat: str, served_by: str, why: str) -> None:
    """Count an answer of another chat than the one that was asked."""
    fallbacks.labels(chat, served_by, why).inc()


def counts_by_chat() -> dict[str, dict[str, int]]:
    """Return how many requests to each chat ended with each code (OK, or an error's), since the
    gateway started."""
    counts: dict[str, dict[str, int]] = {}
    files = [str(path) for path in FOLDER.glob("counter_*.db")]
    for family in MultiProcessCollector.merge(files):  # type: ignore[no-untyped-call]
        for sample in family.samples if family.name == "gateway_requests" else ():
            chat, code = sample.labels["chat"], sample.labels["code"]
            if chat and not sample.labels["route"].endswith(OPERATING):
                codes = counts.setdefault(chat, {})
                codes[code] = codes.get(code, 0) + int(sample.value)
    return counts


def page(models: list[ChatRow] | None) -> bytes:
    """Return everything, as Prometheus reads it. `models` are GET /models' rows; None: there is no
    cluster."""
    registry = CollectorRegistry()
    if FOLDER.is_dir():
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_Cluster(models))
    return generate_latest(registry)


class _Cluster:
    """The chats' state, at the time of asking."""

    def __init__(self, models: list[ChatRow] | None) -> None:
        self._models = models

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("gateway_cluster_up", "Whether the Ray cluster answers.")
        up.add_metric([], self._models is not None)
        yield up
        # a task is as the chat that answers it
        rows = [row for row in self._models or () if row["task"] is None]
        able = {row["chat_name"] for row in rows if row["state"] not in ("resting", "need_key")}
        replicas = GaugeMetricFamily(
            "gateway_chat_replicas", "A chat's processes in the cluster.", labels=["chat"]
        )
        need_key = GaugeMetricFamily(
            "gateway_chat_need_key", "1: its key is lost; deploy it again.", labels=["chat"]
        )
        answerable = GaugeMetricFamily(
            "gateway_chat_answerable",
            "0: neither it nor a link of its chain can answer.",
            labels=["chat"],
        )
        resting = GaugeMetricFamily(
            "gateway_chat_resting",
            "1: its provider is not asked for a while.",
            labels=["chat", "code"],
        )
        budget = GaugeMetricFamily(
            "gateway_chat_budget",
            "How much of its budget a chat has used in this day or month: 1 is all of it.",
            labels=["chat"],
        )
        balance = GaugeMetricFamily(
            "gateway_chat_balance",
            "What is left at its provider, where that says it.",
            labels=["chat", "currency"],
        )
        low = GaugeMetricFamily(
            "gateway_chat_low", "The balance under which a person is told.", labels=["chat"]
        )
        for row in rows:
            chat = row["chat_name"]
            if row["budget"]:
                budget.add_metric([chat], used_part(row["budget"]))
            replicas.add_metric([chat], row["replicas"])
            need_key.add_metric([chat], row["state"] == "need_key")
            answerable.add_metric([chat], not able.isdisjoint({chat, *row["fallback"]}))
            if row["resting"]:
                resting.add_metric([chat, row["resting"]["code"]], 1)
            if row["balance"]:
                balance.add_metric([chat, row["balance"]["currency"]], row["balance"]["amount"])
            if row["low"] is not None:
                low.add_metric([chat], row["low"])
        yield from (replicas, need_key, answerable, resting, balance, low, budget)
