"""A plot on logarithmic axes, as an SVG that is legible on a light and on a dark page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 600, 50, 385
COLOURS = ("#3182ce", "#dd6b20", "#9f5fd0", "#2f9e8f", "#c2456b", "#b8860b", "#6b8e23")
LINE_HEIGHT = 17

STYLE = """
text { font: 13px sans-serif; fill: #222 }
.title { font-weight: bold }
.page { fill: #fff }
.grid { stroke: #8886 }
.line { fill: none; stroke-width: 2.5 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .page { fill: #161b22 } }
"""

Points = Sequence[tuple[float, float]]


class _Axis(NamedTuple):
    """From `low` at the pixel `start` to `high` at `end`."""

    low: float
    high: float
    start: int
    end: int

    def at(self, value: float) -> float:
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + part * (self.end - self.start), 1)


def drawn(title: str, across: str, up: str, series: Mapping[str, Points]) -> str:
    """A line for each of the series; the points' coordinates are above 0, and there are two of each
    at least."""
    xs, ys = zip(*chain.from_iterable(series.values()), strict=True)
    x = _Axis(min(xs), max(xs), LEFT, RIGHT)
    decades = range(math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys))) + 1)
    y = _Axis(10 ** decades[0], 10 ** decades[-1], BOTTOM, TOP)
    middle = (LEFT + RIGHT) // 2
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            f' aria-label="{title}">'
        ),
        f'<style>{STYLE}</style><rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        _text(LEFT, 28, title, 'class="title"'),
        _text(middle, HEIGHT - 12, across, 'text-anchor="middle"'),
        _text(
            0,
            0,
            up,
            f'text-anchor="middle" transform="translate(18 {(TOP + BOTTOM) // 2}) rotate(-90)"',
        ),
    ]
    for value in sorted(set(xs)):
        parts += [_grid(x.at(value), TOP, x.at(value), BOTTOM)]
        parts += [_text(x.at(value), BOTTOM + 20, f"{value:,g}", 'text-anchor="middle"')]
    for value in (10**power for power in decades):
        parts += [_grid(LEFT, y.at(value), RIGHT, y.at(value))]
        parts += [_text(LEFT - 8, y.at(value) + 4, f"{value:,g}", 'text-anchor="end"')]
    for colour, points in zip(COLOURS, series.values(), strict=False):
        path = " ".join(f"{x.at(a)},{y.at(b)}" for a, b in points)
        parts += [f'<polyline class="line" stroke="{colour}" points="{path}"/>']
        parts += [
            f'<circle cx="{x.at(a)}" cy="{y.at(b)}" r="3.5" fill="{colour}"/>' for a, b in points
        ]
    parts += _names({name: y.at(points[-1][1]) for name, points in series.items()})
    return "\n".join([*parts, "</svg>\n"])


def _names(ends: Mapping[str, float]) -> Iterator[str]:
    """Each line's name beside its end, below the one before where they would touch."""
    colours = dict(zip(ends, COLOURS, strict=False))
    free = 0.0
    for name, end in sorted(ends.items(), key=lambda pair: pair[1]):
        place = max(end, free)
        free = place + LINE_HEIGHT
        yield (
            f'<rect x="{RIGHT + 12}" y="{place - 6}" width="12" height="12"'
            f' fill="{colours[name]}"/>'
        )
        yield _text(RIGHT + 30, place + 4, name)


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" {more}>{words}</text>'


def _grid(*ends: float) -> str:
    return '<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/>'.format(*ends)
