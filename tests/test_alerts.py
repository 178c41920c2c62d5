"""The alerts and the dashboard of deploy/: promtool takes them, and each alert fires when it
should, and only then."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway.errors import Code
from tests.environment import TOP
from tests.server import Deploy
from tests.standin.client import StandIn
from tests.waiting import until

ALERTS = TOP / "deploy/alerts.yml"
RULES: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((TOP / "deploy/grafana.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
TARGETS: list[dict[str, Any]] = [target for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    target["expr"].replace("$__rate_interval", "5m") for target in TARGETS
]
OF_THE_TARGET = {"job", "instance"}
"""The labels that Prometheus adds when it scrapes."""

GATEWAY = "gateway:8099"
JOB = f'job="byzer-gateway",instance="{GATEWAY}"'
FINE = "1x30"
"""In promtool's notation 1x30 is thirty-one samples of 1, a minute apart."""

Series = dict[str, str]
Firing = set[tuple[str, str]]


def promtool(*arguments: str | Path) -> None:
    assert shutil.which("promtool"), "promtool is not installed: tests/install-packages installs it"
    ended = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def assert_firing(folder: Path, series: Series, minute: float, firing: Firing) -> None:
    """At `minute`, of all the alerts exactly `firing` do: each with the chat or instance that its
    texts name."""
    label = {rule["alert"]: named_in(rule["annotations"]["summary"]).pop() for rule in RULES}
    expected = [
        {"labels": f'{{alertname="{alert}",{label[alert]}="{whom}"}}', "value": 1}
        for alert, whom in sorted(firing)
    ]
    # The sum is 1 where one alert was sent, and not one for each gateway that tells of the chat.
    now = 'sum by (alertname, chat, instance) (ALERTS{alertstate="firing"})'
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": now, "eval_time": f"{round(minute * 60)}s", "exp_samples": expected}
        ],
    }
    # YAML is a superset of JSON.
    there = folder / "test.yml"
    there.write_text(
        json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "30s", "tests": [test]})
    )
    promtool("test", "rules", there)


def named_in(text: str) -> set[str]:
    return set(re.findall(r"\$labels\.(\w+)", text))


def told(chat: str, answerable: str = FINE, need_key: str = "0x30", **resting: str) -> Series:
    """What every scrape tells of a chat."""
    return {
        f'gateway_chat_answerable{{{JOB},chat="{chat}"}}': answerable,
        f'gateway_chat_need_key{{{JOB},chat="{chat}"}}': need_key,
        f'gateway_chat_replicas{{{JOB},chat="{chat}"}}': "1x30",
        **{
            f'gateway_chat_resting{{{JOB},chat="{chat}",code="{code}"}}': values
            for code, values in resting.items()
        },
    }


def requests(chat: str, code: str, values: str) -> Series:
    return {
        f'gateway_requests_total{{{JOB},route="/openai/chat",chat="{chat}",code="{code}"}}': values
    }


def fallbacks(chat: str, code: str, values: str) -> Series:
    return {f'gateway_fallbacks_total{{{JOB},chat="{chat}",served_by="b",code="{code}"}}': values}


def left(chat: str, balance: str, low: str) -> Series:
    """What is left of a chat's account, and what its deploy calls low; "": nobody says."""
    series = {
        f'gateway_chat_balance{{{JOB},chat="{chat}",currency="CNY"}}': balance,
        f'gateway_chat_low{{{JOB},chat="{chat}"}}': low,
    }
    return {name: values for name, values in series.items() if values}


def own_seconds(route: str, fast: str, all_of_them: str) -> Series:
    """How many took up to a second, and up to 5 s."""
    buckets = {"0.1": fast, "1.0": fast, "5.0": all_of_them, "+Inf": all_of_them}
    return {
        f'gateway_own_seconds_bucket{{{JOB},route="{route}",le="{le}"}}': values
        for le, values in buckets.items()
    }


UP = {f"up{{{JOB}}}": FINE, f"gateway_cluster_up{{{JOB}}}": FINE}
BILL, KEY, NONE, SLOW = (
    "ProviderBillUnpaid",
    "ProviderKeyRefused",
    "ChatCannotAnswer",
    "GatewaySlow",
)
OTHER_CODES = set(Code) - {Code.PAY_BILL, Code.BAD_KEY}

CASES: dict[str, tuple[Series, float, Firing]] = {
    "all is well": (
        UP
        | told("a")
        | told("b")
        | requests("a", "OK", "0+9x30")
        | own_seconds("/openai/chat", "0+9x30", "0+9x30"),
        20,
        set(),
    ),
    "an unpaid bill behind a working fallback": (
        UP | told("a", PAY_BILL=FINE) | told("b"),
        2,
        {(BILL, "a")},
    ),
    "a bill paid within the minute": (UP | told("a", PAY_BILL="1 stale"), 3, set()),
    "a bill paid later": (UP | told("a", PAY_BILL="1x5 stale"), 8, set()),
    "an unpaid bill that two gateways tell of": (
        UP
        | told("a", PAY_BILL=FINE)
        | {'gateway_chat_resting{instance="other:8099",chat="a",code="PAY_BILL"}': FINE},
        2,
        {(BILL, "a")},
    ),
    "an unpaid bill of a chat that cannot rest": (
        UP | told("a") | requests("a", "PAY_BILL", "0 0 1x28"),
        4,
        {(BILL, "a")},
    ),
    "fallbacks from an unpaid bill": (
        UP | told("a") | fallbacks("a", "PAY_BILL", "0+3x30"),
        4,
        {(BILL, "a")},
    ),
    "an unpaid bill of last week": (UP | told("a") | requests("a", "PAY_BILL", "7x30"), 20, set()),
    "a refused key behind a working fallback": (
        UP | told("a", BAD_KEY=FINE) | told("b"),
        2,
        {(KEY, "a")},
    ),
    "a refused key of a chat that cannot rest": (
        UP | told("a") | requests("a", "BAD_KEY", "0+1x30"),
        4,
        {(KEY, "a")},
    ),
    "fallbacks from a refused key": (
        UP | told("a") | fallbacks("a", "BAD_KEY", "0+1x30"),
        4,
        {(KEY, "a")},
    ),
    "every other code": (
        UP
        | told("a", SLOW_DOWN=FINE, PROVIDER_DOWN=FINE)
        | {
            name: value
            for code in OTHER_CODES
            for name, value in requests("a", code, "0+9x30").items()
        }
        | fallbacks("a", "TIMEOUT", "0+9x30"),
        20,
        set(),
    ),
    "a chain of which every link rests": (
        UP | told("a", "0x30", PAY_BILL=FINE) | told("b", "0x30", BAD_KEY=FINE),
        2,
        {(BILL, "a"), (NONE, "a"), (KEY, "b"), (NONE, "b")},
    ),
    "a chat that cannot answer for half a minute": (UP | told("a", "0 1x29"), 0.5, set()),
    "a chat that answers again": (UP | told("a", "0x5 1x20"), 7, set()),
    "a restart after which the key holder deploys": (UP | told("a", need_key="1 1 0x28"), 4, set()),
    "a key that nobody brings, not yet": (UP | told("a", need_key=FINE), 1.5, set()),
    "a key that nobody brings": (UP | told("a", need_key=FINE), 3, {("ChatNeedsKey", "a")}),
    "a budget that is nearly used": (
        UP | told("a") | {f'gateway_chat_budget{{{JOB},chat="a"}}': "0.79 0.8x29"},
        2,
        {("ChatBudgetNearlyUsed", "a")},
    ),
    "a budget of which much is left": (
        UP | told("a") | {f'gateway_chat_budget{{{JOB},chat="a"}}': "0.79x30"},
        2,
        set(),
    ),
    "a low balance that two gateways tell of": (
        UP
        | told("a")
        | left("a", "25 25 19x28", "20x30")
        | {'gateway_chat_balance{instance="other:8099",chat="a",currency="CNY"}': "19x30"},
        4,
        {("ChatBalanceLow", "a")},
    ),
    "a low balance for a moment": (UP | told("a") | left("a", "19 25x29", "20x30"), 3, set()),
    "a balance below none that was asked for": (UP | told("a") | left("a", "-5x30", ""), 9, set()),
    "a balance that nobody says": (UP | told("a") | left("a", "", "20x30"), 9, set()),
    "enough": (UP | told("a") | left("a", "20x30", "20x30"), 9, set()),
    "two slow chats in a hundred": (
        UP | own_seconds("/openai/chat", "0+98x30", "0+100x30"),
        12,
        {(SLOW, GATEWAY)},
    ),
    "two slow chats in a hundred, not for long": (
        UP | own_seconds("/v1/x", "0+98x30", "0+100x30"),
        4,
        set(),
    ),
    "one slow chat in a thousand": (UP | own_seconds("/v1/x", "0+999x30", "0+1000x30"), 20, set()),
    # The rate sees it for five minutes, which is no longer than `for`.
    "a single slow chat": (UP | own_seconds("/openai/chat", "0x30", "0x4 1x25"), 9.5, set()),
    "slow chats on /v1": (
        UP | own_seconds("/v1/chat/completions", "0+1x30", "0+2x30"),
        12,
        {(SLOW, GATEWAY)},
    ),
    "slow deploys": (UP | own_seconds("/openai/deploy", "0x30", "0+1x30"), 20, set()),
    "a cluster that is gone": (
        {**UP, f"gateway_cluster_up{{{JOB}}}": "0x30"} | requests("a", "CLUSTER_DOWN", "0+9x30"),
        2,
        {("ClusterDown", GATEWAY)},
    ),
    "a cluster that was gone for a moment": (
        {**UP, f"gateway_cluster_up{{{JOB}}}": "0 1x29"},
        2,
        set(),
    ),
    "a gateway that is gone": ({f"up{{{JOB}}}": "0x30"}, 2, {("GatewayDown", GATEWAY)}),
    "a gateway that restarts": ({**UP, f"up{{{JOB}}}": "0 1x29"}, 2, set()),
    "another job that is gone": (UP | {'up{job="other",instance="x:1"}': "0x30"}, 2, set()),
}
"""What the metrics say, at which minute, and the alerts that fire then: all others do not."""


@pytest.mark.parametrize("case", CASES)
def test_exactly_the_right_alerts_fire_for(case: str, tmp_path: Path) -> None:
    assert_firing(tmp_path, *CASES[case])


def test_each_alert_has_its_case() -> None:
    assert {alert for _, _, firing in CASES.values() for alert, _ in firing} == {
        rule["alert"] for rule in RULES
    }


def test_promtool_takes_the_alerts() -> None:
    promtool("check", "rules", ALERTS)


def test_promtool_takes_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(EXPRESSIONS)
    ]
    there = tmp_path / "rules.yml"
    there.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", there)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_names_whom_it_is_about_and_how_bad_it_is(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    [whom] = named_in(rule["annotations"]["summary"])
    assert named_in(rule["annotations"]["description"]) <= {whom}


def test_the_dashboard_works_with_any_prometheus() -> None:
    assert [variable["type"] for variable in DASHBOARD["templating"]["list"]] == ["datasource"]
    for panel in PANELS:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]


def test_no_panel_hides_another() -> None:
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in PANELS)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_a_legend_names_labels_that_its_expression_keeps() -> None:
    for target in TARGETS:
        rest = {
            label
            for group in re.findall(r"by \(([^)]*)\)", target["expr"])
            for label in group.split(", ")
        }
        assert set(re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))) <= rest, target["expr"]


def test_codes_are_ours() -> None:
    assert {code for text in EXPRESSIONS for code in re.findall(r'code="(\w+)"', text)} <= set(Code)


# The live gateway.


Scraped = tuple[str, str, list[Metric]]


@pytest.fixture
def scraped(
    gateway: httpx.Client, standin: StandIn, deploy: Deploy, names: Callable[[], str], key: str
) -> Scraped:
    """Two chats, the first with a key that is refused and the second in its place, and what
    /metrics says then, also of a balance and a budget."""
    rich = {"chat_name": names(), "api_key": f"{key}-rich", "low": 1, "check": True}
    rich["budget"] = {"tokens": 1000}
    standin.put_balance(f"{key}-rich", 5)
    body = {**rich, "base_url": standin.base_url("openai"), "model_name": "echo"}
    assert gateway.post("/deepseek/deploy", json=body).json() == {"ret": "ok"}
    until(lambda: "gateway_chat_balance{" in gateway.get("/metrics").text, 20)
    second = deploy("zhipu", chat_name=names())
    first = deploy("openai", "refuse:openai-invalid_api_key", chat_name=names(), fallback=second)
    reply = gateway.post("/openai/chat", json={"chat_name": first, "content": "hi"})
    assert (reply.status_code, reply.headers["X-Served-By"], reply.headers["X-Fell-Back"]) == (
        200,
        second,
        "BAD_KEY",
    )
    assert (
        gateway.post("/openai/chat", json={"chat_name": second, "content": "hi"}).status_code == 200
    )
    reply = gateway.get("/metrics")
    assert reply.status_code == 200, reply.text

    def rests() -> bool:
        return f'chat="{first}"' in "".join(
            re.findall(r"gateway_chat_resting.*", gateway.get("/metrics").text)
        )

    until(rests, 10)
    return first, second, list(text_string_to_metric_families(gateway.get("/metrics").text))


def test_the_gateway_has_every_metric_and_label_that_is_asked_for(scraped: Scraped) -> None:
    labels: dict[str, set[str]] = {"up": set()}
    for sample in (sample for family in scraped[2] for sample in family.samples):
        labels.setdefault(sample.name, set()).update(sample.labels)
    for text in EXPRESSIONS:
        metrics = set(re.findall(r"gateway_\w+|\bup\b", text))
        assert metrics, text
        assert metrics <= set(labels), text
        by = {label for group in re.findall(r"by \(([^)]*)\)", text) for label in group.split(", ")}
        for metric in metrics:
            assert by <= labels[metric] | OF_THE_TARGET, text
        for metric, matchers in re.findall(r"(gateway_\w+|\bup){([^}]*)}", text):
            assert set(re.findall(r"(\w+)=", matchers)) <= labels[metric] | OF_THE_TARGET, text


def test_the_gateway_counts_times_around_the_second_that_an_alert_asks_for(
    scraped: Scraped,
) -> None:
    [own] = [family for family in scraped[2] if family.name == "gateway_own_seconds"]
    bounds = {float(sample.labels["le"]) for sample in own.samples if "le" in sample.labels}
    assert 1.0 in bounds
    assert max(bounds - {float("inf")}) > 1  # else a quantile would never be greater
    assert "/openai/chat" in {sample.labels["route"] for sample in own.samples}


def test_what_the_gateway_says_of_a_refused_key_fires_that_alert_and_no_other(
    scraped: Scraped, tmp_path: Path
) -> None:
    first, second, families = scraped
    series = dict(UP)
    for sample in (sample for family in families for sample in family.samples):
        # the cluster's other chats are other tests'
        if sample.labels.get("chat") in (first, second):
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            series[f"{sample.name}{{{JOB},{labels}}}"] = f"{sample.value:.0f}x30"

    assert_firing(tmp_path, series, 4, {(KEY, first)})
