"""What is aimed at, and whether it was met."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench.contenders import CHAT, DIRECT, V1
from bench.loads import LOADS, Rounds, Seen
from bench.other_gateways import LITELLM, PORTKEY, TENSORZERO


class Row(NamedTuple):
    """One line of the table; `figures` has one for each front, or one for both."""

    load: str
    target: str
    figures: tuple[str, ...]
    met: bool


def under(load: str, what: str, amount: float, limit: float, unit: str) -> Row:
    """The line of a figure that must stay under a limit."""
    return Row(load, f"{what} under {limit:g} {unit}", (f"{amount:.1f} {unit}",), amount < limit)


class Ratio(NamedTuple):
    """A target for a load: a front's figure, divided by that of `against` in the same round."""

    load: str
    what: str
    against: str
    limit: float

    @property
    def words(self) -> str:
        sign = "at least" if self.what == RATE else "at most"
        whose = "the provider's own" if self.against == DIRECT else f"{self.against}'s"
        return f"{self.what} {sign} {self.limit:g} x {whose}"

    def of(self, rounds: Rounds, front: str) -> float:
        figure = _FIGURES[self.what]
        return statistics.median(
            figure(seen[front]) / max(figure(seen[self.against]), 1e-9) for seen in rounds
        )

    def met_by(self, ratio: float) -> bool:
        return ratio >= self.limit if self.what == RATE else ratio <= self.limit


RATE, P50, P99, CPU = "requests/s", "p50", "p99", "CPU an answer"
_FIGURES: dict[str, Callable[[Seen], float]] = {
    RATE: lambda s: s.run.per_second,
    P50: lambda s: s.run.p50_ms,
    P99: lambda s: s.run.p99_ms,
    CPU: lambda s: s.cpu_ms,
}

RATIOS = (
    Ratio("64", CPU, TENSORZERO, 3),
    Ratio("64", RATE, PORTKEY, 2.2),
    Ratio("64", RATE, LITELLM, 20),
    Ratio("1", P50, TENSORZERO, 2.5),
    Ratio("1", P50, PORTKEY, 0.7),
    Ratio("streams", CPU, TENSORZERO, 2),
    Ratio("streams", P50, DIRECT, 1.02),
    Ratio("held", P50, DIRECT, 1.01),
    Ratio("held", P99, DIRECT, 1.15),
    Ratio("held-5000", P50, DIRECT, 1.1),
)
"""For both fronts alike."""

FRONTS = (CHAT, V1)


def judged(taken: dict[str, Rounds]) -> Iterator[Row]:
    """The lines of all loads that were measured. A ratio counts only if no request failed: failing
    is fast."""
    for target in RATIOS:
        rounds = taken.get(target.load)
        if rounds and target.against in rounds[0]:
            ratios = [target.of(rounds, front) for front in FRONTS]
            met = all(map(target.met_by, ratios)) and not any(_failed(rounds))
            yield Row(
                LOADS[target.load].name,
                target.words,
                tuple(f"{ratio:.2f}" for ratio in ratios),
                met,
            )
    for key, rounds in taken.items():
        failed = _failed(rounds)
        yield Row(LOADS[key].name, "0 failures", tuple(map(str, failed)), not any(failed))


def _failed(rounds: Rounds) -> list[int]:
    return [sum(seen[front].run.failed for seen in rounds) for front in FRONTS]
