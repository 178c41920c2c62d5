"""Chats with the models that stock byzerllm deployed."""

from __future__ import annotations

import time
from typing import Any

import orjson

from gateway.cluster.answer import Answer
from gateway.cluster.byzerllm_patches import ByzerLLM, LLMResponse
from gateway.cluster.connection import FAILED_THERE, Connection
from gateway.cluster.stream import WholeStream
from gateway.errors import Code, GatewayError
from gateway.frames import AnswerForm, Request, Usage
from gateway.providers import stock
from gateway.providers.quoted_keys import shown
from gateway.providers.refusals import Refusal
from gateway.providers.usage import guess
from gateway.providers.verdicts import is_answer

ASK_SECONDS = 10
STOCK_TIMEOUT_SECONDS = 120
"""Of a chat with a model that another program deployed; ours have a timeout each."""


class StockLLM(ByzerLLM):  # type: ignore[misc]  # byzerllm's types do not resolve
    """A ByzerLLM that chats with the models that stock byzerllm deployed within time limits, and
    says why it cannot."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        # Else `<_image_>/etc/passwd</_image_>` in a prompt makes byzerllm read that file and send
        # it upstream.
        self.skip_nontext_check = True
        self._connection = connection

    def _reach(self, name: str) -> tuple[Any, float]:
        """Return a model's UDFMaster, and the seconds that a chat with it may take."""
        raise NotImplementedError

    def chat_stock(
        self, name: str, conversation: list[dict[str, Any]], options: dict[str, Any]
    ) -> Answer:
        """Answer one chat. Raises GatewayError."""
        started = time.monotonic()
        # `thinking` is on or off there, which no provider knows.
        options = {
            theirs: options[ours]
            for ours, theirs in stock.OPTIONS.items()
            if options.get(ours) is not None
        }
        try:
            # Without enable_default_sys_message=False it puts a Chinese preamble before the
            # caller's system message.
            with self._connection.using_ray():
                responses: list[LLMResponse] = super().chat_oai(
                    conversation, model=name, llm_config=options, enable_default_sys_message=False
                )
            [response] = responses
            counts = response.metadata
            # 0 is what byzerllm says where it does not know.
            tokens_in = int(counts.get("input_tokens_count", 0)) or None
            tokens_out = int(counts.get("generated_tokens_count", 0)) or None
        except FAILED_THERE as error:
            refusal = stock.raised(str(error), _question(conversation))
            raise _failed(name, refusal, type(error).__name__) from error
        if refused := stock.answered(response.output or "", _question(conversation)):
            raise _failed(name, refused, "an error in place of an answer")
        if not is_answer(response.output or ""):  # stock byzerllm swallows some errors
            words = "The stock byzerllm model sent an empty answer."
            words_zh = "byzerllm 原生模型返回了空的回答。"
            raise GatewayError(
                Code.PROVIDER_DOWN, words, words_zh, chat_name=name, provider="byzerllm"
            )
        words = response.output.encode(errors="replace")
        usage = Usage("byzerllm", time.monotonic() - started, tokens_in, tokens_out)
        usage = usage.guessed(guess(orjson.dumps(conversation)), guess(words))
        answer = Answer(words, "", usage, response.input)
        answer.metadata.update(response.metadata)
        return answer

    def relay_stock(self, name: str, fields: dict[str, Any], shown: str) -> Answer:
        """Answer one chat, in OpenAI's shape; `shown` is the model's name in it. Raises
        GatewayError."""
        relayed = {"messages", "stream", "stream_options", *stock.OPTIONS}
        # typed clients send every field that they know
        given = {field for field, value in fields.items() if value is not None}
        if other := sorted(given - relayed):
            what = ", ".join(other)
            raise GatewayError(
                Code.INVALID_REQUEST,
                f"model: stock byzerllm deployed {name}, and it does not do {what}.",
                f"model：{name} 由 byzerllm 原生部署，不支持 {what}。",
                chat_name=name,
            )
        answer = self.chat_stock(name, fields["messages"], fields)
        return Answer(orjson.dumps(answer.reply(shown)), name, answer.usage)

    def stream_stock(self, name: str, request: Request, fields: dict[str, Any]) -> WholeStream:
        """Answer one chat as a stream that has one piece. Raises GatewayError.

        byzerllm's own streams go through a server that drops pieces, waits for ever, and ends a
        refusal as an empty answer.
        """
        if request.form == AnswerForm.TEXT:
            return WholeStream(self.chat_stock(name, fields["messages"], fields), request)
        return WholeStream(self.relay_stock(name, fields, request.shown), request)

    def _query(self, model: str, input_value: list[dict[str, Any]]) -> Any:
        """Ask a model as byzerllm does, with a time limit on every wait."""
        master, timeout = self._reach(model)
        deadline = time.monotonic() + timeout
        index, worker = self._connection.ask(master.get.remote(), ASK_SECONDS)
        try:
            reply = self._connection.ask(
                worker.async_apply.remote([orjson.dumps(value).decode() for value in input_value]),
                deadline - time.monotonic(),
            )
        finally:
            master.give_back.remote(index)
        return orjson.loads(reply["value"][0])


def _question(conversation: list[dict[str, Any]]) -> bytes:
    """Return what was asked, whose own words are nobody's bill."""
    return orjson.dumps(conversation)


def _failed(name: str, refusal: Refusal, what: str) -> GatewayError:
    """Return the error of a refusal. Its words are left out: the key is not known here, so that
    nothing could find it in them."""
    provider_code, _ = shown(refusal, 401, "")
    return GatewayError(
        refusal.code,
        f"The stock byzerllm model failed ({what}); its worker's log says why.",
        "byzerllm 原生模型调用失败，原因见其 Ray worker 日志。",
        chat_name=name,
        provider="byzerllm",
        provider_code=provider_code,
    )
