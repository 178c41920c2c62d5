"""What the directory has in memory, without Ray: which deploy comes after which, what a deploy
leaves as it was, and how long a key is kept to undo one."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.actors.configurations import UNHEARD, Configurations
from gateway.protocol import Engine, ModelConfig


class Clock:
    """Seconds, as far as a test has let them pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def configuration(name: str = "shop", **fields: Any) -> ModelConfig:
    config: Any = {
        "chat_name": name,
        "provider": "openai",
        "engine": Engine.RELAY.value,
        "traits": {"limit_field": ""},
        "task": None,
        "api_key": f"sk-{name}",
        "needs_key": True,
        "egress_proxy": "",
        "egress_host": "",
        "fallback": None,
        "reply": None,
        "generation": 0,
        "since": 0.0,
        **fields,
    }
    return config  # type: ignore[no-any-return]


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def configs(changes: list[str], clock: Clock) -> Configurations:
    return Configurations(lambda: changes.append("changed"), clock)


def test_a_deploy_leaves_the_chain_and_the_reply_as_they_were(configs: Configurations) -> None:
    configs.keep(configs.completed(configuration(fallback=["spare"], reply={"format": "csv"})))
    again = configs.completed(configuration())
    assert (again["fallback"], again["reply"]) == (["spare"], {"format": "csv"})

    first = configs.completed(configuration("new"))
    assert (first["fallback"], first["reply"]) == ([], {})


def test_what_a_task_answers_in_is_no_chats_way_to_reply(configs: Configurations) -> None:
    task = configuration(task={"through": "other"}, reply={"format": "csv"})
    configs.keep(configs.completed(task))
    assert configs.completed(configuration())["reply"] == {}


def test_each_deploy_is_later_than_all_that_were_heard_of(configs: Configurations) -> None:
    configs.refill([configuration(generation=7), configuration("other", generation=3)])
    assert configs.next_generation() == 7 + UNHEARD + 1
    assert configs["shop"]["generation"] == 7


def test_a_deploy_is_later_than_a_chat_that_was_remembered_from_another_cluster(
    configs: Configurations,
) -> None:
    configs.refill([])
    configs.keep(configuration(generation=5 * UNHEARD))
    assert configs.completed(configuration())["generation"] > 5 * UNHEARD


def test_a_refill_brings_back_no_earlier_deploy(configs: Configurations) -> None:
    configs.keep(configuration(generation=9))
    configs.refill([configuration(generation=7)])
    assert configs["shop"]["generation"] == 9


def test_a_replica_that_is_heard_late_brings_its_key_and_no_earlier_deploy(
    configs: Configurations,
) -> None:
    configs.keep(configuration(api_key="", generation=7))
    configs.complete(configuration(generation=6))
    assert configs["shop"]["api_key"] == ""
    configs.complete(configuration(generation=7))
    assert configs["shop"]["api_key"] == "sk-shop"
    configs.complete(configuration(generation=8, api_key="sk-other"))
    assert configs["shop"]["api_key"] == "sk-shop", "what has its key was deployed since"
    configs.complete(configuration("unknown"))
    assert "unknown" in configs


def test_a_task_that_was_taken_away_is_not_remembered_by_a_process_that_is_late(
    configs: Configurations,
) -> None:
    task = configuration(engine=Engine.TASK.value, task={"through": "x"}, generation=5)
    configs.remember_task(task)
    assert "shop" in configs
    configs.drop("shop")
    configs.remember_task(task)
    assert "shop" not in configs
    configs.remember_task({**task, "generation": 6})
    assert configs["shop"]["generation"] == 6


def test_what_was_before_is_kept_for_its_seconds_and_its_key_no_longer(
    configs: Configurations, clock: Clock
) -> None:
    configs.set_aside(configuration(), 60)
    clock.now = 59.9
    before = configs.before("shop")
    assert before is not None
    assert before["api_key"] == "sk-shop"
    clock.now = 60.1
    assert configs.before("shop") is None


def test_processes_are_told_of_changes_alone_and_of_no_key(
    configs: Configurations, changes: list[str]
) -> None:
    configs.keep(configuration())
    configs.drop("nobody")
    assert changes == ["changed"]

    all_of_it = configs.changes("", 0, 1)
    assert all_of_it["configs"]
    assert "api_key" not in all_of_it["configs"][0]
    assert configs.changes(all_of_it["born"], 1, 1)["configs"] is None
    assert configs.changes("another directory", 1, 1)["configs"]


def test_equal_traits_are_one_object_which_pickle_sends_once(configs: Configurations) -> None:
    configs.keep(configuration("a"))
    configs.keep(configuration("b"))
    assert configs["a"]["traits"] is configs["b"]["traits"]
