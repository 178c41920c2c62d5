"""A model that is ready to answer: its configuration, the accounts at its provider, and how much it
has to do."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway.actors.balance_watch import BalanceWatch
from gateway.actors.circuit_breaker import CircuitBreaker, Probe
from gateway.actors.local_model import load
from gateway.actors.upstream import ANSWER_BYTES, Upstream
from gateway.addresses import EgressProxy, url_host
from gateway.byte_budget import ByteBudget
from gateway.errors import LASTING, TIMED, Code, GatewayError, lacking
from gateway.protocol import CHAT, Engine, KeyStatus, ModelConfig, Resting
from gateway.providers.balances import NOWHERE, BalanceSource
from gateway.providers.dialects import Dialect
from gateway.providers.questions import Question, QuestionRules
from gateway.providers.reader import Piece, StreamReader
from gateway.providers.whole_replies import Reply

OF_THE_KEY = frozenset({*LASTING, Code.SLOW_DOWN})
"""What a provider says of the key that was used; another one may fare better."""


@dataclass(slots=True)
class Account:
    """A key at the provider, whether it rests, and how many questions it is answering."""

    upstream: Upstream
    breaker: CircuitBreaker
    balances: BalanceWatch
    in_flight: int = 0

    @contextlib.contextmanager
    def asking(self, refusals: list[GatewayError], probe: Probe | None) -> Iterator[Upstream]:
        """Around every question to the provider; `probe` is what its breaker said of it. Adds to
        `refusals` what is said of this key alone, and raises any other GatewayError."""
        self.in_flight += 1
        try:
            yield self.upstream
        except GatewayError as error:
            self.breaker.failed(error, probe)
            if error.code not in OF_THE_KEY:
                raise
            refusals.append(error)
        except BaseException:  # the client hung up
            self.breaker.given_up(probe)
            raise
        finally:
            self.in_flight -= 1
            self.balances.used()

    def spoke(self, probe: Probe | None) -> None:
        """Note an answer, or a stream's first word: its end may be an hour away."""
        unpaid = self.breaker.unpaid
        self.breaker.spoke(probe)
        if unpaid and not self.breaker.unpaid:
            self.balances.paid()


@dataclass(slots=True)
class Model:
    """A model ready to answer, and how many chats it is answering."""

    config: ModelConfig
    dialect: Dialect
    rules: QuestionRules
    accounts: list[Account]
    balances: BalanceWatch
    local: Any = None
    in_flight: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, question: Question) -> Reply:
        """Return the whole answer to a question. Raises GatewayError."""
        refusals: list[GatewayError] = []
        with self._busy():
            for account, probe in self._awake(refusals):
                with account.asking(refusals, probe) as upstream:
                    reply = await upstream.ask(question)
                    account.spoke(probe)
                    account.breaker.succeeded(probe)
                    return reply
        raise _most_hopeful(refusals)

    async def stream(
        self, question: Question, new_reader: Callable[[], StreamReader]
    ) -> AsyncGenerator[tuple[StreamReader, list[Piece]], None]:
        """Yield the pieces of an answer as they come, and who read them; an empty list tells that
        the model thinks. Raises GatewayError."""
        refusals: list[GatewayError] = []
        with self._busy():
            for account, probe in self._awake(refusals):
                reader, spoke = new_reader(), False
                with account.asking(refusals, probe) as upstream:
                    pieces = upstream.stream(question, reader)
                    async with contextlib.aclosing(pieces):
                        async for together in pieces:
                            if together and not spoke:
                                account.spoke(probe)
                                spoke = True
                            yield reader, together
                    account.breaker.succeeded(probe)
                    return
                if reader.spoke:  # what was said cannot be taken back
                    raise refusals[-1]
        raise _most_hopeful(refusals)

    def has(self, path: str) -> None:
        """Raise GatewayError unless the provider has such an endpoint."""
        if path not in (CHAT, *self.config["traits"]["endpoints"]):
            raise lacking(path, self.config["provider"])

    def resting(self) -> Resting | None:
        """Return what GET /models tells of a rest: the chat rests when all its accounts do, until
        the first of them may be asked again."""
        rests = [account.breaker.resting() for account in self.accounts]
        return min(filter(None, rests), key=lambda rest: rest["until"]) if all(rests) else None

    def keys(self) -> KeyStatus:
        """Return how many keys there are, and how many rest, by the code that they rest with."""
        rests = filter(None, (account.breaker.resting() for account in self.accounts))
        return {
            "count": len(self.accounts),
            "resting": dict(Counter(rest["code"] for rest in rests)),
        }

    async def close(self, seconds: float) -> None:
        """Let the chats under way finish, for `seconds` at most, then close."""
        if self.in_flight:
            self.idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.idle.wait(), seconds)
        self.balances.close()
        for account in self.accounts:
            await account.upstream.close()
        self.local = None

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self.idle.set()

    def _awake(self, refusals: list[GatewayError]) -> Iterator[tuple[Account, Probe | None]]:
        """Yield the accounts that may be asked, first the one with the least to do, and the probe
        that the question is; the others add to `refusals` why not."""
        for account in sorted(self.accounts, key=lambda account: account.in_flight):
            try:
                probe = account.breaker.admit()
            except GatewayError as error:
                refusals.append(error)
            else:
                yield account, probe


def _most_hopeful(refusals: list[GatewayError]) -> GatewayError:
    """Return which of the accounts' refusals is told: one that passes by itself, if there is
    one."""
    return next((error for error in refusals if error.code in TIMED), refusals[0])


async def open_model(
    config: ModelConfig, hop: str, untried: bool = False, watched: bool = False
) -> Model:
    """Make a model ready. Raises GatewayError: it cannot be loaded. `hop` tells its provider which
    cluster asks.

    `untried`: it has not answered yet, and its file may be damaged. `watched`: its provider is
    asked what is left in its accounts, where that can be asked.
    """
    base_url, api_key, local = config["base_url"], config["api_key"], None
    if config["engine"] == Engine.LLAMA_CPP:
        base_url, api_key, local = await asyncio.to_thread(
            load, config["model_name"], config["models_folder"], untried
        )
    traits = config["traits"]
    dialect = Dialect(dict(traits["words"]), traits["codes"])
    rules = QuestionRules(config["model_name"], traits, config["options"], config["thinking"])
    answers = ByteBudget(ANSWER_BYTES)
    proxy = EgressProxy.from_url(config["egress_proxy"]) if config["egress_proxy"] else None

    def upstream(key: str) -> Upstream:
        return Upstream(
            provider=config["provider"],
            base_url=base_url,
            endpoints=traits["endpoints"],
            api_key=key,
            key_header=traits["key_header"],
            dialect=dialect,
            rules=rules,
            timeout=config["timeout"],
            trusted=config["trusted"],
            proxy=proxy,
            proxy_trusted=config["egress_trusted"],
            hop=hop,
            answers=answers,
        )

    upstreams = [upstream(key) for key in api_key.split(",")]
    source = BalanceSource(*traits["balance"]) if watched and api_key else NOWHERE
    balances = BalanceWatch(source, url_host(base_url), [one.look for one in upstreams])
    accounts = [
        Account(one, CircuitBreaker(config["probe_seconds"]), balances) for one in upstreams
    ]
    return Model(config, dialect, rules, accounts, balances, local)


def has_its_key(config: ModelConfig) -> bool:
    """Return whether it can be opened; a restart of the cluster loses keys, and the way out, beside
    which no question may go."""
    has_way = bool(config["egress_proxy"]) or not config["egress_host"]
    return has_way and (bool(config["api_key"]) or not config["needs_key"])
