"""How far a run is: a bar on a terminal, a line now and then elsewhere, and the summary."""

from __future__ import annotations

import sys
import time
from collections import Counter

from tqdm import tqdm

from gateway.commands.bulk.answers import Answer
from gateway.commands.bulk.words import in_chinese, words

LINE_SECONDS = 30


class Display:
    """Shows what is done of `total` rows. Those that were `old`, of a run before, do not count for
    the time left."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._rows = self._old = self._tokens_in = self._tokens_out = 0
        self._errors: Counter[str] = Counter()
        self._began = self._line_at = time.monotonic()
        shape = (
            "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} 行{postfix}，剩余 {remaining}"
            if in_chinese()
            else "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} rows{postfix}, {remaining} left"
        )
        self._bar = tqdm(
            total=total,
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
            smoothing=0.05,
            bar_format=shape,
        )

    def row(self, answer: Answer, old: bool) -> None:
        """Count a row that was written."""
        self._rows += 1
        self._old += old
        self._tokens_in += answer.tokens_in
        self._tokens_out += answer.tokens_out
        if answer.error:
            self._errors[answer.error.partition(":")[0]] += 1
        if not self._bar.disable:
            self._bar.initial += old
            self._bar.set_postfix_str(self._counts(), refresh=False)
            self._bar.update()
        elif time.monotonic() > self._line_at + LINE_SECONDS:
            self._line_at = time.monotonic()
            print(self._line(), file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Say something above the bar."""
        tqdm.write(text, file=sys.stderr)
        sys.stderr.flush()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    @property
    def errors(self) -> int:
        """How many rows have an error."""
        return self._errors.total()

    @property
    def done(self) -> bool:
        """Whether each row has its answer."""
        return self._rows == self._total and not self._errors

    def summary(self) -> str:
        """Return what became of the rows."""
        span = tqdm.format_interval(time.monotonic() - self._began)
        answered, old = self._rows - self.errors, self._old
        kinds = ", ".join(f"{code} {count}" for code, count in self._errors.most_common())
        kinds = f" ({kinds})" if kinds else ""
        return words(
            f"{answered} of {self._total} rows have an answer ({old} not asked now),"
            f" {self.errors} an error{kinds}. Tokens: {self._tokens_in} in,"
            f" {self._tokens_out} out. Time: {span}.",
            f"共 {self._total} 行，{answered} 行已有回答（其中 {old} 行本次无需提问），"
            f"{self.errors} 行出错{kinds}。令牌数：输入 {self._tokens_in}，输出"
            f" {self._tokens_out}。用时 {span}。",
        )

    def _counts(self) -> str:
        tokens = tqdm.format_sizeof(self._tokens_in + self._tokens_out)
        return words(
            f"{self.errors} errors, {tokens} tokens", f"{self.errors} 个错误，{tokens} 令牌"
        )

    def _line(self) -> str:
        new = self._rows - self._old
        seconds = (time.monotonic() - self._began) / max(new, 1) * (self._total - self._rows)
        left = tqdm.format_interval(seconds) if new else "?"
        return words(
            f"{self._rows}/{self._total} rows, {self._counts()}, {left} left",
            f"{self._rows}/{self._total} 行，{self._counts()}，剩余 {left}",
        )
