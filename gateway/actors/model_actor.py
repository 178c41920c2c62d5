"""What runs in the cluster: one actor for each replica of a chat, speaking Byzer's own protocol
beside ours.

Measured against stock byzerllm's UDFMaster and UDFWorker: 70 to 86 MB instead of 389, 1.2 to 2 s to
deploy instead of 7 to 10, hundreds of chats at once instead of one a worker. Switching a chat swaps
the model inside its actors: chats under way finish on the old one.

The first replica is a named actor called after its chat, as byzerllm's clients expect; others are
`chat_name#1` and on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncGenerator, Coroutine, Iterator
from functools import partial
from typing import Any

import orjson
import ray

from gateway.actors import actor_logs, byzer_requests
from gateway.actors.answer_frames import end_frame, head_frame, new_reader, renderer, repeat_frames
from gateway.actors.joined_questions import JoinedQuestions
from gateway.actors.listener import Listener, allow_many
from gateway.actors.model import Model, open_model
from gateway.actors.model_slot import ModelSlot
from gateway.byte_budget import SMALL_BYTES, ByteBudget, Charge, Full, give_back_large_blocks
from gateway.channel import frame
from gateway.errors import Code, ErrorRecord, GatewayError, too_many_bytes
from gateway.frames import AnswerForm, Failure, Kind
from gateway.protocol import (
    CHAT,
    DIRECTORY,
    NAMESPACE,
    Address,
    ModelConfig,
    ReplicaStatus,
    hop,
)
from gateway.providers.openai_shape import OpenAIShape
from gateway.providers.questions import WORDED, Question
from gateway.providers.structures import Structure
from gateway.providers.usage import Usage

AT_ONCE = 4096
"""Ray calls at once in one replica: of stock byzerllm's clients, since the gateway's chats come
beside Ray."""

QUESTION_BYTES = 256 * 1024 * 1024
"""Of large questions at once in one replica: what two gateway processes hold with the usual
GATEWAY_MAX_BODY_BYTES."""

ASK_DIRECTORY_SECONDS = 5
AGAIN_SECONDS = 0.2
DRAIN_SECONDS = 10
"""How long a retiring replica waits for chats under way."""


class ModelActor:
    """One replica. Started empty, so that no key is in its creation arguments; Ray restarts it
    empty, too."""

    def __init__(self, chat_name: str) -> None:
        allow_many()
        give_back_large_blocks()
        self._chat_name = chat_name
        # One replica asks what is left, for all of them: the account is the same.
        self._is_first = ray.get_runtime_context().get_actor_name() == chat_name
        self._slot = ModelSlot(self._open, self._lookup)
        self._retired = False
        self._questions = ByteBudget(QUESTION_BYTES)
        # Ray's id of the actor, as much of it as fits: the same in each of its processes.
        name = ray.get_runtime_context().get_actor_id()[:12]
        self._listener = Listener(self._answered, name, self._questions, self._no_room)
        self._joined = JoinedQuestions()

    # Called by the directory.

    async def prepare(self, config: ModelConfig, check: bool) -> ErrorRecord | None:
        """Make a new model ready beside the one that answers, and ask it a question if `check`.

        Returns the error as plain data, or None.
        """
        return await self._slot.prepare(config, check)

    async def switch(self) -> None:
        """Let the prepared model answer from now on; chats under way finish on the old one."""
        self._slot.switch()
        self._retired = False

    async def forget_prepared(self) -> None:
        """Drop the prepared model: another replica could not prepare its own."""
        self._slot.forget_prepared()

    async def retire(self) -> None:
        """Answer no new chat; returns when those under way are done, after `DRAIN_SECONDS` at
        most."""
        self._retired = True
        if model := self._slot.model:
            await model.close(DRAIN_SECONDS)
        if self._retired:  # and was not deployed again meanwhile
            self._listener.close()
            actor_logs.forget()

    async def config(self) -> ModelConfig | None:
        """Return what this replica runs, key included: the directory is refilled from here."""
        return self._slot.model.config if self._slot.model else None

    async def amend(self, fallback: list[str], generation: int) -> None:
        """Put another chain behind the same model. The generation makes the gateway processes look
        anew."""
        self._slot.amend(fallback, generation)

    async def status(self) -> ReplicaStatus | None:
        """Return the chats under way, and whether it rests; or None if there is no model: its key
        is lost."""
        try:
            model = await self._ready()
        except GatewayError:
            return None
        return {
            "in_flight": model.in_flight,
            "resting": model.resting(),
            "keys": model.keys(),
            "left_out": model.rules.left_out,
            "balance": model.balances.lowest(),
        }

    # Called by the gateway, on its own connections (listener.py).

    async def address(self, node: str, folder: str) -> Address:
        """Return where a gateway process on `node`, which keeps sockets in `folder`, is let in."""
        if node == ray.get_runtime_context().get_node_id():
            return await self._listener.address(folder)
        return await self._listener.far_address(ray.util.get_node_ip_address())

    def _answered(
        self, form: str, path: str, shown: str, caller: str, beta: str, structure: str, body: bytes
    ) -> AsyncGenerator[bytes, None]:
        """Answer a request, as the provider takes it but for its `model`, to one of its endpoints,
        with frames.

        `form` is what the client reads, and `shown` the model's name there. What the same `caller`
        asks again while the first is under way is answered with it: old clients repeat a POST by
        themselves when a connection drops, and it would be paid for twice.
        """
        plain = form in (AnswerForm.ANSWER, AnswerForm.TEXT)
        question = Question(path, body, plain, beta, Structure.from_json(structure))
        if form not in (AnswerForm.ANSWER, AnswerForm.REPLY):
            return self._streamed(form, question, shown)
        # A large one is known by its digest, so that it is kept once.
        mark = body if len(body) <= SMALL_BYTES else hashlib.blake2b(body).digest()
        # What was asked of a model that was replaced may be why it was: that is not waited for.
        switches = self._slot.switches
        repeat = (caller, form, path, structure, mark, switches) if caller else ()
        return self._in_one_piece(repeat, self._whole(form, question, shown))

    async def _in_one_piece(
        self, repeat: tuple[Any, ...], answer: Coroutine[Any, Any, bytes]
    ) -> AsyncGenerator[bytes, None]:
        if not repeat:
            yield await answer
        else:
            frames, given = await self._joined.answer(repeat, answer)
            yield repeat_frames(frames) if given else frames

    def _no_room(self) -> bytes:
        return self._failed(too_many_bytes(), self._slot.model)

    async def _whole(self, form: str, question: Question, shown: str) -> bytes:
        """Return the frames of an answer in one piece. The provider's JSON is parsed here, and
        nowhere else."""
        model: Model | None = None
        started = time.monotonic()
        try:
            model = await self._ready()
            model.has(question.path)
            config = model.config
            reply = await model.ask(question)
        except GatewayError as error:
            return self._failed(error, model)
        provider_model = reply.model
        if form == AnswerForm.ANSWER:
            content = reply.text.encode()
        else:
            if question.path in WORDED:
                OpenAIShape(question.path, shown, stream=False).give(reply.body)
            elif "model" in reply.body:  # images and moderations of some providers have none
                reply.body["model"] = shown
            content = orjson.dumps(reply.body)
        head = head_frame(config, started, provider_model)
        return head + frame(Kind.PIECE, content) + end_frame(reply.usage)

    async def _streamed(
        self, form: str, question: Question, shown: str
    ) -> AsyncGenerator[bytes, None]:
        """Yield the frames of an answer as it comes."""
        model: Model | None = None
        begun, started = False, time.monotonic()
        show = renderer(form, question.path, shown)
        try:
            model = await self._ready()
            model.has(question.path)
            config = model.config
            reading = partial(new_reader, model.dialect, question, shown)
            usage = Usage()
            async with contextlib.aclosing(model.stream(question, reading)) as pieces:
                async for reader, together in pieces:
                    if together and not begun:
                        provider_model = str(together[0].chunk.get("model") or "")
                        yield head_frame(config, started, provider_model)
                        begun = True
                    yield frame(Kind.PIECE, show.render(together))
                    usage = reader.usage
            yield frame(Kind.PIECE, show.end()) + end_frame(usage)
        except GatewayError as error:
            yield self._failed(error, model)

    def _failed(self, error: GatewayError, model: Model | None) -> bytes:
        error.chat_name = self._chat_name
        generation = model.config["generation"] if model else 0
        return frame(Kind.ERROR, Failure(error.as_dict(), generation).to_json())

    # Called by byzerllm's clients: the part of UDFMaster's and UDFWorker's protocol that they use.

    async def get(self, index: int = -1) -> list[Any]:
        return [0, ray.get_runtime_context().current_actor]

    async def give_back(self, index: int) -> None:
        pass

    async def workers(self) -> list[Any]:
        return [ray.get_runtime_context().current_actor]

    async def stat(self) -> dict[str, Any]:
        return {
            "total_workers": 1,
            "busy_workers": 0,
            "idle_workers": 1,
            "load_balance_strategy": "round_robin",
        }

    async def async_apply(self, requests: list[str]) -> dict[str, list[str]]:
        """Answer Byzer's chat: JSON requests in, one JSON list of predictions out. Errors are
        raised as text."""
        try:
            with self._room_for(requests):
                model = await self._ready()
                queries = map(json.loads, requests)
                predictions = [await self._predict(model, query) for query in queries]
        except GatewayError as error:
            # Plain RuntimeError: the caller's process need not have our classes.
            raise RuntimeError(json.dumps(error.shape("")["error"], ensure_ascii=False)) from None
        return {"value": [json.dumps(predictions, ensure_ascii=False)]}

    @contextlib.contextmanager
    def _room_for(self, requests: list[str]) -> Iterator[None]:
        with Charge(self._questions) as charge:
            try:
                charge.hold(sum(map(len, requests)))
            except Full:
                raise too_many_bytes(self._chat_name) from None
            yield

    async def _predict(self, model: Model, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("meta"):
            meta = {"model_deploy_type": "saas", "backend": "saas", "support_stream": False}
            return {
                "predict": [{**meta, "model_name": model.config["model_name"]}],
                "metadata": {},
                "input": request,
            }
        started = time.monotonic()
        question = Question(CHAT, byzer_requests.question(request), plain=True)
        answer = await model.ask(question)
        tokens_in, tokens_out, _ = answer.usage
        counts = {"input_tokens_count": tokens_in or 0, "generated_tokens_count": tokens_out or 0}
        return {
            "predict": answer.text,
            "metadata": {**counts, "time_cost": time.monotonic() - started},
            "input": request,
        }

    async def _ready(self) -> Model:
        if self._retired:
            raise GatewayError(Code.NOT_DEPLOYED)
        return await self._slot.ready()

    async def _open(self, config: ModelConfig, untried: bool) -> Model:
        return await open_model(config, _hop(), untried, self._is_first)

    async def _lookup(self) -> ModelConfig | None:
        """Ask the directory what to run: after a restart this process is empty. Raises GatewayError
        (CLUSTER_DOWN): it does not say."""
        try:
            async with asyncio.timeout(ASK_DIRECTORY_SECONDS):
                return await self._config_of_directory()
        except (TimeoutError, ray.exceptions.RayError):
            words = "The directory does not say what this chat's restarted process shall run."
            raise GatewayError(Code.CLUSTER_DOWN, words) from None

    async def _config_of_directory(self) -> ModelConfig | None:
        while True:
            with contextlib.suppress(ValueError, ray.exceptions.RayActorError):
                directory = ray.get_actor(DIRECTORY, NAMESPACE)
                config: ModelConfig | None = await directory.config.remote(self._chat_name)
                return config
            await asyncio.sleep(AGAIN_SECONDS)  # it is being restarted


def _hop() -> str:
    return hop(ray.get_runtime_context().get_session_name())
