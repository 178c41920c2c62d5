"""Which model answers for a replica while others are opened, given up, or open again after a
restart. The models are real ones, which connect to nobody before they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from gateway.actors.joint_work import JointWork
from gateway.actors.model import Model, open_model
from gateway.actors.model_slot import ModelSlot
from gateway.errors import Code, GatewayError
from gateway.protocol import Engine, ModelConfig
from gateway.providers.dialects import OPENAI
from gateway.providers.provider import Provider

PLAIN = Provider("plain", ("saas/plain",), "m", OPENAI)


def config(generation: int, **fields: Any) -> ModelConfig:
    whole: Any = {
        "chat_name": "shop",
        "provider": "plain",
        "engine": Engine.RELAY.value,
        "model_name": "m",
        "base_url": "http://127.0.0.1:9",
        "api_key": "sk-1",
        "needs_key": True,
        "traits": PLAIN.traits(),
        "options": {},
        "thinking": "",
        "timeout": 1.0,
        "trusted": True,
        "egress_proxy": "",
        "egress_host": "",
        "egress_trusted": False,
        "probe_seconds": 1.0,
        "models_folder": "",
        "fallback": [],
        "generation": generation,
        **fields,
    }
    return whole  # type: ignore[no-any-return]


class Loads:
    """Opens models, the first deploy's when `ready` is set, as a large local one takes its time."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.begun: list[int] = []
        self.opened: list[Model] = []
        self.lost: ModelConfig | None = None
        self.fault: GatewayError | None = None

    async def open(self, one: ModelConfig, untried: bool) -> Model:
        self.begun.append(one["generation"])
        if one["generation"] == 1:
            await self.ready.wait()
            if self.fault:
                raise self.fault
        self.opened.append(await open_model(one, "hop", untried))
        return self.opened[-1]

    async def lookup(self) -> ModelConfig | None:
        return self.lost


Test = Callable[[Loads, ModelSlot], Coroutine[Any, Any, None]]


def run(test: Test) -> None:
    async def tested() -> None:
        loads = Loads()
        async with asyncio.timeout(20):
            await test(loads, ModelSlot(loads.open, loads.lookup))
            for model in loads.opened:
                await model.close(1)

    asyncio.run(tested())


async def begun(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Let it go as far as it goes by itself."""
    task = asyncio.create_task(work)
    for _ in range(5):
        await asyncio.sleep(0)
    return task


def test_a_client_that_leaves_ends_no_load_that_others_wait_for() -> None:
    async def test(loads: Loads, slot: ModelSlot) -> None:
        loads.lost = config(1)
        for _ in range(3):
            client = await begun(slot.ready())
            client.cancel()
        patient = await begun(slot.ready())
        loads.ready.set()
        assert (await patient).config["generation"] == 1
        assert loads.begun == [1]

    run(test)


def test_a_load_after_a_restart_does_not_take_the_place_of_what_was_deployed_meanwhile() -> None:
    async def test(loads: Loads, slot: ModelSlot) -> None:
        loads.lost = config(1)
        client = await begun(slot.ready())
        assert await slot.prepare(config(2), check=False) is None
        slot.switch()
        loads.ready.set()
        assert (await client).config["generation"] == 2
        assert slot.model
        assert slot.model.config["generation"] == 2

    run(test)


def test_a_chain_that_is_changed_during_a_load_is_the_models() -> None:
    async def test(loads: Loads, slot: ModelSlot) -> None:
        loads.lost = config(1)
        client = await begun(slot.ready())
        slot.amend(["spare"], 2)
        loads.ready.set()
        model = await client
        assert (model.config["fallback"], model.config["generation"]) == (["spare"], 2)

    run(test)


def test_a_deploy_that_was_given_up_is_not_switched_to_by_the_next() -> None:
    async def test(loads: Loads, slot: ModelSlot) -> None:
        late = await begun(slot.prepare(config(1), check=False))
        slot.forget_prepared()
        assert await slot.prepare(config(2), check=False) is None
        loads.ready.set()
        await late
        slot.switch()
        assert slot.model
        assert slot.model.config["generation"] == 2

    run(test)


def test_a_replica_that_lost_what_it_prepared_looks_again_what_was_switched_to() -> None:
    async def test(loads: Loads, slot: ModelSlot) -> None:
        loads.lost = config(1)
        client = await begun(slot.ready())
        loads.lost = config(2)
        slot.switch()
        loads.ready.set()
        assert (await client).config["generation"] == 2

    run(test)


def test_who_waits_for_a_load_that_fails_has_what_was_deployed_meanwhile() -> None:
    async def test(loads: Loads, slot: ModelSlot) -> None:
        loads.lost = config(1)
        loads.fault = GatewayError(Code.INTERNAL, "no memory")
        client = await begun(slot.ready())
        assert await slot.prepare(config(2), check=False) is None
        slot.switch()
        loads.ready.set()
        assert (await client).config["generation"] == 2

    run(test)


def test_what_is_not_known_needs_its_key_and_is_looked_up_again() -> None:
    async def test(loads: Loads, slot: ModelSlot) -> None:
        loads.lost = config(1, api_key="")
        loads.ready.set()
        with pytest.raises(GatewayError) as raised:
            await slot.ready()
        assert raised.value.code == Code.NEED_KEY
        loads.lost = config(1)
        assert (await slot.ready()).config["api_key"] == "sk-1"

    run(test)


def test_work_that_failed_is_begun_anew_by_the_next_who_comes() -> None:
    async def test(loads: Loads, slot: ModelSlot) -> None:
        outcomes = [OSError("the control store does not answer"), None]

        async def work() -> None:
            if error := outcomes.pop(0):
                raise error

        joint = JointWork(work)
        with pytest.raises(OSError, match="control store"):
            await joint.join()
        await joint.join()
        assert not outcomes

    run(test)
